"""Defines the messages between a client and an engine process, and their framing.

A frame is a four-byte magic, a four-byte little-endian length and a MessagePack body.
Commands travel to the engine's stdin, events back on its stdout.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from playground.core.errors import ProtocolError
from playground.core.facts import Answer, EngineFacts, LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.quantizing.request import (
    Estimate,
    LayerProgress,
    QuantizedModel,
    QuantizeRequest,
)
from playground.core.scoring import ContinuationScore, ScoreRequest, TextScore
from playground.core.servers import ServerRequest
from playground.core.token_record import TokenDetail, TokenRecord

PROTOCOL_VERSION = 3
MAGIC = b"LMP1"
#: No message is larger; a greater length means that the stream is not frames.
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
    SCORING = "scoring the text"
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
    """Generate from a prompt. `sent_at` is time.monotonic() of the sender (one clock a machine).

    At most `reuse` tokens of the prompt may be taken from the KV cache of the last one: those of
    worked examples in front of every question. Its time to the first token means less then.
    """

    request_id: int
    prompt: Prompt
    options: GenerationOptions
    timing: Timing = "in turn"
    sent_at: float
    reuse: int = 0


class MeasureQuantizing(msgspec.Struct, frozen=True, tag="measure quantizing"):
    """Estimate what a quantized copy would cost by measuring one layer; nothing is written."""

    request_id: int
    request: QuantizeRequest


class Quantize(msgspec.Struct, frozen=True, tag="quantize"):
    """Write a quantized copy of a model; the engine needs no model loaded."""

    request_id: int
    request: QuantizeRequest


class Score(msgspec.Struct, frozen=True, tag="score"):
    """Score a text with the loaded model."""

    request_id: int
    request: ScoreRequest


class CountTokens(msgspec.Struct, frozen=True, tag="count tokens"):
    """Count the tokens of prompts, as the loaded model would read them."""

    request_id: int
    prompts: tuple[Prompt, ...]


class ScoreContinuations(msgspec.Struct, frozen=True, tag="score continuations"):
    """Score texts as continuations of one context with the loaded model."""

    request_id: int
    context: str
    continuations: tuple[str, ...]


class LookAtServer(msgspec.Struct, frozen=True, tag="look at server"):
    """Ask a server what it is and which models it has; no model need be loaded."""

    request_id: int
    server: ServerRequest


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop the request: a generation after the current token, quantizing within a layer."""

    request_id: int


class Quit(msgspec.Struct, frozen=True, tag="quit"):
    """End the engine process; the end of its input does the same."""


Work = (
    Load
    | Generate
    | MeasureQuantizing
    | Quantize
    | Score
    | CountTokens
    | ScoreContinuations
    | LookAtServer
)
Command = Work | Cancel | Quit


# Events


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The process runs; it has imported no large library yet."""

    pid: int
    protocol: int = PROTOCOL_VERSION


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """The process reacts, although nothing else was sent for a second; clients only count it."""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """The engine began an activity or moved on in it; `fraction` is 0 to 1, None if unknown."""

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

    The three have the same length. `times` are seconds since the request's `sent_at`. A text
    may be "" (part of a character, or held back as the possible start of a stop string).
    `details` have that length too, or are empty where the options ask for no alternatives.
    """

    request_id: int
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    times: tuple[float, ...]
    details: tuple[TokenDetail, ...] = ()

    @property
    def record(self) -> TokenRecord:
        return TokenRecord(self.ids, self.texts, self.times, self.details)


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The generation ended; `tail` is held-back text that no Tokens event carried."""

    request_id: int
    answer: Answer
    tail: str = ""


class Estimated(msgspec.Struct, frozen=True, tag="estimated"):
    """What a quantized copy would cost; `estimate` is None where measuring was cancelled."""

    request_id: int
    estimate: Estimate | None


class Quantizing(msgspec.Struct, frozen=True, tag="quantizing"):
    """How far quantizing has come."""

    request_id: int
    progress: LayerProgress


class Quantized(msgspec.Struct, frozen=True, tag="quantized"):
    """The copy is written. `model` is None where it was cancelled and the partial copy removed."""

    request_id: int
    model: QuantizedModel | None


class Scored(msgspec.Struct, frozen=True, tag="scored"):
    """The text is scored; `score` is None where it was cancelled."""

    request_id: int
    score: TextScore | None


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The prompts' tokens, in their order; () where counting was cancelled."""

    request_id: int
    counts: tuple[int, ...]


class ContinuationsScored(msgspec.Struct, frozen=True, tag="continuations scored"):
    """The continuations' scores, in their order; () where scoring was cancelled."""

    request_id: int
    scores: tuple[ContinuationScore, ...]


class ServerSeen(msgspec.Struct, frozen=True, tag="server seen"):
    """What a server is, with its version, and the models that it names."""

    request_id: int
    label: str
    models: tuple[str, ...]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A command failed. `request_id` is None for a load; the engine stays usable if `alive`.

    `may_insist`: it was refused for lack of memory; a request with `insist` tries it anyway.
    `remote_code`: agreeing to run the model's code would remedy it.
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
    | Alive
    | Progress
    | Ready
    | Loaded
    | Started
    | Tokens
    | Finished
    | Estimated
    | Quantizing
    | Quantized
    | Scored
    | Counted
    | ContinuationsScored
    | ServerSeen
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
        """Yield every complete message. Raises ProtocolError where the bytes are not messages."""
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
    """Return the decoder for the engine's side."""
    return FrameDecoder(Command)  # type: ignore[arg-type]  # mypy has no type form of a union


def event_decoder() -> FrameDecoder[Event]:
    """Return the decoder for the client's side."""
    return FrameDecoder(Event)  # type: ignore[arg-type]
