"""`playground models` against a Hub on loopback: from the search to the deletion."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from playground.cli.arguments import parse
from playground.core.memory.corrections import MeasuredLoad, record_load
from playground.core.precision import Precision
from playground.core.system.machine import processor
from tests.cli.commands import command, json_lines, one_sentence
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files()


def run(hub: HubServer, home: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = hub.environment(home, PLAYGROUND_HOME=str(home / "own"), NO_PROXY="127.0.0.1")
    return subprocess.run(
        command("models", *arguments), capture_output=True, env=environment, check=False
    )


def test_from_the_search_to_the_deletion(hub: HubServer, tmp_path: Path) -> None:
    tags = ("text-generation", "license:mit")
    card = {"README.md": b"# A card\x1b[31m"}
    repository = hub.add(Repository("owner/model", FILES | card, tags=tags, facts={"downloads": 7}))
    hub.add(Repository("owner/other", {}, tags=("license:llama3",)))
    done = run(hub, tmp_path, "search", "model", "--licence", "mit", "--json")
    (row,) = json_lines(done.stdout)
    assert (row["model"], row["licence"], row["downloads"]) == ("owner/model", "mit", 7)
    assert row["here"] is False
    assert row["fit"] is None  # this Hub tells no sizes
    shown = run(hub, tmp_path, "show", "owner/model", "--card").stdout.decode()
    assert "LlamaForCausalLM" in shown
    assert "Longest context" in shown
    assert "# A card" in shown
    assert "\x1b" not in shown
    hub.add_fault(Fault("GET /api/models/owner/model", 429, {"Retry-After": "0"}, times=1))
    done = run(hub, tmp_path, "download", "owner/model", "--json")
    (downloaded,) = json_lines(done.stdout)
    assert downloaded["commit"] == repository.refs["main"]
    assert (Path(downloaded["folder"]) / "model.safetensors").is_file()
    rows = json_lines(run(hub, tmp_path, "list", "--json").stdout)
    assert [r["model"] for r in rows] == ["classics-6m", "owner/model"]
    assert [r["fit"] for r in rows] == ["fits", "fits"]
    assert "would free" in run(hub, tmp_path, "delete", "owner/model").stdout.decode()
    assert Path(downloaded["folder"]).is_dir()
    done = run(hub, tmp_path, "delete", "owner/model", "--yes", "--json")
    assert json_lines(done.stdout)[0]["freed"] == sum(map(len, FILES.values()))
    assert not Path(downloaded["folder"]).exists()


def test_folders_of_the_users(hub: HubServer, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "models" / "mine", FILES)
    listed = json_lines(run(hub, tmp_path, "list", "--folder", str(folder.parent), "--json").stdout)
    assert listed[-1]["model"] == str(folder)
    show = ("show", str(folder), "--context", "512")
    page, memory = json_lines(run(hub, tmp_path, *show, "--json").stdout)
    assert (memory["event"], memory["context"], memory["device"]) == ("memory", 512, "cpu")
    fp32 = memory["precisions"]["fp32"]
    assert fp32["weights_bytes"] == pytest.approx(len(FILES["model.safetensors"]), rel=0.1)
    assert fp32["fit"] in ("fits", "tight")
    assert memory["precisions"]["bf16"]["weights_bytes"] * 2 == fp32["weights_bytes"]
    assert fp32["cache_bytes"] == 2 * 2 * 32 * 512 * 4
    shown = run(hub, tmp_path, *show).stdout.decode()
    assert "Memory on the CPU at 512 tokens" in shown
    assert "NF4 4-bit (bitsandbytes)" in shown
    assert page["load_bytes"] == sum(map(len, FILES.values()))
    assert not hub.requests


def test_files_are_checked_and_damaged_ones_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    hub.add(Repository("owner/model", FILES))
    run(hub, tmp_path, "download", f"{hub.endpoint}/owner/model/tree/main")
    check = ("check", "owner/model")
    done = run(hub, tmp_path, *check)
    assert done.returncode == 0
    assert f"{len(FILES)} files" in done.stdout.decode()
    assert "as the Hub announces them" in done.stdout.decode()
    (weights,) = (tmp_path / "hub").rglob("snapshots/*/model.safetensors")
    data = bytearray(FILES["model.safetensors"])
    data[len(data) // 2] ^= 1
    weights.resolve().write_bytes(data)
    (weights.parent / "tokenizer.json").resolve().unlink()
    hub.requests.clear()
    done = run(hub, tmp_path, *check, "--json")
    assert done.returncode == 1
    (found,) = json_lines(done.stdout)
    assert (found["damaged"], found["missing"]) == (["model.safetensors"], ["tokenizer.json"])
    assert not hub.requests
    done = run(hub, tmp_path, *check, "--fetch")
    assert done.returncode == 0, done.stderr
    assert "model.safetensors is damaged, tokenizer.json is missing." in done.stdout.decode()
    assert weights.read_bytes() == FILES["model.safetensors"]
    assert run(hub, tmp_path, *check).returncode == 0


def test_a_folder_is_checked_by_its_fingerprint(hub: HubServer, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "mine", FILES)
    check = ("check", str(folder), "--folder", str(tmp_path), "--json")
    (first,) = json_lines(run(hub, tmp_path, *check).stdout)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(bytes([FILES["model.safetensors"][-1] ^ 1]))
    (second,) = json_lines(run(hub, tmp_path, *check).stdout)
    assert first["sound"]
    assert first["fingerprint"].startswith("sha256:")
    assert first["fingerprint"] != second["fingerprint"]


@pytest.mark.parametrize("name", ["bundled", "classics-6m"])
def test_the_bundled_model_is_shown_under_both_names(
    hub: HubServer, tmp_path: Path, name: str
) -> None:
    page, memory = json_lines(run(hub, tmp_path, "show", name, "--json").stdout)
    assert (page["model"], page["architecture"]) == ("classics-6m", "LlamaForCausalLM")
    assert memory["precisions"]["bf16"]["fit"]
    assert not hub.requests


def test_memory_is_judged_with_what_loads_on_this_machine_taught(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(tmp_path / "mine", FILES)

    def judged() -> dict[str, dict[str, int]]:
        show = ("show", str(folder), "--context", "512", "--json")
        precisions = json_lines(run(hub, tmp_path, *show).stdout)[-1]["precisions"]
        assert isinstance(precisions, dict)
        return precisions

    before = judged()
    assert before["bf16"]["correction_bytes"] == 0
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "own"))
    predicted = before["bf16"]["needed_bytes"]
    load = MeasuredLoad(Precision.BF16, predicted, predicted * 5 // 4, "llama")
    record_load(processor().name, load)
    after = judged()
    assert after["bf16"]["needed_bytes"] == pytest.approx(predicted * 5 / 4, abs=2)
    assert after["bf16"]["correction_bytes"] == pytest.approx(predicted / 4, abs=2)
    assert after["fp32"] == before["fp32"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "owner/unknown"], "owner/unknown"),
        (["download", "owner/gated"], "gated"),
        (["download", "../etc"], "not a Hub id"),
        (["download", "bundled"], "comes with the playground"),
        (["download", "https://github.com/owner/model"], "github.com is not the Hugging Face Hub"),
        (["check", "owner/unknown"], "not on this machine"),
        (["delete", "owner/unknown", "--yes"], "not on this machine"),
        (["delete", "classics-6m", "--yes"], "cannot be deleted"),
        (["delete", "bundled", "--yes"], "cannot be deleted"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    hub: HubServer, tmp_path: Path, arguments: list[str], said: str
) -> None:
    hub.add(Repository("owner/gated", FILES, gated="manual"))
    done = run(hub, tmp_path, *arguments)
    assert done.returncode == 1
    assert said in one_sentence(done)


def test_numbers_of_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    args = parse(["models", "search", "--min-parameters", "1.5B", "--max-parameters", "500m"])
    assert (args.min_parameters, args.max_parameters) == (1_500_000_000, 500_000_000)
    with pytest.raises(SystemExit):
        parse(["models", "search", "--min-parameters", "many"])
    assert "7B" in capsys.readouterr().err
