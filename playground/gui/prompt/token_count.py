"""Counts the tokens of the prompt that is being typed, in each lane's own tokenizer."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Slot

from playground.core.lane import Stage
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.lanes.run import RunController
from playground.gui.prompt.prompt_panel import PromptPanel

#: How long (ms) after the last key they are counted.
TYPING_MS = 300
#: Characters above which a prompt is not counted while it is typed.
_MOST = 1_000_000


class TokenCounting(QObject):
    """Asks the engines of idle lanes, so that no answer is disturbed."""

    def __init__(
        self,
        lanes: LanesController,
        run: RunController,
        prompt: PromptPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._lanes = lanes
        self._run = run
        self._prompt = prompt
        self._typing = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._typing.timeout.connect(self.count)
        prompt.edit.textChanged.connect(self._typing.start)
        run.finished.connect(self._typing.start)
        lanes.added.connect(self._watch)

    @Slot()
    def count(self) -> None:
        """Count the prompt's tokens in every lane that is idle."""
        if self._run.running:
            return
        typed = self._prompt.prompt_text()
        text = typed if len(typed) <= _MOST else ""
        for presenter in self._lanes.presenters:
            presenter.count_tokens(self._prompt.mode(), text, self._prompt.system_prompt())

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.lane.state_changed.connect(self._lane_changed)

    @Slot(object)
    def _lane_changed(self, lane: LaneController) -> None:
        if lane.state.stage is Stage.READY and not self._run.running:
            self._typing.start()
