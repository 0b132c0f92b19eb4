"""Opens the dialog that makes a quantized copy, and loads the copy in a lane."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.core.environments import OWN
from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.quantizing.request import QuantizedModel
from playground.core.settings import MAX_LANES
from playground.gui.context import AppContext
from playground.gui.engines.engine_slot import EngineFactory
from playground.gui.lanes.lanes import LanesController
from playground.gui.quantize.controller import QuantizeController
from playground.gui.quantize.text import result_text

if TYPE_CHECKING:
    from playground.gui.quantize.dialog import QuantizeDialog

_SHOWN_AGAIN = "“Make a GPTQ version…” (Ctrl+Shift+Q) shows it."


class QuantizeEntry(QObject):
    """Keeps at most one dialog; opening it again while it works brings it to the front.

    A dialog that was put away shows what became of its copy when it is opened again.
    """

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
        self._notify = context.notify
        self._in_background = False  # a copy is being written, and its dialog is hidden
        self.controller.changed.connect(self._report_failure)
        self.controller.finished.connect(self._report_result)

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
            self.dialog.put_away.connect(self._put_away)
        elif not self.controller.state.running and self.dialog.isVisible():
            self.controller.open(spec, device)
        self._in_background = False
        self.dialog.show()
        self.dialog.activateWindow()

    def shut_down(self) -> None:
        """End its engine; return at once."""
        self.controller.shut_down()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`: block until the engine is gone."""
        return self.controller.wait(timeout_ms)

    @Slot()
    def _put_away(self) -> None:
        self._in_background = True
        self._notify.info("The copy goes on in the background.", _SHOWN_AGAIN)

    @Slot()
    def _report_failure(self) -> None:
        """Say why a copy in the background has failed."""
        failure = self.controller.state.failure
        if self._in_background and failure is not None:
            self._in_background = False
            self._notify.error(PlaygroundError(failure.message, failure.remedy, failure.detail))

    @Slot(object)
    def _report_result(self, copy: QuantizedModel) -> None:
        """Say that a copy in the background is finished."""
        if self._in_background:
            self._in_background = False
            self._notify.info(result_text(copy), _SHOWN_AGAIN)

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
            current.configure(config)
        lane.load()
