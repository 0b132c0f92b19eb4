"""The folder of a loaded model is hashed while no lane is busy, and the stamp follows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from playground.core.facts import EngineFacts
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig, Stage
from playground.gui.lanes.text import stamp_line
from playground.hub.local import fingerprint
from playground.hub.local.prepare import Prepared
from tests.gui.support import MakeWindow, scripted_prepare
from tests.support.tiny_model import tiny_model_files, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_files(tmp_path / "large", tiny_model_files())
    with (made / "model.safetensors").open("r+b") as file:
        file.truncate(40 * 1024 * 1024)
    return made


def prepare_folder(folder: Path, config: LaneConfig, engine: EngineFacts | None) -> Prepared:
    """Prepare a scripted load of the model in a folder."""
    prepared = scripted_prepare(config, engine)
    commit = fingerprint.fingerprint(folder)
    request = msgspec.structs.replace(prepared.request, folder=str(folder), commit=commit)
    return Prepared(request)


def test_the_stamp_says_sampled_until_the_files_are_hashed(
    qtbot: QtBot, make_window: MakeWindow, folder: Path
) -> None:
    made = make_window(prepare=partial(prepare_folder, folder))
    while len(made.lanes.lanes) > 1:
        made.lanes.remove(made.lanes.presenters[-1])
    (lane,) = made.lanes.lanes
    commits: list[str] = []
    lane.state_changed.connect(
        lambda changed: commits.append(
            changed.state.loaded.request.commit if changed.state.loaded else ""
        )
    )
    lane.load()
    qtbot.waitUntil(lambda: bool(commits) and commits[-1].startswith("sha256:"))
    assert any(commit.startswith("sampled:") for commit in commits)
    assert commits[-1] == fingerprint.fingerprint(folder)
    with qtbot.waitSignal(lane.answered) as answered:
        lane.generate(RawPrompt("x"), GenerationOptions(max_new_tokens=4), "in turn")
    (answer,) = answered.args
    assert answer.stamp.commit == commits[-1]
    sampled = next(commit for commit in commits if commit.startswith("sampled:"))
    early = msgspec.structs.replace(answer.stamp, commit=sampled)
    assert f"@{sampled[8:15]} (sampled)" in stamp_line(msgspec.structs.replace(answer, stamp=early))
    assert lane.state.stage in (Stage.READY, Stage.GENERATING)


def test_hashing_waits_while_a_lane_generates(
    qtbot: QtBot, make_window: MakeWindow, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, read = threading.Event(), threading.Event(), threading.Event()

    def whole_of(folder: Path, sampled: str, on_bytes: Callable[[int], None]) -> str:
        begun.set()
        go_on.wait()
        on_bytes(1)
        read.set()
        return ""

    monkeypatch.setattr("playground.gui.models.hashing.whole_of", whole_of)
    made = make_window("--rate", "200", prepare=partial(prepare_folder, folder))
    lane = made.lanes.lanes[0]
    lane.load()
    qtbot.waitUntil(begun.is_set)
    seen: list[bool] = []
    lane.answered.connect(lambda _: seen.append(read.is_set()))
    options = GenerationOptions(max_new_tokens=100)
    assert lane.generate(RawPrompt("x"), options, "in turn")
    go_on.set()
    qtbot.waitUntil(read.is_set)
    assert seen == [False]
