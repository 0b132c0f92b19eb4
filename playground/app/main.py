"""The composition root: builds the window, its controllers and their connections."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from playground.app.leftovers import sweep_all
from playground.client.engine import Engine
from playground.client.environments import process_of
from playground.client.servers import load_request
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts
from playground.core.lane import LaneConfig
from playground.core.memory.corrections import corrections_for
from playground.core.precision import Precision
from playground.core.settings import MAX_LANES, Settings, SettingsStore
from playground.core.system import paths
from playground.core.system.qt_platform import usable_platform
from playground.gui.context import AppContext
from playground.gui.downloads.controller import DownloadsController
from playground.gui.engines.engine_slot import EngineFactory
from playground.gui.engines.standby import StandbyEngines
from playground.gui.environments.controller import EnvironmentsController
from playground.gui.environments.entry import EnvironmentsEntry
from playground.gui.evaluation.entry import EvaluationEntry
from playground.gui.figures.controller import FiguresController
from playground.gui.history.controller import HistoryController
from playground.gui.history.recorder import HistoryRecorder
from playground.gui.history.reopening import Reopening
from playground.gui.lanes.differences import DifferencesController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.preparation import Prepare
from playground.gui.models.controller import ModelsController
from playground.gui.models.hashing import FolderHashing
from playground.gui.prompt.controller import PromptController
from playground.gui.prompt.token_count import TokenCounting
from playground.gui.quantize.entry import QuantizeEntry
from playground.gui.remote_code.controller import RemoteCodeController
from playground.gui.servers.controller import ServersController
from playground.gui.servers.entry import ServersEntry
from playground.gui.settings.controller import SettingsController
from playground.gui.toolkit import theme
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.notify import Notify
from playground.gui.window import connections
from playground.gui.window.autorun import Autorun
from playground.gui.window.lane_commands import LaneCommands
from playground.gui.window.main_window import MainWindow
from playground.gui.window.process_signals import TerminationSignals, UncaughtErrors
from playground.history.writer import HistoryWriter
from playground.hub.local.prepare import Prepared, prepare
from playground.hub.place import HubPlace
from playground.hub.source import model_spec

log = logging.getLogger(__name__)

#: How long (ms) the threads of killed engines may take to end.
_END_WAIT_MS = 5000
#: Width and height (pixels) of a picture where none are given.
_PICTURE_SIZE = (1280, 720)


class Playground:
    """One window with its controllers."""

    def __init__(
        self,
        store: SettingsStore,
        *,
        make_engine: EngineFactory | None = None,
        prepare: Prepare | None = None,
        keep_settings: bool = True,
        prefer_gpu: bool = False,
        place: HubPlace | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`make_engine` and `prepare` replace real engines and models. `place` says which Hub and
        cache to use, `environment` holds the download processes' variables; the defaults are the
        user's. `prefer_gpu` is that of ModelsController."""
        self.store = store
        self._keeps_settings = keep_settings
        make = make_engine or self._engine
        self.window = window = MainWindow()
        self.background = Background(window)
        self.notify = notify = Notify(window)
        connections.connect_messages(window, notify)
        self.downloads = DownloadsController(
            self.background, notify, environment=environment, parent=window
        )
        self.context = context = AppContext(
            store, self.background, place or HubPlace(), self.downloads, notify
        )
        self.standby = StandbyEngines(make, self.notify, parent=window)
        self.lanes = lanes = LanesController(
            context, window.lanes, make, self.standby, prepare or self._prepare, window
        )
        self.models = ModelsController(context, lanes, window, prefer_gpu=prefer_gpu)
        self.hashing = FolderHashing(self.background, lanes, window)
        self.remote_code = RemoteCodeController(context, lanes, window)
        self.environments = EnvironmentsController(context, window)
        self.servers = ServersController(context, window)
        self.differences = DifferencesController(lanes, window)
        window.actions.differences.toggled.connect(self.differences.set_enabled)
        self.figures = FiguresController(lanes, window.plot, window.table, window)
        self.prompt = PromptController(
            self.notify, lanes, self.models, window.prompt, window.options, window
        )
        self.counting = TokenCounting(lanes, self.prompt.run_controller, window.prompt, window)
        self.history = HistoryRecorder(
            context, HistoryWriter(paths.history_file()), keep=keep_settings, parent=window
        )
        reopening = Reopening(notify, lanes, self.prompt, window.prompt, window.options, window)
        self.history_window = HistoryController(context, self.history, reopening, window)
        self.settings = SettingsController(context, lanes, window, keep=keep_settings)
        self.quantize = QuantizeEntry(context, lanes, make, window)
        lanes.watch_beside(self.quantize.controller.work)
        entry = EnvironmentsEntry(self.environments, window)
        servers_entry = ServersEntry(self.servers, window)
        self.commands = LaneCommands(
            lanes,
            self.models,
            self.prompt,
            self.differences,
            self.remote_code,
            entry,
            servers_entry,
            window,
        )
        connections.connect_prompt(window, self.prompt)
        connections.connect_history(window, self.history_window, self.history, self.prompt)
        self.prompt.requested.connect(self.settings.save)
        connections.connect_lanes(window, lanes, self.commands, self.prompt)
        connections.connect_models(self.models, self.prompt, self.quantize)
        connections.connect_downloads(window, self.downloads)
        connections.connect_environments(window, self.environments, entry, self.models)
        connections.connect_servers(window, self.servers, servers_entry, self.models)
        self.evaluation = EvaluationEntry(
            context, lanes, window.prompt, prepare or self._prepare, window
        )
        connections.connect_evaluation(window, self.evaluation)
        connections.connect_quantizing(window, self.quantize)
        connections.connect_standby(window, self.standby)
        window.closing.connect(self.settings.save)
        window.closing.connect(self.history.close)
        window.closing.connect(self.lanes.shut_down)
        window.closing.connect(self.environments.shut_down)
        window.closing.connect(self.hashing.close)
        self.settings.restore()

    def start_ahead(self) -> None:
        """Start an engine in each environment in use, and resume the downloads.

        The facts that the engines report decide which precisions are available.
        """
        first = {lane.config.environment: lane for lane in reversed(self.lanes.lanes)}
        for lane in first.values():
            lane.start_ahead()
        # Read now, so that a damaged file is reported at the start.
        self.background.start(partial(corrections_for, "cpu"), self.settings.say_notices)
        if self._keeps_settings:
            folders = [Path(folder) for folder in self.store.values.model_folders]
            self.background.start(partial(sweep_all, folders, self.context.hub.cache))
            self.downloads.start()
            self.history.look_for_interrupted()
            self.models.pending.resume()

    def end(self) -> bool:
        """End every engine, download and thread; return False where one still runs."""
        history_written = self.history.close()
        self.lanes.shut_down()
        self.quantize.shut_down()
        self.evaluation.shut_down()
        waiting = (self.lanes, self.quantize, self.evaluation)
        waited = [one.wait(_END_WAIT_MS) for one in waiting]
        downloads_ended = self.downloads.close()
        return self.background.close() and all(waited) and downloads_ended and history_written

    def _engine(self, environment: str) -> Engine:
        return process_of(environment, self.store.values.environments)

    def _prepare(self, config: LaneConfig, engine: EngineFacts | None) -> Prepared:
        if config.server:
            return Prepared(load_request(config, self.store.values.servers, self.servers.keys))
        consents = self.store.values.code_consents
        if self._keeps_settings:  # another window may have revoked one
            consents = self.store.stored("code_consents")
        return prepare(config, engine, consents)


