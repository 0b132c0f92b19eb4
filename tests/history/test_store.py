"""The history's file: what is kept comes back, is found, and stays within its bounds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.core.generation import RawPrompt, clean_prompt_text
from playground.core.precision import Precision
from playground.core.run_plan import WARM_UP
from playground.core.system import database
from playground.core.system.database import DatabaseError, DatabaseProblem
from playground.history.reader import HistoryReader
from playground.history.records import RunState
from playground.history.schema import MIGRATIONS
from playground.history.store import HistoryStore
from tests.history.kept import answer, request, tokens


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HistoryStore]:
    with HistoryStore(tmp_path / "history.sqlite") as opened:
        yield opened


@pytest.fixture
def reader(store: HistoryStore) -> Iterator[HistoryReader]:
    with HistoryReader(store.path) as opened:
        yield opened


def keep(
    store: HistoryStore,
    key: str,
    typed: str = "Once",
    *texts: str,
    created: float = 0.0,
    model: str = "bundled",
    precision: Precision = Precision.BF16,
) -> int:
    """Keep a finished run whose first lane answered; return its number."""
    with store.transaction():
        store.begin_run(key, request(typed, model), "me", created)
        store.begin_answer(f"{key} 0", key, 0, 0, RawPrompt(clean_prompt_text(typed)[0]))
        store.end_answer(f"{key} 0", answer(tokens(*texts), precision))
        store.end_run(key, RunState.FINISHED)
    with HistoryReader(store.path) as reader:
        return next(row.id for row in reader.runs() if row.created == created)


def test_a_run_comes_back_whole(store: HistoryStore, reader: HistoryReader) -> None:
    first, second = tokens("up", "on"), tokens(" a", " time", first=2)
    whole = answer(tokens("up", "on", " a", " time"), Precision.INT8)
    with store.transaction():
        store.begin_run("r", request(), "me", 7.0)
        store.begin_answer("warm", "r", 0, WARM_UP, RawPrompt("Once"))
        store.end_answer("warm", answer(tokens("w")))
        store.begin_answer("a", "r", 1, 0, RawPrompt("Once"))
        store.add_tokens("a", first)
        store.add_tokens("a", second)
        store.end_answer("a", whole)
        store.fail_lane("r", 0, "It fell over.")
        store.end_run("r", RunState.FINISHED)
    (row,) = reader.runs()
    run = reader.run(row.id)
    assert run.row == row
    assert (row.created, row.typed, row.state) == (7.0, "Once upon a time", RunState.FINISHED)
    assert [lane.precision for lane in row.lanes] == [Precision.BF16, Precision.INT8]
    assert row.lanes[0].failure == "It fell over."
    assert run.request == request()
    (kept,) = run.answers_of(1)
    assert kept.answer == whole
    assert kept.tokens == tokens("up", "on", " a", " time")
    assert kept.prompt == RawPrompt("Once")
    assert run.answers_of(0) == ()
    assert [a.repeat for a in run.answers] == [WARM_UP, 0]


def test_an_answer_that_broke_off_keeps_what_had_come(
    store: HistoryStore, reader: HistoryReader
) -> None:
    with store.transaction():
        store.begin_run("r", request(), "me", 0.0)
        store.begin_answer("a", "r", 0, 0, RawPrompt("Once"))
        store.add_tokens("a", tokens("up", "on"))
    number = reader.runs()[0].id
    assert reader.run(number).answers[0].text == "upon"
    with store.transaction():
        store.end_run("r", RunState.STOPPED)
        store.add_tokens("a", tokens("late"))
    (kept,) = reader.run(number).answers
    assert (kept.text, kept.answer, kept.tokens) == ("upon", None, tokens("up", "on"))
    assert reader.runs()[0].state is RunState.STOPPED


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["b", "a"]),
        ("dragon", ["a"]),
        ("DRAG", ["a"]),
        ("princess castle", ["b"]),
        ("princess dragon", []),
        ("城", ["b"]),
        ('"; DROP', []),
        ("%", ["a"]),
        ("50%", ["a"]),
        ("NEAR(", []),
    ],
)
def test_a_search_finds_every_word_in_prompt_or_answers(
    store: HistoryStore, reader: HistoryReader, search: str, found: list[str]
) -> None:
    keep(store, "a", "a", "A dragon of 50% gold", created=1.0)
    keep(store, "b", "b princess", "lives in a castle 城", created=2.0)
    assert [row.typed[0] for row in reader.runs(search)] == found


def test_runs_are_filtered_by_model_and_counted_precision(
    store: HistoryStore, reader: HistoryReader
) -> None:
    keep(store, "a", "a", "x", created=1.0, model="org/one", precision=Precision.FP32)
    keep(store, "b", "b", "x", created=2.0, model="org/two")
    assert reader.models() == ["org/one", "org/two"]
    assert [row.typed for row in reader.runs(model="org/two")] == ["b"]
    assert [row.typed for row in reader.runs(precision=Precision.FP32)] == ["a"]
    assert [row.typed for row in reader.runs(precision=Precision.INT8)] == ["b", "a"]
    assert len(reader.runs(limit=1)) == 1


def test_a_deleted_run_can_come_back_until_it_is_purged(
    store: HistoryStore, reader: HistoryReader
) -> None:
    number = keep(store, "a", "a", "dragon")
    with store.transaction():
        store.delete([number])
    assert reader.runs() == reader.runs("dragon") == []
    assert reader.models() == []
    with store.transaction():
        store.purge(before=1.0)  # it was deleted later
        store.delete([number], deleted=False)
    assert [row.id for row in reader.runs("dragon")] == [number]
    with store.transaction():
        store.delete([number])
        store.purge(before=2.0**40)
    with pytest.raises(DatabaseError) as error:
        reader.run(number)
    assert error.value.problem is DatabaseProblem.MISSING


def test_the_oldest_runs_leave_a_full_history(store: HistoryStore, reader: HistoryReader) -> None:
    for number in range(1, 5):
        keep(store, str(number), str(number), "x" * 10_000, created=float(number))
    with store.transaction():
        gone = store.prune(25_000)
    assert gone == 2
    assert [row.typed for row in reader.runs()] == ["4", "3"]
    assert [row.typed for row in reader.runs("xxxx")] == ["4", "3"]


def test_an_interrupted_run_is_offered_once(store: HistoryStore, reader: HistoryReader) -> None:
    with store.transaction():
        store.begin_run("r", request(), "me", 0.0)
        assert store.take_interrupted() is None
        assert store.running() == {"r": "me"}
        store.end_run("r", RunState.INTERRUPTED)
        number = store.take_interrupted()
        assert store.take_interrupted() is None
    assert number == reader.runs()[0].id


def test_texts_that_no_file_can_hold_are_kept_readable(
    store: HistoryStore, reader: HistoryReader
) -> None:
    typed = "null \x00 lone \ud83d bidi \u202e end"
    keep(store, "a", typed, "an\x00swer")
    (row,) = reader.runs("bidi")
    assert row.typed == typed.replace("\ud83d", "?")
    assert reader.run(row.id).answers[0].text == "an\x00swer"


def test_a_reader_of_no_file_sees_an_empty_history(tmp_path: Path) -> None:
    path = tmp_path / "none" / "history.sqlite"
    with HistoryReader(path) as reader:
        assert reader.runs() == reader.models() == []
    assert not path.parent.exists()


def test_a_reader_beside_the_writer_sees_what_is_committed(store: HistoryStore) -> None:
    with HistoryReader(store.path) as reader:
        assert reader.runs() == []
        number = keep(store, "a", "a", "x")
        assert reader.run(number).answers[0].text == "x"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.connection.execute("DELETE FROM run")


def test_two_writers_share_a_file(store: HistoryStore, reader: HistoryReader) -> None:
    with HistoryStore(store.path) as other:
        keep(store, "a", "a", "x", created=1.0)
        keep(other, "b", "b", "y", created=2.0)
        assert [row.typed for row in reader.runs()] == ["b", "a"]


def make_newer(path: Path) -> None:
    HistoryStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()


def make_bytes(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)


def make_other_tables(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE run (x)")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.close()


def list_runs(opening: type[HistoryStore | HistoryReader], path: Path) -> None:
    with opening(path), HistoryReader(path) as reader:
        reader.runs()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (make_newer, DatabaseProblem.NEWER),
        (make_bytes, DatabaseProblem.DAMAGED),
        (make_other_tables, DatabaseProblem.DAMAGED),
        (Path.mkdir, DatabaseProblem.UNREADABLE),
    ],
)
def test_a_file_that_is_no_history_is_told(tmp_path: Path, make, problem: DatabaseProblem) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "history.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for opening in (HistoryStore, HistoryReader):
        with pytest.raises(DatabaseError) as error:
            list_runs(opening, path)
        assert error.value.problem is problem
        assert str(path) in str(error.value)
    if problem is DatabaseProblem.NEWER:
        assert path.read_bytes() == before


def test_a_locked_file_is_told(store: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.01)
    with HistoryStore(store.path) as other, store.transaction():
        with pytest.raises(DatabaseError) as error, other.transaction():
            pass
        assert error.value.problem is DatabaseProblem.LOCKED


def test_a_full_disk_leaves_what_was_kept_before(
    store: HistoryStore, reader: HistoryReader
) -> None:
    number = keep(store, "a", "a", "x")
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseError) as error:
        keep(store, "b", "b", "y" * 100_000)
    assert error.value.problem is DatabaseProblem.FULL
    assert [row.id for row in reader.runs()] == [number]
