"""Messages between a client and an engine process, and their framing.

A frame is a four-byte magic, a four-byte little-endian length and a MessagePack body.
Commands travel to the engine's stdin, events back on its stdout.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import BinaryIO, Generic, TypeVar

import msgspec

from playground.core.errors import ProtocolError
from playground.core.facts import Answer, EngineFacts, LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.quantize import Estimate, LayerProgress, QuantizedModel, QuantizeRequest

PROTOCOL_VERSION = 1
MAGIC = b"LMP1"
#: No honest message is larger; a length above it means the stream is garbage.
MAX_BODY = 64 * 1024 * 1024
_HEADER = struct.Struct("<4sI")


class Activity(StrEnum):
    """What an engine is busy with. The values are data: JSON output and benchmarks use them."""

    STARTING = "starting"
    IMPORTING = "importing"
    READING_WEIGHTS = "reading weights"
    QUANTIZING = "quantizing"
    WARMING_UP = "warming up"
    MEASURING = "measuring memory"
    READING_PROMPT = "reading the prompt"
    GENERATING = "generating"
    MEASURING_LAYER = "measuring one layer"
    CALIBRATING = "quantizing layer by layer"
    WRITING = "writing the files"

    @property
    def label(self) -> str:
        """The words shown to people."""
        return _ACTIVITY_LABELS.get(self, self.value)


_ACTIVITY_LABELS = {
    Activity.STARTING: "starting the engine",
    Activity.IMPORTING: "starting Python libraries",
    Activity.MEASURING: "measuring the memory bandwidth",
}


# Commands


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Load a model; an engine loads one model in its life."""

    request: LoadRequest


class Generate(msgspec.Struct, frozen=True, tag="generate", kw_only=True):
    """Generate from a prompt. `sent_at` is time.monotonic() of the sender (one clock a machine)."""

    request_id: int
    prompt: Prompt
    options: GenerationOptions
    timing: Timing = "in turn"
    sent_at: float


class MeasureQuantizing(msgspec.Struct, frozen=True, tag="measure quantizing"):
    """Tell what a quantized copy would cost, measured on one layer; nothing is written."""

    request_id: int
    request: QuantizeRequest


class Quantize(msgspec.Struct, frozen=True, tag="quantize"):
    """Write a quantized copy of a model; the engine needs no model loaded."""

    request_id: int
    request: QuantizeRequest


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop the request: a generation after the current token, quantizing within a layer."""

    request_id: int


class Quit(msgspec.Struct, frozen=True, tag="quit"):
    """Leave; so does the end of the input."""


Work = Load | Generate | MeasureQuantizing | Quantize
Command = Work | Cancel | Quit


# Events


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The process runs and has not imported anything heavy yet."""

    pid: int
    protocol: int = PROTOCOL_VERSION


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """The engine entered or goes on in an activity; `fraction` is 0..1 where it is known."""

    activity: Activity
    fraction: float | None = None
    detail: str = ""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The libraries are imported and a model can be loaded."""

    facts: EngineFacts


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model is loaded, verified and warmed up."""

    model: LoadedModel


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The prompt is tokenized and its prefill begins."""

    request_id: int
    prompt_tokens: int


class Tokens(msgspec.Struct, frozen=True, tag="tokens"):
    """Tokens since the last batch: ids, the text each released, and when each was ready.

    The three have one length. `times` are seconds since the request's `sent_at`. A text may
    be "" (part of a character, or held back as the possible start of a stop string).
    """

    request_id: int
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    times: tuple[float, ...]


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The generation ended; `tail` is held-back text that no Tokens event carried."""

    request_id: int
    answer: Answer
    tail: str = ""


class Estimated(msgspec.Struct, frozen=True, tag="estimated"):
    """What a quantized copy would cost; None where measuring it was cancelled."""

    request_id: int
    estimate: Estimate | None


class Quantizing(msgspec.Struct, frozen=True, tag="quantizing"):
    """How far the layers are."""

    request_id: int
    progress: LayerProgress


class Quantized(msgspec.Struct, frozen=True, tag="quantized"):
    """The copy is written; None where it was cancelled, and then nothing is left of it."""

    request_id: int
    model: QuantizedModel | None


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A command failed. `request_id` is None for a load; the engine stays usable if `alive`.

    `may_insist`: it was refused for lack of memory, and is tried if the request insists.
    `remote_code`: agreeing to the model's own code would remedy it.
    """

    message: str
    remedy: str = ""
    detail: str = ""
    request_id: int | None = None
    alive: bool = True
    may_insist: bool = False
    remote_code: bool = False


Event = (
    Hello
    | Progress
    | Ready
    | Loaded
    | Started
    | Tokens
    | Finished
    | Estimated
    | Quantizing
    | Quantized
    | Failed
)

MessageT = TypeVar("MessageT")
_encoder = msgspec.msgpack.Encoder()


def encode(message: Command | Event) -> bytes:
    """Return one whole frame."""
    body = _encoder.encode(message)
    return _HEADER.pack(MAGIC, len(body)) + body


class FrameDecoder(Generic[MessageT]):
    """Turns bytes, in pieces of any size, into messages of one union of types."""

    def __init__(self, union: type[MessageT]) -> None:
        self._decoder = msgspec.msgpack.Decoder(union)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[MessageT]:
        """Yield every message that is complete. Raises ProtocolError on anything else."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            magic, length = _HEADER.unpack_from(self._buffer)
            if magic != MAGIC or length > MAX_BODY:
                start = bytes(self._buffer[:40])
                raise ProtocolError(
                    "The engine wrote something that is not a message.",
                    "Load the model again; if it happens again, look at the engine's log.",
                    f"unexpected bytes: {start!r}",
                )
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            try:
                message = self._decoder.decode(body)
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                raise ProtocolError(
                    "The engine sent a message of another version.",
                    "Use the same version of the playground in both environments.",
                    str(error),
                ) from error
            yield message


def command_decoder() -> FrameDecoder[Command]:
    """The engine's side."""
    return FrameDecoder(Command)  # type: ignore[arg-type]  # mypy has no type form of a union


def event_decoder() -> FrameDecoder[Event]:
    """The client's side."""
    return FrameDecoder(Event)  # type: ignore[arg-type]


def read_messages(stream: BinaryIO, decoder: FrameDecoder[MessageT]) -> Iterator[MessageT]:
    """Yield messages from a blocking stream until its end."""
    read = getattr(stream, "read1", stream.read)
    while data := read(1 << 16):
        yield from decoder.feed(data)