def main(args: argparse.Namespace) -> int:
    """Open the window and return the exit code. Raises PlaygroundError without a screen."""
    application = make_application(picture_only=args.screenshot is not None)
    store = SettingsStore()
    first_time = not store.path.exists()
    lanes_given = bool(args.autorun or args.model or args.precisions)
    if args.autorun:
        store.values = Settings()  # a picture does not depend on what was chosen last
    store.values = _with_arguments(store.values, args)
    playground = Playground(
        store, keep_settings=not args.autorun, prefer_gpu=first_time or lanes_given
    )
    window, notify = playground.window, playground.notify
    UncaughtErrors(notify, str(paths.log_file())).install()
    signals = TerminationSignals(window)
    signals.received.connect(window.close)
    if args.autorun and args.screenshot and not args.size:
        window.resize(*_PICTURE_SIZE)  # a picture does not depend on the screen
    if args.size:
        window.resize(*(int(side) for side in args.size.split("x")))
    window.show()
    QTimer.singleShot(0, playground.start_ahead)
    if args.autorun or args.screenshot:
        autorun = Autorun(
            window, playground.prompt, notify, run=args.autorun, picture=args.screenshot
        )
        QTimer.singleShot(0, autorun.start)
    code = application.exec()
    window.hide()
    if not playground.end():
        log.warning("an engine or a task did not end in time")
    signals.restore()
    sys.excepthook = sys.__excepthook__
    return code


def make_application(*, picture_only: bool) -> QApplication:
    """Make the QApplication on a platform that works here; `picture_only` needs no screen.

    Raises PlaygroundError where there is no screen.
    """
    platform, reason = usable_platform()
    if not platform and picture_only:
        platform, reason = usable_platform({"QT_QPA_PLATFORM": "offscreen"})
    if not platform:
        raise PlaygroundError(
            reason,
            "Without a screen, `playground demo` and `playground run` work in the terminal.",
        )
    os.environ["QT_QPA_PLATFORM"] = platform
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        application = QApplication(sys.argv[:1])
    application.setApplicationName(paths.APPLICATION)
    application.setApplicationDisplayName("Language model playground")
    theme.apply_theme(application)  # before any widget: sizes come from the fonts
    return application


def _with_arguments(values: Settings, args: argparse.Namespace) -> Settings:
    """Return the settings with the command line's changes."""
    changes: dict[str, object] = {}
    if args.autorun:
        changes["keep_standby"] = False  # no further engine will be needed
    if args.theme:
        changes["theme"] = args.theme
    if args.prompt is not None:
        changes["prompt"] = args.prompt
        changes["prompt_mode"] = "raw"
    if args.new_tokens:
        options = msgspec.structs.replace(values.options, max_new_tokens=args.new_tokens)
        options.check()
        changes["options"] = options
    lanes = values.lanes
    if args.precisions:
        names = args.precisions.split(",")
        if len(names) > MAX_LANES:
            raise PlaygroundError(
                f"{len(names)} precisions are more than the {MAX_LANES} lanes of the window.",
                "Name fewer.",
            )
        lanes = tuple(replace(lanes[0], precision=Precision(name)) for name in names)
    if args.model:
        spec = model_spec(args.model)
        lanes = tuple(replace(lane, model=spec) for lane in lanes)
    changes["lanes"] = lanes
    return msgspec.structs.replace(values, **changes)
