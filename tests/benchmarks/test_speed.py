"""The benchmark with real engines; llama.cpp itself where its binding is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from playground.core.system.resources import resource
from tests.benchmarks import random_model
from tests.cli.commands import benchmark, json_lines, playground


def test_the_bundled_model_against_generate() -> None:
    done = benchmark("speed", "--bundled-only", "--rounds", "1", "--json")
    last = json_lines(done.stdout)[-1]
    assert last["event"] == "finished", done.stderr
    assert [row["precision"] for row in last["rows"]] == ["bf16", "gptq"]
    for row in last["rows"]:
        assert row["against"] == "generate"
        assert row["speed"] == pytest.approx(row["other_itl_s"] / row["itl_s"])
        assert row["reached"] == (row["speed"] >= row["target"])
    # A missed target is a failed command.
    assert done.returncode == (0 if all(row["reached"] for row in last["rows"]) else 1)


@pytest.mark.parametrize("kind", ["f32", "q8_0"])
def test_llama_cpp_says_what_transformers_says(kind: str, tmp_path: Path) -> None:
    """The converted weights are the same model: its greedy tokens are those of transformers."""
    llama_cpp = pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    from tests.benchmarks.llama_peer import convert, last_logits

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config).bfloat16().float().eval()
    folder = tmp_path / "plain"
    model.bfloat16().save_pretrained(folder)
    convert(folder, kind, tmp_path / "model.gguf")
    peer = llama_cpp.Llama(str(tmp_path / "model.gguf"), n_ctx=64, n_threads=1, verbose=False)
    ids = list(range(10, 26))
    peer.eval(ids)
    theirs = torch.tensor(last_logits(peer))
    with torch.no_grad():
        ours = model.float()(torch.tensor([ids])).logits[0, -1]
    assert torch.corrcoef(torch.stack((ours, theirs)))[0, 1] > 0.999
    peer.close()


def test_the_random_model_is_a_checkpoint_of_both_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {"vocab_size": 512, "hidden_size": 128, "intermediate_size": 256}
    tiny |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    for name, value in tiny.items():
        monkeypatch.setitem(random_model.SHAPE, name, value)
    random_model.make(tmp_path, resource("models") / "classics-6m")
    for name, precision in (("plain", "bf16"), ("gptq", "gptq")):
        done = playground(
            *("run", "--model", str(tmp_path / name), "--precision", precision),
            *("--prompt", "x", "--new-tokens", "3", "--ignore-eos", "--json"),
        )
        assert done.returncode == 0, done.stderr
        last = json.loads(done.stdout.splitlines()[-1])
        assert len(last["token_ids"]) == 3
