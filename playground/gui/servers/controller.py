"""Adds, looks at, finds and removes the servers of the settings, and keeps their keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import msgspec
from PySide6.QtCore import QObject, Signal, Slot

from playground.client.servers import find_here, forget_key, look_at, store_key
from playground.core.errors import PlaygroundError
from playground.core.protocol import ServerSeen
from playground.core.servers import KnownServer, ServerRequest, check_key, check_new, default_name
from playground.gui.context import AppContext


@dataclass(frozen=True)
class ServerState:
    """What is known of one server; `busy` names the work in progress on it."""

    server: KnownServer
    seen: ServerSeen | None = None
    problem: str = ""
    busy: str = ""


@dataclass(frozen=True)
class NewServer:
    """What the user typed of a server. `keep`: its key goes into the system's keyring."""

    server: KnownServer
    key: str = ""
    keep: bool = False


class ServersController(QObject):
    """Keeps the list in the settings; whatever waits for a server or a keyring is background work.

    `keys` are those that stay in memory, by the servers' names.
    """

    changed = Signal()
    added = Signal(str)  # a server's name
    finding_changed = Signal(bool)

    def __init__(self, context: AppContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.notify = context.notify
        self.keys: dict[str, str] = {}
        self._context = context
        self._states: dict[str, ServerState] = {}

    def states(self) -> list[ServerState]:
        """Return the servers in the order of the settings."""
        known = self._context.settings.values.servers
        return [self._states.get(one.name, ServerState(one)) for one in known]

    def read_again(self) -> None:
        """Read the list again: the command line may have changed it since."""
        self._context.settings.take("servers")
        self.changed.emit()

    @Slot()
    def look_all(self) -> None:
        """Ask every server what it is."""
        for state in self.states():
            self.look(state.server.name)

    def look(self, name: str) -> None:
        """Ask a server what it is and which models it has."""
        state = self._state(name)
        if state is not None and not state.busy:
            self._set(replace(state, busy="asking"))
            work = partial(_look, state.server, self.keys.get(name, ""))
            self._context.background.start(work, self._looked)

    def add(self, new: NewServer) -> str:
        """Add a server; return why it cannot be, "" where it is being added."""
        server = new.server
        try:
            check_new(self._context.settings.values.servers, server)
            check_key(ServerRequest(url=server.url, key=new.key, plain_key=server.plain_key))
        except PlaygroundError as error:
            return str(error)
        if new.key and new.keep:
            self._context.background.start(partial(_keep_key, new), self._kept)
        else:
            self._append(new)
        return ""

    def remove(self, name: str) -> None:
        """Forget a server and its key."""
        state = self._state(name)
        if state is None:
            return
        if state.server.in_keyring:
            self._context.background.start(partial(forget_key, state.server.url))
        self.keys.pop(name, None)
        self._states.pop(name, None)
        left = tuple(one for one in self._context.settings.values.servers if one.name != name)
        self._context.change_settings(servers=left)
        self.changed.emit()

    @Slot()
    def find(self) -> None:
        """Look for servers at the usual ports of this machine."""
        self.finding_changed.emit(True)
        known = [one.url for one in self._context.settings.values.servers]
        self._context.background.start(partial(find_here, known), self._found)

    # Results

    @Slot(object)
    def _looked(self, found: tuple[str, ServerSeen | PlaygroundError]) -> None:
        name, what = found
        state = self._state(name)
        if state is None:
            return  # removed since
        if isinstance(what, PlaygroundError):
            self._set(replace(state, seen=None, problem=str(what), busy=""))
        else:
            self._set(replace(state, seen=what, problem="", busy=""))

    @Slot(object)
    def _kept(self, result: tuple[NewServer, bool]) -> None:
        new, kept = result
        if kept:
            server = msgspec.structs.replace(new.server, in_keyring=True)
            self._append(replace(new, server=server, key=""))
            return
        self._append(new)
        self.notify.info(
            "This system has no keyring that keeps a key.",
            "The key stays in memory until the playground is closed.",
        )

    @Slot(object)
    def _found(self, found: list[str]) -> None:
        self.finding_changed.emit(False)
        for url in found:
            server = KnownServer(default_name(url), url)
            if not self.add(NewServer(server)):
                continue
        if not found:
            self.notify.info(
                "No further server answers at the usual ports of this machine.",
                "Add it by its address.",
            )

    # Inside

    def _append(self, new: NewServer) -> None:
        if new.key:
            self.keys[new.server.name] = new.key
        known = self._context.settings.values.servers
        self._context.change_settings(servers=(*known, new.server))
        self.changed.emit()
        self.added.emit(new.server.name)
        self.look(new.server.name)

    def _state(self, name: str) -> ServerState | None:
        return next((state for state in self.states() if state.server.name == name), None)

    def _set(self, state: ServerState) -> None:
        self._states[state.server.name] = state
        self.changed.emit()


def _look(server: KnownServer, key: str) -> tuple[str, ServerSeen | PlaygroundError]:
    try:
        return server.name, look_at(server, key)
    except PlaygroundError as error:
        return server.name, error


def _keep_key(new: NewServer) -> tuple[NewServer, bool]:
    return new, store_key(new.server.url, new.key)
