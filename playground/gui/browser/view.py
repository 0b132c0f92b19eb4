"""The left half of the model picker: search, filters, list, notices and buttons."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QStackedWidget, QToolButton, QWidget

from playground.core.facts import ModelSpec
from playground.gui.browser.filters import BrowserFilters
from playground.gui.browser.list_view import BrowserList, ColumnTitles
from playground.gui.browser.model_list import Entry, Line
from playground.gui.browser.notice_view import NoticeView
from playground.gui.browser.notices import Notice
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.widgets import h_box, set_kind, tool_button, v_box

_NARROWEST = 580  # pixels; columns and filters would be cut off below


class BrowserView(QWidget):
    """Lays out the browser's parts; the BrowserController fills them."""

    action_requested = Signal(str)  # a notice's Action
    folder_add_requested = Signal()
    folder_remove_requested = Signal(str)  # the folder's path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.filters = BrowserFilters()
        self.list = BrowserList()
        self.titles = ColumnTitles(self.list)
        self._empty = NoticeView(large=True)
        self._strip = NoticeView(large=False)
        self._summary = ElidedLabel()
        set_kind(self._summary, "tone", "muted")
        self.favourite = self._action("Add to &favourites", "Ctrl+D")
        self.delete = self._action("&Delete from this machine…", "Del")
        self.check = QAction("&Check its files", self)
        self.refresh = self._action("&Refresh", "F5")
        self.delete.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.list.addAction(self.delete)
        self.addActions([self.favourite, self.refresh])
        icons = ("star", "trash", "refresh")
        actions = (self.favourite, self.delete, self.refresh)
        self.buttons = [tool_button(icon, "") for icon in icons]
        for button, action in zip(self.buttons, actions, strict=True):
            button.clicked.connect(action.trigger)
        self.folders = tool_button("folder", "Model folders", "Folders that hold your models")
        self.folders.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.folders.setMenu(QMenu(self.folders))
        self.folders.menu().triggered.connect(self._on_folder_action)
        self._place()
        self.setMinimumWidth(_NARROWEST)
        self.titles.sort_requested.connect(self.filters.set_sort)
        self.filters.sort.currentIndexChanged.connect(self._sort_changed)
        self._sort_changed()
        self.list.menu_requested.connect(self._open_menu)
        self._empty.action_requested.connect(self.action_requested)
        self._strip.action_requested.connect(self.action_requested)
        self.filters.search.down.connect(self._enter_list)
        self.list.left_above.connect(self.filters.search.setFocus)
        self.set_folders(())
        self.set_current(None, deletable=False)

    def show_lines(self, lines: Sequence[Line], key: str, spec: ModelSpec | None) -> None:
        """Show the list, with the model of this key, else of this spec, as the current one."""
        self.list.show_lines(lines, key, spec)
        filled = any(isinstance(line, Entry) for line in lines)
        self._stack.setCurrentWidget(self._filled if filled else self._empty)

    def show_notice(self, notice: Notice, summary: str) -> None:
        filled = self._stack.currentWidget() is self._filled
        self._empty.show_notice(Notice() if filled else notice)
        self._strip.show_notice(notice if filled else Notice())
        self._summary.set_full_text(summary)

    def summary(self) -> str:
        return self._summary.full_text()

    def set_current(self, entry: Entry | None, *, deletable: bool) -> None:
        """Offer what can be done with the current row."""
        marked = entry is not None and entry.favourite
        self.favourite.setEnabled(entry is not None)
        self.favourite.setText("Remove from &favourites" if marked else "Add to &favourites")
        self.buttons[0].set_icon_name("star-filled" if marked else "star")
        self.delete.setEnabled(deletable)
        self.check.setEnabled(entry is not None and entry.row.folder is not None)
        actions = (self.favourite, self.delete, self.refresh)
        for button, action in zip(self.buttons, actions, strict=True):
            button.setEnabled(action.isEnabled())
            button.setAccessibleName(action.text().replace("&", "").rstrip("…"))
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            button.setToolTip(f"{button.accessibleName()} ({keys})")

    def set_folders(self, folders: Sequence[str]) -> None:
        """List the model folders in their menu."""
        menu = self.folders.menu()
        menu.clear()
        menu.addAction("&Add a model folder…")
        if folders:
            menu.addSeparator()
        for folder in folders:
            action = menu.addAction(f"Remove {folder.replace('&', '&&')} from the list")
            action.setData(folder)

    @Slot(QAction)
    def _on_folder_action(self, action: QAction) -> None:
        if action.data():
            self.folder_remove_requested.emit(action.data())
        else:
            self.folder_add_requested.emit()

    def _sort_changed(self) -> None:
        self.list.sort = self.filters.filters().sort
        self.list.viewport().update()
        self.titles.update()

    def _enter_list(self) -> None:
        if self.list.current_entry() is None:
            self.list.select_first()
        if self.list.current_entry() is not None:
            self.list.setFocus()

    def _open_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addActions([self.favourite, self.check, self.delete])
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def _action(self, text: str, keys: str) -> QAction:
        action = QAction(text, self)
        action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        return action

    def _place(self) -> None:
        self._filled = QWidget()
        rows = v_box(self._filled, spacing=2)
        rows.addWidget(self.titles)
        rows.addWidget(self.list, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._filled)
        self._stack.addWidget(self._empty)
        below = h_box(self._summary, *self.buttons, self.folders, spacing=2)
        below.setStretch(0, 1)
        column = v_box(self)
        column.addWidget(self.filters)
        column.addWidget(self._stack, 1)
        column.addWidget(self._strip)
        column.addLayout(below)
