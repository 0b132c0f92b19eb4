"""Lanes on scripted engines, and proof that nothing is left of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.client.engine_process import EngineProcess
from playground.core.lane import LaneConfig
from playground.core.settings import Settings, SettingsStore
from playground.gui.context import AppContext
from playground.gui.downloads.controller import DownloadsController
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.preparation import Prepare
from playground.gui.memory.controller import MemoryController
from playground.gui.model_page.controller import ModelPageController
from playground.gui.model_page.view import ModelPageView
from playground.gui.models.picker import ModelPicker, PickerTarget
from playground.gui.toolkit import theme
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.notify import Notify
from playground.gui.window.main_window import MainWindow
from playground.hub.place import HubPlace
from tests.gui.browser.support import MakePicker
from tests.gui.model_page.support import OpenPage
from tests.gui.support import LONG, MakeLane, MakeWindow, scripted_prepare
from tests.support.home import make_home
from tests.support.hub_server import HubServer
from tests.support.scripted_engine import scripted_command
from tests.support.warm_engines import WarmEngines


class PatientBot(QtBot):
    """Waits a minute where pytest-qt's bot waits five seconds: the machine may be busy."""

    waitUntil = partialmethod(QtBot.waitUntil, timeout=LONG)  # noqa: N815
    waitSignal = partialmethod(QtBot.waitSignal, timeout=LONG)  # noqa: N815
    waitSignals = partialmethod(QtBot.waitSignals, timeout=LONG)  # noqa: N815


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    return PatientBot(request)


#: What a picker takes from the settings.
SETTINGS = {"recents": "recents", "favourites": "favourites", "folders": "model_folders"}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and logs of a test live and die with it; what engines compile does not."""
    make_home(tmp_path / "home")
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def no_widget_left(qapp: QApplication) -> Iterator[None]:
    """Delete the widgets of a test: every one that is left makes the next theme slower."""
    yield
    # Without an event loop nobody else does it.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture(autouse=True)
def no_child_left(warm_engines: WarmEngines) -> Iterator[None]:
    """Fails a test that leaves a child process of ours behind."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = [
        process
        for process in psutil.Process().children(recursive=True)
        if process not in before and process.pid != warm_engines.pid
    ]
    _, alive = psutil.wait_procs(left, timeout=60)
    assert not alive


@pytest.fixture
def background(qtbot: QtBot) -> Iterator[Background]:
    made = Background()
    yield made
    assert made.close(60)


@pytest.fixture
def make_lane(qtbot: QtBot, background: Background) -> Iterator[MakeLane]:
    """Make lanes on scripted engines: make_lane("--rate", "100")."""
    made: list[LaneController] = []

    def make(*options: str, config: LaneConfig | None = None) -> LaneController:
        lane = LaneController(
            config or LaneConfig(),
            background,
            lambda _: EngineProcess(scripted_command(*options)),
            scripted_prepare,
        )
        made.append(lane)
        return lane

    yield make
    for lane in made:
        lane.shut_down()
    for lane in made:
        assert lane.wait(60_000)


@pytest.fixture
def make_window(qtbot: QtBot, tmp_path: Path, warm_engines: WarmEngines) -> Iterator[MakeWindow]:
    """Make whole windows on scripted engines; one option list serves every lane."""
    made: list[Playground] = []

    def make(
        *options: str,
        settings: Settings | None = None,
        real: bool = False,
        prepare: Prepare = scripted_prepare,
        place: HubPlace | None = None,
        environment: Mapping[str, str] | None = None,
        standby: bool = False,
    ) -> Playground:
        store = SettingsStore(tmp_path / "settings.toml")
        if settings is not None:
            store.values = settings
        store.values = msgspec.structs.replace(store.values, keep_standby=standby)
        if real:
            # A start that waits for the imports would outlast what `end` waits for an engine.
            warm_engines.prepare()
            window = Playground(store, place=place, environment=environment)
        else:
            window = Playground(
                store,
                make_engine=lambda _: EngineProcess(scripted_command(*options)),
                prepare=prepare,
                place=place,
                environment=environment,
            )
        made.append(window)
        window.window.show()
        return window

    yield make
    for window in made:
        window.window.close()
        assert window.end()
        window.window.deleteLater()


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication) -> Iterator[MainWindow]:
    """The window's parts in their places, with nothing behind them."""
    theme.apply_theme(qapp, "light")
    made = MainWindow()
    made.resize(1280, 720)
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture
def notify(qtbot: QtBot) -> Notify:
    """Where the controllers' messages arrive."""
    return Notify()


@pytest.fixture
def downloads(
    background: Background, notify: Notify, hub: HubServer, home: Path
) -> Iterator[DownloadsController]:
    """The download queue of a window, whose Hub is the one on loopback."""
    made = DownloadsController(
        background, notify, path=home / "downloads.json", environment=hub.environment(home)
    )
    yield made
    for fault in hub.faults:
        fault.release.set()
    assert made.close(60)


@pytest.fixture
def context(
    background: Background,
    notify: Notify,
    downloads: DownloadsController,
    hub: HubServer,
    home: Path,
) -> AppContext:
    """The services of a window, whose Hub is the one on loopback."""
    store = SettingsStore(home / "settings.toml")
    place = HubPlace(hub.endpoint, hub.cache(home))
    return AppContext(store, background, place, downloads, notify)


@pytest.fixture
def make_picker(qtbot: QtBot, context: AppContext) -> Iterator[MakePicker]:
    """Open a picker; keywords are settings or the target's, `endpoint` another Hub's address."""
    made: list[ModelPicker] = []

    def open_picker(endpoint: str = "", **given: Any) -> ModelPicker:
        settings = {SETTINGS[name]: tuple(given.pop(name)) for name in SETTINGS.keys() & given}
        context.settings.values = msgspec.structs.replace(context.settings.values, **settings)
        picker = ModelPicker(
            at_endpoint(context, endpoint),
            PickerTarget(**given),
        )
        qtbot.addWidget(picker)
        picker.open()
        made.append(picker)
        return picker

    yield open_picker
    for picker in made:
        picker.reject()


@pytest.fixture
def page_view(qtbot: QtBot) -> ModelPageView:
    made = ModelPageView()
    qtbot.addWidget(made)
    made.resize(580, 520)
    made.show()
    return made


@pytest.fixture
def open_page(context: AppContext, page_view: ModelPageView) -> Iterator[OpenPage]:
    """Make the controller of the view; its Hub is the one on loopback."""
    made: list[ModelPageController] = []

    def begin(endpoint: str = "") -> ModelPageController:
        its = at_endpoint(context, endpoint)
        memory = MemoryController(page_view.memory, its, lambda: None)
        controller = ModelPageController(page_view, its, memory)
        made.append(controller)
        return controller

    yield begin
    for controller in made:
        controller.close()


def at_endpoint(context: AppContext, endpoint: str) -> AppContext:
    """Return the context with another Hub's address, if there is one."""
    return replace(context, hub=HubPlace(endpoint or context.hub.endpoint, context.hub.cache))
