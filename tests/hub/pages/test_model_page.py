"""The page of a model: from the Hub, from this machine, with all that can be wrong in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.safetensors_header import read_header
from playground.hub.catalog import Gate
from playground.hub.errors import HubError
from playground.hub.local.models import folder_row, ids_here, local_models
from playground.hub.pages.derivatives import read_derivatives
from playground.hub.pages.model_page import local_page, read_page
from playground.hub.pages.tensor_tables import folder_tensors, read_tensors
from playground.hub.site.api import HubSite
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files()
CARD = b"""---
license: mit
license_link: https://example.com/licence
language: [en, de]
base_model: base/model
model-index:
- name: base/model
  results:
  - task: {type: text-generation, name: Text Generation}
    dataset: {name: GSM8K, type: gsm8k, args: {num_few_shot: 5}}
    metrics:
    - {type: acc, value: 63.3, name: accuracy}
    - {type: acc, value: .nan}
    - {type: acc, value: {nested: 1}}
    source: {name: A leaderboard, url: 'https://example.com/board'}
  - 17
---
# The model

Some *text*.
"""
SPEC = ModelSpec("owner/model")


def test_all_that_a_page_tells(hub: HubServer, site: HubSite) -> None:
    tokenizer = {"tokenizer_class": "LlamaTokenizerFast", "chat_template": "{{ messages }}"}
    repository = hub.add(
        Repository(
            "owner/model",
            FILES
            | {
                "README.md": CARD,
                "tokenizer_config.json": json.dumps(tokenizer).encode(),
                "pytorch_model.bin": b"x" * 5000,
                "onnx/model.onnx": b"y" * 3000,
            },
            gated="manual",
            granted={"friend"},
            tags=("license:mit", "base_model:base/model", "base_model:finetune:base/model"),
        )
    )
    token = "hf_good"
    hub.tokens = {token: "friend"}
    site = HubSite(hub.endpoint, site.cache, token)
    page = read_page(SPEC, site)
    assert page.commit == repository.refs["main"]
    assert page.card == "# The model\n\nSome *text*."
    assert (page.architecture, page.model_type) == ("LlamaForCausalLM", "llama")
    assert (page.context_length, page.vocabulary) == (512, 256)
    assert page.licence == "mit"
    assert (page.gate, page.ask_at) == (Gate.MANUAL, f"{hub.endpoint}/owner/model")
    assert (page.chat_template, page.tokenizer_class) == ("{{ messages }}", "LlamaTokenizerFast")
    assert (page.base_models, page.base_relation) == (("base/model",), "finetune")
    assert {file.name for file in page.files if file.needed} == set(FILES)
    assert page.load_bytes == sum(f.size or 0 for f in page.files if f.needed)
    assert page.skipped_bytes == 8000 + len(CARD)
    (result,) = page.evaluations
    assert (result.dataset, result.metric, result.value) == ("GSM8K", "accuracy", "63.3")
    assert (result.measured_on, result.precision) == ("base/model", "")
    assert result.source_url == "https://example.com/board"
    assert not page.notes
    assert not [r for r in hub.requests if "/cdn/" in r]  # not a byte of the weights


def test_a_gated_page_is_read_as_far_as_it_may(hub: HubServer, site: HubSite) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}, gated="auto"))
    page = read_page(SPEC, site)
    assert page.gate is Gate.AUTOMATIC
    assert page.load_bytes == sum(map(len, FILES.values()))
    assert page.architecture == ""
    assert any("gated" in note for note in page.notes)
    with pytest.raises(HubError, match="gated") as caught:
        read_tensors(SPEC, site)
    assert caught.value.ask_at == page.ask_at
    assert caught.value.needs_login


def test_results_say_whose_they_are(hub: HubServer, site: HubSite) -> None:
    entry = {
        "dataset": {"id": "cais/hle", "task_id": "default", "revision": "abc"},
        "value": 20.9,
        "date": "2025-01-15",
        "source": {"url": "https://example.com/logs", "name": "Logs", "org": "cais"},
        "notes": "no-tools, bf16",
        "verifyToken": "signed",
    }
    bad = [{"filename": "x", "error": "broken"}, {"dataset": {"id": "a/b"}}, 5]
    quantized = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    config = json.loads(FILES["config.json"]) | quantized
    files = FILES | {"config.json": json.dumps(config).encode(), "README.md": CARD}
    repository = hub.add(Repository("owner/model", files, facts={"evalResults": [entry, *bad]}))
    page = read_page(SPEC, site)
    result = page.evaluations[0]
    assert (result.dataset, result.task, result.value) == ("cais/hle", "default", "20.9")
    assert (result.source, result.date, result.verified) == ("Logs", "2025-01-15", True)
    assert (result.measured_on, result.precision) == ("owner/model", "bf16")
    assert any("may be those of the model it was made from" in note for note in page.notes)
    # A Hub that does not tell them: the files themselves.
    repository.facts = {}
    told = "- dataset: {id: cais/hle, task_id: default}\n  value: 0.5\n  date: 2025-01-15\n"
    repository.files |= {".eval_results/hle.yaml": told.encode(), ".eval_results/x.yaml": b"{["}
    assert read_page(SPEC, site).evaluations[0].value == "0.5"


def test_a_hostile_repository_makes_a_page_all_the_same(hub: HubServer, site: HubSite) -> None:
    hub.add(
        Repository(
            "owner/model",
            FILES
            | {
                "config.json": b'{"architectures": 5, "vocab_size": "x", "text_config": []}',
                "tokenizer_config.json": b'{"chat_template": [{"name": 1}], "tokenizer_class": {}}',
                "README.md": b"---\n- a\n- list\n---\n" + b"<script>x</script>long " * 500_000,
                "../../evil.json": b"{}",
                "c:\\evil.json": b"{}",
                "<b>bold</b>.json": b"{}",
            },
            facts={"cardData": "x", "model-index": {"a": 1}, "gated": "what", "tags": [5, None]},
        )
    )
    page = read_page(SPEC, site)
    assert page.card_cut
    assert "script" not in page.card
    assert len(page.card) <= 100_000
    assert (page.architecture, page.vocabulary, page.chat_template) == ("", 0, "")
    assert page.gate is Gate.OPEN
    needed = {file.name for file in page.files if file.needed}
    # The library refuses to download such names, and with them the whole model.
    assert not needed & {"../../evil.json", "c:\\evil.json"}


def test_what_cannot_be_loaded_says_so(hub: HubServer, site: HubSite) -> None:
    hub.add(Repository("owner/model", {"model-Q4.gguf": b"x", "README.md": b"hello"}))
    page = read_page(SPEC, site)
    assert "GGUF" in page.cannot_load
    assert (page.card, page.load_bytes) == ("hello", None)
    with pytest.raises(ModelError, match="GGUF"):
        read_tensors(SPEC, site)


def test_an_unknown_model_and_a_hub_in_trouble(hub: HubServer, site: HubSite) -> None:
    with pytest.raises(HubError, match="knows no model owner/model"):
        read_page(SPEC, site)
    hub.add(Repository("owner/model", FILES))
    with pytest.raises(HubError, match="no revision “v9”"):
        read_page(ModelSpec("owner/model", "v9"), site)
    hub.add_fault(Fault("/tree/", 500))
    hub.add_fault(Fault("tokenizer_config", 500))
    page = read_page(SPEC, site)
    assert page.load_bytes is None
    assert page.context_length == 512
    assert len(page.notes) == 2


def test_offline_the_copy_on_this_machine_is_shown(nobody: HubSite) -> None:
    with pytest.raises(HubError, match="cannot be reached"):
        read_page(SPEC, nobody)
    put_snapshot(nobody.cache, "owner/model", "c" * 40, FILES | {"README.md": CARD}, "main")
    page = read_page(SPEC, nobody)
    assert "copy on this machine" in page.notes[0]
    assert (page.commit, page.context_length, page.licence) == ("c" * 40, 512, "mit")
    assert page.card.startswith("# The model")
    table = read_tensors(SPEC, nobody, page.commit)
    assert len(table.tensors) == 20
    assert read_tensors(SPEC, nobody) == table


def test_a_folder_has_a_page(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "mine", FILES | {"notes/x.txt": b"1234"})
    page = local_page(folder_row(folder))
    assert page.row.name == "mine"
    assert (page.page_url, page.skipped_bytes) == ("", 4)
    assert page.load_bytes == sum(map(len, FILES.values()))
    (folder / "config.json").unlink()
    assert "config.json" in local_page(folder_row(folder)).cannot_load


def test_the_tensors_of_a_sharded_model_without_its_weights(
    hub: HubServer, site: HubSite, tmp_path: Path
) -> None:
    big = tiny_model_files(hidden=256)
    whole = write_files(tmp_path / "m", big)
    second = tiny_model_files(hidden=64, layers=400)["model.safetensors"]  # a header above 100 kB
    files = {name: data for name, data in big.items() if name != "model.safetensors"}
    files |= {
        "model-00001-of-00002.safetensors": big["model.safetensors"],
        "model-00002-of-00002.safetensors": second,
        "model.safetensors.index.json": b'{"weight_map": {}}',
    }
    hub.add(Repository("owner/model", files))
    table = read_tensors(SPEC, site)
    expected = read_header(whole / "model.safetensors")
    assert list(table.tensors[: len(expected)]) == expected
    assert len(table.tensors) == len(expected) + 400 * 9 + 2
    assert table.weight_bytes == len(big["model.safetensors"]) + len(second)
    assert table.config["hidden_size"] == 256
    assert not list(site.cache.rglob("*"))  # looking at a model leaves nothing behind


def test_settings_of_autogptq_are_told_with_the_config(hub: HubServer, site: HubSite) -> None:
    files = {name: data for name, data in FILES.items() if name != "model.safetensors"}
    files |= {
        "gptq_model-4bit-128g.safetensors": FILES["model.safetensors"],
        "quantize_config.json": b'{"bits": 4, "group_size": 128}',
    }
    hub.add(Repository("owner/model", files))
    table = read_tensors(SPEC, site)
    assert table.config["quantization_config"]["bits"] == 4
    assert read_page(SPEC, site).config["quantization_config"]["quant_method"] == "gptq"


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 200, b"\x02" + b"\0" * 7 + b"[]"])
def test_damaged_weights_are_said(hub: HubServer, site: HubSite, data: bytes) -> None:
    hub.add(Repository("owner/model", FILES | {"model.safetensors": data}))
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_tensors(SPEC, site)


def test_the_tensors_of_the_bundled_model() -> None:
    row = local_models()[0]
    assert row.folder is not None
    table = folder_tensors(row.folder)
    assert sum(tensor.elements for tensor in table.tensors) == row.parameters


def test_quantized_versions_by_method(hub: HubServer, site: HubSite) -> None:
    def quantized(
        id_: str, method: str, *tags: str, downloads: int = 0, **settings: object
    ) -> None:
        config = {"quantization_config": {"quant_method": method, **settings}} if method else {}
        facts = {"config": config, "downloads": downloads}
        tag = "base_model:quantized:owner/model"
        hub.add(Repository(id_, {}, tags=(tag, *tags), facts=facts))

    quantized("a/model-GPTQ", "gptq", bits=4)
    quantized("b/model-GPTQ", "gptq", bits=4, downloads=9)
    quantized("a/model-AWQ", "awq", bits=4)
    quantized("a/model-nf4", "bitsandbytes", load_in_4bit=True)
    quantized("a/model-int8", "bitsandbytes", load_in_8bit=True)
    quantized("a/model-GGUF", "", "gguf")
    quantized("a/model-what", "")
    hub.add(Repository("a/finetune", {}, tags=("base_model:finetune:owner/model",)))
    groups = read_derivatives("owner/model", site, here={"a/model-AWQ"})
    found = {group.method: [row.name for row in group.rows] for group in groups}
    assert found == {
        "gptq": ["b/model-GPTQ", "a/model-GPTQ"],
        "bitsandbytes": ["a/model-nf4", "a/model-int8"],
        "awq": ["a/model-AWQ"],
        "gguf": ["a/model-GGUF"],
        "other": ["a/model-what"],
    }
    assert [group.method for group in groups if group.runs] == [g.method for g in groups[:2]]
    assert groups[-1].method == "other"
    assert next(g for g in groups if g.method == "awq").rows[0].is_here
    assert ids_here(()) == frozenset()
