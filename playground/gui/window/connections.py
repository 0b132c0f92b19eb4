"""Who listens to whom, by topic; the one place where menus and panels meet the controllers."""

from __future__ import annotations

from playground.gui.downloads.controller import DownloadsController
from playground.gui.engines.standby import StandbyEngines
from playground.gui.environments.controller import EnvironmentsController
from playground.gui.environments.entry import EnvironmentsEntry
from playground.gui.lanes.lanes import LanesController
from playground.gui.models.controller import ModelsController
from playground.gui.prompt.controller import PromptController
from playground.gui.quantize.entry import QuantizeEntry
from playground.gui.window.main_window import MainWindow


def connect_prompt(window: MainWindow, controller: PromptController) -> None:
    """Running, stopping and the prompt's life after."""
    prompt, actions = window.prompt, window.actions
    prompt.runRequested.connect(controller.run)
    prompt.stopRequested.connect(controller.stop)
    prompt.editLastRequested.connect(controller.edit_last)
    prompt.clearRequested.connect(controller.clear)
    actions.run.triggered.connect(controller.run)
    actions.stop.triggered.connect(controller.stop)
    actions.regenerate.triggered.connect(controller.regenerate)
    actions.edit_last.triggered.connect(controller.edit_last)
    actions.clear.triggered.connect(controller.clear)
    actions.founding.triggered.connect(controller.open_founding)
    for action in (actions.run, actions.regenerate, actions.edit_last, actions.clear):
        controller.running_changed.connect(action.setDisabled)
    controller.running_changed.connect(actions.founding.setDisabled)


def connect_lanes(window: MainWindow, lanes: LanesController, controller: PromptController) -> None:
    """The lane menu; each lane's own buttons are connected where the lane is made."""
    actions = window.actions
    actions.add_lane.triggered.connect(lanes.add_lane)
    actions.duplicate_lane.triggered.connect(lanes.duplicate_current)
    actions.remove_lane.triggered.connect(lanes.remove_current)
    actions.enlarge_lane.triggered.connect(lanes.enlarge_current)
    actions.move_lane_left.triggered.connect(lanes.move_current_left)
    actions.move_lane_right.triggered.connect(lanes.move_current_right)
    actions.load_all.triggered.connect(controller.load_all)
    actions.unload_all.triggered.connect(controller.unload_all)


def connect_models(
    window: MainWindow, models: ModelsController, controller: PromptController
) -> None:
    """Which models run, and what follows from it."""
    window.actions.choose_model.triggered.connect(models.choose)
    window.actions.open_folder.triggered.connect(models.open_folder)
    models.facts_changed.connect(controller.check_chat)
    models.message.connect(window.messages.show_message)


def connect_downloads(window: MainWindow, downloads: DownloadsController) -> None:
    """What is being downloaded: seen at a glance, and in a window of its own."""
    window.actions.downloads.triggered.connect(downloads.open_window)
    window.indicator.clicked.connect(downloads.open_window)
    downloads.summary_changed.connect(window.indicator.show_summary)


def connect_environments(
    window: MainWindow, environments: EnvironmentsController, models: ModelsController
) -> None:
    """The other Pythons that engines can run in."""
    entry = EnvironmentsEntry(environments, window)
    window.actions.environments.triggered.connect(entry.open)
    models.environments_requested.connect(entry.open)
    environments.changed.connect(models.show_all)
    environments.known.connect(models.environment_known)


def connect_quantizing(window: MainWindow, quantize: QuantizeEntry) -> None:
    """The dialog that makes a quantized copy of a model."""
    window.actions.quantize.triggered.connect(quantize.open_current)
    window.closing.connect(quantize.shut_down)


def connect_standby(window: MainWindow, standby: StandbyEngines) -> None:
    """Whether an engine waits for the next change of precision."""
    window.actions.keep_standby.toggled.connect(standby.set_wanted)
    standby.message.connect(window.messages.show_message)


def connect_copying(window: MainWindow, controller: PromptController) -> None:
    """What leaves the window."""
    actions = window.actions
    actions.copy_answer.triggered.connect(controller.copy_answer)
    actions.copy_stamp.triggered.connect(controller.copy_stamp)
    actions.copy_script.triggered.connect(controller.copy_script)
    actions.export_plot.triggered.connect(window.plot.ask_export)


def connect_messages(
    window: MainWindow, lanes: LanesController, controller: PromptController
) -> None:
    """The one path of messages."""
    lanes.message.connect(window.messages.show_message)
    controller.message.connect(window.messages.show_message)
