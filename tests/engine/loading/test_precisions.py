"""Every precision on the real model: transformers' tokens, and a true description."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playground.core.facts import EngineFacts, LoadedModel
from playground.core.precision import LOADABLE, Precision
from playground.core.protocol import Activity
from tests.engine.decoders import assert_as_reference
from tests.engine.driver import NEW_TOKENS, PROMPTS, THREADS, Engine
from tests.support.home import make_home

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


#: Weights in linear layers, their rows, and the weights of the tied embeddings (the output layer).
LINEAR, ROWS, EMBEDDINGS = 5_111_808, 16_896, 1_048_576


@dataclass(frozen=True)
class Lane:
    """An engine with the bundled model at a precision.

    `bandwidth` is the file with the memory's bandwidth, `measured` whether it was there before.
    """

    engine: Engine
    facts: EngineFacts
    loaded: LoadedModel
    bandwidth: Path
    measured: bool


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of all lanes; the first one measures the bandwidth."""
    home = make_home(tmp_path_factory.mktemp("homes") / "home")
    (home / "cache" / "bandwidth.json").unlink(missing_ok=True)
    return home


@pytest.fixture(scope="module", params=LOADABLE)
def lane(
    request: pytest.FixtureRequest, model_folder: Path, gptq_folder: Path, home: Path
) -> Iterator[Lane]:
    bandwidth = home / "cache" / "bandwidth.json"
    measured = bandwidth.exists()
    engine = Engine({"PLAYGROUND_HOME": str(home)})
    facts = engine.ready()
    folder = gptq_folder if request.param is Precision.GPTQ else model_folder
    loaded = engine.load(folder, request.param)
    assert isinstance(loaded, LoadedModel), loaded
    yield Lane(engine, facts, loaded, bandwidth, measured)
    engine.process.close()


def test_what_is_loaded_is_described_as_it_is(lane: Lane) -> None:
    loaded, facts = lane.loaded, lane.facts
    precision = loaded.request.precision
    assert facts.devices[0].id == "cpu"
    assert facts.devices[0].total_bytes > facts.devices[0].free_bytes > 0
    assert all(probe.ok for probe in facts.probes.values())

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
    activities = {progress.activity for progress in lane.engine.progress}
    bitsandbytes = "bitsandbytes" in precision.libraries
    assert (Activity.QUANTIZING in activities) == bitsandbytes
    assert any(progress.fraction == 1.0 for progress in lane.engine.progress)


def test_greedy_tokens_are_those_of_transformers(lane: Lane, reference: dict[str, Any]) -> None:
    expected = reference[lane.loaded.request.precision.value]
    for prompt, text in zip(PROMPTS, expected, strict=True):
        answer = lane.engine.ask(prompt, max_new_tokens=NEW_TOKENS).answer
        assert answer.stamp.decoder.removeprefix("cached loop, ") in lane.loaded.step_seconds
        assert_as_reference(answer, text)
        assert answer.stamp.verified == lane.loaded.verified
        assert answer.stamp.threads == THREADS


def test_the_floor_counts_the_weights_as_they_are_stored(lane: Lane) -> None:
    loaded = lane.loaded
    assert loaded.floor is not None
    assert loaded.floor.weight_bytes == pytest.approx(read_bytes(loaded), rel=0.002)
    assert loaded.floor.weight_bytes <= loaded.verified.weight_bytes
    assert loaded.floor.cache_bytes > 0
    assert lane.measured or Activity.MEASURING in [p.activity for p in lane.engine.progress]
    kept = msgspec.json.decode(lane.bandwidth.read_bytes())
    assert loaded.floor.bandwidth in [entry["bytes_per_s"] for entry in kept.values()]


def read_bytes(loaded: LoadedModel) -> int:
    """Bytes of weights that a step reads, from how each precision stores them; norms left out."""
    match loaded.request.precision:
        case Precision.FP32:
            return 4 * (LINEAR + EMBEDDINGS)
        case Precision.BF16 | Precision.FP16:
            return 2 * (LINEAR + EMBEDDINGS)
        case Precision.INT8:
            linear = LINEAR + 4 * ROWS
        case Precision.INT8_WEIGHT_ONLY:
            linear = LINEAR + 2 * ROWS
        case Precision.NF4:
            # A scale for 64 weights, in fp32. With avx512_bf16 bitsandbytes repacks the weights
            # at their first call, and then stores the scales in bf16.
            in_fp32 = loaded.verified.bytes_by_dtype["fp32"] > 4 * LINEAR // 64
            linear = LINEAR // 2 + (4 if in_fp32 else 2) * LINEAR // 64
        case Precision.GPTQ:
            # A scale and a zero for 128 weights, in bf16.
            linear = LINEAR // 2 + 4 * LINEAR // 128
    return linear + 2 * EMBEDDINGS


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
    answer = engine.ask(PROMPTS[0], max_new_tokens=NEW_TOKENS).answer
    assert_as_reference(answer, reference["gptq"][0])
