"""Every way a download can fail ends with one sentence and its remedy."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.hub.downloads.download import Download, child_environment
from playground.hub.downloads.events import Broken, Completed, DownloadEvent
from playground.hub.errors import HubError, HubProblem
from playground.hub.site.failures import explain
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files()
TOKEN = "hf_" + "Ab1" * 11
Fetch = Callable[..., list[DownloadEvent]]


def failure(events: list[DownloadEvent]) -> Broken:
    end = events[-1]
    assert isinstance(end, Broken)
    assert end.remedy
    assert "Traceback" not in end.message + end.remedy
    return end


def test_gated_says_where_to_ask(hub: HubServer, fetch: Fetch) -> None:
    hub.add(Repository("owner/gated", FILES, gated="manual", granted={"friend"}))
    hub.tokens = {TOKEN: "stranger"}
    end = failure(fetch("owner/gated"))
    assert "is gated" in end.message
    assert f"{hub.endpoint}/owner/gated" in end.remedy
    assert "hf auth login" in end.remedy
    assert end.needs_login
    end = failure(fetch("owner/gated", HF_TOKEN=TOKEN))
    assert not end.needs_login
    assert end.ask_at == f"{hub.endpoint}/owner/gated"
    assert "your account has no access" in end.message
    hub.tokens = {TOKEN: "friend"}
    assert isinstance(fetch("owner/gated", HF_TOKEN=TOKEN)[-1], Completed)


def test_the_stored_token_is_used_and_never_told(hub: HubServer, home: Path, fetch: Fetch) -> None:
    hub.add(Repository("owner/private", FILES, private=True, granted={"me"}))
    home.mkdir()
    (home / "token").write_text(TOKEN)  # what `hf auth login` leaves
    events = fetch("owner/private", HF_DEBUG="1")
    assert "does not accept the stored token" in failure(events).message
    assert TOKEN not in repr(events)
    hub.tokens = {TOKEN: "me"}
    events = fetch("owner/private", HF_DEBUG="1")
    assert isinstance(events[-1], Completed)
    assert TOKEN not in repr(events)
    kept = [p for p in home.rglob("*") if p.is_file() and p.name != "token"]
    assert not [p for p in kept if TOKEN.encode() in p.read_bytes()]


@pytest.mark.parametrize(
    ("source", "revision", "said"),
    [
        ("owner/unknown", "", "knows no model owner/unknown"),
        ("owner/model", "v9", "no revision “v9”"),
        ("owner/pickles", "", "pickled weights only"),
        ("owner/empty", "", "no config.json"),
    ],
)
def test_wrong_choices_are_told_before_any_file(
    hub: HubServer, home: Path, fetch: Fetch, source: str, revision: str, said: str
) -> None:
    hub.add(Repository("owner/model", FILES))
    hub.add(Repository("owner/pickles", {"config.json": b"{}", "pytorch_model.bin": b"x"}))
    hub.add(Repository("owner/empty", {}))
    assert said in failure(fetch(source, revision)).message
    assert not [r for r in hub.requests if "/resolve/" in r]
    assert not list(home.rglob("blobs"))


@pytest.mark.parametrize(
    ("fault", "said", "remedy"),
    [
        (Fault("GET /api/models", 429, {"Retry-After": "37"}), "429", "in 37 s;"),
        (Fault("GET /api/models", 503), "trouble of its own (HTTP 503)", "some minutes"),
        (Fault("GET /api/models", 403), "refuses access", "hf auth login"),
        (Fault("GET /api/models", 418), "HTTP 418", "again"),
        (
            Fault("GET /api/models", 200, {}, b"<html>Log in to this network</html>"),
            "does not answer like a Hugging Face Hub",
            "HF_ENDPOINT",
        ),
    ],
)
def test_answers_of_a_hub_in_trouble(
    hub: HubServer, fetch: Fetch, fault: Fault, said: str, remedy: str
) -> None:
    hub.add(Repository("owner/model", FILES))
    hub.add_fault(fault)
    end = failure(fetch("owner/model"))
    assert said in end.message
    assert remedy in end.remedy


def test_nobody_listening_means_offline(hub: HubServer, fetch: Fetch) -> None:
    with socket.socket() as unused:  # bound and not listening: refuses every connection
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        end = failure(fetch("owner/model", HF_ENDPOINT=endpoint))
    assert "cannot be reached" in end.message
    assert "can be used offline" in end.remedy


def test_offline_mode_sends_nothing(hub: HubServer, fetch: Fetch) -> None:
    hub.add(Repository("owner/model", FILES))
    assert "HF_HUB_OFFLINE" in failure(fetch("owner/model", HF_HUB_OFFLINE="1")).message
    assert not hub.requests


def test_more_than_the_disk_holds_is_refused_before_the_first_byte(
    hub: HubServer, home: Path, fetch: Fetch
) -> None:
    hub.add(Repository("owner/model", FILES, declared={"model.safetensors": 10**18}))
    end = failure(fetch("owner/model"))
    assert "1,000,000 TB" in end.message
    assert "HF_HOME" in end.remedy
    assert not [r for r in hub.requests if r.startswith("GET /cdn/")]


def test_a_cache_that_cannot_be_made(hub: HubServer, tmp_path: Path, fetch: Fetch) -> None:
    hub.add(Repository("owner/model", FILES))
    (tmp_path / "file").write_text("")
    end = failure(fetch("owner/model", HF_HUB_CACHE=str(tmp_path / "file" / "hub")))
    assert "cannot be written" in end.message


def test_a_damaged_file_on_the_hub_is_named(hub: HubServer, fetch: Fetch) -> None:
    damaged = FILES | {"model.safetensors": FILES["model.safetensors"][:-100]}
    hub.add(Repository("owner/model", damaged))
    end = failure(fetch("owner/model"))
    assert "truncated" in end.message
    assert "Choose another repository" in end.remedy


@pytest.mark.parametrize("config", [b"", b"[" * 100_000, b"\xff\xfe"])
def test_a_broken_config_is_told_before_the_weights_are_downloaded(
    hub: HubServer, fetch: Fetch, config: bytes
) -> None:
    hub.add(Repository("owner/model", FILES | {"config.json": config}))
    end = failure(fetch("owner/model"))
    assert "owner/model cannot be loaded as it is on the Hub" in end.message
    assert "Choose another repository" in end.remedy
    assert not end.retryable
    assert not [r for r in hub.requests if r.startswith("GET /cdn/")]


def test_a_link_that_has_expired_is_asked_for_anew(hub: HubServer, fetch: Fetch) -> None:
    hub.add(Repository("owner/model", FILES))
    expired = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    hub.add_fault(Fault("GET /cdn/", 403, {}, expired, times=1))
    end = failure(fetch("owner/model"))
    assert "refuses the link" in end.message
    assert f"localhost:{hub.port}" in end.message
    assert end.retryable
    assert not end.needs_login
    hub.links_until += 1
    assert isinstance(fetch("owner/model")[-1], Completed)


def test_a_part_that_the_server_does_not_have_is_begun_anew(
    hub: HubServer, home: Path, fetch: Fetch
) -> None:
    hub.add(Repository("owner/model", FILES))
    fault = hub.add_fault(Fault("GET /cdn/", after=len(FILES["model.safetensors"]) // 2, cut=True))
    fault.release.set()
    fault.times = 1
    hub.add_fault(Fault("GET /cdn/", 416, times=1))
    end = failure(fetch("owner/model"))
    assert "could not be continued" in end.message
    assert end.retryable
    (partial,) = home.rglob("*.incomplete")
    assert partial.stat().st_size == 0
    assert isinstance(fetch("owner/model")[-1], Completed)


@pytest.mark.parametrize("pattern", ["/api/models", "/resolve/", "GET /cdn/"])
def test_redirects_without_end_are_not_followed_for_ever(
    hub: HubServer, fetch: Fetch, pattern: str
) -> None:
    hub.add(Repository("owner/model", FILES))
    hub.add_fault(Fault(pattern, 302, {"Location": f"{hub.endpoint}/api/models/round"}))
    hub.add_fault(Fault("/api/models/round", 302, {"Location": f"{hub.endpoint}/api/models/round"}))
    end = failure(fetch("owner/model"))
    assert "leads from one address to the next without end" in end.message
    assert "HF_ENDPOINT" in end.remedy
    assert not end.retryable


class TransportError(Exception):
    """Stands in for the HTTP library's class of this name."""


