"""The history's writer: what was said before a crash is kept, and faults are told once."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playground.core.generation import RawPrompt
from playground.core.system import database
from playground.core.system.database import DatabaseError, DatabaseProblem
from playground.core.system.processes import is_alive, this_process
from playground.history.reader import HistoryReader
from playground.history.records import RunState
from playground.history.store import HistoryStore
from playground.history.writer import HistoryWriter
from tests.history.kept import answer, request, tokens

LIMIT = 10**9


@pytest.fixture
def told() -> queue.SimpleQueue[DatabaseError]:
    return queue.SimpleQueue()


@pytest.fixture
def make(told: queue.SimpleQueue[DatabaseError]) -> Iterator[Callable[[Path], HistoryWriter]]:
    writers: list[HistoryWriter] = []

    def made(path: Path) -> HistoryWriter:
        writers.append(HistoryWriter(path, LIMIT, told.put))
        return writers[-1]

    yield made
    for writer in writers:
        assert writer.close()


def keep(writer: HistoryWriter, typed: str) -> None:
    run = writer.begin_run(request(typed))
    kept = writer.begin_answer(run, 0, 0, RawPrompt(typed))
    writer.add_tokens(kept, tokens("up", "on"))
    writer.end_answer(kept, answer(tokens("up", "on")))
    writer.fail_lane(run, 1, "No.")
    writer.end_run(run, RunState.FINISHED)
    assert writer.flush()


def typed_in(path: Path) -> list[str]:
    with HistoryReader(path) as reader:
        return [row.typed for row in reader.runs()]


def test_what_is_said_is_kept(tmp_path: Path, make: Callable[[Path], HistoryWriter]) -> None:
    path = tmp_path / "history.sqlite"
    writer = make(path)
    keep(writer, "one")
    with HistoryReader(path) as reader:
        (row,) = reader.runs()
        (kept,) = reader.run(row.id).answers
    assert row.state is RunState.FINISHED
    assert row.lanes[1].failure == "No."
    assert kept.answer == answer(tokens("up", "on"))
    writer.delete((row.id,))
    assert writer.flush()
    assert typed_in(path) == []
    writer.delete((row.id,), deleted=False)
    assert writer.flush()
    assert typed_in(path) == ["one"]


_CHILD = """
import sys
from pathlib import Path
from playground.core.generation import RawPrompt
from playground.history.writer import HistoryWriter
from tests.history.kept import request, tokens

writer = HistoryWriter(Path(sys.argv[1]), 10**9, print)
run = writer.begin_run(request("killed"))
kept = writer.begin_answer(run, 0, 0, RawPrompt("killed"))
for number in range(10**9):
    writer.add_tokens(kept, tokens(f"{number} ", first=number))
    assert writer.flush()
    print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_shown(
    tmp_path: Path, make: Callable[[Path], HistoryWriter]
) -> None:
    path = tmp_path / "history.sqlite"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as child:
        assert child.stdout is not None
        shown = 0
        while shown < 25:
            shown = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        shown = max([shown, *(int(line) for line in child.stdout.read().split())])
    assert typed_in(path) == ["killed"]
    keep(make(path), "next")
    with HistoryReader(path) as reader:
        after, killed = reader.runs()
        (kept,) = reader.run(killed.id).answers
    assert (killed.state, after.state) == (RunState.INTERRUPTED, RunState.FINISHED)
    assert kept.answer is None
    numbers = [int(word) for word in kept.text.split()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > shown


def test_a_run_of_another_window_is_left_alone(
    tmp_path: Path, make: Callable[[Path], HistoryWriter]
) -> None:
    path = tmp_path / "history.sqlite"
    first = make(path)
    first.begin_run(request("mine"))
    assert first.flush()
    keep(make(path), "yours")
    with HistoryReader(path) as reader:
        states = {row.typed: row.state for row in reader.runs()}
    assert states == {"mine": RunState.RUNNING, "yours": RunState.FINISHED}


def test_a_damaged_file_is_set_aside_and_told_once(
    tmp_path: Path,
    make: Callable[[Path], HistoryWriter],
    told: queue.SimpleQueue[DatabaseError],
) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"no database" * 1000)
    writer = make(path)
    keep(writer, "one")
    keep(writer, "two")
    assert told.get_nowait().problem is DatabaseProblem.DAMAGED
    assert told.empty()
    assert typed_in(path) == ["two", "one"]
    assert (tmp_path / "history.sqlite.bad").read_bytes().startswith(b"no database")


def test_a_locked_file_is_told_once_and_used_when_it_is_free(
    tmp_path: Path,
    make: Callable[[Path], HistoryWriter],
    told: queue.SimpleQueue[DatabaseError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    path = tmp_path / "history.sqlite"
    writer = make(path)
    keep(writer, "before")
    with HistoryStore(path) as other, other.transaction():
        keep(writer, "lost")
        keep(writer, "lost")
    keep(writer, "after")
    assert told.get_nowait().problem is DatabaseProblem.LOCKED
    assert told.empty()
    assert typed_in(path) == ["after", "before"]


def test_a_place_where_no_file_can_be_is_told(
    tmp_path: Path,
    make: Callable[[Path], HistoryWriter],
    told: queue.SimpleQueue[DatabaseError],
) -> None:
    (tmp_path / "file").write_text("")
    keep(make(tmp_path / "file" / "history.sqlite"), "one")
    assert told.get_nowait().problem is DatabaseProblem.UNREADABLE
    assert told.empty()


def test_a_process_is_known_by_its_start_too() -> None:
    assert is_alive(this_process())
    pid, _, created = this_process().partition(" ")
    assert not is_alive(f"{pid} {int(created) - 5}")
    assert not is_alive("")
    assert not is_alive(f"{2**30} 1.00")
