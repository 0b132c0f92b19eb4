"""Reads and writes the evaluations' file; every call blocks, and belongs off the GUI thread."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar

import msgspec

from playground.core.facts import LoadedModel
from playground.core.system.database import (
    Database,
    DatabaseError,
    DatabaseProblem,
    connect_to_read,
    connect_to_write,
)
from playground.core.system.processes import is_alive, this_process
from playground.evaluation.case import Suite
from playground.evaluation.grade import Grade
from playground.evaluation.store.records import (
    EvaluationPlan,
    EvaluationRow,
    EvaluationState,
    ItemAnswer,
    KeptContestant,
    KeptEvaluation,
    KeptItem,
)
from playground.evaluation.store.schema import EVALUATIONS

_encode = msgspec.msgpack.encode
T = TypeVar("T")


class EvaluationReader(Database):
    """The file, open for reading only."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, EVALUATIONS, connect_to_read(path, EVALUATIONS))

    def rows(self) -> list[EvaluationRow]:
        """Return all evaluations, the newest first."""
        with self.explaining():
            found = self.connection.execute(
                "SELECT r.id, r.created, r.state, r.owner, r.suite, r.plan,"
                " (SELECT COUNT(*) FROM result a WHERE a.run_id = r.id)"
                " FROM run r ORDER BY r.id DESC"
            ).fetchall()
        rows = []
        for number, created, state, owner, suite, plan, asked in found:
            decoded = self._decoded(plan, EvaluationPlan)
            rows.append(
                EvaluationRow(
                    number,
                    created,
                    _state(state, owner),
                    suite,
                    decoded.contestants,
                    asked,
                    len(decoded.order) * len(decoded.contestants),
                )
            )
        return rows

    def evaluation(self, number: int) -> KeptEvaluation:
        """Return one evaluation. Raises DatabaseError where there is none of this number."""
        with self.explaining():
            row = self.connection.execute(
                "SELECT created, state, owner, plan, cases FROM run WHERE id = ?", (number,)
            ).fetchone()
            if row is None:
                raise DatabaseError(
                    DatabaseProblem.MISSING,
                    f"There is no evaluation {number}.",
                    "See `playground eval list` for their numbers.",
                )
            created, state, owner, plan, cases = row
            decoded = self._decoded(plan, EvaluationPlan)
            contestants = [KeptContestant(config) for config in decoded.contestants]
            for position, loaded, failure in self.connection.execute(
                "SELECT position, loaded, failure FROM contestant WHERE run_id = ?", (number,)
            ):
                one = contestants[position]
                one.failure = failure
                one.loaded = self._decoded(loaded, LoadedModel) if loaded else None
            for position, case_id, answer, grade, human in self.connection.execute(
                "SELECT a.position, a.case_id, a.answer, g.grade, g.human FROM result a"
                " LEFT JOIN grade g USING (run_id, position, case_id) WHERE a.run_id = ?",
                (number,),
            ):
                contestants[position].items[case_id] = KeptItem(
                    self._decoded(answer, ItemAnswer),
                    self._decoded(grade, Grade) if grade else None,
                    self._decoded(human, Grade) if human else None,
                )
        return KeptEvaluation(
            number,
            created,
            _state(state, owner),
            decoded,
            self._decoded(cases, Suite),
            contestants,
        )

    def _decoded(self, data: bytes, kind: type[T]) -> T:
        try:
            return msgspec.msgpack.decode(data, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise DatabaseError(
                DatabaseProblem.DAMAGED,
                f"A part of {self.path} is damaged.",
                "Move the file away; a new one is then begun.",
                str(error),
            ) from error


class EvaluationStore(EvaluationReader):
    """The file, open for writing; each call commits what it says."""

    def __init__(self, path: Path) -> None:
        Database.__init__(self, path, EVALUATIONS, connect_to_write(path, EVALUATIONS))
        self.prepare()

    def begin(self, plan: EvaluationPlan, suite: Suite) -> int:
        """Keep an evaluation that begins; return its number."""
        with self.transaction():
            number = self.connection.execute(
                "INSERT INTO run (created, state, owner, suite, plan, cases)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    time.time(),
                    EvaluationState.RUNNING,
                    this_process(),
                    suite.name,
                    _encode(plan),
                    _encode(suite),
                ),
            ).lastrowid
            self.connection.executemany(
                "INSERT INTO contestant (run_id, position) VALUES (?, ?)",
                [(number, position) for position in range(len(plan.contestants))],
            )
        return int(number or 0)

    def resume(self, number: int) -> None:
        """Take an unfinished evaluation over. Raises DatabaseError where another process has it."""
        with self.transaction():
            row = self.connection.execute(
                "SELECT state, owner FROM run WHERE id = ?", (number,)
            ).fetchone()
            running = row is not None and row[0] == EvaluationState.RUNNING
            if running and row[1] != this_process() and is_alive(row[1]):
                raise DatabaseError(
                    DatabaseProblem.LOCKED,
                    f"Evaluation {number} is being carried out by another process.",
                    "Wait until it has ended.",
                )
            self.connection.execute(
                "UPDATE run SET state = ?, owner = ? WHERE id = ?",
                (EvaluationState.RUNNING, this_process(), number),
            )

    def set_state(self, number: int, state: EvaluationState) -> None:
        """Keep how far an evaluation is."""
        with self.transaction():
            self.connection.execute("UPDATE run SET state = ? WHERE id = ?", (state, number))

    def set_loaded(self, number: int, position: int, loaded: LoadedModel) -> None:
        """Keep what a contestant really loaded."""
        precision = loaded.verified.precision
        with self.transaction():
            self.connection.execute(
                "UPDATE contestant SET verified = ?, loaded = ?, failure = ''"
                " WHERE run_id = ? AND position = ?",
                (precision.value if precision else "", _encode(loaded), number, position),
            )

    def set_failure(self, number: int, position: int, failure: str) -> None:
        """Keep why a contestant answers no more."""
        with self.transaction():
            self.connection.execute(
                "UPDATE contestant SET failure = ? WHERE run_id = ? AND position = ?",
                (failure, number, position),
            )

    def add(
        self,
        number: int,
        position: int,
        case_id: str,
        key: str,
        answer: ItemAnswer,
        grade: Grade | None,
    ) -> None:
        """Keep an answer with its grade."""
        with self.transaction():
            self.connection.execute(
                "INSERT OR REPLACE INTO result (run_id, position, case_id, key, answer)"
                " VALUES (?, ?, ?, ?, ?)",
                (number, position, case_id, key, _encode(answer)),
            )
            if grade is not None:
                self._grade(number, position, case_id, grade)

    def regrade(self, number: int, position: int, grades: dict[str, Grade]) -> None:
        """Keep new grades of answers; what a person gave stays."""
        with self.transaction():
            for case_id, grade in grades.items():
                self._grade(number, position, case_id, grade)

    def overrule(self, number: int, position: int, case_id: str, grade: Grade | None) -> None:
        """Keep the grade that a person gave, or take it back with None."""
        with self.transaction():
            self.connection.execute(
                "UPDATE grade SET human = ? WHERE run_id = ? AND position = ? AND case_id = ?",
                (_encode(grade) if grade is not None else None, number, position, case_id),
            )

    def earlier(self, key: str) -> ItemAnswer | None:
        """Return the answer that an earlier evaluation got to the same question; None without."""
        if not key:
            return None
        with self.explaining():
            row = self.connection.execute(
                "SELECT answer FROM result WHERE key = ? LIMIT 1", (key,)
            ).fetchone()
        if row is None:
            return None
        answer = self._decoded(row[0], ItemAnswer)
        if answer.failure or answer.skipped:
            return None
        return msgspec.structs.replace(answer, reused=True)

    def delete(self, number: int) -> None:
        """Remove an evaluation."""
        with self.transaction():
            self.connection.execute("DELETE FROM run WHERE id = ?", (number,))

    def _grade(self, number: int, position: int, case_id: str, grade: Grade) -> None:
        self.connection.execute(
            "INSERT INTO grade (run_id, position, case_id, grade) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET grade = excluded.grade",
            (number, position, case_id, _encode(grade)),
        )


def _state(state: str, owner: str) -> EvaluationState:
    """Return a state; an evaluation whose process has ended was interrupted."""
    known = EvaluationState(state)
    if known is EvaluationState.RUNNING and not is_alive(owner):
        return EvaluationState.INTERRUPTED
    return known
