"""A run as JSON fields: what it was asked, and every answer with its tokens and its stamp."""

from __future__ import annotations

from typing import Any

import msgspec

from playground.core.answer_figures import answer_fields
from playground.core.token_record import detail_fields
from playground.history.records import KeptAnswer
from playground.history.report.summary import LaneReport, RunReport


def run_fields(report: RunReport) -> dict[str, Any]:
    """Return the fields of a whole run."""
    request = report.run.request
    return {
        "run": report.run.row.id,
        "created": report.created,
        "state": report.run.row.state.value,
        "prompt": request.typed,
        "mode": request.mode,
        "system": request.system,
        "options": msgspec.to_builtins(request.options),
        "timing": request.timing,
        "repeats": request.repeats,
        "reference": report.reference.position if report.reference else None,
        "lanes": [_lane(lane) for lane in report.lanes],
    }


def _lane(lane: LaneReport) -> dict[str, Any]:
    return {
        "name": lane.name,
        "failure": lane.failure,
        "ending": lane.ending,
        "agreement": lane.agreement
        and {
            "tokens": lane.agreement.tokens,
            "of": lane.agreement.of,
            "characters": lane.agreement.characters,
        },
        "different": [list(span) for span in lane.spans],
        "answers": [_answer(answer) for answer in lane.answers],
    }


def _answer(kept: KeptAnswer) -> dict[str, Any]:
    tokens: dict[str, Any] = {
        "token_texts": list(kept.tokens.texts),
        "token_times_s": list(kept.tokens.times),
    }
    if kept.tokens.details:
        tokens["token_details"] = detail_fields(kept.tokens.details)
    if kept.answer is None:
        return {"text": kept.text, "token_ids": list(kept.tokens.ids), **tokens}
    return {**answer_fields(kept.answer, kept.floor), **tokens}
