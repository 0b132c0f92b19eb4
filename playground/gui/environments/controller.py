"""The engine environments in the window: looked at, checked, added, made and removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.client.environment_builder import Builder, Cancelled, remove_folder
from playground.client.environments import check, look
from playground.core.environments import (
    AUTO_GPTQ,
    EngineEnvironment,
    check_new,
    default_name,
)
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts
from playground.core.settings import SettingsStore
from playground.gui.toolkit.background import Background

#: Name, and what was found: the interpreter's version, an engine's facts, or what is wrong.
_Found = tuple[str, str | EngineFacts | PlaygroundError]


@dataclass(frozen=True)
class EnvironmentState:
    """What is known of one environment; `busy` says what is being done with it."""

    environment: EngineEnvironment
    version: str = ""
    facts: EngineFacts | None = None
    problem: str = ""
    busy: str = ""


class EnvironmentsController(QObject):
    """Keeps the list in the settings. All work is done in the background."""

    changed = Signal()
    building_changed = Signal(bool)
    progressed = Signal(str, float)  # what is done, and the fraction of the steps
    known = Signal(str, object)  # an environment's name and its EngineFacts
    message = Signal(str, str, str)  # text, level, remedy
    _told = Signal(str, float)  # from the builder's thread

    def __init__(
        self,
        store: SettingsStore,
        background: Background,
        parent: QWidget | None = None,
        make_builder: Callable[[], Builder] = Builder,
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._background = background
        self._make_builder = make_builder
        self._builder: Builder | None = None
        self._states: dict[str, EnvironmentState] = {}
        self._adding: EngineEnvironment | None = None  # being checked, and not in the list yet
        self._told.connect(self.progressed)

    @property
    def building(self) -> bool:
        return self._builder is not None

    def states(self) -> list[EnvironmentState]:
        """Those there are, in the order of the settings, and the one that is being added."""
        known = self._store.values.environments
        if self._adding is not None:
            known = (*known, self._adding)
        return [self._states.get(one.name, EnvironmentState(one)) for one in known]

    @Slot()
    def look_all(self) -> None:
        """Find out which interpreters are there, without starting engines."""
        for state in self.states():
            if not state.busy:
                self._background.start(partial(_look, state.environment), self._looked)

    def read_again(self) -> None:
        """Take from the settings file what the command line may have made meanwhile."""
        self._store.take("environments")
        self.changed.emit()

    def check(self, name: str) -> None:
        """Start an engine in an environment, to see what it can do."""
        for state in self.states():
            if state.environment.name == name and not state.busy:
                self._set(replace(state, busy="starting an engine"))
                self._background.start(partial(_check, state.environment), self._looked)

    def add(self, python: Path) -> None:
        """Check the Python of an environment and add it to the list."""
        # Not resolved: a virtual environment's executable is a link to another Python.
        environment = EngineEnvironment(default_name(python), str(python.absolute()))
        if self._adding is not None:
            return
        try:
            check_new(self._store.values.environments, environment.name)
        except PlaygroundError as error:
            self._tell(error)
            return
        self._adding = environment
        self._set(EnvironmentState(environment, busy="starting an engine"))
        self._background.start(partial(_check, environment), self._checked_new)

    @Slot()
    def create(self) -> None:
        """Make the environment with auto-gptq; takes minutes."""
        if self._builder is not None:
            return
        try:
            check_new(self._store.values.environments, AUTO_GPTQ)
        except PlaygroundError as error:
            self._tell(error)
            return
        self._builder = self._make_builder()
        self.building_changed.emit(True)
        self._background.start(
            partial(_build, self._builder, self._told.emit), self._built, self._build_failed
        )

    @Slot()
    def cancel(self) -> None:
        """Stop making the environment; what there is of it is deleted."""
        if self._builder is not None:
            self._told.emit("cancelling", 0.0)
            self._builder.cancel()

    def remove(self, name: str) -> None:
        """Forget an environment; its folder is deleted where it was made here."""
        for state in self.states():
            if state.environment.name == name and not state.busy:
                self._set(replace(state, busy="removing"))
                self._background.start(
                    partial(_remove, state.environment), self._removed, self._not_removed
                )

    @Slot()
    def shut_down(self) -> None:
        """Stop what runs: a window that is gone makes nothing any more."""
        if self._builder is not None:
            self._builder.cancel()

    # What comes back

    @Slot(object)
    def _looked(self, found: _Found) -> None:
        name, what = found
        state = next((s for s in self.states() if s.environment.name == name), None)
        if state is None:
            return  # removed meanwhile
        if isinstance(what, PlaygroundError):
            self._set(replace(state, facts=None, problem=str(what), busy=""))
        elif isinstance(what, EngineFacts):
            self._set(replace(state, facts=what, version=what.python, problem="", busy=""))
            self.known.emit(name, what)
        elif not state.busy:
            self._set(replace(state, version=what, problem=""))

    @Slot(object)
    def _checked_new(self, found: _Found) -> None:
        name, what = found
        environment, self._adding = self._adding, None
        if isinstance(what, PlaygroundError) or environment is None:
            self._states.pop(name, None)
            self.changed.emit()
        else:
            self._keep((*self._store.values.environments, environment))
            self._looked(found)
        if isinstance(what, PlaygroundError):
            self._tell(what)

    @Slot(object)
    def _built(self, environment: EngineEnvironment | None) -> None:
        self._end_building()
        if environment is None:
            self.message.emit("The environment was not made.", "info", "Nothing is left of it.")
            return
        self._keep((*self._store.values.environments, environment))
        self.message.emit(
            f"The environment {environment.name} is ready.", "info", "Choose it in a lane's menu."
        )
        self.check(environment.name)

    @Slot(object)
    def _build_failed(self, error: PlaygroundError) -> None:
        self._end_building()
        self._tell(error)

    @Slot(object)
    def _removed(self, name: str) -> None:
        self._forget(name)

    @Slot(object)
    def _not_removed(self, error: PlaygroundError) -> None:
        self._states = {n: replace(s, busy="") for n, s in self._states.items()}
        self._tell(error)
        self.changed.emit()

    # Inside

    def _end_building(self) -> None:
        self._builder = None
        self.building_changed.emit(False)

    def _forget(self, name: str) -> None:
        self._keep(tuple(e for e in self._store.values.environments if e.name != name))
        self._states.pop(name, None)
        self.changed.emit()

    def _set(self, state: EnvironmentState) -> None:
        self._states[state.environment.name] = state
        self.changed.emit()

    def _keep(self, environments: tuple[EngineEnvironment, ...]) -> None:
        try:
            self._store.change(environments=environments)
        except PlaygroundError as error:  # it holds until the window is closed
            self._tell(error)

    def _tell(self, error: PlaygroundError) -> None:
        self.message.emit(error.message, "error", error.remedy)


def _look(environment: EngineEnvironment) -> _Found:
    if not Path(environment.python).is_file():
        return environment.name, PlaygroundError(
            f"There is no Python at {environment.python} any more.",
            "Bring it back, or remove the environment here.",
        )
    try:
        return environment.name, look(environment.python)
    except PlaygroundError as error:
        return environment.name, error


def _check(environment: EngineEnvironment) -> _Found:
    try:
        return environment.name, check(environment)
    except PlaygroundError as error:
        return environment.name, error


def _build(builder: Builder, tell: Callable[[str, float], None]) -> EngineEnvironment | None:
    try:
        return builder.build(tell)
    except Cancelled:
        return None


def _remove(environment: EngineEnvironment) -> str:
    remove_folder(environment)
    return environment.name
