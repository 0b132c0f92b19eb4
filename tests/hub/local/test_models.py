"""The cache as it is found on real machines, and what a source resolves to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.remote_code import read_code
from playground.core.precision import Precision
from playground.hub.catalog import Where
from playground.hub.local import file_hashes
from playground.hub.local.cache import cached_models, find_cached
from playground.hub.local.consent import consent_to
from playground.hub.local.deletion import delete, plan_deletion
from playground.hub.local.fingerprint import bytes_to_hash, fingerprint, hash_whole
from playground.hub.local.models import folder_row, local_models
from playground.hub.local.resolve import resolve
from playground.hub.pages.model_page import local_page
from tests.support.cached_model import put_snapshot
from tests.support.tiny_model import tiny_model_files, write_files

COMMIT, OLDER = "c" * 40, "a" * 40
FILES = tiny_model_files()


def test_no_cache_is_no_error(tmp_path: Path) -> None:
    assert cached_models(tmp_path / "nothing") == []
    (tmp_path / "file").write_text("")
    assert cached_models(tmp_path / "file") == []


def test_damaged_snapshots_are_told_and_hide_no_other(tmp_path: Path) -> None:
    put_snapshot(tmp_path, "good/one", COMMIT, FILES, "main")
    put_snapshot(tmp_path, "good/one", OLDER, {"config.json": b"{}"})
    broken = put_snapshot(tmp_path, "broken/link", COMMIT, FILES, "main")
    (broken / "model.safetensors").resolve().unlink()
    put_snapshot(tmp_path, "only/pickle", COMMIT, {"config.json": b"{}", "pytorch_model.bin": b""})
    index = json.dumps({"weight_map": {"w": "model-00001-of-00001.safetensors"}}).encode()
    put_snapshot(
        tmp_path, "half/shards", COMMIT,
        {"config.json": b"{}", "model.safetensors.index.json": index}, "main",
    )  # fmt: skip
    put_snapshot(
        tmp_path, "bad/index", COMMIT,
        {"config.json": b"{}", "model.safetensors.index.json": b"[]"}, "main",
    )  # fmt: skip
    (tmp_path / "models--no--snapshots").mkdir()
    (tmp_path / "models--").mkdir()
    (tmp_path / "models--a--b--c").mkdir()
    (tmp_path / "datasets--x--y" / "snapshots" / COMMIT).mkdir(parents=True)
    (tmp_path / "version.txt").write_text("1")
    write_files(tmp_path / "models--good--one" / "refs", {"dangling": b"f" * 40, "bin": b"\xff"})
    found = {(model.id, model.commit): model for model in cached_models(tmp_path)}
    good = found.pop(("good/one", COMMIT))
    assert good.complete
    assert good.refs == ("main",)
    assert good.size == sum(map(len, FILES.values()))
    problems = {key[0]: model.problem for key, model in found.items()}
    assert "missing" in problems["good/one"]
    assert "model.safetensors" in problems["broken/link"]
    assert "pickled" in problems["only/pickle"]
    assert "incomplete" in problems["half/shards"]
    assert "damaged" in problems["bad/index"]
    assert len(found) == 5


def test_no_damaged_model_hides_another_and_each_can_be_deleted(tmp_path: Path) -> None:
    library, cache = tmp_path / "library", tmp_path / "hub"
    deep = b"[" * 5000
    long_name = json.dumps({"weight_map": {"a": "x" * 5000}}).encode()
    spoilt = {
        "layers": {"config.json": b'{"model_type": "llama", "num_hidden_layers": 1' + b"0" * 30},
        "deep": {"config.json": deep},
        "none": {"config.json": b"5"},
        "name": {"model.safetensors.index.json": long_name},
        "header": {"model.safetensors": b"\x88\x13\0\0\0\0\0\0" + deep},
    }
    for name, change in spoilt.items():
        files = FILES | change
        if name == "name":
            del files["model.safetensors"]  # else the index would not be read
        write_files(library / name, files)
        put_snapshot(cache, f"o/{name}", COMMIT, files, "main")
    piped = write_files(library / "pipe", FILES)
    (piped / "config.json").unlink()
    for pipe in (
        piped / "config.json",
        piped / "README.md",
        put_snapshot(cache, "o/pipe", COMMIT, FILES, "main") / "README.md",
        cache / "models--o--pipe" / "refs" / "pipe",
    ):
        os.mkfifo(pipe)
    write_files(library / "good", FILES)
    os.utime(library / "good" / "config.json", (2**40, 2**40))
    rows = local_models([library, Path("~nosuchuser")], cache)
    here = {(row.where, row.name): row for row in rows}
    assert here.pop((Where.BUNDLED, "classics-6m")).problem == ""
    assert here.pop((Where.FOLDER, "good")).problem == ""
    assert here.pop((Where.CACHE, "o/pipe")).problem == ""
    names = [*spoilt, "pipe"]
    assert {name for where, name in here if where is Where.FOLDER} == {*names}
    assert {name for where, name in here if where is Where.CACHE} == {f"o/{n}" for n in spoilt}
    for row in here.values():
        assert row.problem.endswith(".")
        assert "\n" not in row.problem
        local_page(row)
        assert row.is_deletable
        delete(plan_deletion(row, cache), cache)
    left = local_models([library], cache)
    assert {row.name for row in left} == {"classics-6m", "good", "o/pipe"}
    delete(plan_deletion(next(row for row in left if row.name == "o/pipe"), cache), cache)
    assert not any(path.name.startswith("models--") for path in cache.iterdir())
    assert not (library / "pipe").exists()


def test_revisions(tmp_path: Path) -> None:
    put_snapshot(tmp_path, "o/m", OLDER, FILES, "v1")
    assert find_cached("o/m", cache=tmp_path) is not None  # found offline without a main
    put_snapshot(tmp_path, "o/m", COMMIT, FILES, "main")
    for revision, commit in (("", COMMIT), ("main", COMMIT), ("v1", OLDER), (OLDER, OLDER)):
        model = find_cached("o/m", revision, tmp_path)
        assert model is not None
        assert model.commit == commit
    assert find_cached("o/m", "v2", tmp_path) is None


def test_cached_model_resolves_to_its_snapshot(tmp_path: Path) -> None:
    snapshot = put_snapshot(tmp_path, "o/m", COMMIT, FILES, "main")
    found = resolve(ModelSpec("o/m"), Precision.BF16, tmp_path)
    assert (found.folder, found.name, found.commit) == (snapshot, "o/m", COMMIT)
    assert resolve(ModelSpec(str(snapshot)), Precision.NF4) == found
    (snapshot / "tokenizer.json").resolve().unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json") as caught:
        resolve(ModelSpec("o/m"), Precision.BF16, tmp_path)
    assert "Download it again" in caught.value.remedy


@pytest.mark.parametrize(
    ("source", "revision", "reason"),
    [
        ("o/other", "", "not on this machine"),
        ("o/other", "v9", "at v9 is not on this machine"),
        ("no id", "", "not a Hub id"),
        ("o/m", "../../x", "not a revision"),
        ("/no/such/folder", "", "no folder"),
    ],
)
def test_what_is_not_here_says_so(tmp_path: Path, source: str, revision: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        resolve(ModelSpec(source, revision), Precision.BF16, tmp_path)
    assert caught.value.remedy


def test_gptq_takes_the_sibling_and_nothing_that_is_not_gptq(tmp_path: Path) -> None:
    plain = write_files(tmp_path / "model", FILES)
    spec = ModelSpec(str(plain))
    with pytest.raises(ModelError, match="not GPTQ-quantized"):
        resolve(spec, Precision.GPTQ)
    write_files(tmp_path / "model-gptq-broken", {"config.json": b"{"})
    write_files(tmp_path / "model-gptq-awq", {"config.json": b"{}"})
    quantized = json.loads(FILES["config.json"]) | {
        "quantization_config": {"quant_method": "gptq", "bits": 4}
    }
    sibling = write_files(
        tmp_path / "model-gptq-g128", FILES | {"config.json": json.dumps(quantized).encode()}
    )
    found = resolve(spec, Precision.GPTQ)
    assert (found.folder, found.name) == (sibling, "model-gptq-g128")
    assert found.commit == fingerprint(sibling) != fingerprint(plain)
    assert resolve(ModelSpec(str(sibling)), Precision.GPTQ) == found
    assert resolve(spec, Precision.INT8).folder == plain


def test_the_fingerprint_changes_with_the_weights(tmp_path: Path) -> None:
    big = {"hidden": 256, "layers": 1}
    first = write_files(tmp_path / "a", tiny_model_files(**big))
    again = write_files(tmp_path / "b", tiny_model_files(**big))
    other = write_files(tmp_path / "c", tiny_model_files(**big, seed=1))
    assert (first / "model.safetensors").stat().st_size > 1 << 20
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first) != fingerprint(other)
    (again / "README.md").write_text("no part of the model")
    assert fingerprint(first) == fingerprint(again)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose weights are too large to be hashed at once."""
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "playground"))
    folder = write_files(tmp_path / "large", FILES)
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(40 * 1024 * 1024)
    return folder


