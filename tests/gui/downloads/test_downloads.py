"""The downloads in the window: real download processes, a real queue, the Hub on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.format import human_duration
from playground.gui.downloads.controller import DownloadsController
from playground.gui.downloads.login_dialog import LoginDialog
from playground.gui.downloads.panel import DownloadRow, DownloadsPanel
from playground.gui.downloads.text import state_text, summary
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.links import LinkQuestion
from playground.gui.toolkit.notify import Notify
from playground.hub.downloads.download import child_environment
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.downloads.queue import RetryPolicy
from playground.hub.downloads.queue_file import load
from tests.gui.support import LONG
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files(hidden=128)
MODEL = ModelSpec("owner/model")
TOKEN = "hf_" + "Ab1" * 11
FAST = RetryPolicy(attempts=3, first_wait_s=0.05, stall_s=60)
Open = Callable[..., DownloadsController]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def panel(qtbot: QtBot) -> DownloadsPanel:
    shown = DownloadsPanel()
    qtbot.addWidget(shown)
    shown.resize(640, 360)
    shown.show()
    return shown


@pytest.fixture
def open_downloads(
    qtbot: QtBot,
    background: Background,
    notify: Notify,
    hub: HubServer,
    home: Path,
    panel: DownloadsPanel,
) -> Iterator[Open]:
    """Make the controller of a window, with its queue in the home and the panel attached."""
    opened: list[DownloadsController] = []

    def begin(policy: RetryPolicy = FAST, **environment: str) -> DownloadsController:
        downloads = DownloadsController(
            background,
            notify,
            path=home / "downloads.json",
            environment=hub.environment(home, **environment),
            policy=policy,
            login=lambda token: stored_login(hub, home, token),
        )
        downloads.attach(panel)
        opened.append(downloads)
        return downloads

    yield begin
    for fault in hub.faults:
        fault.release.set()
    for downloads in opened:
        assert downloads.close(60)


def stored_login(hub: HubServer, home: Path, token: str) -> str:
    """Log in as the window does, in a process whose Hub is the one on loopback."""
    script = (
        "import sys\nfrom playground.core.errors import PlaygroundError\n"
        "from playground.hub.site.account import login\n"
        "try:\n    print(login(sys.stdin.read()))\n"
        "except PlaygroundError as error:\n    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=token,
        capture_output=True,
        text=True,
        env=child_environment(hub.environment(home)),
        check=False,
    )
    if done.returncode:
        raise PlaygroundError(done.stderr.strip())
    return done.stdout.strip()


def row(panel: DownloadsPanel, key: str = MODEL.source) -> DownloadRow:
    found = panel.row(key)
    assert found is not None
    return found


def wait_for(qtbot: QtBot, panel: DownloadsPanel, text: str, key: str = MODEL.source) -> None:
    def said() -> bool:
        found = panel.row(key)
        return found is not None and text in found.state.text()

    qtbot.waitUntil(said, timeout=LONG)


def shown_buttons(found: DownloadRow) -> list[str]:
    return [button.text() for button in found.buttons if button.isVisibleTo(found)]


def click(qtbot: QtBot, button: QAbstractButton) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def unfinished(home: Path) -> list[Path]:
    return list(home.rglob("*.incomplete"))


def test_a_download_from_its_request_to_its_end(
    qtbot: QtBot, hub: HubServer, open_downloads: Open, panel: DownloadsPanel
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=len(FILES["model.safetensors"]) // 2))
    downloads = open_downloads()
    summaries: list[str] = []
    downloads.summary_changed.connect(summaries.append)
    downloads.add(MODEL)
    assert "Waiting" in row(panel).state.text() or "Asking" in row(panel).state.text()
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    wait_for(qtbot, panel, " of ")
    assert shown_buttons(row(panel)) == ["Cancel"]
    with qtbot.waitSignal(downloads.finished, timeout=LONG) as done:
        hold.release.set()
    assert done.args[0].spec == MODEL
    assert "are on this machine" in row(panel).state.text()
    assert shown_buttons(row(panel)) == ["Remove"]
    assert summaries[0] == "1 download"
    assert summaries[-1] == ""
    click(qtbot, panel.clear_button)
    assert panel.row(MODEL.source) is None
    assert downloads.items() == ()
    assert not panel.clear_button.isEnabled()


def test_cancel_leaves_nothing_and_the_next_one_continues(
    qtbot: QtBot, hub: HubServer, home: Path, open_downloads: Open, panel: DownloadsPanel
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hub.add(Repository("owner/next", FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    downloads = open_downloads()
    downloads.add(MODEL)
    downloads.add(ModelSpec("owner/next"))
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    click(qtbot, row(panel).cancel_button)
    wait_for(qtbot, panel, "Cancelled. Finished files are kept, unfinished ones are removed.")
    assert shown_buttons(row(panel)) == ["Try again", "Remove"]
    wait_for(qtbot, panel, "are on this machine", "owner/next")
    assert not unfinished(home)
    click(qtbot, row(panel).retry_button)
    wait_for(qtbot, panel, "are on this machine")


def test_a_stall_is_shown_and_retried(
    qtbot: QtBot, hub: HubServer, home: Path, open_downloads: Open, panel: DownloadsPanel
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    downloads = open_downloads(RetryPolicy(attempts=3, first_wait_s=3600, stall_s=4))
    downloads.add(MODEL)
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    wait_for(qtbot, panel, "No byte has arrived for 4 s. Resumes automatically in 5 min.")
    assert shown_buttons(row(panel)) == ["Try now", "Cancel"]
    assert unfinished(home)
    click(qtbot, row(panel).retry_button)
    wait_for(qtbot, panel, "are on this machine")


def test_a_failure_shows_its_remedy(
    qtbot: QtBot, notify: Notify, open_downloads: Open, panel: DownloadsPanel
) -> None:
    downloads = open_downloads()
    downloads.add(MODEL)
    wait_for(qtbot, panel, "The Hub knows no model owner/model, or it is private. Check")
    assert row(panel).item is not None
    click(qtbot, row(panel).remove_button)
    assert panel.row(MODEL.source) is None
    with qtbot.waitSignal(notify.message) as message:
        assert downloads.add(ModelSpec("no id at all")) is None
    assert "is not a Hub id" in message.args[0]


def test_offline_mode_is_reported(
    qtbot: QtBot, open_downloads: Open, panel: DownloadsPanel
) -> None:
    open_downloads(HF_HUB_OFFLINE="1").add(MODEL)
    wait_for(qtbot, panel, "HF_HUB_OFFLINE is set")


def test_a_download_resumes_after_a_restart_and_says_so(
    qtbot: QtBot,
    notify: Notify,
    hub: HubServer,
    home: Path,
    open_downloads: Open,
    panel: DownloadsPanel,
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    first = open_downloads()
    first.add(MODEL)
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    assert first.close(60)
    assert unfinished(home)
    assert [item.state for item in load(home / "downloads.json")] == [DownloadState.WAITING]
    second = open_downloads()
    with (
        qtbot.waitSignal(second.finished, timeout=LONG),
        qtbot.waitSignal(notify.message) as message,
    ):
        second.start()
    assert message.args[0] == "Resuming downloads: owner/model."
    assert "are on this machine" in row(panel).state.text()


def test_a_gated_model_leads_to_its_page_and_to_the_log_in(
    qtbot: QtBot, hub: HubServer, home: Path, open_downloads: Open, panel: DownloadsPanel
) -> None:
    hub.add(Repository(MODEL.source, FILES, gated="manual", granted={"me"}))
    hub.tokens = {TOKEN: "me"}
    downloads = open_downloads()
    downloads.add(MODEL)
    wait_for(qtbot, panel, "is gated")
    assert shown_buttons(row(panel)) == ["Log in…", "Ask for access…", "Try again", "Remove"]

    click(qtbot, row(panel).ask_button)
    question = panel.findChild(LinkQuestion)
    assert question is not None
    assert question.address == f"{hub.endpoint}/owner/model"
    question.reject()

    click(qtbot, row(panel).login_button)
    dialog = panel.findChild(LoginDialog)
    assert dialog is not None
    assert dialog.field.echoMode() is QLineEdit.EchoMode.Password
    qtbot.keyClicks(dialog.field, "hf_wrong")
    click(qtbot, dialog.login_button)
    qtbot.waitUntil(lambda: "does not accept this token" in dialog.status.text(), timeout=LONG)
    assert not (home / "token").exists()

    dialog.field.clear()
    qtbot.keyClicks(dialog.field, TOKEN)
    with qtbot.waitSignal(downloads.logged_in, timeout=LONG) as who:
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert who.args == ["me"]
    assert not dialog.isVisible()
    assert dialog.field.text() == ""
    assert (home / "token").read_text() == TOKEN  # where `hf auth login` has it
    wait_for(qtbot, panel, "are on this machine")
    written = [p for p in home.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert {path.name for path in written} <= {"token", "stored_tokens"}


def test_the_window_of_the_downloads(
    qtbot: QtBot, qapp: QApplication, open_downloads: Open
) -> None:
    downloads = open_downloads(HF_HUB_OFFLINE="1")
    downloads.open_window()
    (window,) = [w for w in qapp.topLevelWidgets() if w.windowTitle() == "Downloads"]
    qtbot.addWidget(window)
    downloads.open_window()
    downloads.add(MODEL)
    other = window.findChild(DownloadsPanel)
    assert isinstance(other, DownloadsPanel)
    wait_for(qtbot, other, "HF_HUB_OFFLINE")
    reachable = [
        w
        for w in window.findChildren(QWidget)
        if w.focusPolicy() & Qt.FocusPolicy.TabFocus and w.isVisible()
    ]
    assert len(reachable) >= 4
    assert all(w.accessibleName() or getattr(w, "text", str)() for w in reachable)


def test_every_state_in_words() -> None:
    def words(state: DownloadState, now: float = 0.0, **values: object) -> str:
        sizes = {"done_bytes": 250_000_000, "total_bytes": 10**9}
        item = DownloadItem(key="a/b", spec=MODEL, state=state, **(sizes | values))  # type: ignore[arg-type]
        return state_text(item, now)

    assert words(DownloadState.WAITING) == "Waiting for its turn. 250 MB are here."
    assert words(DownloadState.WAITING, done_bytes=0) == "Waiting for its turn."
    running = DownloadState.RUNNING
    assert words(running, bytes_per_s=25e6) == "250 MB of 1.00 GB · 25.0 MB/s · 30 s left"
    assert words(running, quiet_s=12.0).endswith("nothing has arrived for 12 s")
    assert words(running) == "250 MB of 1.00 GB"
    assert words(running, bytes_per_s=1e5).endswith("2 h 5 min left")
    late = words(DownloadState.RETRYING, message="Broken off.", retry_at=30.0, now=10.0)
    assert late == "Broken off. Resumes automatically in 20 s."
    assert words(DownloadState.RETRYING, message="No.", now=99.0).endswith("in a moment.")
    assert words(DownloadState.FAILED, message="No.", remedy="Do it.") == "No. Do it."
    assert human_duration(0.2) == "1 s"


def test_the_summary_counts_active_downloads() -> None:
    def item(key: str, state: DownloadState, done: int = 0, total: int = 0) -> DownloadItem:
        return DownloadItem(
            key=key, spec=ModelSpec(key), state=state, done_bytes=done, total_bytes=total
        )

    running = item("a/b", DownloadState.RUNNING, 25, 100)
    waiting = item("a/c", DownloadState.WAITING)
    failed = item("a/d", DownloadState.FAILED)
    assert summary([]) == ""
    assert summary([waiting]) == "1 download"
    assert summary([running, waiting, failed]) == "2 downloads · 25%"
    assert summary([failed]) == "1 download failed"


def test_the_queue_file_holds_no_secret(home: Path, open_downloads: Open) -> None:
    downloads = open_downloads(HF_TOKEN=TOKEN, HF_HUB_OFFLINE="1")
    downloads.add(MODEL)
    assert downloads.close(60)
    stored = (home / "downloads.json").read_text()
    assert TOKEN not in stored
    assert json.loads(stored)["items"][0]["key"] == MODEL.source
