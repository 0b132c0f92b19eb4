"""Feeds a memory chart: which model, which device, what is free there now."""

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
from playground.gui.memory.chart import FitChart
from playground.gui.toolkit.background import Background, Task
from playground.hub.place import HubPlace

#: How often the chart looks at what is free, while it can be seen.
_LOOK_MS = 3000


class FitController(QObject):
    """One chart. `engine` are the facts that an engine found, None while there are none;
    `reclaimable` returns the bytes that the lane to be replaced would free on a device.
    """

    def __init__(
        self,
        chart: FitChart,
        background: Background,
        engine: Callable[[], EngineFacts | None],
        reclaimable: Callable[[str], int] = lambda _: 0,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent or chart)
        self.chart = chart
        self._background = background
        self._engine = engine
        self._reclaimable = reclaimable
        self._sizes: ModelSizes | None = None
        self._device = "cpu"
        self._context = 0
        self._budgets: dict[str, DeviceBudget] = {}
        self._reading: Task | None = None
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)
        chart.context_changed.connect(self._use_context)
        chart.device_changed.connect(self.use_device)

    def read(self, spec: ModelSpec, place: HubPlace, commit: str = "") -> None:
        """Show a model after reading its tensors' shapes, from here or from the Hub."""
        self.clear()
        self.chart.show_message("Reading the sizes of the tensors …")
        work = partial(read_sizes, spec, place, commit)
        self._reading = self._background.start(work, self.show_sizes, self._failed)

    @Slot(object)
    def show_sizes(self, sizes: ModelSizes) -> None:
        """Show a model at its usual context."""
        self._abandon()
        self._sizes, self._context = sizes, 0
        self._budgets.clear()  # another load may have taught something
        self._draw()
        self._timer.start()

    def clear(self, text: str = "") -> None:
        """Show no model, or a sentence."""
        self._abandon()
        self._sizes = None
        self._timer.stop()
        self.chart.show_message(text)

    @Slot(str)
    def use_device(self, device: str) -> None:
        """Judge for another device; shows it where there is a model."""
        if device and device != self._device:
            self._device = device
            self._draw()

    @Slot(int)
    def _use_context(self, tokens: int) -> None:
        self._context = tokens
        self._draw()

    @Slot()
    def _look(self) -> None:
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
                context=self._context,
            )
        )

    def _abandon(self) -> None:
        if self._reading is not None:
            self._reading.abandon()
            self._reading = None


def read_sizes(spec: ModelSpec, place: HubPlace, commit: str = "") -> ModelSizes:
    """Count a model's tensors from their headers; blocks. Raises ModelError."""
    # Imported here: the Hub's library would cost the window a good part of its first second.
    from playground.hub.pages.tensor_tables import read_tensors
    from playground.hub.site.api import HubSite

    table = read_tensors(spec, HubSite(place.endpoint, place.cache), commit)
    return model_sizes(table.tensors, table.config, table.weight_bytes)
