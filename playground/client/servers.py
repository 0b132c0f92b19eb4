"""Keys of servers: from a named environment variable, or the system's keyring."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence

from playground.client import keyrings
from playground.client.environments import process_of
from playground.client.session import Session
from playground.core.environments import REMOTE
from playground.core.errors import OptionsError, PlaygroundError
from playground.core.facts import LoadRequest
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.protocol import ServerSeen
from playground.core.servers import KnownServer, ServerRequest

#: Where vLLM, llama.cpp's server, transformers serve, SGLang, Ollama and LM Studio listen.
USUAL_PORTS = (8000, 8080, 30000, 11434, 1234)
#: The service under which the system's keyring holds the keys, by the servers' addresses.
SERVICE = "language-model-playground"


def request_for(server: KnownServer, key: str = "") -> ServerRequest:
    """Return how to ask a server: with a key given, its variable's, or the keyring's.

    Raises OptionsError where the variable is not set.
    """
    return ServerRequest(url=server.url, key=key or key_of(server), plain_key=server.plain_key)


def load_request(
    config: LaneConfig, servers: Sequence[KnownServer], keys: Mapping[str, str]
) -> LoadRequest:
    """Return the load of a lane that runs on a server; `keys` are in memory, by servers' names.

    May wait for a keyring. Raises OptionsError where the server is not known any more.
    """
    server = next((one for one in servers if one.name == config.server), None)
    if server is None:
        raise OptionsError(
            f"The server {config.server} is not in the list any more.",
            "Choose another one in the lane's menu, or add it again.",
        )
    return LoadRequest(
        name=config.model.source,
        folder="",
        commit="",
        precision=Precision.SERVER,
        environment=config.server,
        server=request_for(server, keys.get(server.name, "")),
    )


def look_at(server: KnownServer, key: str = "") -> ServerSeen:
    """Ask a server what it is and which models it has; takes a second. Raises PlaygroundError."""
    with Session(engine=process_of(REMOTE, ())) as session:
        return session.look_at_server(request_for(server, key))


def find_here(known: Sequence[str]) -> list[str]:
    """Return the addresses of further servers at the usual ports of this machine."""
    found = []
    for port in USUAL_PORTS:
        url = f"http://127.0.0.1:{port}/v1"
        if url in known or not _listens(port):
            continue
        try:
            look_at(KnownServer("here", url))
        except PlaygroundError:
            continue
        found.append(url)
    return found


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def key_of(server: KnownServer) -> str:
    """Return a server's key, "" where none is kept. Raises OptionsError for a missing variable."""
    if server.key_variable:
        key = os.environ.get(server.key_variable, "")
        if not key:
            raise OptionsError(
                f"The environment variable {server.key_variable}, which should hold the key of "
                f"{server.name}, is not set.",
                "Set it before the playground starts.",
            )
        return key
    return stored_key(server.url) if server.in_keyring else ""


def stored_key(url: str) -> str:
    """Return the key that the system's keyring holds for an address, "" without one."""
    return keyrings.ask(lambda keyring: keyring.get_password(SERVICE, url) or "", "")


def store_key(url: str, key: str) -> bool:
    """Put a key into the system's keyring; return whether it can be read back from there.

    A keyring that stores nothing accepts every key.
    """

    def store(keyring: keyrings.Keyring) -> bool:
        keyring.set_password(SERVICE, url, key)
        return keyring.get_password(SERVICE, url) == key

    return keyrings.ask(store, False)


def forget_key(url: str) -> None:
    """Remove an address's key from the system's keyring."""
    keyrings.ask(lambda keyring: keyring.delete_password(SERVICE, url), None)
