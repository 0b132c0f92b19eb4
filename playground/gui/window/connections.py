"""Which signal of the window reaches which slot of the controllers, by topic."""

from __future__ import annotations

from playground.gui.downloads.controller import DownloadsController
from playground.gui.engines.standby import StandbyEngines
from playground.gui.environments.controller import EnvironmentsController
from playground.gui.environments.entry import EnvironmentsEntry
from playground.gui.evaluation.entry import EvaluationEntry
from playground.gui.history.controller import HistoryController
from playground.gui.history.recorder import HistoryRecorder
from playground.gui.lanes.lanes import LanesController
from playground.gui.models.controller import ModelsController
from playground.gui.prompt.controller import PromptController
from playground.gui.quantize.entry import QuantizeEntry
from playground.gui.servers.controller import ServersController
from playground.gui.servers.entry import ServersEntry
from playground.gui.toolkit.notify import Notify
from playground.gui.window.lane_commands import LaneCommands
from playground.gui.window.main_window import MainWindow


def connect_messages(window: MainWindow, notify: Notify) -> None:
    """Connect what reports to the user with the message bar."""
    notify.message.connect(window.messages.show_message)
    notify.outdated.connect(window.messages.withdraw)
    notify.offered.connect(window.messages.offer)
    window.plot.export_failed.connect(notify.error)


def connect_prompt(window: MainWindow, controller: PromptController) -> None:
    """Connect the prompt's buttons and commands: run, stop, edit, clear."""
    prompt, actions = window.prompt, window.actions
    prompt.run_button.clicked.connect(controller.run)
    prompt.stop_button.clicked.connect(controller.stop)
    prompt.edit_last_button.clicked.connect(controller.edit_last)
    prompt.clear_button.clicked.connect(controller.clear)
    actions.run.triggered.connect(controller.run)
    actions.stop.triggered.connect(controller.stop)
    actions.regenerate.triggered.connect(controller.regenerate)
    actions.edit_last.triggered.connect(controller.edit_last)
    actions.clear.triggered.connect(controller.clear)
    actions.founding.triggered.connect(controller.open_founding)
    controller.running_changed.connect(actions.idle.setDisabled)


def connect_history(
    window: MainWindow,
    history: HistoryController,
    recorder: HistoryRecorder,
    controller: PromptController,
) -> None:
    """Connect the runs with the history that keeps them."""
    window.actions.history.triggered.connect(history.open)
    controller.requested.connect(recorder.begin)
    window.actions.private_run.toggled.connect(recorder.set_private)
    window.actions.private_run.toggled.connect(window.prompt.private_button.setChecked)
    window.prompt.private_button.toggled.connect(window.actions.private_run.setChecked)


def connect_lanes(
    window: MainWindow,
    lanes: LanesController,
    commands: LaneCommands,
    controller: PromptController,
) -> None:
    """Connect the commands on the current lane, and on all lanes."""
    actions = window.actions
    actions.lane_commands.triggered.connect(commands.run_in_current)
    actions.colour_probability.toggled.connect(lanes.set_coloured)
    actions.add_lane.triggered.connect(lanes.add_lane)
    actions.load_all.triggered.connect(controller.load_all)
    actions.unload_all.triggered.connect(controller.unload_all)


def connect_models(
    models: ModelsController, controller: PromptController, quantize: QuantizeEntry
) -> None:
    """Connect the models' facts with the chat mode, and the picker with quantizing."""
    models.facts_changed.connect(controller.check_chat)
    models.quantize_requested.connect(quantize.open)


def connect_downloads(window: MainWindow, downloads: DownloadsController) -> None:
    """Connect the downloads with their window, and with the summary beside the menus."""
    window.actions.downloads.triggered.connect(downloads.open_window)
    window.indicator.clicked.connect(downloads.open_window)
    downloads.summary_changed.connect(window.indicator.show_summary)


def connect_environments(
    window: MainWindow,
    environments: EnvironmentsController,
    entry: EnvironmentsEntry,
    models: ModelsController,
) -> None:
    """Connect the engine environments with their dialog, and with what lanes can be set to."""
    window.actions.environments.triggered.connect(entry.open)
    environments.changed.connect(models.show_all)
    environments.known.connect(models.environment_known)


def connect_servers(
    window: MainWindow, servers: ServersController, entry: ServersEntry, models: ModelsController
) -> None:
    """Connect the servers with their dialog, and with what lanes can be set to."""
    window.actions.servers.triggered.connect(entry.open)
    servers.changed.connect(models.show_all)


def connect_evaluation(window: MainWindow, entry: EvaluationEntry) -> None:
    """Connect the evaluation workspace with its commands."""
    window.actions.evaluate.triggered.connect(entry.open)
    window.actions.keep_case.triggered.connect(entry.keep_prompt)
    window.closing.connect(entry.shut_down)


def connect_quantizing(window: MainWindow, quantize: QuantizeEntry) -> None:
    """Connect the dialog that makes quantized copies of a model."""
    window.actions.quantize.triggered.connect(quantize.open_current)
    window.closing.connect(quantize.shut_down)


def connect_standby(window: MainWindow, standby: StandbyEngines) -> None:
    """Connect the standby engines' switch."""
    window.actions.keep_standby.toggled.connect(standby.set_enabled)
