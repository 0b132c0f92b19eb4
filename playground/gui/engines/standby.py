"""Engines started ahead: one waits in each environment, its libraries imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.format import size_text
from playground.core.system.machine import machine_memory
from playground.gui.engines.engine_slot import EngineFactory, LaneEngine
from playground.gui.engines.worker import EngineEnd

#: No lane does anything for so long before a spare is started (milliseconds).
CALM_MS = 1500
#: Memory that must be free for a spare to be started, and below which it is given up (bytes).
START_FREE = 2_000_000_000
KEEP_FREE = 800_000_000
#: After so many standby that ended by themselves no more are started in an environment.
_ENOUGH_FAILURES = 2


def _available() -> int:
    return machine_memory().free


class StandbyEngines(QObject):
    """Keeps the standby; lanes take them. Told by `look` what the lanes are doing.

    A spare imports only while no lane does anything: beside a generation it would spoil the
    times. One that has not finished when a generation begins is ended, and started anew later.
    """

    message = Signal(str, str, str)  # text, level, remedy

    def __init__(
        self,
        make: EngineFactory,
        free: Callable[[], int] = _available,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._make = make
        self._free = free
        self._wanted = True
        self._closing = False
        self._busy = False
        self._environments: tuple[str, ...] = ()
        self._standby: dict[str, LaneEngine] = {}
        self._leaving: list[LaneEngine] = []
        self._failures: Counter[str] = Counter()
        self._calm = QTimer(self, singleShot=True, interval=CALM_MS)
        self._calm.timeout.connect(self._start_missing)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the waiting engines, by environment."""
        return {name: engine.pid for name, engine in self._standby.items()}

    @property
    def ready(self) -> bool:
        """Whether there is a spare, and each has its libraries imported."""
        return bool(self._standby) and all(engine.ready for engine in self._standby.values())

    def take(self, environment: str) -> LaneEngine | None:
        """Give away the environment's spare, which goes on as the lane's engine."""
        engine = self._standby.get(environment)
        if engine is None or not engine.alive:
            return None
        del self._standby[environment]
        engine.ended.disconnect(self._on_ended)
        self._failures[environment] = 0
        return engine

    def set_wanted(self, on: bool) -> None:
        """Keep standby, or end those that wait and tell the memory that came back."""
        self._wanted = on
        self._failures.clear()
        if not on:
            self._end(list(self._standby), gently=True)
        self._schedule()

    def look(self, environments: Iterable[str], *, busy: bool, generating: bool) -> None:
        """Take note of what the lanes are set to and do."""
        self._environments = tuple(dict.fromkeys(environments))
        self._end([name for name in self._standby if name not in self._environments])
        if generating:
            self._end([name for name, engine in self._standby.items() if not engine.ready])
        if self._standby and self._free() < KEEP_FREE:
            self._end(list(self._standby))
        self._busy = busy
        self._schedule()

    def shut_down(self) -> None:
        """End every spare now, and start no more; returns at once."""
        self._closing = True
        self._calm.stop()
        self._end(list(self._standby))
        for engine in self._leaving:
            engine.kill()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`: block until every spare is gone."""
        gone = [engine.wait(timeout_ms) for engine in self._leaving]
        return all(gone)

    def _schedule(self) -> None:
        """Start what is missing once things have been calm for a while."""
        if self._busy or self._closing or not self._wanted:
            self._calm.stop()
        elif any(name not in self._standby for name in self._environments):
            self._calm.start()

    @Slot()
    def _start_missing(self) -> None:
        for name in self._environments:
            if (
                name in self._standby
                or self._failures[name] >= _ENOUGH_FAILURES
                or self._free() < START_FREE
            ):
                continue
            engine = LaneEngine(self._make, self)
            engine.ended.connect(self._on_ended)
            try:
                engine.start(name)
            except PlaygroundError:
                self._failures[name] = _ENOUGH_FAILURES  # a lane's load will say why
                engine.deleteLater()
                continue
            self._standby[name] = engine

    def _end(self, names: list[str], *, gently: bool = False) -> None:
        for name in names:
            engine = self._standby.pop(name)
            self._leaving.append(engine)
            if gently:
                engine.end()
            else:
                engine.kill()

    @Slot(object)
    def _on_ended(self, end: EngineEnd) -> None:
        engine = self.sender()
        if not isinstance(engine, LaneEngine):
            return
        if engine in self._leaving:
            self._leaving.remove(engine)
            if end.memory_bytes:
                size = size_text(end.memory_bytes)
                self.message.emit(f"The standby engine is gone, {size} came back.", "info", "")
        for name in [name for name, spare in self._standby.items() if spare is engine]:
            # It went by itself: one more is tried when things are calm.
            del self._standby[name]
            self._failures[name] += 1
            self._schedule()
        engine.deleteLater()
