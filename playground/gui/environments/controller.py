"""Checks, adds, installs and removes the engine environments of the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

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
from playground.gui.context import AppContext

#: An environment's name with the interpreter's version, an engine's facts, or an error.
_Found = tuple[str, str | EngineFacts | PlaygroundError]


@dataclass(frozen=True)
class EnvironmentState:
    """What is known of one environment; `busy` names the work in progress on it."""

    environment: EngineEnvironment
    version: str = ""
    facts: EngineFacts | None = None
    problem: str = ""
    busy: str = ""


class EnvironmentsController(QObject):
    """Keeps the list in the settings; all work runs in the background."""

    changed = Signal()
    building_changed = Signal(bool)
    #: The step of the installation and the fraction done; emitted on the builder's thread, too.
    progressed = Signal(str, float)
    known = Signal(str, object)  # an environment's name and its EngineFacts

    def __init__(self, context: AppContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.notify = context.notify
        self._context = context
        self._settings = context.settings
        self._background = context.background
        self._builder: Builder | None = None
        self._states: dict[str, EnvironmentState] = {}
        self._adding: EngineEnvironment | None = None  # being checked, not in the list yet

    @property
    def building(self) -> bool:
        return self._builder is not None

    def states(self) -> list[EnvironmentState]:
        """Return the environments in the order of the settings, and the one being added."""
        known = self._settings.values.environments
        if self._adding is not None:
            known = (*known, self._adding)
        return [self._states.get(one.name, EnvironmentState(one)) for one in known]

    @Slot()
    def look_all(self) -> None:
        """Find out which interpreters exist, without starting engines."""
        for state in self.states():
            if not state.busy:
                self._background.start(partial(_look, state.environment), self._looked)

    def read_again(self) -> None:
        """Read the list again: the command line may have changed it since."""
        self._settings.take("environments")
        self.changed.emit()

    def check(self, name: str) -> None:
        """Start an engine in an environment to find out what it can do."""
        for state in self.states():
            if state.environment.name == name and not state.busy:
                self._set(replace(state, busy="starting an engine"))
                self._background.start(partial(_check, state.environment), self._looked)

    def add(self, python: Path) -> None:
        """Check the Python of an environment and add it to the list."""
        # Links are not resolved: a virtual environment's executable is one to another Python.
        environment = EngineEnvironment(default_name(python), str(python.absolute()))
        if self._adding is not None:
            return
        try:
            check_new(self._settings.values.environments, environment.name)
        except PlaygroundError as error:
            self.notify.error(error)
            return
        self._adding = environment
        self._set(EnvironmentState(environment, busy="starting an engine"))
        self._background.start(partial(_check, environment), self._checked_new)

    @Slot()
    def create(self) -> None:
        """Install the environment with auto-gptq, which takes minutes."""
        if self._builder is not None:
            return
        try:
            check_new(self._settings.values.environments, AUTO_GPTQ)
        except PlaygroundError as error:
            self.notify.error(error)
            return
        self._builder = Builder()
        self.building_changed.emit(True)
        self._background.start(
            partial(_build, self._builder, self.progressed.emit),
            self._built,
            self._build_failed,
        )

    @Slot()
    def cancel(self) -> None:
        """Stop the installation; its files are deleted."""
        if self._builder is not None:
            self.progressed.emit("cancelling", 0.0)
            self._builder.cancel()

    def remove(self, name: str) -> None:
        """Remove an environment; its folder is deleted if it was installed here."""
        for state in self.states():
            if state.environment.name == name and not state.busy:
                self._set(replace(state, busy="removing"))
                self._background.start(
                    partial(_remove, state.environment), self._removed, self._not_removed
                )

    @Slot()
    def shut_down(self) -> None:
        """Stop an installation in progress."""
        if self._builder is not None:
            self._builder.cancel()

    # Results

    @Slot(object)
    def _looked(self, found: _Found) -> None:
        name, what = found
        state = next((s for s in self.states() if s.environment.name == name), None)
        if state is None:
            return  # removed since
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
            self._append(environment)
            self._looked(found)
        if isinstance(what, PlaygroundError):
            self.notify.error(what)

    @Slot(object)
    def _built(self, environment: EngineEnvironment | None) -> None:
        self._end_building()
        if environment is None:
            self.notify.info("The installation was cancelled.", "Its files were deleted.")
            return
        self._append(environment)
        self.notify.info(
            f"The environment {environment.name} is ready.", "Choose it in a lane's menu."
        )
        self.check(environment.name)

    @Slot(object)
    def _build_failed(self, error: PlaygroundError) -> None:
        self._end_building()
        self.notify.error(error)

    @Slot(object)
    def _removed(self, name: str) -> None:
        left = tuple(e for e in self._settings.values.environments if e.name != name)
        self._context.change_settings(environments=left)
        self._states.pop(name, None)
        self.changed.emit()

    @Slot(object)
    def _not_removed(self, error: PlaygroundError) -> None:
        self._states = {n: replace(s, busy="") for n, s in self._states.items()}
        self.notify.error(error)
        self.changed.emit()

    # Inside

    def _end_building(self) -> None:
        self._builder = None
        self.building_changed.emit(False)

    def _append(self, environment: EngineEnvironment) -> None:
        known = self._settings.values.environments
        self._context.change_settings(environments=(*known, environment))

    def _set(self, state: EnvironmentState) -> None:
        self._states[state.environment.name] = state
        self.changed.emit()


def _look(environment: EngineEnvironment) -> _Found:
    if not Path(environment.python).is_file():
        return environment.name, PlaygroundError(
            f"There is no Python at {environment.python} any more.",
            "Restore it, or remove the environment here.",
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


def _build(builder: Builder, report: Callable[[str, float], None]) -> EngineEnvironment | None:
    try:
        return builder.build(report)
    except Cancelled:
        return None


def _remove(environment: EngineEnvironment) -> str:
    remove_folder(environment)
    return environment.name
