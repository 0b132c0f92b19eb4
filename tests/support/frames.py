"""Reads an engine's messages from a pipe or a file, as tests on both its sides do."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase
from typing import IO

from playground.core.protocol import FrameDecoder, MessageT


def read_messages(
    stream: IO[bytes] | BufferedIOBase, decoder: FrameDecoder[MessageT]
) -> Iterator[MessageT]:
    """Yield messages from a blocking stream until its end."""
    read = getattr(stream, "read1", stream.read)
    while data := read(1 << 16):
        yield from decoder.feed(data)
