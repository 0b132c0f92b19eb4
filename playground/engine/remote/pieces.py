"""Reads the events of a streamed answer, which servers fill in different ways."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playground.core.token_record import Alternative, TokenDetail
from playground.engine.remote.faults import not_json, of_event

#: The id of a token that a server did not tell.
NO_ID = -1
_DONE = "[DONE]"
_MOST_TOP = 20


@dataclass(frozen=True)
class Usage:
    """Token counts of a whole answer; `cached` of the prompt's, None where not told."""

    prompt: int
    answer: int
    cached: int | None


@dataclass(frozen=True)
class Piece:
    """What one event added to an answer.

    `ids` are its tokens, and `names` their texts, each () where the server does not tell.
    `details` are parallel to `names` or (). `finish` is the server's reason to end, "" before.
    """

    text: str = ""
    ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    details: tuple[TokenDetail, ...] = ()
    finish: str = ""
    usage: Usage | None = None

    @property
    def tokens(self) -> int:
        """How many tokens it has as far as the server tells, else 0."""
        return len(self.ids) or len(self.names)


def read_piece(data: str) -> Piece:
    """Read one event's data. Raises ServerError for an error in it, and where it is no JSON."""
    if data.strip() == _DONE:
        return Piece()
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise not_json(data) from None
    if not isinstance(event, dict):
        raise not_json(data)
    if event.get("error"):
        raise of_event(event["error"])
    usage = _usage(event.get("usage"))
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return Piece(usage=usage)
    delta = choice.get("delta")
    text = choice.get("text")
    if isinstance(delta, dict):
        # A reasoning model's thoughts come in a field of their own, before the answer.
        parts = (delta.get(name) for name in ("reasoning_content", "reasoning", "content"))
        text = "".join(part for part in parts if isinstance(part, str))
    names, details = _log_probabilities(choice.get("logprobs"))
    finish = choice.get("finish_reason")
    return Piece(
        text=text if isinstance(text, str) else "",
        ids=_ids(choice.get("token_ids")),
        names=names,
        details=details,
        finish=finish if isinstance(finish, str) else "",
        usage=usage,
    )


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return Usage(
        _count(value.get("prompt_tokens")) or 0,
        _count(value.get("completion_tokens")) or 0,
        _count(cached),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _ids(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and value and all(type(one) is int for one in value):
        return tuple(value)
    return ()


def _log_probabilities(value: object) -> tuple[tuple[str, ...], tuple[TokenDetail, ...]]:
    """Return the tokens' texts and details from either of the API's two forms."""
    if not isinstance(value, dict):
        return (), ()
    rows: list[tuple[object, object, list[tuple[object, object]]]] = []
    content, tokens = value.get("content"), value.get("tokens")
    if isinstance(content, list):
        for entry in content:
            if isinstance(entry, dict):
                rows.append((entry.get("token"), entry.get("logprob"), _pairs(entry)))
    elif isinstance(tokens, list):
        logprobs = value.get("token_logprobs")
        tops = value.get("top_logprobs")
        for place, token in enumerate(tokens):
            top = _at(tops, place)
            pairs = list(top.items()) if isinstance(top, Mapping) else []
            rows.append((token, _at(logprobs, place), pairs))
    names = tuple(str(token) for token, _, _ in rows)
    details = [_detail(token, logprob, top) for token, logprob, top in rows]
    known = tuple(detail for detail in details if detail is not None)
    return names, known if len(known) == len(names) else ()


def _pairs(entry: Mapping[str, Any]) -> list[tuple[object, object]]:
    top = entry.get("top_logprobs")
    if not isinstance(top, list):
        return []
    return [(one.get("token"), one.get("logprob")) for one in top if isinstance(one, dict)]


def _at(values: object, place: int) -> object:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _detail(
    token: object, logprob: object, top: Sequence[tuple[object, object]]
) -> TokenDetail | None:
    if not _is_number(logprob):
        return None
    alternatives = sorted(
        (
            Alternative(NO_ID, str(text), float(value))  # type: ignore[arg-type]
            for text, value in top[:_MOST_TOP]
            if _is_number(value)
        ),
        key=lambda alternative: -alternative.logprob,
    )
    texts = [alternative.text for alternative in alternatives]
    rank = texts.index(str(token)) + 1 if str(token) in texts else 0
    return TokenDetail(float(logprob), rank, tuple(alternatives))  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
