"""Logging in: the Hub is asked, the token stored as `hf auth login` does, and never told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playground.hub.downloads.download import child_environment
from tests.support.hub_server import HubServer

TOKEN = "hf_" + "Ab1" * 11
SCRIPT = """
import logging, sys
from huggingface_hub import HfApi
logging.basicConfig(level=logging.DEBUG)
from playground.core.errors import PlaygroundError
from playground.hub.site import account
from playground.hub.site.api import HubSite
try:
    print(account.has_token(), repr(account.login(sys.stdin.read())))
except PlaygroundError as error:
    print(error, error.detail)
print(account.has_token())
print(repr(HubSite().get_json("/api/whoami-v2", "")["name"] if account.has_token() else ""))
account.logout()
print(account.has_token())
"""


def logged_in(hub: HubServer, home: Path, token: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=token,
        capture_output=True,
        text=True,
        env=child_environment(hub.environment(home, **environment)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_good_token_is_stored(hub: HubServer, home: Path) -> None:
    hub.tokens = {TOKEN: "me"}
    assert logged_in(hub, home, f" {TOKEN}\n") == ["False 'me'", "True", "'me'", "False"]


def test_a_token_that_the_hub_refuses_is_not_stored(hub: HubServer, home: Path) -> None:
    said, *after = logged_in(hub, home, TOKEN)
    assert said.startswith("The Hub does not accept this token. Copy it again")
    assert f"{hub.endpoint}/settings/tokens" in said
    assert after == ["False", "''", "False"]
    assert not (home / "token").exists()


def test_what_can_be_no_token_is_not_sent(hub: HubServer, home: Path) -> None:
    for text in ("", "two words", "hf_ä"):
        assert logged_in(hub, home, text)[0].startswith("That is not a token")
    assert not hub.requests


def test_offline_mode_and_a_folder_that_cannot_be_written(hub: HubServer, home: Path) -> None:
    hub.tokens = {TOKEN: "me"}
    assert "HF_HUB_OFFLINE" in logged_in(hub, home, TOKEN, HF_HUB_OFFLINE="1")[0]
    home.write_text("a file where the folder belongs")
    assert "could not be stored" in logged_in(hub, home, TOKEN)[0]
