"""The bytes that a step reads, counted in small models, and the measured memory bandwidth."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
)

from playground.core.floor import Floor
from playground.engine.loading.step_bytes import step_floor
from playground.engine.machine import bandwidth

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, WORDS = 64, 96, 3, 4, 2, 300
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "max_position_embeddings": 256,
}
ATTENTION = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * HIDDEN * KV_HEADS // HEADS
NORMS = (2 * LAYERS + 1) * HIDDEN
MLP = 3 * HIDDEN * INNER
CACHE = LAYERS * 2 * KV_HEADS * (HIDDEN // HEADS)
#: Two tables of rotary frequencies, HEAD_DIM / 2 in fp32: they are read, but are no weights.
ROTARY = 2 * HIDDEN // HEADS // 2 * 4


def floor_of(config: PreTrainedConfig, dtype: torch.dtype = torch.float32) -> Floor:
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    return step_floor(model, 1e9)


@pytest.mark.parametrize(("tied", "table"), [(True, WORDS * HIDDEN), (False, WORDS * HIDDEN)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_counts_once(tied: bool, table: int, dtype: torch.dtype) -> None:
    floor = floor_of(LlamaConfig(**SIZES, tie_word_embeddings=tied), dtype)
    row = 0 if tied else HIDDEN  # a table that is only looked up
    values = LAYERS * (ATTENTION + MLP) + NORMS + table + row
    assert floor.weight_bytes == values * dtype.itemsize + ROTARY
    assert floor.cache_bytes == CACHE * dtype.itemsize
    assert floor.window == 0


def test_position_tables_are_looked_up_too() -> None:
    config = GPT2Config(vocab_size=WORDS, n_embd=HIDDEN, n_layer=LAYERS, n_head=4, n_positions=128)
    model = AutoModelForCausalLM.from_config(config).eval()
    everything = sum(p.numel() for p in model.parameters()) * 4
    assert step_floor(model, 1e9).weight_bytes == everything - 127 * HIDDEN * 4


def test_layers_with_a_window_are_told_apart() -> None:
    floor = floor_of(MistralConfig(**SIZES, sliding_window=32))
    assert (floor.cache_bytes, floor.window_bytes, floor.window) == (0, CACHE * 4, 32)


def test_of_a_mixture_only_the_chosen_experts_are_read() -> None:
    few, all_of_them = (
        floor_of(MixtralConfig(**SIZES, num_local_experts=4, num_experts_per_tok=n)).weight_bytes
        for n in (1, 4)
    )
    assert all_of_them - few == LAYERS * 3 * MLP * 4


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in milliseconds: these tests are not about the figure."""
    monkeypatch.setattr(bandwidth, "_buffer_bytes", lambda _: 2**22)


@pytest.mark.usefixtures("small_buffers")
def test_the_bandwidth_is_measured_until_a_measurement_was_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    name = "this machine"
    best = 0.0
    for attempt in range(1, 20):
        found = bandwidth.bandwidth("cpu", name)
        assert found.attempts == attempt
        assert found.bytes_per_s >= best
        best = found.bytes_per_s
        if found.holds:
            break
    assert bandwidth.known("cpu", name) == bandwidth.bandwidth("cpu", name) == found
    assert 1e8 < best < 1e13
    assert bandwidth.known("cpu", "another") is None


@pytest.mark.usefixtures("small_buffers")
@pytest.mark.parametrize(
    ("days", "rate", "steady", "again"),
    [
        (2, 1e6, False, True),  # its five measurements were all disturbed
        (-2, 1e6, False, True),  # the clock was put back
        (0, 1e6, False, False),
        (2, 1e15, False, True),
        (400, 1e6, True, False),
    ],
)
def test_a_disturbed_bandwidth_is_measured_again_the_next_day(
    days: int,
    rate: float,
    steady: bool,
    again: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    name = "this machine"
    bandwidth.bandwidth("cpu", name)
    file = tmp_path / "cache" / "bandwidth.json"
    ((key, entry),) = json.loads(file.read_bytes()).items()
    measured = datetime.now(UTC) - timedelta(days=days)
    entry |= {"bytes_per_s": rate, "steady": steady, "attempts": 5}
    file.write_text(json.dumps({key: entry | {"measured": measured.isoformat()}}), "utf-8")
    assert (bandwidth.known("cpu", name) is None) is again
    found = bandwidth.bandwidth("cpu", name)
    assert found.attempts == 5 + again
    assert (found.bytes_per_s > rate) is (again and rate == 1e6)
    assert found.bytes_per_s >= rate
    recent = abs(datetime.now(UTC) - found.measured) < timedelta(hours=1)
    assert recent is (again or days == 0)
    # The new measurement holds for a day, even if it was disturbed too.
    assert bandwidth.known("cpu", name) == found


@contextlib.contextmanager
def busy_core(programs: int) -> Iterator[None]:
    """Keep this thread on one core, together with programs that never sleep."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    # They inherit the core.
    spin = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    others = [subprocess.Popen(spin, stdout=subprocess.PIPE) for _ in range(programs)]
    try:
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()
        yield
    finally:
        os.sched_setaffinity(0, before)
        for other in others:
            other.kill()
            other.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are kept on a core as Linux does")
def test_a_busy_core_is_noticed_and_does_not_lower_the_bandwidth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A pass takes as long as several turns of the programs that share the core.
    monkeypatch.setattr(bandwidth, "_buffer_bytes", lambda _: 2**27)
    usual = max(bandwidth.measure("cpu").bytes_per_s for _ in range(3))
    with busy_core(programs=4):
        found = bandwidth.measure("cpu")
    assert not found.steady
    # The four programs leave this one a fifth of the time.
    assert found.bytes_per_s > 0.4 * usual


def test_the_buffers_are_larger_than_the_caches() -> None:
    found = bandwidth.measure("cpu")
    assert 1e8 < found.bytes_per_s < 1e13
    assert bandwidth._buffer_bytes("cpu") >= min(
        2 * bandwidth._last_level_caches(), bandwidth.machine_memory().free // 20
    )


@pytest.mark.usefixtures("small_buffers")
def test_a_folder_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("a file where a folder should be", "utf-8")
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    assert bandwidth.bandwidth("cpu", "this machine").bytes_per_s > 0
