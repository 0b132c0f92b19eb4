"""Lanes on a server, and the dialogs that manage servers and choose their models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.servers import KnownServer
from playground.core.settings import Settings
from playground.gui.lanes.text import badge_tip, stamp_text
from playground.gui.models.server_picker import ServerModelDialog
from playground.gui.servers.add_dialog import AddServerDialog
from playground.gui.servers.dialog import ServersDialog
from tests.gui.support import LONG, MakeWindow
from tests.support.model_server import ModelServer, events, model_server, text_chunk

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "grabbing the keyboard", r"raise\(\)")
TEXT = "/v1/completions"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        words = [text_chunk(word) for word in (" was", " calm", ".")]
        server.answers(TEXT, events(*words, text_chunk("", "stop")))
        yield server


def settings(server: ModelServer, *lanes: LaneConfig) -> Settings:
    return Settings(
        servers=(KnownServer("mine", server.url),),
        lanes=lanes or (LaneConfig(),),
        options=GenerationOptions(max_new_tokens=8),
        prompt="The sea",
    )


def test_a_lane_moves_to_a_server_and_back(
    qtbot: QtBot, make_window: MakeWindow, server: ModelServer
) -> None:
    playground = make_window(real=True, settings=settings(server))
    presenter = playground.lanes.presenters[0]
    lane, header = presenter.lane, presenter.view.header
    before = lane.config
    next(a for a in header.environment_choices() if a.text() == "mine").trigger()
    assert lane.config == LaneConfig(ModelSpec(""), Precision.SERVER, server="mine")
    assert not header.device.isVisibleTo(header)
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.run()
    answer = presenter.last_answer
    assert answer is not None
    assert (answer.text, answer.stamp.timed_by) == (" was calm.", "arrival")
    assert lane.state.loaded is not None
    assert lane.state.loaded.request.name == "tiny"
    assert "as the server says: not told" in badge_tip(lane.state.loaded)
    assert "3 chunks" in stamp_text(answer)
    figures, peak = presenter.figures()
    assert (figures.unit, figures.tokens, peak) == ("chunks", 3, None)
    next(iter(header.environment_choices())).trigger()
    assert lane.config == before
    qtbot.waitUntil(lambda: lane.state.stage in (Stage.STARTING, Stage.LOADING), timeout=LONG)
    lane.cancel()


def test_the_dialog_adds_looks_at_and_removes(
    qtbot: QtBot, make_window: MakeWindow, server: ModelServer
) -> None:
    playground = make_window(settings=Settings(lanes=(LaneConfig(),)))
    servers = playground.servers
    dialog = ServersDialog(servers, playground.window)
    qtbot.addWidget(dialog)
    adding = AddServerDialog(servers, dialog)
    qtbot.addWidget(adding)
    adding.show()
    adding.address.setText("http://")
    adding._add()
    assert "is not the address of a server" in adding.problem.text()
    adding.address.setText("http://gpu.example.org/v1")
    adding.key.setText("secret")
    assert adding.plain.isVisible()
    adding.keep.setChecked(False)
    adding._add()
    assert "sent to gpu.example.org over http" in adding.problem.text()
    adding.address.setText(server.url)
    assert not adding.plain.isVisible()
    adding.name.setText("mine")
    adding._add()
    assert not adding.isVisible()
    qtbot.waitUntil(lambda: servers.states()[0].seen is not None, timeout=LONG)
    assert "Models: tiny." in dialog.details.text()
    assert servers.keys == {"mine": "secret"}
    stored = Path(playground.store.path)
    assert not stored.exists() or "secret" not in stored.read_text("utf-8")
    offered = playground.lanes.presenters[0].view.header.environment_choices()
    assert "mine" in [action.text() for action in offered]
    qtbot.mouseClick(dialog.remove_button, Qt.MouseButton.LeftButton)
    assert servers.states() == []
    assert servers.keys == {}


def test_a_server_that_does_not_answer_says_so(qtbot: QtBot, make_window: MakeWindow) -> None:
    gone = (KnownServer("gone", "http://127.0.0.1:1/v1"),)
    playground = make_window(settings=Settings(lanes=(LaneConfig(),), servers=gone))
    dialog = ServersDialog(playground.servers, playground.window)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: bool(playground.servers.states()[0].problem), timeout=LONG)
    assert "There is no server at this address" in dialog.details.text()


def test_the_models_of_a_server_are_offered(
    qtbot: QtBot, make_window: MakeWindow, server: ModelServer
) -> None:
    on_server = LaneConfig(ModelSpec(""), Precision.SERVER, server="mine")
    playground = make_window(settings=settings(server, on_server))
    presenter = playground.lanes.presenters[0]
    known = KnownServer("mine", server.url)
    dialog = ServerModelDialog(known, "", playground.background, playground.window)
    qtbot.addWidget(dialog)
    dialog.chosen.connect(lambda name: playground.models._server_model_chosen(presenter, name))
    qtbot.waitUntil(lambda: dialog.models.count() == 1, timeout=LONG)
    assert dialog.models.currentText() == "tiny"
    dialog._use()
    assert presenter.lane.config.model == ModelSpec("tiny")
    assert presenter.name == "tiny · mine"
