"""Finds out what a server can do, from its answers to a request of two tokens."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import msgspec

from playground.core.errors import PlaygroundError
from playground.core.generation import ChatPrompt, GenerationOptions, Message, Prompt, RawPrompt
from playground.core.server_requests import DIALECTS, fields_of, lacking, path_of
from playground.core.servers import CountedBy, ServerFacts
from playground.engine.remote.connection import Connection, quiet_text
from playground.engine.remote.faults import ServerError
from playground.engine.remote.kinds import Recognised, recognise
from playground.engine.remote.pieces import Piece, read_piece

TOKENS = 2
#: Alternatives asked for in the probe, and how often a small request is timed.
_TOP = 5
_ROUND_TRIPS = 3
_TEXT = RawPrompt("The")
_TALK = ChatPrompt((Message("user", "Hi"),))


async def look_at(connection: Connection, model: str) -> tuple[str, Recognised]:
    """Return the model's name at the server, and what the server told without generating.

    Without a `model` it is the only one that the server has. Raises ServerError.
    """
    found = await recognise(connection, model)
    if not model:
        if len(found.models) != 1:
            raise ServerError(
                f"The server has {len(found.models)} models, and none was named."
                if found.models
                else "The server names no model that it has.",
                _choose(found.models) or "Name the model.",
            )
        model = found.models[0]
        found = await recognise(connection, model)
    return model, found


async def probe(
    connection: Connection, model: str, found: Recognised, waiting: Callable[[str], None]
) -> ServerFacts:
    """Ask for two tokens of text and of conversation, and return what came back.

    Raises ServerError where the server gives neither.
    """
    facts = ServerFacts(
        url=connection.url,
        kind=found.kind,
        version=found.version,
        precision=found.precision,
        context_length=found.context_length,
        round_trip_s=await _round_trip(connection),
        fresh_cache=DIALECTS[found.kind].fresh is not None,
        # Asked for in the probe only: what comes back decides.
        completions=True,
        chat=True,
        top_logprobs=_TOP,
    )
    answers: dict[str, list[Piece]] = {}
    refused: PlaygroundError | None = None
    prompts: list[Prompt] = [_TALK]
    if DIALECTS[found.kind].continues:
        prompts.insert(0, _TEXT)
    for prompt in prompts:
        try:
            answers[path_of(prompt)] = await _two_tokens(connection, model, prompt, facts, waiting)
        except ServerError as error:
            refused = refused or error
    if not answers:
        raise _explained(refused, model, found.models)
    pieces = [piece for answer in answers.values() for piece in answer]
    facts = msgspec.structs.replace(
        facts,
        completions=path_of(_TEXT) in answers,
        chat=path_of(_TALK) in answers,
        counted_by=_counted_by(pieces),
        top_logprobs=max((len(d.top) for piece in pieces for d in piece.details), default=0),
        shows_cache=any(piece.usage and piece.usage.cached is not None for piece in pieces),
    )
    return msgspec.structs.replace(facts, lacks=lacking(facts))


async def _two_tokens(
    connection: Connection,
    model: str,
    prompt: Prompt,
    facts: ServerFacts,
    waiting: Callable[[str], None],
) -> list[Piece]:
    """Return the pieces of an answer. Raises ServerError where there is no whole answer."""
    options = GenerationOptions(max_new_tokens=TOKENS, top=_TOP)
    fields = fields_of(model, prompt, options, facts)

    def quiet(seconds: float) -> None:
        waiting(quiet_text(seconds))

    async with connection.stream(path_of(prompt), fields, waiting) as stream:
        pieces = [read_piece(data) async for data, _ in stream.events(quiet)]
    if not any(piece.finish for piece in pieces):
        raise ServerError(
            "The server ended a short answer in the middle.", "Look at the server's log."
        )
    return pieces


async def _round_trip(connection: Connection) -> float:
    times = []
    for _ in range(_ROUND_TRIPS):
        began = time.monotonic()
        await connection.get("/models")
        times.append(time.monotonic() - began)
    return statistics.median(times)


def _counted_by(pieces: list[Piece]) -> CountedBy:
    """Return the most exact way in which a server told its tokens."""
    with_text = [piece for piece in pieces if piece.text or piece.tokens]
    if with_text and all(piece.ids for piece in with_text):
        return CountedBy.TOKEN_IDS
    if with_text and all(piece.names for piece in with_text):
        return CountedBy.LOGPROBS
    return CountedBy.USAGE if any(piece.usage for piece in pieces) else CountedBy.CHUNKS


def _explained(
    error: PlaygroundError | None, model: str, models: tuple[str, ...]
) -> PlaygroundError:
    """Return the refusal, with the models that the server has where this one is not among them."""
    if error is None or not models or model in models:
        return error or ServerError("The server gave no answer.", "Look at the server's log.")
    return ServerError(
        f"The server does not answer for a model {model}.", _choose(models), error.detail
    )


def _choose(models: tuple[str, ...]) -> str:
    if not models:
        return ""
    shown = ", ".join(models[:8])
    more = len(models) - 8
    return f"Choose one of: {shown}{f' and {more} more' if more > 0 else ''}."
