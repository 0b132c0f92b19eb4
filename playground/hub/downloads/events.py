"""What a download tells: plain values, one JSON line each between the processes."""

from __future__ import annotations

import msgspec


class Planned(msgspec.Struct, frozen=True, tag="planned", kw_only=True):
    """What is going to happen, before the first byte. Sizes in bytes."""

    commit: str
    files: int
    total_bytes: int  # of all files the load needs
    present_bytes: int  # of those, already here


class Advanced(msgspec.Struct, frozen=True, tag="advanced", kw_only=True):
    """How far it is. `done_bytes` counts what was already here, and never falls."""

    done_bytes: int
    total_bytes: int
    bytes_per_s: float  # over the last seconds
    quiet_s: float  # since the last byte

    @property
    def fraction(self) -> float:
        return self.done_bytes / self.total_bytes if self.total_bytes else 1.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at this pace, None where nothing moves."""
        left = self.total_bytes - self.done_bytes
        return left / self.bytes_per_s if self.bytes_per_s > 0 else None


class Completed(msgspec.Struct, frozen=True, tag="completed"):
    """Everything is here."""

    folder: str
    commit: str


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """It failed; `detail` is for the log and holds no token.

    The others as in `failures.HubError`: whether the same may work later, after how many
    seconds at least, where to ask for a gated model, and whether logging in comes first.
    `gone`: the Hub has no such version any more.
    """

    message: str
    remedy: str = ""
    detail: str = ""
    retryable: bool = False
    wait_s: float = 0.0
    ask_at: str = ""
    needs_login: bool = False
    gone: bool = False


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """The user stopped it. Finished files stay, unfinished ones are removed."""


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """An unfinished file is about to be opened; between the processes only."""

    path: str


#: The last three end a download, and exactly one of them comes.
DownloadEvent = Planned | Advanced | Completed | Broken | Cancelled
ChildMessage = DownloadEvent | Opening

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[ChildMessage] = msgspec.json.Decoder(ChildMessage)


def encode_line(event: ChildMessage) -> bytes:
    return _encoder.encode(event) + b"\n"


def decode_line(line: bytes) -> ChildMessage:
    """Raises msgspec.DecodeError (or its kind ValidationError) for anything else."""
    return _decoder.decode(line)
