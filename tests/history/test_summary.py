"""What a report shows of lanes that answered alike, differently, partly, or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec

from playground.core.generation import RawPrompt
from playground.core.precision import Precision
from playground.history.reader import HistoryReader
from playground.history.records import KeptRun, RunState
from playground.history.report.markdown import markdown_of
from playground.history.report.page import page_of, pieces
from playground.history.report.plot import plot_of
from playground.history.report.summary import HEAD, RunReport, agreement_text, summarise
from playground.history.store import HistoryStore
from tests.history.kept import answer, request, tokens


def report(path: Path, *lanes: tuple[str, ...], repeats: int = 1, reference: int = 0) -> RunReport:
    """Return the report of a run whose lanes answered with these texts, each `repeats` times."""
    asked = msgspec.structs.replace(request("Who?"), reference=reference)
    with HistoryStore(path / "history.sqlite") as store:
        with store.transaction():
            store.begin_run("r", asked, "me", 0.0)
            for position, texts in enumerate(lanes):
                for repeat in range(repeats if texts else 0):
                    key = f"{position} {repeat}"
                    store.begin_answer(key, "r", position, repeat, RawPrompt("Who?"))
                    kept = tokens(*texts)
                    store.add_tokens(key, kept)
                    store.end_answer(key, answer(kept, Precision.INT8 if position else None))
            store.fail_lane("r", 1, "It *fell*." if len(lanes) < 2 or not lanes[1] else "")
            store.end_run("r", RunState.FINISHED)
        with HistoryReader(store.path) as reader:
            run: KeptRun = reader.run(1)
    return summarise(run)


def test_words_that_differ_are_marked(tmp_path: Path) -> None:
    summary = report(tmp_path, ("A", " red", " fox"), ("A", " grey", " fox"))
    reference, lane = summary.lanes
    assert summary.reference is reference
    assert agreement_text(reference) == "reference"
    assert agreement_text(lane) == "1 of 3 tokens"
    assert pieces(lane) == [("A ", False), ("grey", True), (" fox", False)]
    assert pieces(reference) == [("A red fox", False)]
    assert "<mark>grey</mark>" in page_of(summary)
    assert "> A **grey** fox" in markdown_of(summary)
    assert len(lane.cells) == len(HEAD)


def test_the_chosen_reference_is_the_one_compared_with(tmp_path: Path) -> None:
    first, second = report(tmp_path, ("A", " b"), ("A", " c"), reference=1).lanes
    assert second.is_reference
    assert agreement_text(first) == "1 of 2 tokens"


def test_equal_answers_agree_in_all_tokens(tmp_path: Path) -> None:
    summary = report(tmp_path, ("A", " b"), ("A", " b"))
    assert agreement_text(summary.lanes[1]) == "all 2 tokens"
    assert "<mark>" not in page_of(summary)


def test_repeats_are_drawn_faint_and_their_median_strong(tmp_path: Path) -> None:
    picture = plot_of(report(tmp_path, ("A", " b", " c"), ("A", " b", " c"), repeats=3))
    assert picture.count('class="faint"') == 6
    assert picture.count('class="strong"') == 2


def test_a_lane_that_did_not_answer_says_why(tmp_path: Path) -> None:
    summary = report(tmp_path, ("A",))
    lane = summary.lanes[1]
    assert (lane.text, lane.ending, lane.agreement) == ("", "It *fell*.", None)
    assert r"It \*fell\*." in markdown_of(summary)
    assert "It *fell*." in page_of(summary)
    assert plot_of(summary) == ""