def flip(path: Path, place: int) -> None:
    """Change one byte, and nothing else but the time."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))


def test_large_weights_are_sampled_until_they_are_hashed(large: Path) -> None:
    weights = large / "model.safetensors"
    sampled = fingerprint(large)
    assert sampled.startswith("sampled:")
    assert bytes_to_hash(large) > weights.stat().st_size
    read: list[int] = []
    whole = hash_whole(large, read.append)
    assert sum(read) > weights.stat().st_size
    assert whole.startswith("sha256:")
    assert fingerprint(large) == whole  # remembered
    read.clear()
    assert hash_whole(large, read.append) == whole
    assert sum(read) < 1024 * 1024  # of the small files

    flip(weights, 39 * 1024 * 1024 + 12345)
    assert fingerprint(large) == sampled  # between the samples: it is not known to be the same
    changed = hash_whole(large)
    assert changed != whole
    assert fingerprint(large) == changed
    flip(weights, 39 * 1024 * 1024 + 12345)
    assert hash_whole(large) == whole


def test_a_flipped_byte_of_small_weights_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "a", tiny_model_files(hidden=256, layers=1))
    before = fingerprint(folder)
    flip(folder / "model.safetensors", 1_000_003)
    assert fingerprint(folder) != before
    assert before.startswith("sha256:")


@pytest.mark.parametrize("content", [b"", b"{", b"[[1,2,3,4]]", b"\xff", b"[" * 10_000])
def test_a_damaged_memory_of_hashes_starts_anew(large: Path, content: bytes) -> None:
    path = file_hashes.hashes_file()
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert fingerprint(large).startswith("sampled:")
    whole = hash_whole(large)
    assert fingerprint(large) == whole


def test_a_consent_outlives_the_hashing_of_the_weights(large: Path) -> None:
    resolved = resolve(ModelSpec(str(large)), Precision.FP32)
    before = consent_to(resolved, read_code(large))
    hash_whole(large)
    after = resolve(ModelSpec(str(large)), Precision.FP32)
    assert after.commit != resolved.commit
    assert consent_to(after, read_code(large)) == before


@pytest.mark.parametrize(
    ("card", "licence", "task"),
    [
        (b"---\nlicense: mit\npipeline_tag: translation\n---\n# x", "mit", "translation"),
        (b"---\nlicense: [mit, other]\npipeline_tag: [1]\n---\n", "mit, other", ""),
        (b"---\nlicense: mit\n" + b"tags: x\n" * 10_000 + b"---\n", "", ""),
        (b"# \xff without any", "", ""),
        (b"---\n: {[\n---\n", "", ""),
    ],
)
def test_a_row_says_what_the_card_states(
    tmp_path: Path, card: bytes, licence: str, task: str
) -> None:
    row = folder_row(write_files(tmp_path / "model", FILES | {"README.md": card}))
    assert (row.licence, row.task, row.problem) == (licence, task, "")
