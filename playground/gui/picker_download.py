"""The part of the model picker where a Hub id is typed in and downloaded."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.gui.download_controller import DownloadController
from playground.gui.model_facts import human_bytes
from playground.gui.views.widgets import ThinBar, announce, muted_label, set_kind
from playground.hub.download_events import Advanced, Broken, Cancelled, Completed, Planned
from playground.hub.source import parse_hub_id

_QUIET_AFTER_S = 5.0


class PickerDownload(QWidget):
    """A field for the id, a button, and while it runs a bar with figures and Cancel."""

    completed = Signal(object)  # ModelSpec

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = DownloadController(self, environment=environment)
        self._controller.planned.connect(self._planned)
        self._controller.advanced.connect(self._advanced)
        self._controller.ended.connect(self._ended)
        self._spec = ModelSpec("")
        self._build()

    @property
    def running(self) -> bool:
        return self._controller.running

    @property
    def model(self) -> str:
        """The id that is being downloaded, or was last."""
        return self._spec.source

    def status_text(self) -> str:
        return self._status.text()

    def set_text(self, text: str) -> None:
        """Put an id into the field, ready to be downloaded."""
        if not self.running:
            self.field.setText(text)
            self._say("")

    @Slot()
    def begin(self) -> None:
        """Download what is typed in; a wrong id is answered below the field."""
        try:
            spec = parse_hub_id(self.field.text())
            self._controller.start(spec)
        except PlaygroundError as error:
            self._say(str(error), "danger")
            self.field.setFocus()
            return
        self._spec = spec
        self._say(f"Asking the Hub about {spec.source} …")
        self._show_running(True)

    @Slot()
    def cancel(self) -> None:
        self._controller.cancel()

    def close_down(self) -> None:
        """Stop a running download and wait for its end."""
        self._controller.close()

    def _build(self) -> None:
        self.field = _IdField()
        self.field.setPlaceholderText("owner/name, or a link to a model on huggingface.co")
        self.field.setAccessibleName("Hub id of a model to download")
        self.field.setClearButtonEnabled(True)
        self.field.setMaxLength(400)
        self.button = QPushButton("&Download")
        self.button.setAutoDefault(False)
        self.button.setEnabled(False)
        self.cancel_button = QPushButton("Cancel download")
        self.cancel_button.setAutoDefault(False)
        self._bar = ThinBar()
        self._bar.setAccessibleName("Download")
        keep = self._bar.sizePolicy()
        keep.setRetainSizeWhenHidden(True)  # nothing above moves when a download begins
        self._bar.setSizePolicy(keep)
        self._status = QLabel()
        self._status.setTextFormat(Qt.TextFormat.PlainText)
        self._status.setWordWrap(True)
        self._status.setAccessibleName("State of the download")
        label = muted_label("From the &Hub")
        label.setBuddy(self.field)
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget, stretch in ((label, 0), (self.field, 1), (self.button, 0)):
            row.addWidget(widget, stretch)
        row.addWidget(self.cancel_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self._bar)
        column.addWidget(self._status)
        self.field.textChanged.connect(self._typed)
        self.field.entered.connect(self._entered)
        self.button.clicked.connect(self.begin)
        self.cancel_button.clicked.connect(self.cancel)
        self._say("")
        self._show_running(False)

    @Slot(str)
    def _typed(self, text: str) -> None:
        self.button.setEnabled(bool(text.strip()))
        self._say("")

    @Slot()
    def _entered(self) -> None:
        if self.button.isEnabled() and not self.running:
            self.begin()

    @Slot(object)
    def _planned(self, plan: Planned) -> None:
        left = plan.total_bytes - plan.present_bytes
        here = f", {human_bytes(plan.present_bytes)} are here already" if plan.present_bytes else ""
        self._say(f"{plan.files} files, {human_bytes(left)} to download{here}.")
        self._bar.set_progress(True, 0.0)

    @Slot(object)
    def _advanced(self, at: Advanced) -> None:
        self._bar.set_progress(True, at.fraction)
        self._say(progress_text(at))

    @Slot(object)
    def _ended(self, end: object) -> None:
        self._show_running(False)
        if isinstance(end, Completed):
            self.field.clear()
            self._say(f"{self._spec.source} is on this machine now.")
            self.completed.emit(self._spec)
        elif isinstance(end, Broken):
            self._say(f"{end.message} {end.cure}".strip(), "danger")
        elif isinstance(end, Cancelled):
            self._say("Cancelled. Finished files are kept, so that another try goes on from there.")
        announce(self, self._status.text())

    def _show_running(self, running: bool) -> None:
        self.field.setReadOnly(running)
        self.button.setVisible(not running)
        self.cancel_button.setVisible(running)
        self._bar.set_progress(running, None)
        self._bar.setVisible(running)
        if running:
            self.cancel_button.setFocus()

    def _say(self, text: str, tone: str = "muted") -> None:
        set_kind(self._status, "tone", tone)
        self._status.setText(text)


def progress_text(at: Advanced) -> str:
    """Bytes, speed and time left, or for how long nothing has come."""
    text = f"{human_bytes(at.done_bytes)} of {human_bytes(at.total_bytes)}"
    if at.quiet_s >= _QUIET_AFTER_S:
        return f"{text} · nothing has arrived for {at.quiet_s:.0f} s"
    if at.bytes_per_s > 0:
        text += f" · {human_bytes(int(at.bytes_per_s))}/s"
    if at.remaining_s is not None and at.done_bytes < at.total_bytes:
        text += f" · {human_duration(at.remaining_s)} left"
    return text


def human_duration(seconds: float) -> str:
    """A time to wait, for people: "8 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class _IdField(QLineEdit):
    """A line whose Enter is its own, and not the dialog's default button's."""

    entered = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()
            self.entered.emit()
        else:
            super().keyPressEvent(event)
