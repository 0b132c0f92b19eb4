"""Telling bundled, folders and Hub ids apart, and choosing a repository's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.hub.downloads.needed_files import needed_files
from playground.hub.redaction import redact
from playground.hub.source import SourceKind, kind_of, model_spec, parse_hub_id

BASE = ["config.json", "tokenizer.json", "tokenizer_config.json"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("gpt2", ModelSpec("gpt2")),
        (" Qwen/Qwen3-0.6B ", ModelSpec("Qwen/Qwen3-0.6B")),
        ("owner/name@v1.0", ModelSpec("owner/name", "v1.0")),
        ("owner/name@refs/pr/3", ModelSpec("owner/name", "refs/pr/3")),
        ("https://huggingface.co/owner/name", ModelSpec("owner/name")),
        ("https://huggingface.co/owner/name/tree/main?x=1", ModelSpec("owner/name")),
        ("https://huggingface.co/owner/name/tree/v2", ModelSpec("owner/name", "v2")),
        ("HTTPS://HuggingFace.co/owner/name/", ModelSpec("owner/name")),
        ("huggingface.co/owner/name", ModelSpec("owner/name")),
        ("hf.co/owner/name#usage", ModelSpec("owner/name")),
        ("https://huggingface.co/gpt2", ModelSpec("gpt2")),
        ("https://huggingface.co/gpt2/tree/main/onnx", ModelSpec("gpt2")),
        ("https://huggingface.co/owner/name/blob/v2/config.json", ModelSpec("owner/name", "v2")),
        ("https://huggingface.co/owner/name/resolve/main/a/b.json", ModelSpec("owner/name")),
        (
            "https://huggingface.co/owner/name/tree/refs%2Fpr%2F3",
            ModelSpec("owner/name", "refs/pr/3"),
        ),
        ("https://huggingface.co/owner/name/tree/refs/pr/3", ModelSpec("owner/name", "refs/pr/3")),
        ("https://huggingface.co/owner/name/discussions/7", ModelSpec("owner/name")),
        ("https://hub.company.example:8443/owner/name", ModelSpec("owner/name")),
    ],
)
def test_ids_are_read(text: str, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.company.example:8443/")
    assert parse_hub_id(text) == spec
    assert kind_of(text) is SourceKind.HUB
    assert model_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://github.com/owner/name", "github.com is not the Hugging Face Hub"),
        ("https://huggingface.co.evil.example/owner/name", "is not the Hugging Face Hub"),
        ("https://[::1/owner/name", "is not the Hugging Face Hub"),
        ("https://huggingface.co/datasets/owner/name", "a data set, not of a model"),
        ("https://huggingface.co/spaces/owner/name", "a space, not of a model"),
        ("https://huggingface.co/", "is not a Hub id"),
        ("https://huggingface.co/owner/..%2F..%2Fetc", "is not a Hub id"),
        ("https://huggingface.co/owner/name/tree/..%2F..", "is not a revision"),
        ("bundled", "comes with the playground"),
    ],
)
def test_what_leads_to_no_model_says_so(text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        parse_hub_id(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a b/c", "a/b/c", "../etc", "a/..", "a--b/c", "a/b.git", "-a/b", "a/b-", "<b>/x",
     "a/b@", "a/b@../x", "x" * 97, "a/b@" + "r" * 300, "a/\u202eb", "a/b\0", "C:\\models"],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_hub_id(text)
    assert caught.value.remedy


def test_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    kinds = {
        "bundled": SourceKind.BUNDLED,
        str(tmp_path): SourceKind.FOLDER,
        "./x": SourceKind.FOLDER,
        "~/models": SourceKind.FOLDER,
        "here": SourceKind.FOLDER,
        "a/b/c": SourceKind.FOLDER,
        "owner/name": SourceKind.HUB,
        "gpt2": SourceKind.HUB,
        "nul\0": SourceKind.HUB,
    }
    assert {source: kind_of(source) for source in kinds} == kinds


def test_safetensors_once_and_nothing_else() -> None:
    names = [
        *BASE, "model.safetensors", "pytorch_model.bin", "model.fp16.safetensors", "README.md",
        "consolidated.safetensors", "onnx/model.onnx", "model-q4.gguf", "tf_model.h5",
        "pytorch_model.bin.index.json", "original/model.safetensors", "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja", "trainer_state.json", "modeling_x.py",
        "merges.txt", "training_args.bin", "notes.txt", ".gitattributes",
    ]  # fmt: skip
    assert needed_files("o/m", names) == sorted(
        [*BASE, "model.safetensors", "chat_template.jinja", "modeling_x.py", "merges.txt",
         "additional_chat_templates/tool_use.jinja"]
    )  # fmt: skip


def test_shards_come_with_their_index() -> None:
    shards = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    names = [*BASE, *shards, "model.safetensors.index.json", "consolidated-00001.safetensors"]
    assert set(needed_files("o/m", names)) == {*BASE, *shards, "model.safetensors.index.json"}


def test_names_of_gptq_weights_are_taken() -> None:
    names = [*BASE, "gptq_model-4bit-128g.safetensors", "quantize_config.json"]
    assert needed_files("o/m", names) == sorted(names)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([*BASE, "pytorch_model.bin"], "pickled weights only"),
        ([*BASE], "no weights at all"),
        (["README.md", "model.Q4_K_M.gguf"], "GGUF"),
        (["adapter_config.json", "adapter_model.safetensors"], "adapter"),
        ([], "no config.json"),
    ],
)
def test_what_cannot_be_loaded_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        needed_files("o/m", names)


def test_secrets_are_taken_out_and_nothing_else() -> None:
    token = "hf_" + "aB3" * 11
    text = f"hf_raise_for_status: Authorization: Bearer {token}, {token} https://x/y?Signature=abc"
    cleaned = redact(text)
    assert token not in cleaned
    assert "Signature" not in cleaned
    assert "hf_raise_for_status" in cleaned
