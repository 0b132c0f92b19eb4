"""Reads the history's file: the list of runs, searches, and whole runs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.generation import Prompt
from playground.core.precision import Precision
from playground.core.system.database import (
    DatabaseError,
    DatabaseProblem,
    connect_to_read,
)
from playground.core.token_record import TokenRecord
from playground.history.connection import HistoryFile
from playground.history.records import (
    KeptAnswer,
    KeptRun,
    LaneRow,
    RunRequest,
    RunRow,
    RunState,
)
from playground.history.schema import HISTORY

#: Of a prompt, what the list of runs shows (bytes).
_TYPED_SHOWN = 400
_SHORTEST_TRIGRAM = 3
#: From so many on, the lanes of all runs are read, and not each run's.
_MANY_RUNS = 2000
T = TypeVar("T")
EnumT = TypeVar("EnumT", bound=StrEnum)


class HistoryReader(HistoryFile):
    """The file, open for reading only."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, HISTORY, connect_to_read(path, HISTORY))

    def runs(
        self,
        search: str = "",
        *,
        model: str = "",
        precision: Precision | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[RunRow]:
        """Return the runs that match, the newest first: at most `limit` after `offset` others.

        `search` is words that must all stand in the prompt or in the answers; `model` and
        `precision` are of one of the lanes.
        """
        condition, values = _search(search)
        if model:
            condition += " AND EXISTS (SELECT 1 FROM lane l WHERE l.run_id = r.id AND l.model = ?)"
            values.append(model)
        if precision is not None:
            condition += (
                " AND EXISTS (SELECT 1 FROM lane l WHERE l.run_id = r.id"
                " AND coalesce(nullif(l.verified, ''), l.precision) = ?)"
            )
            values.append(precision.value)
        return self._rows(condition, values, limit, offset)

    def models(self) -> list[str]:
        """Return the models of all runs, by name."""
        with self.explaining():
            rows = self.connection.execute(
                "SELECT DISTINCT l.model FROM lane l JOIN run r ON r.id = l.run_id"
                " WHERE r.deleted IS NULL ORDER BY l.model"
            ).fetchall()
        return [model for (model,) in rows]

    def run(self, number: int) -> KeptRun:
        """Return a whole run. Raises DatabaseError where there is none, or it cannot be read."""
        rows = self._rows(" AND r.id = ?", [number], 1, deleted=True)
        if not rows:
            raise DatabaseError(
                DatabaseProblem.MISSING,
                f"There is no run {number} in the history.",
                "`playground history list` shows the runs that there are.",
            )
        with self.explaining():
            (request,) = self.connection.execute(
                "SELECT request FROM run WHERE id = ?", (number,)
            ).fetchone()
            answers = self.connection.execute(
                "SELECT id, position, repeat, prompt, text, tokens, answer, floor FROM answer"
                " WHERE run_id = ? ORDER BY id",
                (number,),
            ).fetchall()
            try:
                return KeptRun(
                    rows[0],
                    _decoded(request, RunRequest),
                    tuple(self._answer(*answer) for answer in answers),
                )
            except msgspec.MsgspecError as error:
                raise DatabaseError(
                    DatabaseProblem.DAMAGED,
                    f"The run {number} cannot be read.",
                    "Delete it from the history.",
                    str(error),
                ) from error

    def _answer(
        self,
        answer_id: int,
        position: int,
        repeat: int,
        prompt: bytes,
        text: str,
        tokens: bytes | None,
        answer: bytes | None,
        floor: bytes | None,
    ) -> KeptAnswer:
        kept = self.tokens_so_far(answer_id) if tokens is None else _decoded(tokens, TokenRecord)
        whole = None
        if answer is not None:
            whole = msgspec.structs.replace(
                _decoded(answer, Answer), text=text, token_ids=kept.ids, times=kept.times
            )
        return KeptAnswer(
            position=position,
            repeat=repeat,
            prompt=msgspec.msgpack.decode(prompt, type=Prompt),
            text=kept.text if tokens is None else text,
            tokens=kept,
            answer=whole,
            floor=_decoded(floor, Floor) if floor else None,
        )

    def _rows(
        self,
        condition: str,
        values: Sequence[object],
        limit: int,
        offset: int = 0,
        *,
        deleted: bool = False,
    ) -> list[RunRow]:
        hidden = "" if deleted else " AND r.deleted IS NULL"
        with self.explaining():
            runs = self.connection.execute(
                f"SELECT r.id, r.created, substr(CAST(r.typed AS BLOB), 1, {_TYPED_SHOWN}), r.state"  # noqa: S608  # nothing but constants
                f" FROM run r WHERE 1{hidden}{condition} ORDER BY r.created DESC, r.id DESC"
                " LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
            wanted = {run[0] for run in runs}
            lanes: dict[int, list[LaneRow]] = {run: [] for run in wanted}
            query = "SELECT run_id, model, precision, verified, failure FROM lane"
            if len(wanted) < _MANY_RUNS:
                query += f" WHERE run_id IN ({', '.join(map(str, wanted))})"
            for run, model, precision, verified, failure in self.connection.execute(
                query + " ORDER BY run_id, position"
            ):
                if run in wanted:
                    kind = _known(verified or precision, Precision)
                    lanes[run].append(LaneRow(model, kind, failure))
        return [
            RunRow(
                run,
                created,
                typed.decode("utf-8", "ignore"),  # SQLite's functions end a text at a NUL
                _known(state, RunState) or RunState.INTERRUPTED,
                tuple(lanes[run]),
            )
            for run, created, typed, state in runs
        ]


def _search(text: str) -> tuple[str, list[object]]:
    """Return the condition that every word of a search stands in the run's texts."""
    condition, values = "", list[object]()
    for word in text.split():
        if len(word) < _SHORTEST_TRIGRAM:
            condition += (
                " AND r.id IN (SELECT rowid FROM run_text"
                " WHERE typed LIKE ? ESCAPE '\\' OR answers LIKE ? ESCAPE '\\')"
            )
            escaped = word.translate({ord(c): f"\\{c}" for c in "\\%_"})
            values += [f"%{escaped}%"] * 2
        else:
            condition += " AND r.id IN (SELECT rowid FROM run_text WHERE run_text MATCH ?)"
            quoted = word.replace('"', '""')
            values.append(f'"{quoted}"')
    return condition, values


def _decoded(data: bytes, kind: type[T]) -> T:
    return msgspec.msgpack.decode(data, type=kind)


def _known(value: str, kind: type[EnumT]) -> EnumT | None:
    """Return a stored value, None for one that this version does not know."""
    return kind(value) if value in kind.__members__.values() else None
