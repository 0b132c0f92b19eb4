"""Feeds a memory chart with a model's sizes and the memory that is free on a device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, QTimer, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, ModelSpec
from playground.core.memory.headroom import budget_on, free_bytes
from playground.core.memory.plan import DeviceBudget
from playground.core.memory.table import memory_table
from playground.core.model.weights import ModelSizes, model_sizes
from playground.gui.context import AppContext
from playground.gui.memory.chart import MemoryChart
from playground.gui.toolkit.background import Task
from playground.hub.place import HubPlace

#: How often the free memory is read while the chart is visible.
_POLL_MS = 3000


class MemoryController(QObject):
    """Keeps one chart up to date with its model, device, context and the free memory."""

    def __init__(
        self,
        chart: MemoryChart,
        context: AppContext,
        engine: Callable[[], EngineFacts | None],
        reclaimable: Callable[[str], int] = lambda _: 0,
        parent: QObject | None = None,
    ) -> None:
        """`engine` returns what an engine found on this machine, None while none has; `reclaimable`
        the bytes that the model to be replaced frees on a device."""
        super().__init__(parent or chart)
        self.chart = chart
        self._background = context.background
        self._hub = context.hub
        self._engine = engine
        self._reclaimable = reclaimable
        self._sizes: ModelSizes | None = None
        self._device = "cpu"
        self._tokens = 0  # of the context, 0: the model's usual one
        self._budgets: dict[str, DeviceBudget] = {}
        self._reading: Task | None = None
        self._timer = QTimer(self, interval=_POLL_MS)
        self._timer.timeout.connect(self._refresh)
        chart.context_changed.connect(self._use_context)
        chart.device_changed.connect(self.use_device)

    def read(self, spec: ModelSpec, commit: str = "") -> None:
        """Show a model after reading its tensors' shapes, from this machine or the Hub."""
        self.clear()
        self.chart.show_message("Reading the sizes of the tensors …")
        work = partial(read_sizes, spec, self._hub, commit)
        self._reading = self._background.start(work, self.show_sizes, self._failed)

    @Slot(object)
    def show_sizes(self, sizes: ModelSizes) -> None:
        """Show a model with its usual context."""
        self._abandon()
        self._sizes, self._tokens = sizes, 0
        self._budgets.clear()  # loads since then may have changed the corrections
        self._draw()
        self._timer.start()

    def clear(self, text: str = "") -> None:
        """Show a sentence, or nothing, instead of a model."""
        self._abandon()
        self._sizes = None
        self._timer.stop()
        self.chart.show_message(text)

    @Slot(str)
    def use_device(self, device: str) -> None:
        """Compare with the memory of another device."""
        if device and device != self._device:
            self._device = device
            self._draw()

    @Slot(int)
    def _use_context(self, tokens: int) -> None:
        self._tokens = tokens
        self._draw()

    @Slot()
    def _refresh(self) -> None:
        if self.chart.isVisible():
            self._draw()

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._reading = None
        self.chart.show_message(f"{error.message} {error.remedy}".strip(), "warning")

    def _draw(self) -> None:
        if self._sizes is None:
            return
        engine = self._engine()
        devices = [(d.id, d.name) for d in engine.devices] if engine else [("cpu", "")]
        if all(id_ != self._device for id_, _ in devices):
            self._device = devices[0][0]
        budget = self._budgets.get(self._device)
        if budget is None:
            budget = self._budgets[self._device] = budget_on(self._device, engine)
        self.chart.show_devices(devices, self._device)
        self.chart.show_table(
            memory_table(
                self._sizes,
                budget=budget,
                free=free_bytes(self._device, engine),
                reclaimable=self._reclaimable(self._device),
                context=self._tokens,
            )
        )

    def _abandon(self) -> None:
        if self._reading is not None:
            self._reading.abandon()
            self._reading = None


def read_sizes(spec: ModelSpec, hub: HubPlace, commit: str = "") -> ModelSizes:
    """Return a model's sizes, from the headers of its files. Blocks. Raises ModelError."""
    # Imported here: importing the Hub's library would delay the window's start noticeably.
    from playground.hub.pages.tensor_tables import read_tensors
    from playground.hub.site.api import HubSite

    table = read_tensors(spec, HubSite(hub.endpoint, hub.cache), commit)
    return model_sizes(table.tensors, table.config, table.weight_bytes)
