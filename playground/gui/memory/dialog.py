"""The dialog with the memory chart of one lane's model."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QWidget

from playground.core.facts import EngineFacts
from playground.core.lane import LaneConfig
from playground.gui.context import AppContext
from playground.gui.memory.chart import MemoryChart
from playground.gui.memory.controller import MemoryController
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.widgets import v_box


class MemoryDialog(QDialog):
    """Shows what the model of `config` takes at every precision. Show it with `open()`."""

    def __init__(
        self,
        config: LaneConfig,
        name: str,
        context: AppContext,
        engine: Callable[[], EngineFacts | None],
        reclaimable: Callable[[str], int],
        parent: QWidget | None = None,
    ) -> None:
        """`name` is the model's; `engine` and `reclaimable` are the MemoryController's."""
        super().__init__(parent)
        self.setWindowTitle("Memory")
        self.resize(680, 400)
        head = ElidedLabel(name)
        head.setProperty("tone", "heading")
        self.chart = MemoryChart()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = v_box(self, margin=16, spacing=12)
        column.addWidget(head)
        column.addWidget(self.chart, 1)
        column.addWidget(buttons)
        self.controller = MemoryController(self.chart, context, engine, reclaimable, self)
        self.controller.use_device(config.device)
        self.controller.read(config.model)
        self.finished.connect(self._stop)

    def _stop(self) -> None:
        self.controller.clear()
