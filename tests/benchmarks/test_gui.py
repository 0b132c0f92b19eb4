"""What the benchmark of the window accepts, and what its lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from pytestqt.qtbot import QtBot

from tests.benchmarks.gui import Measure, against_session, arguments, compared
from tests.benchmarks.gui_probe import Bystanders
from tests.support.home import make_home
from tests.support.warm_engines import WarmEngines


def test_its_options() -> None:
    given = arguments().parse_args(["--rate", "500"])
    assert (given.lanes, given.rate, given.tokens) == (3, 500.0, 100_000)


def test_a_rate_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments().parse_args(["--rate", "0"])
    assert "not a number above 0" in capsys.readouterr().err


def test_a_printed_ratio_is_that_of_the_printed_figures() -> None:
    window, session, ratio = compared([100.0, 90.0, 50.0], [100.0, 99.0, 98.0])
    assert ratio.value == window.value / session.value == 90.0 / 99.0
    assert ratio.met is False
    assert ratio.line(10).endswith("MISSED")


def test_a_line_says_where_the_machine_was_too_busy_to_tell() -> None:
    line = Measure("lateness", 50.0, "ms", 33, doubt="other programs used 40% of all cores")
    assert line.met is None
    assert line.line(10).endswith("NOT CERTAIN: other programs used 40% of all cores")


def test_the_session_decodes_as_the_window_does(
    qtbot: QtBot, warm_engines: WarmEngines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path / "home")
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    warm_engines.prepare()
    window, session, ratio = against_session(rounds=1, tokens=8)
    assert window.value > 0
    assert session.value > 0
    assert ratio.value == window.value / session.value


def test_other_programs_are_noticed() -> None:
    bystanders = Bystanders()
    # Not a child of this process: it is adopted by another when its parent ends.
    spin = "import time\nwhile time.thread_time() < 2: pass\nprint()"
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {spin!r}])"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert done.stdout  # which ends when the other has ended
    assert bystanders.share() > 0
