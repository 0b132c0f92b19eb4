"""Writes the history's file; every call blocks, and belongs off the GUI thread."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.generation import Prompt
from playground.core.system.database import connect_to_write
from playground.core.token_record import TokenRecord
from playground.history.connection import HistoryFile
from playground.history.records import KeptRun, RunRequest, RunState
from playground.history.schema import HISTORY

_encode = msgspec.msgpack.encode


class HistoryStore(HistoryFile):
    """The file, open for writing; its tables are brought to the newest version.

    Whatever writes is called within a `transaction`. Runs and answers are named by keys that the
    caller makes; what is said of an unknown one has no effect.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, HISTORY, connect_to_write(path, HISTORY))
        self.prepare()

    def begin_run(self, key: str, request: RunRequest, owner: str, created: float) -> None:
        """Keep a run that begins. `owner` names the process, `created` is Unix time."""
        typed = _storable(request.typed)
        request = msgspec.structs.replace(request, typed=typed, system=_storable(request.system))
        run = self.connection.execute(
            "INSERT INTO run (key, created, request, typed, state, owner, bytes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, created, _encode(request), typed, RunState.RUNNING, owner, len(typed)),
        ).lastrowid
        self.connection.executemany(
            "INSERT INTO lane (run_id, position, model, precision) VALUES (?, ?, ?, ?)",
            [
                (run, position, lane.model.source, lane.precision.value)
                for position, lane in enumerate(request.lanes)
            ],
        )
        self._index(key)

    def begin_answer(self, key: str, run: str, position: int, repeat: int, prompt: Prompt) -> None:
        """Keep that a lane was sent a prompt; `repeat` is WARM_UP for a warm-up."""
        self.connection.execute(
            "INSERT INTO answer (key, run_id, position, repeat, prompt)"
            " SELECT ?, id, ?, ?, ? FROM run WHERE key = ?",
            (key, position, repeat, _encode(prompt), run),
        )

    def add_tokens(self, answer: str, tokens: TokenRecord) -> None:
        """Append tokens to an answer that has not ended."""
        self.connection.execute(
            "INSERT INTO chunk (answer_id, sequence, tokens) SELECT a.id,"
            " (SELECT COUNT(*) FROM chunk c WHERE c.answer_id = a.id), ?"
            " FROM answer a WHERE a.key = ? AND a.tokens IS NULL",
            (_encode(tokens), answer),
        )

    def end_answer(self, key: str, answer: Answer | None, floor: Floor | None = None) -> None:
        """Keep a finished answer and its model's floor, or None for one that broke off."""
        row = self.connection.execute(
            "SELECT id, run_id, position FROM answer WHERE key = ? AND tokens IS NULL", (key,)
        ).fetchone()
        if row is None:
            return
        answer_id, run, position = row
        tokens = self.tokens_so_far(answer_id)
        text = answer.text if answer is not None else tokens.text
        stripped = None
        if answer is not None:
            # The tokens stand beside it once.
            stripped = _encode(msgspec.structs.replace(answer, text="", token_ids=(), times=()))
            tokens = msgspec.structs.replace(tokens, ids=answer.token_ids, times=answer.times)
        data = _encode(tokens)
        self.connection.execute(
            "UPDATE answer SET text = ?, tokens = ?, answer = ?, floor = ? WHERE id = ?",
            (_storable(text), data, stripped, floor and _encode(floor), answer_id),
        )
        self.connection.execute("DELETE FROM chunk WHERE answer_id = ?", (answer_id,))
        self.connection.execute(
            "UPDATE run SET bytes = bytes + ? WHERE id = ?",
            (len(data) + len(stripped or b"") + len(text), run),
        )
        verified = answer.stamp.verified.precision if answer is not None else None
        if verified is not None:
            self.connection.execute(
                "UPDATE lane SET verified = ? WHERE run_id = ? AND position = ?",
                (verified.value, run, position),
            )

    def fail_lane(self, run: str, position: int, sentence: str) -> None:
        """Keep why a lane did not answer."""
        self.connection.execute(
            "UPDATE lane SET failure = ? WHERE position = ?"
            " AND run_id = (SELECT id FROM run WHERE key = ?)",
            (_storable(sentence), position, run),
        )

    def end_run(self, key: str, state: RunState) -> None:
        """Keep how a run ended; answers that have not ended broke off."""
        unended = self.connection.execute(
            "SELECT a.key FROM answer a JOIN run r ON r.id = a.run_id"
            " WHERE r.key = ? AND a.tokens IS NULL",
            (key,),
        ).fetchall()
        for (answer,) in unended:
            self.end_answer(answer, None)
        self.connection.execute(
            "UPDATE run SET state = ?, owner = '' WHERE key = ? AND state = ?",
            (state, key, RunState.RUNNING),
        )
        self._index(key)

    def add(self, run: KeptRun) -> int:
        """Keep a whole run that another machine made; return its number."""
        key = uuid.uuid4().hex
        self.begin_run(key, run.request, "", run.row.created)
        for kept in run.answers:
            answer = uuid.uuid4().hex
            self.begin_answer(answer, key, kept.position, kept.repeat, kept.prompt)
            self.add_tokens(answer, kept.tokens)
            self.end_answer(answer, kept.answer, kept.floor)
        for position, lane in enumerate(run.row.lanes):
            if lane.failure:
                self.fail_lane(key, position, lane.failure)
        ended = RunState.INTERRUPTED if run.row.state is RunState.RUNNING else run.row.state
        self.end_run(key, ended)
        self.connection.execute("UPDATE run SET offered = 1 WHERE key = ?", (key,))
        row = self.connection.execute("SELECT id FROM run WHERE key = ?", (key,)).fetchone()
        return int(row[0])

    def running(self) -> dict[str, str]:
        """Return the owners of the runs that have not ended, by their keys."""
        return dict(
            self.connection.execute(
                "SELECT key, owner FROM run WHERE state = ?", (RunState.RUNNING,)
            ).fetchall()
        )

    def delete(self, ids: Sequence[int], *, deleted: bool = True) -> None:
        """Take runs out of the list, or back into it; `purge` removes them for good."""
        self.connection.executemany(
            "UPDATE run SET deleted = ? WHERE id = ?",
            [(time.time() if deleted else None, run) for run in ids],
        )

    def purge(self, before: float) -> None:
        """Remove the runs that were deleted before a Unix time."""
        self._remove("SELECT id FROM run WHERE deleted < ?", (before,))

    def prune(self, limit_bytes: int) -> int:
        """Remove the oldest runs until the rest is within the limit; return how many went."""
        rows = self.connection.execute(
            "SELECT id, bytes FROM run WHERE state != ? ORDER BY deleted IS NULL, created",
            (RunState.RUNNING,),
        ).fetchall()
        excess = sum(size for _, size in rows) - limit_bytes
        gone = []
        for run, size in rows:
            if excess <= 0:
                break
            gone.append(run)
            excess -= size
        for run in gone:
            self._remove("SELECT ?", (run,))
        return len(gone)

    def take_interrupted(self) -> int | None:
        """Return the newest interrupted run that was not offered yet, and mark it as offered."""
        row = self.connection.execute(
            "SELECT id FROM run WHERE state = ? AND NOT offered AND deleted IS NULL"
            " ORDER BY created DESC LIMIT 1",
            (RunState.INTERRUPTED,),
        ).fetchone()
        self.connection.execute("UPDATE run SET offered = 1 WHERE state = ?", ("interrupted",))
        return None if row is None else int(row[0])

    def _index(self, key: str) -> None:
        """Index the run's prompt and the answers that have ended, for searches."""
        row = self.connection.execute("SELECT id, typed FROM run WHERE key = ?", (key,)).fetchone()
        if row is None:
            return
        run, typed = row
        answers = self.connection.execute(
            "SELECT text FROM answer WHERE run_id = ? ORDER BY id", (run,)
        ).fetchall()
        # Repeats often are the same text. SQLite's functions end a text at its first NUL.
        answered = "\n".join(dict.fromkeys(text for (text,) in answers))
        texts = [text.replace("\0", " ") for text in (typed, answered)]
        self.connection.execute("DELETE FROM run_text WHERE rowid = ?", (run,))
        self.connection.execute(
            "INSERT INTO run_text (rowid, typed, answers) VALUES (?, ?, ?)", (run, *texts)
        )

    def _remove(self, query: str, values: Sequence[object]) -> None:
        for (run,) in self.connection.execute(query, values).fetchall():
            self.connection.execute("DELETE FROM run_text WHERE rowid = ?", (run,))
            self.connection.execute("DELETE FROM run WHERE id = ?", (run,))


def _storable(text: str) -> str:
    """Return a text that SQLite can store: lone surrogates have no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8") if _has_surrogates(text) else text


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
