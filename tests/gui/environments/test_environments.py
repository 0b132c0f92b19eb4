"""Lanes in other Pythons, and the dialog that manages those."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from playground.core.environments import EngineEnvironment
from playground.core.facts import DeviceFacts, EngineFacts, Probe
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.gui.environments.dialog import EnvironmentsDialog
from playground.gui.lanes.commands import LaneCommand
from tests.gui.support import LONG, MakeWindow
from tests.support.other_python import make_other_python

#: Real engines, perhaps beside other work.
PATIENT = 280_000
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "grabbing the keyboard", r"raise\(\)")


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_other_python(tmp_path_factory.mktemp("environments") / "second")


def settings(*environments: EngineEnvironment, lane: LaneConfig | None = None) -> Settings:
    return Settings(
        environments=environments,
        lanes=(lane or LaneConfig(),),
        options=GenerationOptions(max_new_tokens=4),
    )


def test_a_lane_runs_in_another_python_and_keeps_it(
    qtbot: QtBot, make_window: MakeWindow, other_python: Path, tmp_path: Path
) -> None:
    second = EngineEnvironment("second", str(other_python))
    playground = make_window(real=True, settings=settings(second))
    presenter = playground.lanes.presenters[0]
    lane, header = presenter.lane, presenter.view.header
    lane.start_ahead()
    qtbot.waitUntil(lambda: lane.pid != 0, timeout=PATIENT)
    assert not header.environment.isVisible()
    action = next(a for a in header.places.actions() if a.text() == "second")
    action.trigger()
    assert lane.config.environment == "second"
    assert header.environment.isVisible()
    assert header.environment.full_text() == "second"
    # Its engine is started for what it can do, after the one of our own has gone.
    qtbot.waitUntil(lambda: lane.facts is not None, timeout=PATIENT)
    tips = [a.toolTip() for a in header.places.actions()]
    assert any("transformers" in tip for tip in tips)
    playground.window.prompt.set_prompt_text("Alice was")
    with qtbot.waitSignal(playground.prompt.finished, timeout=PATIENT) as waiting:
        playground.prompt.run()
    assert not waiting.args[0].failed, lane.state.failure
    assert presenter.last_answer is not None
    assert presenter.last_answer.stamp.environment == "second"
    assert "Environment: second" in presenter.copyable(LaneCommand.COPY_STAMP)
    assert presenter.name.endswith("bf16 · second")
    playground.window.close()
    kept = SettingsStore(tmp_path / "settings.toml").values
    assert kept.lanes[0].environment == "second"
    assert kept.environments == (second,)


def test_an_environment_that_is_gone_is_reported_and_the_lane_can_be_given_another(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    gone = EngineEnvironment("old", "/nowhere/bin/python")
    playground = make_window(real=True, settings=settings(gone, lane=LaneConfig(environment="old")))
    presenter = playground.lanes.presenters[0]
    playground.start_ahead()
    presenter.lane.load()
    failure = presenter.lane.state.failure
    assert presenter.lane.state.stage is Stage.FAILED
    assert failure is not None
    assert "environment old is gone" in failure.message
    assert "Choose another" in failure.remedy
    presenter.view.header.configChosen.emit(LaneConfig())
    qtbot.waitUntil(lambda: presenter.lane.state.stage is Stage.READY, timeout=PATIENT)
    assert not presenter.view.header.environment.isVisible()


def test_a_python_without_the_libraries_fails_with_that_reason(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    bare = EngineEnvironment("bare", str(make_other_python(tmp_path / "bare", with_packages=False)))
    playground = make_window(
        real=True, settings=settings(bare, lane=LaneConfig(environment="bare"))
    )
    lane = playground.lanes.lanes[0]
    lane.load()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.FAILED, timeout=PATIENT)
    assert lane.state.failure is not None
    assert "No engine can start in the environment bare." in lane.state.failure.message
    assert "Choose another" in lane.state.failure.remedy
    assert "No module named" in lane.state.failure.detail


def test_a_lane_of_an_unknown_environment_is_editable(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(real=True, settings=settings(lane=LaneConfig(environment="lost")))
    presenter = playground.lanes.presenters[0]
    assert "lost (not found)" in presenter.view.header.environment.full_text()
    presenter.lane.load()
    assert presenter.lane.state.failure is not None
    assert "'lost'" in presenter.lane.state.failure.message


def test_each_environment_greys_out_what_it_lacks(qtbot: QtBot, make_window: MakeWindow) -> None:
    other = EngineEnvironment("other", "/nowhere/bin/python")
    lanes = (LaneConfig(), LaneConfig(environment="other"))
    playground = make_window(settings=replace_lanes(settings(other), lanes))
    here = (DeviceFacts("cpu", "CPU", 0, 0),)
    lacking = EngineFacts("3.11", here, {}, {"bitsandbytes": Probe(False, "It needs more.")})
    playground.models.environment_known("other", lacking)

    def enabled(index: int, precision: Precision) -> bool:
        box = playground.lanes.presenters[index].view.header.precision
        model = box.model()
        assert isinstance(model, QStandardItemModel)
        row = box.findData(precision.value)
        return row >= 0 and bool(model.item(row).flags() & Qt.ItemFlag.ItemIsEnabled)

    qtbot.waitUntil(lambda: not enabled(1, Precision.INT8), timeout=LONG)
    assert enabled(1, Precision.BF16)
    qtbot.waitUntil(lambda: enabled(0, Precision.INT8), timeout=LONG)
    assert "It needs more." in playground.lanes.presenters[1].available.reasons[Precision.INT8]


def replace_lanes(values: Settings, lanes: tuple[LaneConfig, ...]) -> Settings:
    return msgspec.structs.replace(values, lanes=lanes)


def test_the_dialog_adds_checks_and_removes(
    qtbot: QtBot, make_window: MakeWindow, other_python: Path, tmp_path: Path
) -> None:
    playground = make_window(settings=settings())
    environments = playground.environments
    playground.window.actions.environments.trigger()
    dialog = playground.window.findChild(EnvironmentsDialog)
    assert dialog is not None
    assert "none yet" in dialog.details.text()
    assert not dialog.remove_button.isEnabled()

    dialog._python_chosen("/bin/ls")
    qtbot.waitUntil(lambda: "does not run as a Python" in dialog.note.text(), timeout=PATIENT)
    assert environments.states() == []

    dialog._python_chosen(str(other_python))
    assert "starting an engine" in dialog.list.topLevelItem(0).text(1)
    qtbot.waitUntil(lambda: environments.states()[0].facts is not None, timeout=PATIENT)
    assert "Runs fp32, bf16" in dialog.details.text()
    kept = SettingsStore(tmp_path / "settings.toml").values.environments
    assert kept == (EngineEnvironment("second", str(other_python)),)
    header = playground.lanes.presenters[0].view.header
    assert "second" in [a.text() for a in header.places.actions()]

    dialog.remove_button.click()
    box = dialog.findChild(QMessageBox)
    assert box is not None
    assert "stay as they are" in box.informativeText()
    yes = next(
        b for b in box.buttons() if box.buttonRole(b) is QMessageBox.ButtonRole.DestructiveRole
    )
    yes.click()
    qtbot.waitUntil(lambda: environments.states() == [], timeout=PATIENT)
    assert other_python.exists()
    assert "second" not in [a.text() for a in header.places.actions()]
    dialog.close()


def test_an_installation_fails_with_pips_message_and_can_be_cancelled(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    playground = make_window(settings=settings())
    environments = playground.environments
    playground.window.actions.environments.trigger()
    dialog = playground.window.findChild(EnvironmentsDialog)
    assert dialog is not None
    with qtbot.waitSignals(
        [environments.building_changed, environments.progressed], timeout=PATIENT
    ):
        dialog.create_button.click()
    assert dialog.building.isVisible()
    assert not dialog.create_button.isEnabled()
    qtbot.waitUntil(lambda: not environments.building, timeout=PATIENT)
    assert "install setuptools" in dialog.note.text()
    assert not dialog.building.isVisible()

    with qtbot.waitSignal(environments.progressed, timeout=PATIENT):
        dialog.create_button.click()
    with qtbot.waitSignal(playground.context.notify.message, timeout=PATIENT) as waiting:
        dialog.cancel_button.click()
    assert "was cancelled" in waiting.args[0]
    folder = tmp_path / "home" / "data" / "environments"
    assert not list(folder.iterdir())
    dialog.close()
