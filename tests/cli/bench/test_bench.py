"""`playground bench` with real engines and the bundled model."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.cli.commands import json_lines, one_sentence, playground, playground_process
from tests.support.tiny_model import tiny_model_files, write_files


def test_medians_of_alternating_runs() -> None:
    done = playground_process(
        *("bench", "--precisions", "bf16,fp32", "--prompt", "The old house"),
        *("--new-tokens", "6", "--repeats", "3", "--json"),
    )
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    runs = [line for line in lines if line["event"] == "run"]
    order = [(run["repeat"], run["precision"]) for run in runs]
    assert order == [(0, "bf16"), (0, "fp32"), (1, "fp32"), (1, "bf16"), (2, "bf16"), (2, "fp32")]
    last = lines[-1]
    assert last["event"] == "finished"
    assert last["failed"] == []
    for lane in last["lanes"]:
        own = [run for run in runs if run["precision"] == lane["precision"]]
        for name in ("ttft_s", "decode_tok_s", "end_to_end_s", "itl_p50_s", "floor_s", "of_floor"):
            assert lane[name] == statistics.median(run[name] for run in own)
        assert lane["verified_precision"] == lane["precision"]
        assert lane["tokens"] == 6
        assert lane["peak_memory_bytes"] > 1_000_000
    first, second = last["lanes"]
    assert first["decode_tok_s_ratio"] == first["end_to_end_s_ratio"] == 1.0
    assert second["end_to_end_s_ratio"] == second["end_to_end_s"] / first["end_to_end_s"]


def test_a_precision_that_cannot_be_had_leaves_the_others(tmp_path: Path) -> None:
    model = write_files(tmp_path / "tiny", tiny_model_files(hidden=128))
    done = playground(
        *("bench", "--model", str(model), "--precisions", "gptq,fp32", "--prompt", "ab"),
        *("--new-tokens", "4", "--repeats", "1", "--json"),
    )
    assert done.returncode == 1
    lines = json_lines(done.stdout)
    failed = next(line for line in lines if line["event"] == "lane failed")
    assert failed["precision"] == "gptq"
    assert "not GPTQ-quantized" in failed["message"]
    assert failed["remedy"]
    assert lines[-1]["failed"] == ["gptq"]
    assert [lane["precision"] for lane in lines[-1]["lanes"]] == ["fp32"]
    told = playground("bench", "--model", str(model), "--precisions", "gptq", "--prompt", "ab")
    assert told.returncode == 1
    assert "not GPTQ-quantized" in one_sentence(told)


def test_the_founding_comparison_for_people() -> None:
    done = playground("bench", "--founding")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    for figure in ("1.34 s", "389 ms", "269 ms", "single runs", "Medians of 5 runs"):
        assert figure in text
    for precision in ("bf16", "int8", "gptq"):
        assert f"\n{precision} " in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "bench needs a prompt. Give --prompt"),
        (["--founding", "--prompt", "x"], "--prompt cannot be given. Leave out --prompt"),
        (["--prompt", "x", "--new-tokens", "0"], "New tokens must be between"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], sentence: str) -> None:
    done = playground("bench", *arguments)
    assert done.returncode == 1
    assert sentence in one_sentence(done)
