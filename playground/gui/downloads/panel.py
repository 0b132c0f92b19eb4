"""Shows the download queue: a row for each model with its state and its buttons."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from playground.gui.downloads.text import state_text
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.links import ask_to_open
from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import (
    announce,
    h_box,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
    wrapping_policy,
)
from playground.hub.downloads.items import DownloadItem, DownloadState

_RESUMES = "Unfinished downloads resume at the next start."
_TONES = {
    DownloadState.FAILED: "danger",
    DownloadState.RETRYING: "warning",
    DownloadState.FINISHED: "success",
}


class DownloadsPanel(QFrame):
    """Shows the entries of the queue, the latest first."""

    cancelRequested = Signal(str)  # an entry's key, here and below
    retryRequested = Signal(str)
    removeRequested = Signal(str)
    loginRequested = Signal(QWidget)  # the window to ask in

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("Downloads")
        self._rows: dict[str, DownloadRow] = {}
        self._note = ElidedLabel()
        self._note.setProperty("tone", "muted")
        self.clear_button = push_button(
            "Clear &finished", "Remove finished and cancelled downloads from this list", kind="flat"
        )
        self._nothing = muted_label("Nothing has been downloaded yet.")
        inner = QWidget()
        inner.setObjectName("scrolled")
        self._list = QVBoxLayout(inner)
        self._list.setContentsMargins(0, 0, 6, 0)
        self._list.setSpacing(0)
        self._list.addStretch(1)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setWidget(inner)
        head = h_box(plain_label("Downloads", "heading"), spacing=12)
        head.addWidget(self._note, 1)
        head.addWidget(self.clear_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 6, 8)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._nothing)
        column.addWidget(self._area, 1)
        # Waiting times count down while nothing else changes.
        self._clock = QTimer(self, interval=1000)
        self._clock.timeout.connect(self._tick)
        self.show_items(())

    @Slot(object)
    def show_items(self, items: Sequence[DownloadItem]) -> None:
        """Show exactly these entries; the last one is shown first."""
        keys = {item.key for item in items}
        for key in [key for key in self._rows if key not in keys]:
            row = self._rows.pop(key)
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        for place, item in enumerate(reversed(items)):
            row = self._rows.get(item.key) or self._make(item.key)
            self._list.insertWidget(place, row)
            row.show_item(item)
        self._show_head()

    @Slot(object)
    def show_item(self, item: DownloadItem) -> None:
        """Update one entry; one that is not shown yet is added at the top."""
        row = self._rows.get(item.key)
        if row is None:
            row = self._make(item.key)
            self._list.insertWidget(0, row)
        row.show_item(item)
        self._show_head()

    def row(self, key: str) -> DownloadRow | None:
        return self._rows.get(key)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_head()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._clock.stop()

    def _make(self, key: str) -> DownloadRow:
        row = DownloadRow(key)
        row.cancel_button.clicked.connect(partial(self.cancelRequested.emit, key))
        row.retry_button.clicked.connect(partial(self.retryRequested.emit, key))
        row.remove_button.clicked.connect(partial(self.removeRequested.emit, key))
        row.login_button.clicked.connect(self._request_login)
        self._rows[key] = row
        return row

    def _show_head(self) -> None:
        states = [row.item.state for row in self._rows.values() if row.item is not None]
        self._nothing.setVisible(not states)
        self._area.setVisible(bool(states))
        self.clear_button.setEnabled(
            any(s in (DownloadState.FINISHED, DownloadState.CANCELLED) for s in states)
        )
        on = any(not state.is_over for state in states)
        self._note.set_full_text(_RESUMES if on else "")
        waiting = DownloadState.RETRYING in states
        if waiting and self.isVisible() and not self._clock.isActive():
            self._clock.start()
        elif not waiting:
            self._clock.stop()

    def _tick(self) -> None:
        for row in self._rows.values():
            row.show_clock()

    @Slot()
    def _request_login(self) -> None:
        self.loginRequested.emit(self.window())


class DownloadRow(QFrame):
    """One entry: name and buttons, a thin bar, and a sentence on its state."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.item: DownloadItem | None = None
        self._name = ElidedLabel()
        self._name.elide_mode = Qt.TextElideMode.ElideMiddle
        self._bar = ThinBar()
        self._bar.setAccessibleName(f"Download of {key}")
        self.state = muted_label("", wrap=True)
        self.state.setSizePolicy(wrapping_policy())
        self.login_button = push_button("Log in…", f"Log in to the Hub for {key}")
        self.ask_button = push_button("Ask for access…", f"Open the page to request {key} on")
        self.ask_button.clicked.connect(self._ask_for_access)
        self.retry_button = push_button("Try again", f"Try to download {key} again")
        self.cancel_button = push_button(
            "Cancel", f"Cancel the download of {key}; finished files stay"
        )
        self.remove_button = push_button("Remove", f"Remove {key} from this list; its files stay")
        self.buttons = (
            self.login_button,
            self.ask_button,
            self.retry_button,
            self.cancel_button,
            self.remove_button,
        )
        line = h_box(self._name, *self.buttons, spacing=6)
        line.setStretch(0, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 6)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self._bar)
        column.addWidget(self.state)

    def show_item(self, item: DownloadItem) -> None:
        before, self.item = self.item, item
        self._name.set_full_text(item.key)
        state = item.state
        on = not state.is_over
        self._bar.setVisible(on)
        known = state in (DownloadState.RUNNING, DownloadState.RETRYING, DownloadState.WAITING)
        fraction = (item.fraction or 0.0) if known else None
        self._bar.set_progress(on, fraction, moving=state is DownloadState.PLANNING)
        self.login_button.setVisible(state is DownloadState.FAILED and item.needs_login)
        self.ask_button.setVisible(state is DownloadState.FAILED and bool(item.ask_at))
        failed = state in (DownloadState.FAILED, DownloadState.CANCELLED, DownloadState.RETRYING)
        self.retry_button.setVisible(failed)
        now = state is DownloadState.RETRYING
        self.retry_button.setText("Try now" if now else "Try again")
        self.cancel_button.setVisible(on)
        self.remove_button.setVisible(not on)
        set_kind(self.state, "tone", "warning" if item.is_quiet else _TONES.get(state, "muted"))
        self.show_clock()
        if before is not None and before.state is not state and state.is_over:
            announce(self, f"{item.key}: {self.state.text()}")

    def show_clock(self) -> None:
        """Update what depends on the time."""
        if self.item is not None:
            text = state_text(self.item, time.monotonic())
            self.state.setText(text)
            self.setAccessibleName(f"{self.key}: {text}")

    @Slot()
    def _ask_for_access(self) -> None:
        if self.item is not None:
            ask_to_open(self.item.ask_at, self)


class DownloadsWindow(QDialog):
    """The queue in a separate window; closing it does not affect the downloads."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Downloads")
        self.panel = DownloadsPanel()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = v_box(self, margin=16, spacing=12)
        column.addWidget(self.panel, 1)
        column.addWidget(buttons)
        self.resize(640, 360)
        buttons.button(QDialogButtonBox.StandardButton.Close).setFocus()
