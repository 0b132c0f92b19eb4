"""Finds a lane's model off the GUI thread, and decides whether it fits into memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import msgspec
from PySide6.QtCore import QObject, Signal, Slot

from playground.client.process_memory import resident_bytes
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts
from playground.core.lane import Failure, LaneConfig
from playground.gui.toolkit.background import Background, Task
from playground.hub.local.prepare import Prepared, memory_failure

Prepare = Callable[[LaneConfig, EngineFacts | None], Prepared]
FreeBytes = Callable[[str, EngineFacts | None], int | None]


class LanePreparation(QObject):
    """Prepares a load. `found` holds the model once `done` has been emitted."""

    done = Signal()
    refused = Signal(object)  # a Failure

    def __init__(
        self,
        background: Background,
        prepare: Prepare,
        free: FreeBytes,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.found: Prepared | None = None
        self._background = background
        self._prepare = prepare
        self._free = free
        self._task: Task | None = None
        self._warned = False  # the user has seen that the memory is too small
        self._insisting = False

    def start(self, config: LaneConfig, facts: EngineFacts | None, *, insist: bool) -> None:
        """Look for the model; `insist` ignores a lack of memory that the user has seen."""
        self.abandon()
        self._insisting = insist and self._warned
        self.found = None
        self._task = self._background.start(
            partial(self._prepare, config, facts), self._on_prepared, self._on_refused
        )

    def abandon(self) -> None:
        """Drop the search under way; it emits nothing."""
        if self._task is not None:
            self._task.abandon()
            self._task = None

    def note_refusal(self) -> None:
        """Remember that the engine refused the load for lack of memory, and the user saw it."""
        self._warned = True

    def forget_warning(self) -> None:
        """Forget the lack of memory that the user has seen: the lane runs something else now."""
        self._warned = False

    def memory_failure(self, device: str, facts: EngineFacts | None, pid: int) -> Failure | None:
        """Return why the model found does not fit now, None where it may be loaded.

        `pid` is the engine process that will hold it; what it occupies already counts as free.
        """
        if self.found is None:
            return None
        free = self._free(device, facts)
        if free is not None and device == "cpu":
            free += resident_bytes(pid)
        failure = memory_failure(self.found, free)
        if failure is None or self._insisting:
            self._warned = False
            return None
        self._warned = True
        return failure

    def claimed_bytes(self, device: str, pid: int) -> int:
        """Return the bytes of `device` that process `pid` is still expected to take."""
        found = self.found
        if found is None or found.plan is None or found.request.device != device:
            return 0
        resident = resident_bytes(pid) if device == "cpu" else 0
        return max(0, found.plan.peak - resident)

    @Slot(object)
    def _on_prepared(self, prepared: Prepared) -> None:
        self._task = None
        # The engine checks the memory too, and must not refuse what the user insists on.
        request = msgspec.structs.replace(prepared.request, insist=self._insisting)
        self.found = dataclasses.replace(prepared, request=request)
        self.done.emit()

    @Slot(object)
    def _on_refused(self, error: PlaygroundError) -> None:
        self._task = None
        self.refused.emit(Failure(error.message, error.remedy, error.detail))
