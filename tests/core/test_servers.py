"""Addresses, names and keys of servers."""

from __future__ import annotations

import pytest

from playground.core.errors import OptionsError
from playground.core.servers import (
    KnownServer,
    ServerRequest,
    check_key,
    check_new,
    clean_address,
    default_name,
    find_server,
    is_this_machine,
)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        (" http://host:8000/v1/ ", "http://host:8000/v1"),
        ("https://api.example.org", "https://api.example.org/v1"),
        ("https://example.org/openai/v1?x=1", "https://example.org/openai/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert clean_address(typed) == kept
    assert clean_address(kept) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ftp://host/",
        "http://",
        "http://host:99999/",
        "http://a b/",
        "http://h/\x00",
        "x" * 9000,
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(OptionsError, match="is not the address of a server"):
        clean_address(typed)


def test_a_password_has_no_place_in_an_address() -> None:
    with pytest.raises(OptionsError, match="holds a user's name or a password") as caught:
        clean_address("http://me:secret@host/v1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.8.0.1/v1", True),
        ("http://[::1]/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.example.org/v1", False),
    ],
)
def test_only_the_loopback_is_this_machine(url: str, here: bool) -> None:
    assert is_this_machine(url) is here


def test_a_key_goes_over_http_to_this_machine_only() -> None:
    check_key(ServerRequest(url="http://127.0.0.1:1/v1", key="k"))
    check_key(ServerRequest(url="https://host/v1", key="k"))
    check_key(ServerRequest(url="http://host/v1"))
    check_key(ServerRequest(url="http://host/v1", key="k", plain_key=True))
    with pytest.raises(OptionsError, match="sent to host over http"):
        check_key(ServerRequest(url="http://host/v1", key="k"))


def test_a_key_is_in_no_representation() -> None:
    assert "secret" not in repr(ServerRequest(url="http://h/v1", key="secret"))


def test_a_server_is_found_by_name_or_address() -> None:
    known = (KnownServer("big", "http://big:8000/v1"),)
    assert find_server(known, "big") == known[0]
    assert find_server(known, "big:8000") == known[0]
    assert find_server(known, "http://other:1") == KnownServer("other-1", "http://other:1/v1")
    with pytest.raises(OptionsError, match=r"There is no server 'small'\. Choose one of: big\."):
        find_server(known, "small")


def test_a_new_server_needs_a_name_of_its_own() -> None:
    known = (KnownServer("big", "http://big:8000/v1"),)
    for name in ("big", "no name", ""):
        with pytest.raises(OptionsError):
            check_new(known, KnownServer(name, "http://h/v1"))
    with pytest.raises(OptionsError, match="name of an environment variable"):
        check_new(known, KnownServer("new", "http://h/v1", key_variable="sk-123 abc"))
    check_new(known, KnownServer(default_name("http://h:1/v1"), "http://h:1/v1"))
