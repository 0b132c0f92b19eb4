"""Engines of tests are forks of a process that has imported the libraries, or the suite is slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.client.engine_process import child_environment, default_command
from tests.cli.commands import environment
from tests.support.warm_engines import SHARED


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="CUDA works in no fork")
def test_engines_are_forked_in_the_window_and_on_the_command_line(tmp_path: Path) -> None:
    home = {"PLAYGROUND_HOME": str(tmp_path), "HF_MODULES_CACHE": str(tmp_path)}
    for env in (child_environment(), child_environment(home), environment(), environment(home)):
        assert SHARED.can_start(default_command(), env)
    for name in ("HF_HUB_OFFLINE", "OMP_NUM_THREADS", "PYTHONPATH"):  # read when libraries start
        assert not SHARED.can_start(default_command(), child_environment({name: "other"}))
    assert not SHARED.can_start(["python"], child_environment())
