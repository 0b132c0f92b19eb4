"""Runs the download queue for the window: its changes as signals, and the views that show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.lane import LaneChoice
from playground.gui.downloads.login_dialog import Login, LoginDialog
from playground.gui.downloads.panel import DownloadsPanel, DownloadsWindow
from playground.gui.downloads.text import summary
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.notify import Notify
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.downloads.queue import DownloadQueue, RetryPolicy


class DownloadsController(QObject):
    """Owns the queue, which is opened at `start` or when it is first needed."""

    changed = Signal(object)  # a DownloadItem, as it is now
    listed = Signal(object)  # all DownloadItems, after some were added or removed
    finished = Signal(object)  # a DownloadItem that is on this machine now
    summary_changed = Signal(str)
    logged_in = Signal(str)  # the user's name on the Hub
    _item_changed = Signal(object)  # from the queue's threads

    def __init__(
        self,
        background: Background,
        notify: Notify,
        *,
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
        policy: RetryPolicy | None = None,
        login: Login | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`path` is the queue's file, `environment` that of the download processes, `login`
        checks and stores a token. The defaults are those of the user's account."""
        super().__init__(parent)
        self._background = background
        self._notify = notify
        self._make: Callable[[], DownloadQueue] = lambda: DownloadQueue(
            self._item_changed.emit, path, environment, policy
        )
        self._queue: DownloadQueue | None = None
        self._login = login
        self._window: DownloadsWindow | None = None
        self._summary = ""
        # Queued even for the GUI thread, so that changes are handled in the order they occur.
        self._item_changed.connect(self._on_item_changed, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Resume the downloads that the last window left unfinished, and report them."""
        left = [item for item in self._opened().items() if not item.state.is_over]
        self._refresh()
        if left:
            names = ", ".join(item.spec.source for item in left[:3])
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            self._notify.info(f"Resuming downloads: {names}{more}.", "See View, Downloads.")

    def items(self) -> tuple[DownloadItem, ...]:
        return self._queue.items() if self._queue is not None else ()

    def item(self, spec: ModelSpec) -> DownloadItem | None:
        """Return a model's entry in the queue, None where it has none."""
        return next((item for item in self.items() if item.spec == spec), None)

    def add(self, spec: ModelSpec, commit: str = "") -> DownloadItem | None:
        """Put a model into the queue; notify and return None where its name is wrong."""
        try:
            item = self._opened().add(spec, commit)
        except PlaygroundError as error:
            self._notify.warning(error)
            return None
        self._refresh()
        return item

    def set_pending_lanes(self, keys: Collection[str], lanes: tuple[LaneChoice, ...]) -> None:
        """Store with these entries, and with no others, the lanes that wait for them."""
        if self._queue is not None:
            self._queue.set_pending_lanes(keys, lanes)

    def attach(self, panel: DownloadsPanel) -> None:
        """Let a panel show and change the queue while the panel exists."""
        panel.cancelRequested.connect(self.cancel)
        panel.retryRequested.connect(self.retry)
        panel.removeRequested.connect(self.remove)
        panel.clear_button.clicked.connect(self.clear)
        panel.loginRequested.connect(self.ask_login)
        self.listed.connect(panel.show_items)
        self.changed.connect(panel.show_item)
        panel.show_items(self.items())

    @Slot()
    def open_window(self) -> None:
        """Show the queue in a window beside the main window."""
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
        """Remove the finished and cancelled entries."""
        for item in self.items():
            if item.state in (DownloadState.FINISHED, DownloadState.CANCELLED):
                self._opened().remove(item.key)
        self._refresh()

    @Slot(QWidget)
    def ask_login(self, window: QWidget) -> None:
        """Open the log-in dialog over `window`; downloads that needed it are retried afterwards."""
        dialog = LoginDialog(self._background, login=self._login, parent=window)
        dialog.logged_in.connect(self._on_login)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop; the next start resumes what is unfinished. False where a thread still runs."""
        return self._queue.close(timeout_s) if self._queue is not None else True

    def _opened(self) -> DownloadQueue:
        if self._queue is None:
            self._queue = self._make()
            self._queue.start()
        return self._queue

    @Slot(object)
    def _on_item_changed(self, item: DownloadItem) -> None:
        if all(known.key != item.key for known in self.items()):
            return  # removed since
        self._summarize()
        finished = item.state is DownloadState.FINISHED
        if finished:  # before others report what follows from it
            self._notify.info(f"{item.key} is on this machine now.")
        self.changed.emit(item)
        if finished:
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
    def _on_login(self, name: str) -> None:
        for item in self.items():
            if item.state is DownloadState.FAILED and item.needs_login:
                self._opened().retry(item.key)
        self.logged_in.emit(name)
