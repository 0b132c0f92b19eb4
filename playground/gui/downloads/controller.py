"""The download queue for the window: its changes as signals, and the panels that show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.lane import LaneChoice
from playground.gui.downloads.login_dialog import Login, LoginDialog
from playground.gui.downloads.panel import DownloadsPanel
from playground.gui.downloads.text import summary
from playground.gui.downloads.window import DownloadsWindow
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.links import ask_to_open
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.downloads.queue import DownloadQueue, RetryPolicy


class DownloadsController(QObject):
    """Owns the queue. It is made when it is first needed, or at `start`."""

    changed = Signal(object)  # a DownloadItem, as it is now
    listed = Signal(object)  # all DownloadItems, after some came or went
    finished = Signal(object)  # a DownloadItem that is on this machine
    summary_changed = Signal(str)
    logged_in = Signal(str)  # the user's name on the Hub
    message = Signal(str, str, str)  # text, level, remedy
    _told = Signal(object)  # from the queue's threads, handled on this object's

    def __init__(
        self,
        background: Background,
        parent: QObject | None = None,
        *,
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
        policy: RetryPolicy | None = None,
        login: Login | None = None,
    ) -> None:
        """`path` is the queue's file, `environment` the downloads', `login` checks a token."""
        super().__init__(parent)
        self._background = background
        self._make: Callable[[], DownloadQueue] = lambda: DownloadQueue(
            self._told.emit, path, environment, policy
        )
        self._queue: DownloadQueue | None = None
        self._login = login
        self._window: DownloadsWindow | None = None
        self._summary = ""
        # Queued for every thread: what this one causes must not overtake what another told.
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Go on with what the last window left, and say so."""
        left = [item for item in self._opened().items() if not item.state.is_over]
        self._refresh()
        if left:
            names = ", ".join(item.spec.source for item in left[:3])
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            self.message.emit(
                f"Going on with what was being downloaded: {names}{more}.",
                "info",
                "See View, Downloads.",
            )

    def items(self) -> tuple[DownloadItem, ...]:
        return self._queue.items() if self._queue is not None else ()

    def item(self, spec: ModelSpec) -> DownloadItem | None:
        """The entry of a model, None where it is not in the queue."""
        return next((item for item in self.items() if item.spec == spec), None)

    def add(self, spec: ModelSpec, commit: str = "") -> DownloadItem | None:
        """Put a model into the queue; None where its name is wrong, which is told."""
        try:
            item = self._opened().add(spec, commit)
        except PlaygroundError as error:
            self.message.emit(error.message, "warning", error.remedy)
            return None
        self._refresh()
        return item

    def want(self, keys: Collection[str], lanes: tuple[LaneChoice, ...]) -> None:
        """Keep with these entries, and with no others, which lanes wait for them."""
        if self._queue is not None:
            self._queue.want(keys, lanes)

    def attach(self, panel: DownloadsPanel) -> None:
        """Let a panel show the queue and change it, for as long as the panel lives."""
        panel.cancelRequested.connect(self.cancel)
        panel.retryRequested.connect(self.retry)
        panel.removeRequested.connect(self.remove)
        panel.clearRequested.connect(self.clear)
        panel.askRequested.connect(self._ask)
        panel.loginRequested.connect(self._ask_login)
        self.listed.connect(panel.show_items)
        self.changed.connect(panel.show_item)
        panel.show_items(self.items())

    @Slot()
    def open_window(self) -> None:
        """Show the queue in a window of its own, beside the one that owns this."""
        if self._window is None:
            owner = self.parent()
            self._window = DownloadsWindow(owner if isinstance(owner, QWidget) else None)
            self.attach(self._window.panel)
        self._window.show()
        self._window.raise_()
        self._window.activateWindow()

    @Slot(str)
    def cancel(self, key: str) -> None:
        self._opened().cancel(key)

    @Slot(str)
    def retry(self, key: str) -> None:
        self._opened().retry(key)

    @Slot(str)
    def remove(self, key: str) -> None:
        self._opened().remove(key)
        self._refresh()

    @Slot()
    def clear(self) -> None:
        """Take out what is finished or cancelled."""
        for item in self.items():
            if item.state in (DownloadState.FINISHED, DownloadState.CANCELLED):
                self._opened().remove(item.key)
        self._refresh()

    def ask_login(self, parent: QWidget) -> None:
        """Open the dialog that logs in; what waited for it is tried again afterwards."""
        dialog = LoginDialog(self._background, parent, login=self._login)
        dialog.logged_in.connect(self._on_login)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop; what is not finished goes on at the next start. False where a thread still runs."""
        return self._queue.close(timeout_s) if self._queue is not None else True

    def _opened(self) -> DownloadQueue:
        if self._queue is None:
            self._queue = self._make()
            self._queue.start()
        return self._queue

    @Slot(object)
    def _take(self, item: DownloadItem) -> None:
        if all(known.key != item.key for known in self.items()):
            return  # taken out since
        self._summarize()
        if item.state is DownloadState.FINISHED:  # before others say what follows from it
            self.message.emit(f"{item.key} is on this machine now.", "info", "")
        self.changed.emit(item)
        if item.state is DownloadState.FINISHED:
            self.finished.emit(item)

    def _refresh(self) -> None:
        self.listed.emit(self.items())
        self._summarize()

    def _summarize(self) -> None:
        text = summary(self.items())
        if text != self._summary:
            self._summary = text
            self.summary_changed.emit(text)

    @Slot(str)
    def _ask(self, address: str) -> None:
        panel = self.sender()
        if isinstance(panel, QWidget):
            ask_to_open(address, panel)

    @Slot()
    def _ask_login(self) -> None:
        panel = self.sender()
        if isinstance(panel, QWidget):
            self.ask_login(panel.window())

    @Slot(str)
    def _on_login(self, name: str) -> None:
        for item in self.items():
            if item.state is DownloadState.FAILED and item.needs_login:
                self._opened().retry(item.key)
        self.logged_in.emit(name)
