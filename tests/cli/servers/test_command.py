"""`playground servers` and `playground run --server` against a scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import json_lines, one_sentence, playground
from tests.support.home import make_home
from tests.support.model_server import ModelServer, events, model_server, text_chunk

TEXT = "/v1/completions"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        server.answers(TEXT, events(text_chunk(" was calm"), text_chunk("", "stop")))
        yield server


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PLAYGROUND_HOME": str(make_home(tmp_path / "home"))}


def test_a_server_is_named_probed_asked_and_forgotten(
    server: ModelServer, env: dict[str, str]
) -> None:
    added = playground("servers", "add", server.url, "--name", "mine", env=env)
    assert added.returncode == 0, added.stderr
    again = playground("servers", "add", server.url, "--name", "mine", env=env)
    assert "already a server mine" in one_sentence(again)
    assert server.url in playground("servers", "list", env=env).stdout.decode()
    probed = json_lines(playground("servers", "probe", "mine", "--json", env=env).stdout)[-1]
    assert (probed["model"], probed["completions"], probed["chat"]) == ("tiny", True, False)
    asked = playground("run", "--server", "mine", "--prompt", "The sea", "--json", env=env)
    assert asked.returncode == 0, asked.stderr
    finished = json_lines(asked.stdout)[-1]
    assert (finished["text"], finished["timed_by"]) == (" was calm", "arrival")
    assert (finished["counted_by"], finished["stamp"]["server"]["url"]) == ("chunks", server.url)
    kept = playground("history", "list", env=env).stdout.decode()
    assert "The sea" in kept
    gone = playground("servers", "remove", "mine", env=env)
    assert gone.returncode == 0, gone.stderr
    lost = playground("run", "--server", "mine", "--prompt", "x", env=env)
    assert "There is no server 'mine'" in one_sentence(lost)


def test_a_key_comes_from_a_named_variable(server: ModelServer, env: dict[str, str]) -> None:
    named = ["--name", "closed", "--key-variable", "CLOSED_KEY"]
    assert playground("servers", "add", server.url, *named, env=env).returncode == 0
    without = playground("servers", "probe", "closed", env=env)
    assert "CLOSED_KEY" in one_sentence(without)
    probed = playground("servers", "probe", "closed", env={**env, "CLOSED_KEY": "abc"})
    assert probed.returncode == 0, probed.stderr
    assert {headers["authorization"] for _, _, headers in server.requests} == {"bearer abc"}
    assert b"abc" not in probed.stdout + probed.stderr


def test_a_key_for_the_keyring_needs_a_terminal(server: ModelServer, env: dict[str, str]) -> None:
    refused = playground("servers", "add", server.url, "--keyring", env=env)
    assert "typed in a terminal" in one_sentence(refused)
