"""A window that is killed in a run has lost nothing that it showed, and the next one offers it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pytestqt.qtbot import QtBot

from playground.core.system import paths
from playground.history.reader import HistoryReader
from playground.history.records import RunState
from tests.gui.support import LONG, MakeWindow
from tests.gui.window import window_process
from tests.gui.window.test_process import environment

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints|This plugin does not support")


def test_a_killed_window_has_lost_nothing_that_it_showed(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, str(window_process.__file__), str(tmp_path / "other.toml")],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        engines = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        lines = [process.stdout.readline() for _ in range(12)]
        process.kill()
    psutil.wait_procs(engines, timeout=60)
    # What the last lines count had been on the screen for less than a blink.
    shown = [int(count) for count in lines[-6].split()]
    assert all(shown)
    with HistoryReader(paths.history_file()) as reader:
        (row,) = reader.runs()
        kept = reader.run(row.id)
    assert row.state is RunState.RUNNING
    for position, count in enumerate(shown):
        assert len(kept.answers_of(position)[0].tokens.ids) >= count

    playground = make_window()
    with qtbot.waitSignal(playground.notify.offered, timeout=LONG) as offered:
        playground.history.look_for_interrupted()
    assert offered.args[1] == "Show"
    playground.window.messages.action_button.click()
    history = playground.history_window
    qtbot.waitUntil(lambda: history.shown is not None)
    assert history.shown is not None
    (run,) = history.shown.runs
    assert (run.row.id, run.row.state) == (row.id, RunState.INTERRUPTED)
    assert [a.tokens for a in run.answers] == [a.tokens for a in kept.answers]

    with qtbot.assertNotEmitted(playground.notify.offered):
        playground.history.look_for_interrupted()
        assert playground.history.writer.flush(60)
