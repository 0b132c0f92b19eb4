"""Five hundred damaged model folders: each is read or refused with a sentence, and none hangs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from playground.core.errors import ModelError, PlaygroundError
from playground.core.facts import LoadRequest
from playground.core.memory.plan import plan
from playground.core.model.checkpoint import read_checkpoint
from playground.core.precision import Precision
from playground.core.protocol import Failed, Load, Loaded
from playground.engine.serving.boundary import carry_out
from playground.engine.serving.runtime import Runtime
from playground.engine.wire.inbox import Inbox
from playground.hub.local.models import local_models
from tests.engine.in_process import Wire
from tests.fuzz.conftest import check_sentence, restart
from tests.fuzz.mutations import mutate_folder
from tests.support.tiny_model import tiny_model_files, write_files

FOLDERS = 500
#: Of the folders that can be read, how many are loaded.
LOADED = 30
FILES = tiny_model_files(hidden=16, layers=1)


def folders(root: Path, seed: int, count: int) -> list[tuple[Path, str]]:
    """Write damaged folders; return them with what was done to each."""
    made = []
    for number in range(count):
        folder = write_files(root / "models" / str(number), FILES)
        draw = random.Random(f"{seed} {number}")
        made.append((folder, f"seed {seed}, folder {number}: {mutate_folder(folder, FILES, draw)}"))
    return made


@pytest.mark.usefixtures("no_hang", "outside")
def test_folders_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    read = []
    for folder, done in folders(tmp_path, seed, FOLDERS):
        restart()
        try:
            checkpoint = read_checkpoint(folder)
        except ModelError as error:
            check_sentence(error.message, done)
            check_sentence(error.remedy, done)
        else:
            read.append((folder, done))
            plan(checkpoint.sizes, Precision.INT8)
    assert FOLDERS // 10 < len(read) < FOLDERS
    rows = local_models([tmp_path / "models"], tmp_path / "hub")
    # A config.json that names neither an architecture nor a type is no model's.
    assert FOLDERS * 0.95 < len(rows) <= FOLDERS + 1
    for row in rows:
        if row.problem:
            check_sentence(row.problem, row.name)


@pytest.mark.usefixtures("no_hang", "outside")
def test_an_engine_loads_or_refuses_what_can_be_read(tmp_path: Path, seed: int) -> None:
    with (tmp_path / "events").open("w+b") as file:
        wire = Wire(file.fileno())
        loaded = failed = 0
        for folder, done in folders(tmp_path, seed + 1, FOLDERS):
            if loaded + failed == LOADED:
                break
            try:
                read_checkpoint(folder)
            except PlaygroundError:
                shutil.rmtree(folder)
                continue
            restart()
            answer = load(folder, wire)
            if isinstance(answer, Failed):
                failed += 1
                check_sentence(answer.message, done)
                check_sentence(answer.remedy, done)
                assert answer.alive, done
            else:
                loaded += 1
    assert loaded > 3
    assert failed > 1


def load(folder: Path, wire: Wire) -> Loaded | Failed:
    """Return the event that ends a load by a runtime of its own."""
    request = LoadRequest(
        name="t", folder=str(folder), commit="", precision=Precision.BF16, threads=1, warm_up=False
    )
    inbox = Inbox(0)
    failed = carry_out(Load(request), Runtime(wire.sender, inbox, 0.0), wire.sender, inbox)
    events = wire.events()
    if failed is not None:
        return failed
    assert isinstance(events[-1], Loaded)
    return events[-1]
