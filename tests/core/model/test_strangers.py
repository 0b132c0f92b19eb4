"""Hostile model folders: each is refused with a sentence, quickly, and nothing outside is read."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.core.errors import FileError, ModelError
from playground.core.model.checkpoint import read_checkpoint
from playground.core.model.kind import check_generates
from playground.core.model.kv_cache import CacheShape, cache_shape
from playground.core.model.safetensors_header import MAX_HEADER, read_header
from tests.support.cached_model import put_snapshot
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files()
CONFIG = json.loads(FILES["config.json"])
Change = dict[str, bytes]


def config(**changes: object) -> Change:
    return {"config.json": json.dumps(CONFIG | changes).encode()}


def weights(header: object, data: bytes = b"") -> Change:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return {"model.safetensors": struct.pack("<Q", len(text)) + text + data}


def tensor(**changes: object) -> Change:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes
    return weights({"a": entry}, b"1234")


def index(name: object) -> Change:
    return {"model.safetensors.index.json": json.dumps({"weight_map": {"a": name}}).encode()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (config(num_hidden_layers=10**30), "num_hidden_layers as 1000000000000000000"),
        (config(num_hidden_layers=10**8), "num_hidden_layers"),
        (config(num_hidden_layers="many"), "num_hidden_layers as 'many'"),
        (config(num_hidden_layers=[1, 10**9]), "num_hidden_layers"),
        (config(text_config={"num_attention_heads": 10**12}), "num_attention_heads"),
        (config(num_labels=10**8), "num_labels"),
        (config(num_local_experts=10**6), "num_local_experts"),
        (config(vocab_size=10**20), "vocab_size"),
        (config(hidden_size=float("inf")), "hidden_size as inf"),
        (config(max_position_embeddings=float("nan")), "max_position_embeddings as nan"),
        (config(max_position_embeddings=10**12), "max_position_embeddings"),
        ({"config.json": b'{"max_position_embeddings": 1' + b"0" * 400 + b"}"}, "401 digits"),
        (config(configuration_files=["config.4.0.0.json"]), "configuration_files"),
        ({"generation_config.json": b"[" * 5000}, "generation_config.json is damaged"),
        ({"special_tokens_map.json": b"[]"}, "special_tokens_map.json is damaged"),
        ({"tokenizer_config.json": b'{"auto_map": 5}'}, "auto_map names no classes"),
        (
            {"tokenizer_config.json": b'{"fast_tokenizer_files": ["../x/tokenizer.4.0.json"]}'},
            "does not lie in the model's folder",
        ),
        (index("../other/model.safetensors"), "does not lie in the model's folder"),
        (index("/etc/passwd"), "does not lie in the model's folder"),
        (index("inner/model.safetensors"), "does not lie in the model's folder"),
        (index(".."), "does not lie in the model's folder"),
        (index("x" * 5000), "is not the name of a file"),
        (index("nul\0"), "is not the name of a file"),
        (index({"b": [1]}), "is not the name of a file"),
        (weights(b'{"a":' * 5000 + b"1" + b"}" * 5000), "damaged header"),
        (tensor(shape=[float("inf")]), "damaged header"),
        (tensor(shape=[1.0]), "damaged header"),
        (tensor(shape=[10**30]), "damaged header"),
        (tensor(shape=[-1, -1]), "damaged header"),
        (tensor(shape=[2**40]), "damaged header"),
        (tensor(shape=[True]), "damaged header"),
        (tensor(shape=[1] * 100), "damaged header"),
        (tensor(shape="1"), "damaged header"),
        (tensor(dtype=["F32"]), "damaged header"),
        (tensor(dtype="X1", shape=[10**9]), "damaged header"),
        (tensor(data_offsets=[4, 0]), "damaged header"),
        (tensor(data_offsets=[0, 10**30]), "damaged header"),
        (tensor(data_offsets=[0]), "damaged header"),
        (weights({"a" * 5000: {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}, b"1234"),
         "damaged header"),
    ],
)  # fmt: skip
def test_what_no_model_has_is_refused(tmp_path: Path, change: Change, says: str) -> None:
    write_files(tmp_path / "other", FILES)
    folder = write_files(tmp_path / "model", FILES | change)
    (folder / "inner").mkdir()
    (folder / "inner" / "model.safetensors").write_bytes(FILES["model.safetensors"])
    if "model.safetensors.index.json" in change:
        (folder / "model.safetensors").unlink()  # else the index would not be read
    with pytest.raises(ModelError) as caught:
        read_checkpoint(folder)
    assert says in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.remedy.endswith(".")


def test_a_path_of_any_length_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(tmp_path / ("x" * 5000))
    assert len(caught.value.message) < 400


def pipe(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()
    os.mkfifo(folder / "tokenizer_config.json")


def template_pipe(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    os.mkfifo(folder / "additional_chat_templates" / "tool.jinja")


def linked_out(name: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        other = folder.with_name("other")
        (folder / name).rename(other)
        (folder / name).symlink_to(other)

    return link


def sparse(folder: Path) -> None:
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 1_500_000_000))
        file.truncate(2_000_000_000)


def sparse_config(folder: Path) -> None:
    os.truncate(folder / "config.json", 2_000_000_000)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (pipe, "tokenizer_config.json is a pipe"),
        (template_pipe, "tool.jinja is a pipe"),
        (linked_out("model.safetensors"), "model.safetensors is refused: it is a link"),
        (linked_out("tokenizer.json"), "tokenizer.json is refused: it is a link"),
        (sparse, "not a safetensors file"),
        (sparse_config, "larger than"),
    ],
)
def test_only_ordinary_files_of_the_folder_are_read(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    folder = write_files(tmp_path / "model", FILES)
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(folder)
    assert says in caught.value.message


def test_links_inside_the_folder_and_to_blobs_of_a_cache_are_followed(tmp_path: Path) -> None:
    snapshot = put_snapshot(tmp_path / "hub", "o/m", "c" * 40, FILES)
    found = read_checkpoint(snapshot)
    linked = tmp_path / "linked"
    linked.symlink_to(snapshot)
    assert read_checkpoint(linked).sizes == found.sizes
    beside = write_files(tmp_path / "beside", FILES)
    (beside / "model.safetensors").rename(beside / "weights.bin")
    (beside / "model.safetensors").symlink_to("weights.bin")
    assert read_checkpoint(beside).sizes == found.sizes


def test_a_long_header_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER + 1))
        file.truncate(2 * MAX_HEADER)
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_header(path)


def shape(**changes: Any) -> CacheShape | None:
    return cache_shape(
        {"num_hidden_layers": 12, "num_attention_heads": 2, "hidden_size": 8, **changes}
    )


def test_layers_are_counted_by_formula() -> None:
    # Keys and values of 8 numbers each, so that a layer stores 16.
    assert shape() == CacheShape(12 * 16)
    assert shape(sliding_window=4) == CacheShape(0, 12 * 16, 4)
    gemma = {"sliding_window": 4, "model_type": "gemma3_text"}
    assert shape(**gemma) == CacheShape(2 * 16, 10 * 16, 4)
    assert shape(**gemma, num_hidden_layers=17) == CacheShape(2 * 16, 15 * 16, 4)
    qwen = {"sliding_window": 4, "model_type": "qwen2", "use_sliding_window": True}
    assert shape(**qwen, max_window_layers=5) == CacheShape(5 * 16, 7 * 16, 4)
    assert shape(**qwen, max_window_layers=50) == CacheShape(12 * 16)
    kinds = ["full_attention", "sliding_attention", "linear_attention"] * 4
    hybrid = CacheShape(4 * 16, 4 * 16, 4, hybrid=True)
    assert shape(sliding_window=4, layer_types=kinds) == hybrid
    for many in ({"attn_layer_period": 10**9, "attn_layer_offset": 0}, {"block_types": ["mamba"]}):
        assert shape(num_hidden_layers=10**9, **many) is not None
    # Above any model's, as from a config that nobody has checked.
    assert shape(num_hidden_layers=10**400) is None
    assert shape(num_hidden_layers=12.0) == CacheShape(12 * 16)


@pytest.mark.parametrize(
    "error",
    [
        lambda name: FileError(name, "is damaged"),
        lambda name: ModelError(f"The architecture {name} is unknown."),
        lambda name: check_generates({"architectures": [f"{name}ForMaskedLM"]}),
        lambda name: check_generates({"model_type": name, "is_encoder_decoder": True}),
    ],
)
def test_a_long_name_fits_into_a_sentence(error: Callable[[str], ModelError | None]) -> None:
    with pytest.raises(ModelError) as caught:
        raise error("x" * 5000) or AssertionError
    assert len(caught.value.message) < 1000
    assert "xxxx" in str(caught.value)
    assert caught.value.message.endswith(("unknown.", "damaged.", "none.", "continue a text."))
