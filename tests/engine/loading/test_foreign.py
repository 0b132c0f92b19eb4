"""What a folder asks for that is not in it, adapters and kernels, is left out, and that is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.integrations import hub_kernels
from transformers.utils import peft_utils

from playground.core.facts import LoadedModel
from playground.core.model import foreign
from playground.core.precision import Precision
from playground.engine.loading.folders import readable
from tests.engine.driver import Engine
from tests.support.tiny_model import tiny_model_files, write_files

KERNEL = "kernels-community/flash-attn2"
ADAPTER = {"base_model_name_or_path": "/elsewhere", "peft_type": "LORA", "r": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "tiny", tiny_model_files())


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def read(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())


def test_an_ordinary_folder_is_read_as_it_is(folder: Path) -> None:
    edit(folder, attn_implementation="eager", experts_implementation=None)
    with readable(folder) as read_from:
        assert read_from == folder
    assert foreign.notes(folder) == []


@pytest.mark.parametrize(
    "stated",
    [
        {"attn_implementation": KERNEL},
        {"_attn_implementation": "own/kernel@main:attend"},
        {"attn_implementation": "flash_attention_2"},  # the library kernels would fetch it
        {"attn_implementation": "paged|sdpa"},
        {"experts_implementation": "deepgemm"},
        {"_experts_implementation": ["eager"]},
    ],
)
def test_an_implementation_of_elsewhere_is_left_out(folder: Path, stated: dict[str, Any]) -> None:
    plain = read(folder)
    edit(folder, **stated)
    with readable(folder) as read_from:
        assert read(read_from) == plain
        assert AutoConfig.from_pretrained(read_from)._attn_implementation is None
    (note,) = foreign.notes(folder)
    ((key, value),) = stated.items()
    assert f"{key} {value!r}" in note


def test_parts_of_a_model_are_looked_at_too(folder: Path) -> None:
    edit(
        folder,
        attn_implementation={"": "eager", "vision_config": KERNEL},
        text_config={"hidden_size": 32, "_attn_implementation": KERNEL},
        parts=[{"experts_implementation": "sonicmoe", "kept": True}],
    )
    with readable(folder) as read_from:
        cleaned = read(read_from)
    assert "attn_implementation" not in cleaned
    assert cleaned["text_config"] == {"hidden_size": 32}
    assert cleaned["parts"] == [{"kept": True}]
    assert [KERNEL in note for note in foreign.notes(folder)] == [True, True, False]


def test_transformers_looks_for_neither(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both libraries installed, transformers would load what the folder names."""
    asked = []
    for module in (transformers.integrations.peft, peft_utils, hub_kernels):
        for name in ("is_peft_available", "is_kernels_available"):
            monkeypatch.setattr(module, name, lambda: True, raising=False)
    monkeypatch.setattr(
        transformers.PreTrainedModel, "load_adapter", lambda *_, **__: asked.append("adapter")
    )
    monkeypatch.setattr(hub_kernels, "get_kernel", lambda name, **_: asked.append(name))
    edit(folder, attn_implementation=KERNEL)
    (folder / foreign.ADAPTER).write_text(json.dumps(ADAPTER))
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever a missing kernel leads to
        AutoModelForCausalLM.from_pretrained(folder)
    assert asked == [KERNEL]
    edit(folder, attn_implementation=None)
    AutoModelForCausalLM.from_pretrained(folder)
    assert asked == [KERNEL, "adapter"]
    edit(folder, attn_implementation=KERNEL)
    with readable(folder) as read_from:
        AutoModelForCausalLM.from_pretrained(read_from)
    assert asked == [KERNEL, "adapter"]


def test_an_engine_loads_the_model_without_them(empty_engine: Engine, folder: Path) -> None:
    edit(folder, attn_implementation=KERNEL)
    (folder / foreign.ADAPTER).write_text(json.dumps(ADAPTER))
    loaded = empty_engine.load(folder, Precision.FP32, warm_up=False)
    assert isinstance(loaded, LoadedModel), loaded
    assert [note for note in loaded.notes if KERNEL in note or "not applied" in note] == list(
        loaded.notes
    )
    assert len(loaded.notes) == 2
