"""`playground history` and `playground report`, on runs of the real engine."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from playground.core.system import paths
from playground.history.store import HistoryStore
from tests.cli.commands import json_lines, one_sentence, playground

PROMPT = "The <b>king</b> said"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a history with two runs, the second of them on int8."""
    home = tmp_path_factory.mktemp("home")
    env = {"PLAYGROUND_HOME": str(home)}
    for precision in ("bf16", "int8"):
        command = ("run", "--prompt", PROMPT, "--precision", precision, "--new-tokens", "12")
        assert playground(*command, env=env).returncode == 0
    assert playground(*command, "--private", env=env).returncode == 0
    return home


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {"PLAYGROUND_HOME": str(home)}


def test_runs_are_listed_and_found(env: dict[str, str]) -> None:
    listed = json_lines(playground("history", "list", "--json", env=env).stdout)
    assert [(row["run"], row["lanes"][0]["precision"]) for row in listed] == [
        (2, "int8"),
        (1, "bf16"),
    ]
    assert {row["prompt"] for row in listed} == {PROMPT}
    found = playground("history", "list", "--precision", "bf16", "--search", "king", env=env)
    (line,) = found.stdout.decode().splitlines()[2:]
    assert "classics" not in line
    assert "bundled: bf16" in line
    nothing = playground("history", "list", "--search", "king queen", env=env)
    assert nothing.stdout == b""
    assert nothing.stderr == b"No run matches.\n"


def test_a_run_is_shown_with_its_answer_and_figures(env: dict[str, str]) -> None:
    (run,) = json_lines(playground("history", "show", "1", "--json", env=env).stdout)
    (lane,) = run["lanes"]
    (answer,) = lane["answers"]
    assert len(answer["token_ids"]) == len(answer["token_texts"]) == 12
    assert "".join(answer["token_texts"]) == answer["text"]
    assert answer["itl_p50_s"] > 0
    assert answer["of_floor"] > 0
    shown = playground("history", "show", "1", env=env).stdout.decode()
    assert answer["text"] in shown
    assert "★ classics-6m · bf16 (reached the limit of 12 tokens)" in shown


def test_reports_hold_the_run_and_no_markup_of_its_texts(
    env: dict[str, str], tmp_path: Path
) -> None:
    for option, name in (("--html", "r.html"), ("--markdown", "r.md"), ("--json-file", "r.json")):
        done = playground("report", "1", option, str(tmp_path / name), env=env)
        assert done.returncode == 0, done.stderr
    page = (tmp_path / "r.html").read_text()
    assert "&lt;b&gt;king&lt;/b&gt;" in page
    assert "<b>" not in page
    assert page.count("<polyline") == 1
    assert "src=" not in page
    markdown = (tmp_path / "r.md").read_text()
    assert r"# The \<b\>king\</b\> said" in markdown
    assert "| classics-6m · bf16 |" in markdown
    run = json.loads((tmp_path / "r.json").read_text())
    assert run["prompt"] == PROMPT
    assert run["lanes"][0]["answers"][0]["stamp"]["verified_precision"] == "bf16"


def test_an_exported_run_opens_in_another_history(env: dict[str, str], tmp_path: Path) -> None:
    file, there = tmp_path / "run.zip", {"PLAYGROUND_HOME": str(tmp_path / "there")}
    assert playground("history", "export", "2", str(file), env=env).returncode == 0
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == ["report.html", "run.json"]
        assert str(Path.cwd()) not in archive.read("run.json").decode()
    done = playground("history", "import", str(file), "--json", env=there)
    (imported,) = json_lines(done.stdout)
    assert imported["differences"] == []
    (theirs,) = json_lines(playground("history", "show", "1", "--json", env=there).stdout)
    (ours,) = json_lines(playground("history", "show", "2", "--json", env=env).stdout)
    for run in (ours, theirs):
        run.pop("run")
        run["lanes"][0]["answers"][0]["stamp"].pop("folder")
    assert theirs == ours


def test_what_differs_on_this_machine_is_told(env: dict[str, str], tmp_path: Path) -> None:
    file, changed = tmp_path / "run.zip", tmp_path / "changed.zip"
    assert playground("history", "export", "1", str(file), env=env).returncode == 0
    with zipfile.ZipFile(file) as archive:
        run = json.loads(archive.read("run.json"))
    run["answers"][0]["answer"]["stamp"]["versions"] |= {"torch": "1.0", "no-library": "7"}
    with zipfile.ZipFile(changed, "w") as archive:
        archive.writestr("run.json", json.dumps(run))
    there = {"PLAYGROUND_HOME": str(tmp_path / "there")}
    told = playground("history", "import", str(changed), env=there).stdout.decode()
    assert "Differs: torch 1.0 there, " in told
    assert "Differs: no-library 7 there, not installed here." in told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "There is no file"),
        (b"no zip", "not one of the playground's zip files"),
        ({"other.txt": b""}, "not one of the playground's zip files"),
        ({"run.json": b"[" * 100_000}, "its run.json is damaged"),
        ({"run.json": b'{"format": 99}'}, "its run.json is damaged"),
        ({"run.json": b"\xff"}, "its run.json is damaged"),
    ],
)
def test_a_file_that_is_no_run_is_refused(
    content: bytes | dict[str, bytes] | None, reason: str, env: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "run.zip"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
    refused = playground("history", "import", str(file), env=env)
    assert refused.returncode == 1
    assert reason in one_sentence(refused)


def test_deleted_runs_come_back(env: dict[str, str]) -> None:
    assert playground("history", "delete", "1", "2", env=env).returncode == 0
    assert playground("history", "list", env=env).stdout == b""
    assert playground("history", "restore", "1", "2", env=env).returncode == 0
    assert len(json_lines(playground("history", "list", "--json", env=env).stdout)) == 2
    missing = playground("history", "delete", "1", "77", env=env)
    assert missing.returncode == 1
    assert "There is no run 77" in one_sentence(missing)


def test_a_history_that_cannot_be_used_ends_no_answer(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAYGROUND_HOME", str(tmp_path))
        HistoryStore(paths.history_file()).close()
        paths.history_file().write_bytes(b"damaged" * 1000)
    run = ("run", "--prompt", "a", "--new-tokens", "2")
    done = playground(*run, env={"PLAYGROUND_HOME": str(tmp_path)})
    assert done.returncode == 0
    assert "is damaged" in one_sentence(done)
