"""The evaluation workspace: cases typed, pasted and kept, a real evaluation, flips overruled."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.settings import Settings
from playground.core.system import paths
from playground.evaluation.case import GraderKind
from playground.evaluation.report.summary import summarise
from playground.evaluation.store.records import EvaluationState
from playground.evaluation.suites.files import read_suite
from playground.gui.evaluation.cases_model import CHOICES, GRADER, INPUT, TARGET, CasesModel
from playground.gui.evaluation.cases_view import pasted
from playground.gui.evaluation.window import EvaluationWindow
from tests.gui.support import LONG, MakeWindow

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "grabbing the keyboard", r"raise\(\)")
PATIENT = 280_000


def workspace_of(playground: Playground) -> EvaluationWindow:
    playground.evaluation.open()
    workspace = playground.evaluation.workspace
    assert isinstance(workspace, EvaluationWindow)
    return workspace


@pytest.fixture
def playground(make_window: MakeWindow) -> Playground:
    lanes = (LaneConfig(precision=Precision.FP32), LaneConfig(precision=Precision.BF16))
    return make_window(real=True, settings=Settings(lanes=lanes))


def test_cases_are_typed_pasted_undone_and_saved(qtbot: QtBot, playground: Playground) -> None:
    window = workspace_of(playground)
    window.new_button.click()
    model, table = window.cases.cases, window.cases.table
    editor = table.findChild(QLineEdit)
    assert editor is not None
    qtbot.keyClicks(editor, "What is 2 + 2?")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(model.cases) == 1, timeout=LONG)
    assert model.cases[0].input == "What is 2 + 2?"
    assert model.setData(model.index(0, TARGET), "4")
    assert model.cases[0].grader.kind is GraderKind.EXACT
    assert model.setData(model.index(0, GRADER), "number")
    table.setCurrentIndex(model.index(0, INPUT))
    window.cases.trial.output.setPlainText("It is 4")
    qtbot.waitUntil(lambda: "✓ right: 4" in window.cases.trial.found.text(), timeout=LONG)
    QGuiApplication.clipboard().setText("Capital of France?\tParis\nMood?\tA\tletter\tgood|bad")
    window.cases.paste()
    assert [case.targets for case in model.cases] == [("4",), ("Paris",), ("A",)]
    table.selectRow(1)
    window.cases.remove_selected()
    assert len(model.cases) == 2
    window.undo_button.click()
    assert [case.input for case in model.cases][1] == "Capital of France?"
    window.evaluation.save()
    saved = read_suite(paths.suites_dir() / "cases.csv")
    assert [case.id for case in saved.cases] == [case.id for case in model.cases]
    assert saved.cases[2].choices == ("good", "bad")


def test_a_value_that_cannot_be_is_refused_with_a_sentence(qtbot: QtBot) -> None:
    model = CasesModel()
    model.set_cases(pasted("input\ttarget\nx\ty"), editable=True)
    with qtbot.waitSignal(model.refused) as refused:
        assert not model.setData(model.index(0, GRADER), "magic")
    assert "there is no grader 'magic'" in refused.args[0]
    with qtbot.waitSignal(model.refused):
        assert not model.setData(model.index(0, INPUT), " ")
    assert model.setData(model.index(0, CHOICES), "a|b")
    assert model.cases[0].grader.kind is GraderKind.LETTER


def test_lines_without_columns_are_inputs() -> None:
    assert [case.input for case in pasted("One, two\nThree\n\n")] == ["One, two", "Three"]
    assert pasted("input,target\nx,1\n")[0].targets == ("1",)


def test_a_prompt_is_kept_as_a_case(playground: Playground) -> None:
    playground.window.prompt.set_prompt_text("Write a haiku")
    playground.window.actions.keep_case.trigger()
    (case,) = read_suite(paths.suites_dir() / "kept prompts.csv").cases
    assert (case.input, case.grader.kind) == ("Write a haiku", GraderKind.HUMAN)


def test_an_evaluation_from_start_to_an_overruled_flip(
    qtbot: QtBot, playground: Playground, tmp_path: Path
) -> None:
    window = workspace_of(playground)
    ours = window.evaluation
    path = tmp_path / "mine.csv"
    rows = "".join(f"The {word} ,the,contains\n" for word in ("old man", "sea", "king", "house"))
    path.write_text(f"input,target,grader\n{rows}", encoding="utf-8")
    (tmp_path / "mine.suite.toml").write_text("new_tokens = 6\n", encoding="utf-8")
    with qtbot.waitSignal(ours.suite_shown, timeout=LONG):
        ours.open_suite(str(path))
    assert "4 of 4 cases, shuffled · fp32 ★, bf16" in ours.plan_text()
    window.start_button.click()
    qtbot.waitUntil(lambda: ours.evaluation is not None and not ours.running, timeout=PATIENT)
    evaluation = ours.evaluation
    assert evaluation is not None
    assert evaluation.state is EvaluationState.FINISHED
    assert [len(one.items) for one in evaluation.contestants] == [4, 4]
    assert window.pages.value() == "results"
    assert window.results.matrix.rowCount() == 4
    before = summarise(evaluation)[1].tally
    first = evaluation.plan.order[0]
    graded = evaluation.contestants[1].items[first].final
    assert graded is not None
    ours.overrule(1, first, graded.score != 1.0)
    after = summarise(evaluation)[1].tally
    assert abs(after.right - before.right) == 1
    assert after.human == 1
    window.results.next_flip()
    assert window.results.flips.text().endswith("flips")
    report = tmp_path / "report.md"
    with qtbot.waitSignal(ours.notify.message, timeout=LONG):
        ours.save_report(report)
    assert "mine.csv" in report.read_text("utf-8")
    with qtbot.waitSignal(ours.evaluation_shown, timeout=LONG):
        ours.open_evaluation(evaluation.id)
    assert ours.evaluation is not None
    assert ours.evaluation.contestants[1].items[first].human is not None


def test_closing_the_window_pauses_and_the_next_start_goes_on(
    qtbot: QtBot, playground: Playground, tmp_path: Path
) -> None:
    ours = workspace_of(playground).evaluation
    path = tmp_path / "long.csv"
    rows = "".join(f"Number {n} \n" for n in range(60))
    path.write_text(f"input\n{rows}", encoding="utf-8")
    with qtbot.waitSignal(ours.suite_shown, timeout=LONG):
        ours.open_suite(str(path))
    ours.start()
    qtbot.waitUntil(
        lambda: (
            ours.evaluation is not None
            and sum(len(one.items) for one in ours.evaluation.contestants) > 3
        ),
        timeout=PATIENT,
    )
    ours.pause()
    qtbot.waitUntil(lambda: not ours.running, timeout=PATIENT)
    evaluation = ours.evaluation
    assert evaluation is not None
    assert evaluation.state is EvaluationState.PAUSED
    done = sum(len(one.items) for one in evaluation.contestants)
    assert 3 < done < 120
    ours.resume()
    qtbot.waitUntil(
        lambda: sum(len(one.items) for one in evaluation.contestants) > done, timeout=PATIENT
    )
    playground.window.close()
    assert ours.wait(PATIENT)


def test_what_cannot_start_says_why(qtbot: QtBot, playground: Playground) -> None:
    window = workspace_of(playground)
    assert not window.start_button.isEnabled()
    assert window.start_button.toolTip() == "The suite has no case yet."
    window.evaluation.start()
    qtbot.waitUntil(lambda: "no case yet" in window.note.text(), timeout=LONG)
