"""A model's own code in the window: reviewed, allowed, remembered, reviewed again if changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.gui.lanes.lane import LaneController
from playground.gui.remote_code.dialog import RemoteCodeDialog
from playground.gui.window.main_window import MainWindow
from tests.gui.support import MakeWindow
from tests.support.own_code import write_own_code

#: Real engines, perhaps beside other work.
PATIENT = 280_000
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


@pytest.fixture(autouse=True)
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))


def settings(folder: Path) -> Settings:
    lane = LaneConfig(ModelSpec(str(folder)), Precision.FP32)
    return Settings(lanes=(lane,), options=GenerationOptions(max_new_tokens=2))


def wait_failed(qtbot: QtBot, lane: LaneController) -> None:
    qtbot.waitUntil(lambda: lane.state.stage is Stage.FAILED, timeout=PATIENT)
    assert lane.state.failure is not None
    assert lane.state.failure.remote_code, lane.state.failure


def test_nothing_runs_before_the_user_agrees(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    folder = write_own_code(tmp_path / "own model", trace)
    playground = make_window(real=True, settings=settings(folder))
    presenter = playground.lanes.presenters[0]
    lane = presenter.lane
    lane.load()
    wait_failed(qtbot, lane)
    button = presenter.view.failure.review_button
    assert button.isVisible()

    button.click()
    qtbot.waitUntil(lambda: bool(playground.window.findChildren(RemoteCodeDialog)))
    dialog = playground.window.findChildren(RemoteCodeDialog)[0]
    assert "class OwnModel" in dialog.text.toPlainText()
    assert dialog.text.isReadOnly()
    assert dialog.version.text().startswith("Version: sha256:")
    assert dialog.changed.isHidden()
    dialog.reject()
    assert lane.state.stage is Stage.FAILED
    assert playground.store.values.code_consents == ()
    assert not trace.exists()

    button.click()
    qtbot.waitUntil(lambda: len(open_dialogs(playground.window)) == 1)
    open_dialogs(playground.window)[0].allow_button.click()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=PATIENT)
    assert trace.exists()
    assert lane.state.loaded is not None
    assert lane.state.loaded.architecture == "OwnModel"
    (consent,) = SettingsStore(tmp_path / "settings.toml").values.code_consents
    assert consent.model == str(folder)

    # A remembered consent is not asked for again; one for changed code is.
    lane.reload()
    qtbot.waitUntil(lambda: lane.state.stage is not Stage.READY, timeout=PATIENT)
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=PATIENT)

    # What another window revokes holds here no more, and what it allows does.
    other = SettingsStore(tmp_path / "settings.toml")
    other.change(code_consents=())
    lane.reload()
    wait_failed(qtbot, lane)
    other.change(code_consents=(consent,))

    code = folder / "own.py"
    code.write_text(code.read_text() + "# changed\n")
    lane.load()
    qtbot.waitUntil(lambda: lane.state.stage is not Stage.FAILED, timeout=PATIENT)
    wait_failed(qtbot, lane)
    button.click()
    qtbot.waitUntil(lambda: len(open_dialogs(playground.window)) == 1)
    changed = open_dialogs(playground.window)[0]
    assert consent.commit in changed.changed.text()
    assert changed.changed.isVisible()
    changed.reject()


def test_code_that_lies_elsewhere_cannot_be_allowed(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace", place="someone/else")
    playground = make_window(real=True, settings=settings(folder))
    presenter = playground.lanes.presenters[0]
    presenter.lane.load()
    wait_failed(qtbot, presenter.lane)
    presenter.view.failure.review_button.click()
    qtbot.waitUntil(lambda: len(open_dialogs(playground.window)) == 1)
    dialog = open_dialogs(playground.window)[0]
    assert not dialog.allow_button.isEnabled()
    assert "someone/else" in dialog.warning.text()
    dialog.reject()


def open_dialogs(window: MainWindow) -> list[RemoteCodeDialog]:
    return [d for d in window.findChildren(RemoteCodeDialog) if d.isVisible()]
