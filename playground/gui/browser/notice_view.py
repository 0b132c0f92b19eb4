"""Shows a notice in place of the list or below it, with a button for what to do."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QFrame, QVBoxLayout, QWidget

from playground.gui.browser.notices import ACTION_TEXTS, Notice
from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import announce, message_label, push_button, set_kind


class NoticeView(QFrame):
    """A notice and its button; the large form replaces the list, the small one is below it."""

    action_requested = Signal(str)  # the notice's Action

    def __init__(self, *, large: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card" if large else "message")
        self._large = large
        self.shown = Notice()
        self._text, self._remedy = message_label("heading"), message_label()
        side = Qt.AlignmentFlag.AlignHCenter if large else Qt.AlignmentFlag.AlignLeft
        for label in (self._text, self._remedy):
            label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self._bar = ThinBar()
        self.button = push_button("")
        self.button.clicked.connect(self._clicked)
        texts = QVBoxLayout()
        texts.setSpacing(4)
        for widget in (self._text, self._remedy, self._bar):
            texts.addWidget(widget)
        direction = QBoxLayout.Direction.TopToBottom if large else QBoxLayout.Direction.LeftToRight
        outer = QBoxLayout(direction, self)
        outer.setSpacing(12)
        outer.setContentsMargins(*((32, 24, 32, 24) if large else (12, 6, 8, 6)))
        if large:
            outer.addStretch(1)
        outer.addLayout(texts, 0 if large else 1)
        outer.addWidget(self.button, 0, Qt.AlignmentFlag.AlignCenter)
        if large:
            outer.addStretch(2)
        self.show_notice(Notice())

    def show_notice(self, notice: Notice) -> None:
        """Show a notice; one without a text hides the small form and empties the large one."""
        changed = notice.text != self.shown.text
        self.shown = notice
        self._text.setText(notice.text)
        self._remedy.setText(notice.remedy)
        self._remedy.setVisible(bool(notice.remedy))
        self._bar.set_progress(notice.level == "busy", None)
        self._bar.setVisible(notice.level == "busy")
        self.button.setText(ACTION_TEXTS.get(notice.action, ""))
        self.button.setVisible(bool(notice.action))
        set_kind(self._text, "tone", "danger" if notice.level == "error" else "heading")
        if not self._large:
            set_kind(self, "level", "warning" if notice.level == "error" else "")
            self.setVisible(bool(notice.text))
        whole = f"{notice.text} {notice.remedy}".strip()
        self.setAccessibleName(whole)
        if changed and whole:
            announce(self, whole)

    def _clicked(self) -> None:
        self.action_requested.emit(self.shown.action)
