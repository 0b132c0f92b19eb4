"""The command palette: finds any command by a few letters of its name, and runs it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QIcon, QKeyEvent, QKeySequence, QPixmap
from PySide6.QtWidgets import QDialog, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from playground.gui.toolkit.widgets import muted_label

_KEYS_TO_LIST = (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp)


class CommandPalette(QDialog):
    """A list of actions, filtered while typing; Enter runs the selected one."""

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Command palette")
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        blank = QPixmap(16, 16)
        blank.fill(Qt.GlobalColor.transparent)
        self._blank = QIcon(blank)  # aligns the names of commands without an icon
        self._items: list[QTreeWidgetItem] = []
        self._actions = [action for action in actions if _name(action)]
        self.field = QLineEdit()
        self.field.setPlaceholderText("Type part of a command's name")
        self.field.setAccessibleName("Command")
        self.field.setClearButtonEnabled(False)
        self.list = QTreeWidget()
        self.list.setColumnCount(2)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setAccessibleName("Commands")
        self.list.ensurePolished()  # applies the style sheet before the rows get their height
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._nothing = muted_label("No command contains these letters in this order.")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(8)
        column.addWidget(self.field)
        column.addWidget(self.list, 1)
        column.addWidget(self._nothing)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list.itemClicked.connect(self._run_item)
        self.resize(520, 400)

    def add_choices(self, title: str, choices: Sequence[QAction]) -> None:
        """Offer the actions of a submenu too, each with the submenu's title before its name."""
        for choice in choices:
            action = QAction(choice.icon(), f"{title}: {_name(choice)}", self)
            action.setEnabled(choice.isEnabled())
            action.triggered.connect(choice.trigger)
            self._actions.append(action)

    def open_palette(self) -> None:
        """Show every command, near the top of the parent and centred."""
        self.field.clear()
        self._filter("")
        parent = self.parentWidget()
        if parent is not None:
            width = min(560, parent.width() - 32)
            self.resize(width, min(420, parent.height() - 64))
            corner = parent.mapToGlobal(parent.rect().topLeft())
            self.move(corner.x() + (parent.width() - width) // 2, corner.y() + 48)
        self.open()
        self.field.setFocus()

    def shown_names(self) -> list[str]:
        """Return the commands that match the text typed, best first."""
        return [item.text(0) for item in self._items]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in _KEYS_TO_LIST:
                self._step(Qt.Key(event.key()))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                item = self.list.currentItem()
                if item is not None:
                    self._run_item(item)
                return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        ranked = []
        for order, action in enumerate(self._actions):
            score = _score(text.casefold(), _name(action).casefold())
            if score is not None and action.isVisible():
                ranked.append((not action.isEnabled(), score, order, action))
        ranked.sort(key=lambda entry: entry[:3])
        self.list.clear()
        self._items = []
        for *_, action in ranked:
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            item = QTreeWidgetItem([_name(action), keys])
            item.setData(0, Qt.ItemDataRole.UserRole, self._actions.index(action))
            item.setIcon(0, action.icon() if not action.icon().isNull() else self._blank)
            item.setToolTip(0, action.statusTip())
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setDisabled(not action.isEnabled())
            self._items.append(item)
        self.list.addTopLevelItems(self._items)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, self.list.header().ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(1, self.list.header().ResizeMode.ResizeToContents)
        if self._items:
            self.list.setCurrentItem(self._items[0])
        self.list.setVisible(bool(ranked))
        self._nothing.setVisible(not ranked)

    def _step(self, key: Qt.Key) -> None:
        count = len(self._items)
        item = self.list.currentItem()
        if item is None:
            return
        by = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10}.get(key, -10)
        row = self._items.index(item) + by
        row = row % count if abs(by) == 1 else min(max(row, 0), count - 1)
        self.list.setCurrentItem(self._items[row])

    def _run_item(self, item: QTreeWidgetItem) -> None:
        action = self._actions[item.data(0, Qt.ItemDataRole.UserRole)]
        if action.isEnabled():
            # Close first: the action may open a dialog.
            self.accept()
            action.trigger()


def _name(action: QAction) -> str:
    return action.text().replace("&", "")


def _score(typed: str, name: str) -> int | None:
    """Return how well `name` matches, None where it does not; lower is better.

    0: it begins with `typed`; 1: it contains it; above: it contains the letters with gaps.
    """
    if not typed or name.startswith(typed):
        return 0
    if typed in name:
        return 1
    last, gaps = -1, 2
    for char in typed:
        found = name.find(char, last + 1)
        if found < 0:
            return None
        gaps += found - last - 1
        last = found
    return gaps
