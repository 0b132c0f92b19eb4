"""Opens the dialog that makes a quantized copy, and loads the copy in a lane."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.core.environments import OWN
from playground.core.facts import ModelSpec
from playground.core.quantize import QuantizedModel
from playground.core.settings import MAX_LANES
from playground.gui.context import AppContext
from playground.gui.engines.engine_slot import EngineFactory
from playground.gui.lanes.lanes import LanesController
from playground.gui.quantize.controller import QuantizeController

if TYPE_CHECKING:
    from playground.gui.quantize.dialog import QuantizeDialog


class QuantizeEntry(QObject):
    """Keeps at most one dialog; opening it again while it works brings it to the front."""

    def __init__(
        self,
        context: AppContext,
        lanes: LanesController,
        make_engine: EngineFactory,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self.controller = QuantizeController(make_engine, context.background, self)
        self.dialog: QuantizeDialog | None = None
        self._lanes = lanes
        self._window = window

    @Slot()
    def open_current(self) -> None:
        """Open the dialog for the current lane's model and device."""
        if presenter := self._lanes.current:
            self.open(presenter.lane.config.model, presenter.lane.config.device)

    def open(self, spec: ModelSpec, device: str) -> None:
        """Open the dialog for a model that is on this machine."""
        from playground.gui.quantize.dialog import QuantizeDialog

        if self.dialog is None:
            self.controller.open(spec, device)
            self.dialog = QuantizeDialog(self.controller, self._window)
            self.dialog.loadRequested.connect(self._load)
            self.dialog.finished.connect(self._closed)
        elif not self.controller.state.running:
            self.controller.open(spec, device)
        self.dialog.show()
        self.dialog.activateWindow()

    def shut_down(self) -> None:
        """End its engine; return at once."""
        self.controller.shut_down()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`: block until the engine is gone."""
        return self.controller.wait(timeout_ms)

    @Slot()
    def _closed(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()

    @Slot(object)
    def _load(self, copy: QuantizedModel) -> None:
        """Load the copy in a new lane, or in the current one where there is no space for more."""
        current = self._lanes.current
        if current is None:
            return
        config = replace(
            current.lane.config,
            model=ModelSpec(copy.folder),
            precision=copy.precision,
            environment=OWN,  # it loads in the environment that made it
        )
        lane = current.lane
        if len(self._lanes.presenters) < MAX_LANES:
            place = self._lanes.presenters.index(current) + 1
            self._lanes.add(config, place)
            lane = self._lanes.presenters[place].lane
        else:
            lane.set_config(config)
        lane.load()
