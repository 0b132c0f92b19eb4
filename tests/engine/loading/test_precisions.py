"""Every precision on the real model: the same tokens as transformers, and the truth about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.core.facts import LoadedModel
from playground.core.precision import Precision
from playground.core.protocol import Activity
from tests.engine.decoders import assert_as_reference
from tests.engine.driver import NEW_TOKENS, PROMPTS, THREADS, Engine

MODULES = {
    Precision.FP32: {"fp32": 43},
    Precision.BF16: {"bf16": 43},
    Precision.FP16: {"fp16": 43},
    Precision.INT8: {"int8 (bitsandbytes)": 42, "bf16": 1},
    Precision.INT8_WEIGHT_ONLY: {"int8 weight-only": 42, "bf16": 1},
    Precision.NF4: {"NF4 (bitsandbytes)": 42, "bf16": 1},
    Precision.GPTQ: {"GPTQ 4-bit": 42, "bf16": 1},
}
KERNELS = {
    Precision.FP32: "torch.nn.Linear (fp32)",
    Precision.BF16: "torch.nn.Linear (bf16)",
    Precision.FP16: "torch.nn.Linear (fp16)",
    Precision.INT8: "bitsandbytes Linear8bitLt",
    Precision.INT8_WEIGHT_ONLY: "torch _weight_int8pack_mm",
    Precision.NF4: "bitsandbytes Linear4bit",
    Precision.GPTQ: "gptqmodel TorchAtenLinear",
}


@pytest.mark.parametrize("precision", list(Precision))
def test_precision(
    precision: Precision,
    start: Callable[..., Engine],
    model_folder: Path,
    gptq_folder: Path,
    reference: dict[str, Any],
) -> None:
    engine = start()
    facts = engine.ready()
    assert facts.devices[0].id == "cpu"
    assert facts.devices[0].total_bytes > facts.devices[0].free_bytes > 0
    assert all(probe.ok for probe in facts.probes.values())
    folder = gptq_folder if precision is Precision.GPTQ else model_folder
    loaded = engine.load(folder, precision)
    assert isinstance(loaded, LoadedModel), loaded

    assert loaded.request.threads == THREADS
    assert loaded.mismatch == ""
    assert loaded.verified.precision is precision
    assert loaded.verified.modules == MODULES[precision]
    assert loaded.verified.skipped == (() if precision.is_plain else ("lm_head",))
    assert loaded.kernel == KERNELS[precision]
    # Tied embeddings are one storage; four bits are a quarter, with some scales.
    plain = 12.3e6 * precision.bits_per_weight / 16
    expected = plain if precision.is_plain else 2.1e6 + 10.2e6 * precision.bits_per_weight / 16
    assert loaded.verified.weight_bytes == pytest.approx(expected, rel=0.1)
    assert loaded.parameters == pytest.approx(6.16e6, rel=0.01)
    assert {"importing", "warming up"} <= loaded.load_s.keys()
    activities = {progress.activity for progress in engine.progress}
    bitsandbytes = "bitsandbytes" in precision.libraries
    assert (Activity.QUANTIZING in activities) == bitsandbytes
    assert any(progress.fraction == 1.0 for progress in engine.progress)

    for prompt, expected in zip(PROMPTS, reference[precision.value], strict=True):
        run = engine.ask(prompt, max_new_tokens=NEW_TOKENS)
        assert run.answer.stamp.decoder.removeprefix("cached loop, ") in loaded.step_seconds
        assert_as_reference(run.answer, expected)
        assert run.answer.stamp.verified == loaded.verified
        assert run.answer.stamp.threads == THREADS


def test_a_folder_as_autogptq_wrote_it(
    start: Callable[..., Engine], gptq_folder: Path, reference: dict[str, Any], tmp_path: Path
) -> None:
    """Settings in a file of their own, weights named after the quantization."""
    folder = tmp_path / "old-GPTQ"
    shutil.copytree(gptq_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    settings = config.pop("quantization_config")
    kept = {name: settings[name] for name in ("bits", "group_size", "sym", "desc_act")}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "quantize_config.json").write_text(json.dumps(kept))
    assert settings["format"] == "gptq"  # the only one that AutoGPTQ knew
    (folder / "model.safetensors").rename(folder / "gptq_model-4bit-128g.safetensors")
    engine = start()
    engine.ready()
    loaded = engine.load(folder, Precision.GPTQ)
    assert isinstance(loaded, LoadedModel), loaded
    assert loaded.verified.modules == MODULES[Precision.GPTQ]
    run = engine.ask(PROMPTS[0], max_new_tokens=NEW_TOKENS)
    assert_as_reference(run.answer, reference["gptq"][0])
