"""Carries out the commands on one lane."""

from __future__ import annotations

from functools import partial
from typing import assert_never

from PySide6.QtCore import QObject, Slot
from PySide6.QtGui import QAction

from playground.gui.environments.entry import EnvironmentsEntry
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.differences import DifferencesController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.models.controller import ModelsController
from playground.gui.prompt.controller import PromptController
from playground.gui.remote_code.controller import RemoteCodeController
from playground.gui.servers.entry import ServersEntry


class LaneCommands(QObject):
    """Gives each command to the controller that knows how; one more command is one more case."""

    def __init__(
        self,
        lanes: LanesController,
        models: ModelsController,
        prompt: PromptController,
        differences: DifferencesController,
        remote_code: RemoteCodeController,
        environments: EnvironmentsEntry,
        servers: ServersEntry,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._lanes = lanes
        self._models = models
        self._prompt = prompt
        self._differences = differences
        self._remote_code = remote_code
        self._environments = environments
        self._servers = servers
        lanes.added.connect(self._watch)

    @Slot(QAction)
    def run_in_current(self, action: QAction) -> None:
        """Carry out a menu's command, the data of its action, on the current lane."""
        if presenter := self._lanes.current:
            self.run(presenter, action.data())

    def run(self, presenter: LanePresenter, command: LaneCommand) -> None:
        """Carry out a command on one lane."""
        match command:
            case LaneCommand.CHOOSE_MODEL:
                self._models.choose(presenter)
            case LaneCommand.OPEN_FOLDER:
                self._models.open_folder(presenter)
            case LaneCommand.SHOW_MEMORY:
                self._models.show_memory(presenter)
            case LaneCommand.MANAGE_ENVIRONMENTS:
                self._environments.open()
            case LaneCommand.MANAGE_SERVERS:
                self._servers.open()
            case LaneCommand.REVIEW_CODE:
                self._remote_code.review(presenter)
            case LaneCommand.LOAD:
                presenter.lane.load(insist=True)
            case LaneCommand.UNLOAD:
                presenter.lane.unload()
            case LaneCommand.CANCEL:
                presenter.lane.cancel()
            case LaneCommand.REGENERATE:
                self._prompt.regenerate_in(presenter)
            case LaneCommand.COPY_ANSWER | LaneCommand.COPY_SCRIPT | LaneCommand.COPY_STAMP:
                self._prompt.copy(presenter, command)
            case LaneCommand.DUPLICATE:
                self._lanes.duplicate(presenter)
            case LaneCommand.REMOVE:
                self._lanes.remove_undoably(presenter)
            case LaneCommand.MOVE_LEFT:
                self._lanes.move(presenter, -1)
            case LaneCommand.MOVE_RIGHT:
                self._lanes.move(presenter, 1)
            case LaneCommand.REFERENCE:
                self._differences.choose(presenter)
            case LaneCommand.ENLARGE:
                self._lanes.enlarge(presenter)
            case _:
                assert_never(command)

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.view.commanded.connect(partial(self.run, presenter))
