"""Models on this machine: how they are listed, and what deleting them frees and keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from playground.core.errors import ModelError, PlaygroundError
from playground.core.facts import ModelSpec
from playground.hub.catalog import ModelRow, Where
from playground.hub.local.deletion import delete, plan_deletion
from playground.hub.local.models import ids_here, local_models
from tests.support.cached_model import put_snapshot
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files()
SIZE = sum(map(len, FILES.values()))
COMMIT, OLDER = "c" * 40, "a" * 40


def cached(cache: Path, commit: str = COMMIT) -> ModelRow:
    return next(row for row in local_models(cache=cache) if row.commit == commit)


def test_all_that_is_here_in_one_list(tmp_path: Path) -> None:
    cache, library = tmp_path / "hub", tmp_path / "library"
    put_snapshot(cache, "owner/model", COMMIT, FILES, "main")
    put_snapshot(cache, "owner/model", OLDER, FILES, "v1")
    broken = put_snapshot(cache, "owner/broken", "b" * 40, FILES, "main")
    (broken / "model.safetensors").resolve().unlink()
    write_files(library / "one", FILES)
    write_files(library / "owner" / "two", FILES)
    write_files(library / "owner" / "half", {"config.json": b'{"model_type": "llama"}'})
    write_files(library / "a" / "b" / "too-deep", FILES)
    write_files(library / "no-model", {"config.json": b'{"name": "something else"}'})
    (library / "dangling").symlink_to(library / "nowhere")
    rows = local_models([library, library / "one", tmp_path / "gone"], cache)
    assert len({row.key for row in rows}) == len(rows)
    by = {(row.where, row.name, row.refs): row for row in rows}
    assert rows[0].where is Where.BUNDLED
    assert rows[0].spec == ModelSpec("bundled")
    main = by[Where.CACHE, "owner/model", ("main",)]
    assert (main.spec, main.size) == (ModelSpec("owner/model"), SIZE)
    assert (main.stored, main.problem, main.is_here) == ("fp32", "", True)
    assert main.parameters
    assert by[Where.CACHE, "owner/model", ("v1",)].spec == ModelSpec("owner/model", "v1")
    assert "missing" in by[Where.CACHE, "owner/broken", ("main",)].problem
    folders = {row.name: row for row in rows if row.where is Where.FOLDER}
    assert folders.keys() == {"one", "two", "half"}
    assert folders["one"].spec == ModelSpec(str(library / "one"))
    assert folders["one"].size == SIZE
    assert folders["half"].problem
    assert ids_here(rows) == {"owner/model"}


def test_deleting_one_revision_keeps_what_another_needs(tmp_path: Path) -> None:
    put_snapshot(tmp_path, "owner/model", COMMIT, FILES, "main")
    older = put_snapshot(tmp_path, "owner/model", OLDER, FILES, "v1")
    shared = older / "tokenizer.json"
    shared.unlink()
    blob = tmp_path / "models--owner--model" / "blobs" / f"{COMMIT[:4]}-tokenizer.json"
    shared.symlink_to(os.path.relpath(blob, older))
    plan = plan_deletion(cached(tmp_path, OLDER), tmp_path)
    assert plan.freed == SIZE - len(FILES["tokenizer.json"])
    assert "1 other revision" in plan.keeps
    assert delete(plan, tmp_path) == plan.freed
    assert not older.exists()
    assert cached(tmp_path).problem == ""
    assert [row.commit for row in local_models(cache=tmp_path)[1:]] == [COMMIT]


def test_deleting_the_last_revision_leaves_nothing(tmp_path: Path) -> None:
    put_snapshot(tmp_path, "owner/model", COMMIT, FILES, "main")
    put_snapshot(tmp_path, "other/model", "d" * 40, FILES, "main")
    plan = plan_deletion(cached(tmp_path), tmp_path)
    assert (plan.freed, plan.keeps) == (SIZE, "")
    delete(plan, tmp_path)
    assert not (tmp_path / "models--owner--model").exists()
    assert cached(tmp_path, "d" * 40).problem == ""
    with pytest.raises(ModelError, match="not on this machine"):
        delete(plan, tmp_path)


@pytest.mark.parametrize("revisions", [1, 2])
def test_what_is_broken_can_be_deleted_too(tmp_path: Path, revisions: int) -> None:
    broken = put_snapshot(tmp_path, "owner/model", COMMIT, FILES, "main")
    if revisions == 2:
        put_snapshot(tmp_path, "owner/model", OLDER, FILES, "v1")
    (broken / "tokenizer.json").resolve().unlink()
    plan = plan_deletion(cached(tmp_path), tmp_path)
    lost = len(FILES["tokenizer.json"])
    refs = len(COMMIT)  # a file that names the revision
    assert plan.freed in (SIZE - lost, SIZE - lost + refs)
    assert delete(plan, tmp_path) == plan.freed
    assert not broken.exists()
    left = [row.commit for row in local_models(cache=tmp_path)[1:]]
    assert left == ([OLDER] if revisions == 2 else [])
    if revisions == 2:
        assert cached(tmp_path, OLDER).problem == ""


def test_of_a_folder_only_the_model_goes(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "library" / "mine", FILES | {"thesis/chapter.tex": b"x"})
    (folder / "photo.jpg").write_bytes(b"y")
    row = next(r for r in local_models([folder.parent], tmp_path) if r.where is Where.FOLDER)
    plan = plan_deletion(row)
    assert plan.freed == SIZE
    assert "2 other things" in plan.keeps
    assert delete(plan) == SIZE
    assert sorted(p.name for p in folder.iterdir()) == ["photo.jpg", "thesis"]
    clean = write_files(tmp_path / "library" / "clean", FILES)
    row = next(r for r in local_models([clean], tmp_path) if r.where is Where.FOLDER)
    delete(plan_deletion(row))
    assert not clean.exists()


def test_no_link_is_followed_and_nothing_else_deleted(tmp_path: Path) -> None:
    real = write_files(tmp_path / "elsewhere" / "mine", FILES)
    library = tmp_path / "library"
    library.mkdir()
    (library / "link").symlink_to(real)
    row = next(r for r in local_models([library], tmp_path) if r.where is Where.FOLDER)
    with pytest.raises(ModelError, match="is a link"):
        plan_deletion(row)
    with pytest.raises(ModelError, match="cannot be deleted here"):
        plan_deletion(local_models(cache=tmp_path)[0])
    outside = ModelRow(
        key="k", spec=ModelSpec("a/b"), where=Where.CACHE, name="a/b", folder=real, commit=COMMIT
    )
    with pytest.raises(ModelError, match="not in the Hub's cache"):
        plan_deletion(outside, tmp_path)
    assert (real / "config.json").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_deleted_is_said(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "mine", FILES)
    row = next(r for r in local_models([folder], tmp_path) if r.where is Where.FOLDER)
    folder.chmod(0o500)
    try:
        with pytest.raises(PlaygroundError, match="still there"):
            delete(plan_deletion(row))
    finally:
        folder.chmod(0o700)
