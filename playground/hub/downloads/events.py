"""The events of a download, each a JSON line between the processes."""

from __future__ import annotations

import msgspec


class Planned(msgspec.Struct, frozen=True, tag="planned", kw_only=True):
    """The extent of a download, before its first byte. Sizes in bytes."""

    commit: str
    repository: str  # the model's folder in the Hub's cache
    files: int
    total_bytes: int  # of all files the load needs
    present_bytes: int  # of those, already here, in finished and unfinished files


class Advanced(msgspec.Struct, frozen=True, tag="advanced", kw_only=True):
    """The progress so far. `done_bytes` includes files that were already here, and never falls."""

    done_bytes: int
    total_bytes: int
    bytes_per_s: float  # over the last seconds
    quiet_s: float  # since the last byte, or the last one compared with its hash


class Completed(msgspec.Struct, frozen=True, tag="completed"):
    """All files are here."""

    folder: str
    commit: str


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The download failed; `detail` is for the log and holds no token.

    `retryable`, `wait_s`, `ask_at` and `needs_login` are as in HubError. `gone`: the Hub has no
    such revision (any more).
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
    """The download was cancelled, which removes unfinished files, or stopped, which keeps them."""


#: The last three end a download, and exactly one of them comes.
DownloadEvent = Planned | Advanced | Completed | Broken | Cancelled

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[DownloadEvent] = msgspec.json.Decoder(DownloadEvent)


def encode_line(event: DownloadEvent) -> bytes:
    return _encoder.encode(event) + b"\n"


def decode_line(line: bytes) -> DownloadEvent:
    """Read an event. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(line)
