"""`playground eval text` on the bundled model, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.system.resources import resource
from tests.cli.commands import json_lines, one_sentence, playground

FIGURES = ("mean_kld", "median_kld", "kld_99", "kld_99_9", "max_kld", "same_top1", "ln_ppl_ratio")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    classics = resource("calibration", "classics.txt").read_text("utf-8")
    file.write_text(classics[:1500], "utf-8")
    return file


def test_precisions_are_compared_with_the_reference(file: Path) -> None:
    command = ("eval", "text", str(file), "--precisions", "int8,bf16", "--window", "128", "--json")
    done = playground(*command)
    assert done.returncode == 0, done.stderr
    int8, bf16 = (line for line in json_lines(done.stdout) if line["event"] == "text")
    assert (int8["precision"], bf16["precision"]) == ("int8", "bf16")
    assert bf16["reference"]
    assert not int8["reference"]
    assert all(bf16[name] is None for name in FIGURES)
    assert 0 < int8["median_kld"] < int8["mean_kld"] < int8["max_kld"] < 0.1
    assert 0.9 < int8["same_top1"] <= 1
    assert int8["perplexity"] == pytest.approx(bf16["perplexity"], rel=0.01)
    assert bf16["nll"] / (bf16["bytes"] * 0.6931471805599453) == pytest.approx(
        bf16["bits_per_byte"]
    )
    assert bf16["self_check"]["mean_kld"] < 1e-3
    assert int8["protocol"]["window"] == 128
    assert int8["protocol"]["stride"] == 64
    assert int8["protocol"]["windows"] > 2
    assert int8["tokens"] == bf16["tokens"] > 256


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"", "The text is empty"),
        (b"good\nbad \xff", "line 2 has other bytes"),
    ],
)
def test_a_file_that_is_no_text_is_told(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    if content is not None:
        file.write_bytes(content)
    done = playground("eval", "text", str(file))
    assert done.returncode == 1
    assert sentence in one_sentence(done)
