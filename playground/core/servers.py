"""Servers that speak OpenAI's API: their addresses, and what is known of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta

from playground.core.errors import OptionsError

_SCHEMES = ("http", "https")
_LONGEST = 2048  # characters of an address
MAX_SERVERS = 20
_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"
_VARIABLE = "^([A-Za-z_][A-Za-z0-9_]{0,99})?$"
_EXAMPLE = "http://127.0.0.1:8000/v1"


class ServerKind(StrEnum):
    """The servers that are recognised by their answers; the values are data."""

    VLLM = "vLLM"
    SGLANG = "SGLang"
    LLAMA_CPP = "llama.cpp"
    LLAMA_CPP_PYTHON = "llama-cpp-python"
    TRANSFORMERS = "transformers serve"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """The name shown to people."""
        return "a server of unknown kind" if self is ServerKind.UNKNOWN else self.value


class CountedBy(StrEnum):
    """What tells how many tokens an answer has; the values are data.

    With USAGE only their total is known, and with CHUNKS not even that: an entry of `times` is
    then a piece of text.
    """

    TOKEN_IDS = "token ids"  # noqa: S105  # no password
    LOGPROBS = "log-probabilities"
    USAGE = "usage"
    CHUNKS = "chunks"


class ServerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A server to ask: its address up to "/v1", and the key for it, "" where it needs none.

    `plain_key`: the user agreed that the key goes over http to another machine.
    """

    url: str
    key: str = ""
    plain_key: bool = False

    def __repr__(self) -> str:
        return f"ServerRequest(url={self.url!r}, key={'…' if self.key else ''!r})"


class KnownServer(msgspec.Struct, frozen=True):
    """A server that the user has named.

    `key_variable` names an environment variable that holds its key, "" for none; `in_keyring`:
    the system's keyring has it. `plain_key` as in ServerRequest.
    """

    name: Annotated[str, Meta(pattern=_NAME)]
    url: Annotated[str, Meta(max_length=_LONGEST)]
    key_variable: Annotated[str, Meta(pattern=_VARIABLE)] = ""
    in_keyring: bool = False
    plain_key: bool = False


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is and can do, as its answers showed.

    `precision` is what it says of its weights, "" where it says nothing. `context_length` is 0
    where unknown. `completions` and `chat`: it continues a text, it answers a conversation.
    `top_logprobs` is the most alternatives it gives with a token, 0 where it gives none.
    `lacks` names the options of GenerationOptions that it does not take. `round_trip_s` is the
    median time of a small request. `shows_cache`: it tells how many tokens of a prompt its cache
    held; `fresh_cache`: a request can ask that none is used.
    """

    url: str
    kind: ServerKind = ServerKind.UNKNOWN
    version: str = ""
    precision: str = ""
    context_length: int = 0
    completions: bool = False
    chat: bool = False
    counted_by: CountedBy = CountedBy.CHUNKS
    top_logprobs: int = 0
    lacks: tuple[str, ...] = ()
    round_trip_s: float = 0.0
    shows_cache: bool = False
    fresh_cache: bool = False

    @property
    def label(self) -> str:
        """The kind with its version: "vLLM 0.9.1"."""
        return f"{self.kind.label} {self.version}".strip()


def clean_address(text: str) -> str:
    """Return a server's address as it is kept: scheme, host and path without a slash at its end.

    "http://" is put in front where the scheme is missing, and "/v1" behind where there is no path.
    Raises OptionsError for anything that is no address of a server.
    """
    text = text.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _no_address(text) from None
    if (
        parts.scheme not in _SCHEMES
        or not parts.hostname
        or len(text) > _LONGEST
        or any(character.isspace() or not character.isprintable() for character in text)
    ):
        raise _no_address(text)
    if parts.username or parts.password:
        raise OptionsError(
            "The server's address holds a user's name or a password.",
            "Leave it out of the address, and give a key where the server needs one.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return SplitResult(parts.scheme, place, parts.path.rstrip("/") or "/v1", "", "").geturl()


def default_name(url: str) -> str:
    """Return a name for a server: its host and port, with other characters as "-"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", urlsplit(url).netloc).strip("._-")[:40] or "server"


def check_new(servers: Sequence[KnownServer], server: KnownServer) -> None:
    """Raise OptionsError where a server cannot be added to the known ones."""
    if not re.match(_NAME, server.name):
        raise OptionsError(
            f"{server.name!r} cannot be the name of a server.",
            "Use up to 40 letters, digits, dots, hyphens and underscores.",
        )
    if not re.match(_VARIABLE, server.key_variable):
        raise OptionsError(
            f"{server.key_variable!r} cannot be the name of an environment variable.",
            "Name the variable that holds the key, not the key itself.",
        )
    if any(known.name == server.name for known in servers):
        raise OptionsError(
            f"There is already a server {server.name}.",
            "Choose another name, or remove that one first.",
        )
    if len(servers) >= MAX_SERVERS:
        raise OptionsError(f"There are already {MAX_SERVERS} servers.", "Remove one first.")


def find_server(servers: Sequence[KnownServer], named: str) -> KnownServer:
    """Return the server of this name or address; an address need not be known.

    Raises OptionsError that lists the known ones.
    """
    for server in servers:
        if server.name == named:
            return server
    if "://" in named or ":" in named:
        url = clean_address(named)
        known = next((server for server in servers if server.url == url), None)
        return known or KnownServer(default_name(url), url)
    names = ", ".join(server.name for server in servers)
    raise OptionsError(
        f"There is no server {named!r}.",
        f"Choose one of: {names}." if names else f"Give its address, such as {_EXAMPLE}.",
    )


def is_this_machine(url: str) -> bool:
    """Return whether an address names this machine by its loopback."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key(request: ServerRequest) -> None:
    """Raise OptionsError where a key would go over plain http to another machine unasked."""
    readable = urlsplit(request.url).scheme == "http" and not is_this_machine(request.url)
    if request.key and readable and not request.plain_key:
        raise OptionsError(
            f"The key would be sent to {urlsplit(request.url).hostname} over http, where others "
            "on the way can read it.",
            "Use the server's https address, or allow it for this server.",
        )


def _no_address(text: str) -> OptionsError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return OptionsError(
        f"{shown!r} is not the address of a server.", f"Give one such as {_EXAMPLE}."
    )
