"""A dialog with the memory chart of one lane's model."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from playground.core.facts import EngineFacts
from playground.core.lane import LaneConfig
from playground.gui.memory.chart import FitChart
from playground.gui.memory.controller import FitController
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.elided import ElidedLabel
from playground.hub.place import HubPlace


class FitDialog(QDialog):
    """Shows what the model of `config` takes at every precision. Show it with `open()`."""

    def __init__(
        self,
        config: LaneConfig,
        name: str,
        background: Background,
        engine: Callable[[], EngineFacts | None],
        reclaimable: Callable[[str], int],
        place: HubPlace,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Memory")
        self.resize(680, 400)
        head = ElidedLabel(name)
        head.setProperty("tone", "heading")
        self.chart = FitChart()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(head)
        column.addWidget(self.chart, 1)
        column.addWidget(buttons)
        self.controller = FitController(self.chart, background, engine, reclaimable, self)
        self.controller.use_device(config.device)
        self.controller.read(config.model, place)
        self.finished.connect(self._stop)

    def _stop(self) -> None:
        self.controller.clear()
