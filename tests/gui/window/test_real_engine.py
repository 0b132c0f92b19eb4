"""The window over real engines and the bundled model."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from playground.core.errors import PlaygroundError
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.memory import headroom_left
from playground.gui.reference.dialog import FoundingDialog
from tests.benchmarks import gui as gui_benchmark
from tests.gui.support import MakeWindow, shown_text

#: Real loads, perhaps beside other work.
PATIENT = 280_000


def test_three_precisions_of_the_bundled_model_from_run_to_the_founding_comparison(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(
        real=True, settings=Settings(options=GenerationOptions(max_new_tokens=12))
    )
    presenters = playground.lanes.presenters
    playground.window.prompt.set_prompt_text("Alice was beginning to")
    with qtbot.waitSignal(playground.prompt.finished, timeout=PATIENT) as waiting:
        playground.prompt.run()
    assert not waiting.args[0].failed, [p.lane.state.failure for p in presenters]
    wanted = (Precision.BF16, Precision.INT8, Precision.GPTQ)
    for presenter, precision in zip(presenters, wanted, strict=True):
        answer = presenter.last_answer
        assert answer is not None
        assert answer.stamp.verified.precision is precision
        assert len(answer.token_ids) == 12
        assert shown_text(presenter.view.stream) == f"Alice was beginning to{answer.text}"
        assert presenter.view.header.isVisible()
        left = headroom_left(presenter.lane)
        assert left is not None
        assert left.used == answer.prompt_tokens + 12
        assert left.left == 1024 - left.used
        assert presenter.view.headroom.text().endswith(f"{left.left:,} left")
    assert not playground.window.prompt.modes.isHidden()

    dialog = FoundingDialog(playground.lanes, LaneConfig(), "classics-6m", playground.window)
    dialog.open()
    with qtbot.waitSignal(dialog.measurement.finished, timeout=PATIENT) as waiting:
        dialog.start()
    assert waiting.args[0] == ""
    counts = {p: len(answers) for p, answers in dialog.measurement.answers.items()}
    assert counts == dict.fromkeys(wanted, 5)
    dialog.copy()
    copied = QApplication.clipboard().text()
    assert "1.34 s" in copied
    assert "389 ms" in copied
    assert "not the seconds" in copied
    dialog.close()

    pid = presenters[0].lane.pid
    presenters[0].view.commanded.emit(LaneCommand.UNLOAD)
    qtbot.waitUntil(lambda: presenters[0].lane.state.stage is Stage.EMPTY, timeout=PATIENT)
    assert not psutil.pid_exists(pid)
    assert presenters[0].lane.state.freed.startswith("Freed ")

    os.kill(presenters[1].lane.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: presenters[1].lane.state.stage is Stage.FAILED, timeout=PATIENT)
    assert presenters[2].lane.state.stage is Stage.READY


def test_the_benchmark_measures_the_stream(qtbot: QtBot) -> None:
    measures = {m.name: m for m in gui_benchmark._stream(2, 500.0, 1500)}
    assert 100 < measures["rate of each lane, as asked for"].value < 600
    assert 0 < measures["GUI thread"].value < 100
    assert measures["event-loop lateness p99"].value > 0
    assert measures["memory with empty lanes"].value > 50


def test_the_benchmark_compares_only_with_the_same_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gui_benchmark, "_LOADS", 1)
    client = gui_benchmark._Client(GenerationOptions(max_new_tokens=8))
    try:
        with pytest.raises(PlaygroundError, match="uses the decoder “another one”"):
            client.load("another one")
        assert client.rate() > 0
    finally:
        client.close()
