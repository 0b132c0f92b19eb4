"""The benchmark: the whole script with a tiny model on the CPU, and without a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.cli.commands import benchmark, json_lines, playground_process

PRECISIONS = ["bf16", "int8wo", "gptq", "nf4", "int8"]


def test_the_whole_benchmark_runs_on_the_cpu(tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    done = playground_process(
        *("--shape", "tiny", "--device", "cpu", "--rounds", "1", "--json"),
        *("--output", str(output)),
        module="tests.benchmarks.gpu",
        # A second thread waits for its core at every layer where another program has it.
        env={"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text("utf-8"))
    last = json_lines(done.stdout)[-1]
    assert last == {"event": "finished", **result}
    assert result["conditions"]["device"] == "cpu"
    assert result["conditions"]["bandwidth_bytes_per_s"] > 1e8
    # The wheel's metadata may lack the local part ("+cu130") that torch itself names.
    told = result["conditions"]["versions"]["torch"]
    assert told.partition("+")[0] == torch.__version__.partition("+")[0]
    assert result["failed"] == result["left_out"] == []
    assert [m["precision"] for m in result["models"]] == PRECISIONS
    for model in result["models"]:
        assert model["verified_precision"] == model["precision"]
        assert model["correct"]
    decoders = {m["precision"]: m["decoder"] for m in result["models"]}
    # The exact product waits for the host, so that nothing could be captured.
    assert decoders["int8"] != decoders["int8wo"] == "CUDA-graph loop, not captured"
    speed = {(row["precision"], row["slots"]): row for row in result["speed"]}
    assert list(speed) == [(p, slots) for p in PRECISIONS for slots in (512, 1024)]
    for (precision, slots), row in speed.items():
        assert row["own_itl_s"] > 0
        assert row["fraction"] == pytest.approx(
            row["step_bytes"] / result["conditions"]["bandwidth_bytes_per_s"] / row["own_itl_s"],
            rel=0.05,
        )
        assert row["reached"] is None
        if precision == "bf16":
            assert row["to_bf16"] == 1.0
        # Two layers, two heads of 32, keys and values in bf16.
        grown = speed[precision, 1024]["step_bytes"] - speed[precision, 512]["step_bytes"]
        assert grown == 512 * 2 * 2 * 2 * 32 * 2, slots
    assert [row["precision"] for row in result["founding"]] == PRECISIONS
    assert "finished" not in result


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = benchmark("gpu", "--output", str(tmp_path / "result.json"))
    assert done.returncode == 1
    told = done.stderr.decode()
    assert "There is no CUDA device" in told
    assert "--shape tiny --device cpu" in told
    assert "Traceback" not in told
    assert not (tmp_path / "result.json").exists()


def test_a_large_model_is_not_begun_on_a_cpu() -> None:
    done = benchmark("gpu", "--device", "cpu")
    assert done.returncode == 1
    assert "--shape tiny" in done.stderr.decode()
