"""The window for a quantized copy: options, measurement, layers, cancel, and its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from pytestqt.qtbot import QtBot

from playground.client.engine_process import EngineProcess
from playground.core.facts import ModelSpec
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.quantizing.request import Estimate, QuantizedModel
from playground.core.settings import Settings
from playground.core.system import paths
from playground.core.system.resources import resource
from playground.gui.quantize.controller import QuantizeController
from playground.gui.quantize.dialog import QuantizeDialog
from playground.gui.quantize.state import QuantizeStage, QuantizeState
from playground.gui.quantize.text import cost_text
from playground.gui.toolkit.background import Background
from tests.client.processes import is_gone
from tests.gui.support import LONG, MakeWindow
from tests.support.libraries import needs_gptqmodel
from tests.support.tiny_model import tiny_model_files, write_files

Open = Callable[..., QuantizeDialog]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_files(tmp_path / "tiny", tiny_model_files(hidden=64, layers=2))


@pytest.fixture
def controller(qtbot: QtBot, background: Background) -> Iterator[QuantizeController]:
    new = QuantizeController(lambda _: EngineProcess(), background)
    yield new
    new.shut_down()
    assert new.wait(60_000)


@pytest.fixture
def open_(qtbot: QtBot, controller: QuantizeController) -> Iterator[Open]:
    dialogs = []

    def open_(folder: Path) -> QuantizeDialog:
        controller.open(ModelSpec(str(folder)), "cpu")
        dialogs.append(QuantizeDialog(controller))
        dialogs[-1].show()
        return dialogs[-1]

    yield open_
    for dialog in dialogs:
        dialog.hide()
        dialog.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def chosen(qtbot: QtBot, controller: QuantizeController) -> None:
    """Wait for the model, and choose what is quick."""
    qtbot.waitUntil(lambda: controller.state.stage is QuantizeStage.CHOOSING, timeout=LONG)
    controller.change(group_size=32, samples=8, length=64, threads=1)


def library() -> list[str]:
    folder = paths.library_dir()
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


@needs_gptqmodel
def test_from_options_over_an_estimate_and_layers_to_a_folder(
    qtbot: QtBot, open_: Open, controller: QuantizeController, tiny: Path
) -> None:
    dialog = open_(tiny)
    chosen(qtbot, controller)
    assert dialog.cost.text().startswith("About 1 s · ")  # calculated: at least and at most
    assert "not measured yet" in dialog.basis.text()
    assert dialog.options.name.text() == "tiny-gptq-4bit-32g"
    qtbot.waitUntil(lambda: controller.state.measured, timeout=LONG)
    assert dialog.cost.text().startswith("About ")
    assert "first of 2 layers" in dialog.basis.text()
    assert library() == []
    statuses: list[str] = []
    controller.changed.connect(lambda: statuses.append(dialog.status.text()))
    with qtbot.waitSignal(controller.finished, timeout=LONG) as finished:
        qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
        assert not dialog.options.isEnabled()
        assert dialog.cancel_button.isVisible()
        assert not dialog.cancel_button.hasFocus()
    assert any(text.startswith("Layer 2 of 2") for text in statuses)
    assert library() == ["tiny-gptq-4bit-32g"]
    assert "times smaller" in dialog.outcome.text()
    with qtbot.waitSignal(dialog.loadRequested) as load:
        qtbot.mouseClick(dialog.load_button, Qt.MouseButton.LeftButton)
    assert load.args == finished.args


def test_the_cost_in_words() -> None:
    estimate = Estimate(least_s=60, most_s=180, memory_bytes=10**9, disk_bytes=10**6, basis="")
    state = QuantizeState(estimate=estimate, free_bytes=2 * 10**9)
    sizes = "1.00 GB of memory (2.00 GB free) · 1.00 MB on disk"
    assert cost_text(state) == f"Between 60 s and 3 min · {sizes}"
    assert cost_text(replace(state, measured=True)) == f"About 60 s–3 min · {sizes}"


@needs_gptqmodel
def test_a_cancel_in_a_layer_leaves_nothing_and_all_can_begin_again(
    qtbot: QtBot, open_: Open, controller: QuantizeController, tiny: Path
) -> None:
    dialog = open_(tiny)
    chosen(qtbot, controller)
    controller.change(samples=256, length=256)
    controller.start()
    qtbot.waitUntil(
        lambda: controller.state.layer is not None and controller.state.layer.fraction > 0,
        timeout=LONG,
    )
    qtbot.mouseClick(dialog.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not controller.state.running, timeout=LONG)
    assert dialog.status.text() == "Cancelled. Nothing was left behind."
    assert library() == []
    controller.change(to=Precision.NF4)
    assert not dialog.options.gptq.isVisible()
    assert dialog.options.name.text() == "tiny-nf4"
    with qtbot.waitSignal(controller.finished, timeout=LONG):
        qtbot.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    assert library() == ["tiny-nf4"]


@needs_gptqmodel
def test_a_dead_engine_is_reported_and_another_one_takes_over(
    qtbot: QtBot, open_: Open, controller: QuantizeController, tiny: Path
) -> None:
    dialog = open_(tiny)
    chosen(qtbot, controller)
    controller.change(samples=256, length=256)
    controller.start()
    qtbot.waitUntil(lambda: controller.state.layer is not None, timeout=LONG)
    os.kill(controller.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: controller.state.failure is not None, timeout=LONG)
    assert "SIGKILL" in controller.state.failure.message
    assert dialog.failure.isVisible()
    assert library() == []
    controller.change(to=Precision.INT8)
    assert not dialog.failure.isVisible()
    with qtbot.waitSignal(controller.finished, timeout=LONG):
        controller.start()
    assert library() == ["tiny-int8"]


def test_closing_ends_the_engine_and_another_dialog_can_follow_at_once(
    qtbot: QtBot, open_: Open, controller: QuantizeController, tiny: Path
) -> None:
    dialog = open_(tiny)
    chosen(qtbot, controller)
    qtbot.waitUntil(lambda: controller.pid > 0, timeout=LONG)
    pid = controller.pid
    dialog.reject()
    assert not dialog.isVisible()
    # At once again, while the old engine may still be on its way out.
    open_(tiny)
    assert is_gone(pid)
    assert library() == []
    chosen(qtbot, controller)
    controller.change(to=Precision.NF4)
    with qtbot.waitSignal(controller.finished, timeout=LONG):
        controller.start()
    assert library() == ["tiny-nf4"]


@pytest.mark.parametrize("put_away", [QuantizeDialog.reject, QuantizeDialog.close])
def test_the_window_stays_usable_and_a_copy_goes_on_in_the_background(
    qtbot: QtBot,
    make_window: MakeWindow,
    tiny: Path,
    put_away: Callable[[QuantizeDialog], object],
) -> None:
    lane = LaneConfig(model=ModelSpec(str(tiny)))
    playground = make_window(settings=Settings(lanes=(lane,)), real=True)
    said: list[str] = []
    playground.notify.message.connect(lambda text, *_: said.append(text))
    playground.window.actions.quantize.trigger()
    dialog, controller = playground.quantize.dialog, playground.quantize.controller
    assert dialog is not None
    assert not dialog.isModal()
    chosen(qtbot, controller)
    controller.change(to=Precision.NF4)
    controller.start()
    assert "Hide" in dialog.close_button.text()
    assert controller.work()
    with qtbot.waitSignal(controller.finished, timeout=LONG):
        put_away(dialog)
        assert not dialog.isVisible()
        playground.lanes.add_lane()
    assert library() == ["tiny-nf4"]
    assert said[0] == "The copy goes on in the background."
    assert said[-1].startswith("tiny-nf4 is in the model library")
    playground.window.actions.quantize.trigger()
    assert playground.quantize.dialog is dialog
    assert dialog.isVisible()
    assert dialog.load_button.isVisible()


def test_an_engine_that_gets_ready_while_the_dialog_closes_is_the_last_one(
    qtbot: QtBot, background: Background, tiny: Path
) -> None:
    started: list[str] = []
    closed = False

    def make(environment: str) -> EngineProcess:
        started.append(environment)
        return EngineProcess()

    controller = QuantizeController(make, background)
    controller.open(ModelSpec(str(tiny)), "cpu")
    chosen(qtbot, controller)

    def close() -> None:
        nonlocal closed
        if controller.state.free_bytes:  # the engine's facts have just arrived
            controller.changed.disconnect(close)
            controller.close()
            closed = True

    controller.changed.connect(close)
    qtbot.waitUntil(lambda: closed and controller.pid == 0, timeout=LONG)
    controller.shut_down()
    assert controller.wait(LONG)
    assert started == [""]


@pytest.mark.parametrize(
    ("name", "words"),
    [("classics-6m-gptq", "quantized already"), ("nothing-there", "no folder")],
)
def test_a_model_that_cannot_be_quantized(
    name: str, words: str, qtbot: QtBot, open_: Open, controller: QuantizeController
) -> None:
    dialog = open_(resource("models", name))
    qtbot.waitUntil(lambda: controller.state.failure is not None, timeout=LONG)
    assert words in controller.state.failure.message
    assert controller.state.failure.remedy
    assert not dialog.start_button.isEnabled()


def test_a_bad_calibration_text_and_a_taken_name_are_reported_before_the_start(
    qtbot: QtBot, open_: Open, controller: QuantizeController, tiny: Path
) -> None:
    dialog = open_(tiny)
    chosen(qtbot, controller)
    dialog.options.use_text(str(tiny / "model.safetensors"))
    qtbot.waitUntil(lambda: controller.state.failure is not None, timeout=LONG)
    assert "is not a text file" in controller.state.failure.message
    qtbot.mouseClick(dialog.options.sample, Qt.MouseButton.LeftButton)
    assert controller.state.failure is None
    (paths.library_dir() / "taken").mkdir(parents=True)
    dialog.options.name.setText("taken")
    dialog.options.name.editingFinished.emit()
    qtbot.waitUntil(lambda: controller.state.failure is not None, timeout=LONG)
    assert "already a folder taken" in controller.state.failure.message
    # The name that was typed stays when another option would change the default one.
    controller.change(bits=3)
    assert dialog.options.name.text() == "taken"


def test_the_lane_menu_opens_it_and_a_copy_gets_a_lane(
    qtbot: QtBot, make_window: MakeWindow, tiny: Path
) -> None:
    lane = LaneConfig(model=ModelSpec(str(tiny)))
    playground = make_window(settings=Settings(lanes=(lane,)))
    playground.window.actions.quantize.trigger()
    dialog = playground.quantize.dialog
    assert dialog is not None
    assert dialog.isVisible()
    qtbot.waitUntil(lambda: dialog.title.text() == "tiny", timeout=LONG)
    playground.window.actions.quantize.trigger()
    assert playground.quantize.dialog is dialog
    copy = QuantizedModel(
        folder="/copies/tiny-nf4",
        precision=Precision.NF4,
        weight_bytes=1,
        source_bytes=4,
        seconds=1.0,
        peak_memory_bytes=1,
    )
    dialog.loadRequested.emit(copy)
    configs = [lane.config for lane in playground.lanes.lanes]
    assert configs == [
        lane,
        LaneConfig(model=ModelSpec("/copies/tiny-nf4"), precision=Precision.NF4),
    ]
    assert playground.lanes.lanes[1].state.busy
    dialog.close()
    assert playground.quantize.dialog is None
