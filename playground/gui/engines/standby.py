"""Standby engines: one waits in each environment in use, with its libraries imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, QTimer, Slot

from playground.core.errors import PlaygroundError
from playground.core.format import size_text
from playground.core.system.machine import machine_memory
from playground.gui.engines.engine_slot import EngineFactory, LaneEngine
from playground.gui.engines.worker import EngineEnd
from playground.gui.toolkit.notify import Notify

#: All lanes must have been idle this long (ms) before a standby engine is started.
IDLE_MS = 1500
#: Free memory (bytes) needed to start a standby engine, and below which it is ended.
START_FREE = 2_000_000_000
KEEP_FREE = 800_000_000
#: No more are started in an environment where this many ended by themselves.
_MAX_FAILURES = 2


def _available() -> int:
    return machine_memory().free


class StandbyEngines(QObject):
    """Keeps standby engines for the lanes to take. `update` says what the lanes are doing.

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
        self._standby: dict[str, LaneEngine] = {}
        self._ending: list[LaneEngine] = []
        self._failures: Counter[str] = Counter()
        self._idle = QTimer(self, singleShot=True, interval=IDLE_MS)
        self._idle.timeout.connect(self._start_missing)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the standby engines, by environment."""
        return {name: engine.pid for name, engine in self._standby.items()}

    @property
    def ready(self) -> bool:
        """Whether there are standby engines, and all have imported their libraries."""
        return bool(self._standby) and all(engine.ready for engine in self._standby.values())

    def take(self, environment: str) -> LaneEngine | None:
        """Return the environment's standby engine, which the caller then owns; None without one."""
        engine = self._standby.get(environment)
        if engine is None or not engine.alive:
            return None
        del self._standby[environment]
        engine.ended.disconnect(self._on_ended)
        self._failures[environment] = 0
        return engine

    @Slot(bool)
    def set_enabled(self, on: bool) -> None:
        """Keep standby engines, or end those that wait and report the memory freed."""
        self._enabled = on
        self._failures.clear()
        if not on:
            self._end(list(self._standby), gently=True)
        self._schedule()

    def update(self, environments: Iterable[str], *, busy: bool, generating: bool) -> None:
        """Adapt to the lanes: the environments that they use, and what any of them is doing."""
        self._environments = tuple(dict.fromkeys(environments))
        self._end([name for name in self._standby if name not in self._environments])
        if generating:
            self._end([name for name, engine in self._standby.items() if not engine.ready])
        if self._standby and self._free() < KEEP_FREE:
            self._end(list(self._standby))
        self._busy = busy
        self._schedule()

    def shut_down(self) -> None:
        """End every standby engine now and start no more; `wait` waits for them."""
        self._closing = True
        self._idle.stop()
        self._end(list(self._standby))
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
        elif any(name not in self._standby for name in self._environments):
            self._idle.start()

    @Slot()
    def _start_missing(self) -> None:
        for name in self._environments:
            if (
                name in self._standby
                or self._failures[name] >= _MAX_FAILURES
                or self._free() < START_FREE
            ):
                continue
            engine = LaneEngine(self._make, self)
            engine.ended.connect(self._on_ended)
            try:
                engine.start(name)
            except PlaygroundError:
                self._failures[name] = _MAX_FAILURES  # a lane's load shows why
                engine.deleteLater()
                continue
            self._standby[name] = engine

    def _end(self, names: list[str], *, gently: bool = False) -> None:
        for name in names:
            engine = self._standby.pop(name)
            self._ending.append(engine)
            if gently:
                engine.end()
            else:
                engine.kill()

    @Slot(object, object)
    def _on_ended(self, end: EngineEnd, engine: LaneEngine) -> None:
        if engine in self._ending:
            self._ending.remove(engine)
            if end.memory_bytes:
                size = size_text(end.memory_bytes)
                self._notify.info(f"The standby engine has ended and freed {size}.")
        for name in [name for name, waiting in self._standby.items() if waiting is engine]:
            # It ended by itself: another one is tried when the lanes are idle.
            del self._standby[name]
            self._failures[name] += 1
            self._schedule()
        engine.deleteLater()