class ConnectError(TransportError):
    """And for this one."""


def untrusted() -> ConnectError:
    error = ConnectError()
    error.__cause__ = ssl.SSLCertVerificationError()
    return error


@pytest.mark.parametrize(
    ("error", "said", "problem"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full", HubProblem.DISK),
        (OSError(errno.EROFS, "Read-only file system"), "cannot be written", HubProblem.DISK),
        (
            OSError("Consistency check failed: file should be of size 5"),
            "arrived incomplete",
            HubProblem.INCOMPLETE,
        ),
        (untrusted(), "is not trusted", HubProblem.BLOCKED),
        (ConnectError(), "cannot be reached", HubProblem.UNREACHABLE),
        (RuntimeError("anything"), "could not be downloaded", HubProblem.OTHER),
    ],
)
def test_failures_that_no_server_can_cause(
    error: Exception, said: str, problem: HubProblem
) -> None:
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = error
    told = explain(wrapped, "owner/model")
    assert isinstance(told, HubError)
    assert said in told.message
    assert told.problem is problem
    assert not told.answered
    assert told.remedy
    assert "RuntimeError: outer" in told.detail


def test_no_process_for_a_wrong_id() -> None:
    with pytest.raises(ModelError):
        Download(ModelSpec("../etc"))


def test_the_childs_environment() -> None:
    environment = child_environment(
        {"HF_ENDPOINT": "http://localhost:8080", "NO_PROXY": "intranet", "HF_DEBUG": "1"}
    )
    assert environment["NO_PROXY"].split(",")[:2] == ["intranet", "127.0.0.1"]
    assert "HF_DEBUG" not in environment
    assert "no_proxy" not in child_environment({"HF_ENDPOINT": "https://mirror.example"})
    assert json.dumps(environment)
