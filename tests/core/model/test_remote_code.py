"""A model's code: what a review shows, and when a consent no longer holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import CodeConsent
from playground.core.model import remote_code
from playground.core.model.remote_code import brings_code, check_reviewable, read_code, with_consent
from tests.support.cached_model import put_snapshot
from tests.support.own_code import write_own_code
from tests.support.tiny_model import tiny_model_files, write_files


def test_every_file_is_read_and_every_change_counts(tmp_path: Path) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    code = read_code(folder)
    assert [file.name for file in code.files] == ["own.py"]
    assert "class OwnModel" in code.files[0].text
    check_reviewable(code)
    (folder / "inner").mkdir()
    hidden = "if x:\u202e # gnihton\r\n".encode()
    (folder / "inner" / "more.py").write_bytes(hidden)
    more = read_code(folder)
    assert [file.name for file in more.files] == ["inner/more.py", "own.py"]
    assert more.files[0].text == "if x:\\u202e # gnihton\n"
    assert more.digest != code.digest
    config = folder / "config.json"
    config.write_text(config.read_text().replace("own.OwnModel", "own.Another"))
    assert read_code(folder).digest != more.digest


@pytest.mark.parametrize(
    "reference",
    [
        "{elsewhere}/own.OwnModel",
        "../elsewhere/own.OwnModel",
        "inner/own.OwnModel",
        "inner.own.OwnModel",
        "missing.OwnModel",
        "own",
        "own.",
        ".own.OwnModel",
        "own.py.OwnModel",
    ],
)
def test_only_classes_in_the_files_that_were_shown_may_run(tmp_path: Path, reference: str) -> None:
    elsewhere = write_own_code(tmp_path / "elsewhere", tmp_path / "trace")
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    (folder / "inner").mkdir()
    (folder / "inner" / "own.py").write_bytes((folder / "own.py").read_bytes())
    check_reviewable(read_code(folder))
    config = folder / "config.json"
    reference = reference.format(elsewhere=elsewhere)
    config.write_text(config.read_text().replace("own.OwnModel", reference))
    with pytest.raises(ModelError, match="no class in a Python file of its folder"):
        check_reviewable(read_code(folder))


@pytest.mark.parametrize("linked", ["inner", "more.py"])
def test_links_to_code_elsewhere_are_refused(tmp_path: Path, linked: str) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    target = tmp_path / "elsewhere"
    target.mkdir()
    target = target / "evil.py" if linked.endswith(".py") else target
    (tmp_path / "elsewhere" / "evil.py").write_text("")
    (folder / linked).symlink_to(target)
    with pytest.raises(ModelError, match="whose code cannot be reviewed"):
        read_code(folder)


def test_code_in_a_cache_is_reviewed_through_its_links(tmp_path: Path) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    snapshot = put_snapshot(tmp_path / "hub", "o/m", "c" * 40, files)
    code = read_code(snapshot)
    check_reviewable(code)
    assert code.digest == read_code(folder).digest


def test_a_tokenizer_may_bring_code_too(tmp_path: Path) -> None:
    folder = write_files(tmp_path, tiny_model_files())
    assert not brings_code(folder)
    (folder / "tokenizer_config.json").write_text(
        '{"auto_map": {"AutoTokenizer": ["someone/else--own.Tokenizer", null]}}'
    )
    assert brings_code(folder)
    with pytest.raises(ModelError, match="someone/else"):
        check_reviewable(read_code(folder))


def test_code_too_long_to_review_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    monkeypatch.setattr(remote_code, "_MAX_BYTES", 10)
    with pytest.raises(ModelError, match="more than anybody"):
        read_code(folder)


def test_one_consent_for_each_commit() -> None:
    first, other = CodeConsent("a/b", "1", "x"), CodeConsent("a/b", "2", "y")
    both = with_consent(with_consent((), first), other)
    assert both == (other, first)
    again = CodeConsent("a/b", "1", "z")
    assert with_consent(both, again) == (again, other)
