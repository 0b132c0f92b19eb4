"""Models from the Hub on the command line, from a Hub on loopback."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cli.commands import command, json_lines, one_sentence
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_model import tiny_model_files


def run(hub: HubServer, home: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command("run", "--prompt", "The old", "--new-tokens", "2", *arguments),
        capture_output=True,
        env=hub.environment(home),
        check=False,
    )


def test_a_hub_model_is_downloaded_and_run(hub: HubServer, tmp_path: Path) -> None:
    repository = hub.add(Repository("owner/model", tiny_model_files()))
    done = run(hub, tmp_path, "--model", "owner/model", "--json", "--ignore-eos")
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    assert lines[0]["event"] == "download"
    stamp = lines[-1]["stamp"]
    assert (stamp["model"], stamp["commit"]) == ("owner/model", repository.refs["main"])


def test_a_model_that_the_hub_does_not_have(hub: HubServer, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "--model", "owner/unknown")
    assert done.returncode == 1
    assert "owner/unknown" in one_sentence(done)
