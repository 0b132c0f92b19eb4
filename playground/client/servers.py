"""Keys of servers: from a named environment variable, or the system's keyring."""

from __future__ import annotations

import os

from playground.client import keyrings
from playground.core.errors import OptionsError
from playground.core.servers import KnownServer, ServerRequest

#: The service under which the system's keyring holds the keys, by the servers' addresses.
SERVICE = "language-model-playground"


def request_for(server: KnownServer, key: str = "") -> ServerRequest:
    """Return how to ask a server: with a key given, its variable's, or the keyring's.

    Raises OptionsError where the variable is not set.
    """
    return ServerRequest(url=server.url, key=key or key_of(server), plain_key=server.plain_key)


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
