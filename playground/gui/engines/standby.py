"""Standby engines: one waits in each environment in use, with its libraries imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, QTimer, Slot

from playground.core.errors import PlaygroundError
from playground.core.format import size_text
from playground.core.system.machine import machine_memory
from playground.gui.engines.engine_slot import EngineFactory, EngineSlot
from playground.gui.engines.worker import EngineEnd
from playground.gui.toolkit.notify import Notify

#: All lanes must have been idle this long (ms) before a standby engine is started.
IDLE_MS = 1500
#: Free memory (bytes) needed to start a standby engine, and below which it is ended.
START_FREE = 2_000_000_000
KEEP_FREE = 800_000_000
#: After this many unexpected ends no further engine is started in an environment.
_MAX_FAILURES = 2


def _available() -> int:
    return machine_memory().free


class StandbyEngines(QObject):
    """Keeps standby engines for the lanes to take; `update` receives what the lanes are doing.

    A standby engine imports its libraries only while all lanes are idle: beside a generation it
    would distort the timings. One that is still importing when a generation begins is ended, and
    started again later.
    """

    def __init__(
        self,
        make: EngineFactory,
        notify: Notify,
        free: Callable[[], int] = _available,
        parent: QObject | None = None,
    ) -> None:
        """`free` returns the free memory in bytes."""
        super().__init__(parent)
        self._make = make
        self._notify = notify
        self._free = free
        self._enabled = True
        self._closing = False
        self._busy = False
        self._environments: tuple[str, ...] = ()
        self.engines: dict[str, EngineSlot] = {}  # by environment
        self._ending: list[EngineSlot] = []
        self._failures: Counter[str] = Counter()
        self._idle = QTimer(self, singleShot=True, interval=IDLE_MS)
        self._idle.timeout.connect(self._start_missing)

    def take(self, environment: str) -> EngineSlot | None:
        """Return the environment's standby engine, which the caller then owns; None without one."""
        engine = self.engines.get(environment)
        if engine is None or not engine.alive:
            return None
        del self.engines[environment]
        engine.ended.disconnect(self._on_ended)
        self._failures[environment] = 0
        return engine

    @Slot(bool)
    def set_enabled(self, on: bool) -> None:
        """Keep standby engines, or end those that wait and report the memory freed."""
        self._enabled = on
        self._failures.clear()
        if not on:
            self._end(list(self.engines), gently=True)
        self._schedule()

    def update(self, environments: Iterable[str], *, busy: bool, generating: bool) -> None:
        """Adapt to the lanes: the environments that they use, and what any of them is doing."""
        self._environments = tuple(dict.fromkeys(environments))
        self._end([name for name in self.engines if name not in self._environments])
        if generating:
            self._end([name for name, engine in self.engines.items() if not engine.ready])
        if self.engines and self._free() < KEEP_FREE:
            self._end(list(self.engines))
        self._busy = busy
        self._schedule()

    def shut_down(self) -> None:
        """End every standby engine now and start no more; `wait` waits for them."""
        self._closing = True
        self._idle.stop()
        self._end(list(self.engines))
        for engine in self._ending:
            engine.kill()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`, block until all have ended; return whether they have."""
        ended = [engine.wait(timeout_ms) for engine in self._ending]
        return all(ended)

    def _schedule(self) -> None:
        """Start the missing engines once the lanes have been idle for a while."""
        if self._busy or self._closing or not self._enabled:
            self._idle.stop()
        elif any(name not in self.engines for name in self._environments):
            self._idle.start()

    @Slot()
    def _start_missing(self) -> None:
        for name in self._environments:
            if (
                name in self.engines
                or self._failures[name] >= _MAX_FAILURES
                or self._free() < START_FREE
            ):
                continue
            engine = EngineSlot(self._make, self)
            engine.ended.connect(self._on_ended)
            try:
                engine.start(name)
            except PlaygroundError:
                self._failures[name] = _MAX_FAILURES  # a lane's load shows why
                engine.deleteLater()
                continue
            self.engines[name] = engine

    def _end(self, names: list[str], *, gently: bool = False) -> None:
        for name in names:
            engine = self.engines.pop(name)
            self._ending.append(engine)
            if gently:
                engine.end()
            else:
                engine.kill()

    @Slot(object, object)
    def _on_ended(self, end: EngineEnd, engine: EngineSlot) -> None:
        if engine in self._ending:
            self._ending.remove(engine)
            if end.memory_bytes:
                size = size_text(end.memory_bytes)
                self._notify.info(f"The standby engine has ended and freed {size}.")
        for name in [name for name, waiting in self.engines.items() if waiting is engine]:
            # It ended by itself: another one is tried when the lanes are idle.
            del self.engines[name]
            self._failures[name] += 1
            self._schedule()
        engine.deleteLater()
