"""Opens the evaluation workspace, and keeps prompts of the lanes as cases."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.gui.context import AppContext
from playground.gui.evaluation.controller import EvaluationController, Prepare
from playground.gui.lanes.lanes import LanesController
from playground.gui.prompt.prompt_panel import PromptPanel


class EvaluationEntry(QObject):
    """Builds controller and window when they are needed first."""

    def __init__(
        self,
        context: AppContext,
        lanes: LanesController,
        prompt: PromptPanel,
        prepare: Prepare,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._lanes = lanes
        self._prompt = prompt
        self._window = window
        self.controller = EvaluationController(context, prepare, self)
        self._workspace: QWidget | None = None

    @Slot()
    def open(self) -> None:
        """Show the workspace; its contestants are the lanes, where none were chosen yet."""
        # Imported here: the window starts without it.
        from playground.gui.evaluation.window import EvaluationWindow

        if self._workspace is None:
            workspace = EvaluationWindow(self.controller, self._window)
            workspace.offerRequested.connect(self.offer_lanes)
            self._workspace = workspace
        if not self.controller.contestants:
            self.offer_lanes()
        self._workspace.show()
        self._workspace.raise_()
        self._workspace.activateWindow()

    @Slot()
    def offer_lanes(self) -> None:
        """Let the contestants be the lanes."""
        self.controller.offer([lane.config for lane in self._lanes.lanes])

    @Slot()
    def keep_prompt(self) -> None:
        """Keep the prompt that is typed, else the current lane's last, as a case."""
        typed = self._prompt.prompt_text()
        presenter = self._lanes.current
        last = presenter.conversation.last if presenter is not None else None
        if not typed.strip() and last is not None:
            typed = last.typed
        chat = self._prompt.mode() == "chat"
        self.controller.keep_prompt(typed, self._prompt.system_prompt() if chat else "", chat=chat)

    @property
    def workspace(self) -> QWidget | None:
        """The window, once it was opened."""
        return self._workspace

    def shut_down(self) -> None:
        """Pause what runs; `wait` waits for it."""
        self.controller.shut_down()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`, wait until nothing runs."""
        return self.controller.wait(timeout_ms)
