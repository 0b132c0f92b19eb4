"""The area of the window that shows the lanes side by side, or one of them enlarged."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.lane_view import LaneView
from playground.gui.toolkit.elided import ElidedButton
from playground.gui.toolkit.widgets import muted_label


class LanesArea(QWidget):
    """Places LaneViews in a splitter; an enlarged one fills it, below a strip of all lanes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Lanes")
        self._views: list[LaneView] = []
        self._tabs: list[tuple[LaneView, ElidedButton]] = []  # while one is enlarged
        self._enlarged: LaneView | None = None
        self._reading = False
        self._last: LaneView | None = None  # the one that had the focus last
        self._before: QWidget | None = None  # where the Tab key comes from
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setHandleWidth(8)
        self._empty = muted_label("There are no lanes. Add one with Ctrl+T.")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._strip = QWidget()
        self._strip_row = QHBoxLayout(self._strip)
        self._strip_row.setContentsMargins(0, 0, 0, 4)
        self._strip_row.setSpacing(4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._strip)
        # Where the window is too small for the lanes, they scroll instead of being cut off.
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self._splitter)
        self._scroll.setMinimumSize(240, 160)
        column.addWidget(self._scroll, 1)
        column.addWidget(self._empty, 1)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._note_focus)
        self._arrange()

    def views(self) -> list[LaneView]:
        """The lanes from left to right."""
        return list(self._views)

    def insert(self, index: int, view: LaneView) -> None:
        """Put a lane at `index`; all lanes are shown again, with the same width."""
        self._views.insert(index, view)
        self._enlarged = None
        view.header.set_reading(self._reading)
        view.retitled.connect(self._name_tabs)
        self._splitter.insertWidget(index, view)
        self._splitter.setStretchFactor(self._splitter.indexOf(view), 1)
        self._arrange()
        self.even_out()

    def remove(self, view: LaneView) -> None:
        """Take a lane out; the caller owns it, and it has no parent."""
        if view not in self._views:
            return
        focus = self.window().focusWidget()
        had_focus = focus is not None and view.isAncestorOf(focus)
        index = self._views.index(view)
        self._views.remove(view)
        if self._enlarged is view:
            self._enlarged = None
        if self._last is view:
            self._last = None
        view.retitled.disconnect(self._name_tabs)
        view.hide()
        view.setParent(None)
        self._arrange()
        self.even_out()
        if had_focus and self._views:
            self._views[min(index, len(self._views) - 1)].focus_first()

    def move(self, view: LaneView, index: int) -> None:  # type: ignore[override]
        """Move a lane to `index`. QWidget's own `move` is of no use in a splitter."""
        sizes = {v: self._splitter.sizes()[i] for i, v in enumerate(self._views)}
        self._views.remove(view)
        self._views.insert(index, view)
        self._splitter.insertWidget(index, view)
        self._arrange()
        if self._enlarged is None:
            self._splitter.setSizes([sizes[v] for v in self._views])

    def enlarge(self, view: LaneView | None) -> None:
        """Show one lane alone, or all of them with None."""
        self._enlarged = view
        self._arrange()
        if view is not None:
            view.focus_first()

    def set_reading(self, reading: bool) -> None:
        """Leave out the lanes' choices, so that their texts have more room."""
        self._reading = reading
        for view in self._views:
            view.header.set_reading(reading)

    def enlarged(self) -> LaneView | None:
        return self._enlarged

    def focus_lane(self, index: int) -> None:
        """Give a lane the focus; where another one is enlarged, it takes its place."""
        if not 0 <= index < len(self._views):
            return
        view = self._views[index]
        if self._enlarged not in (None, view):
            self.enlarge(view)
        view.focus_first()

    def current(self) -> LaneView | None:
        """Return the lane with the focus, else the enlarged, the last focused or the first one."""
        focus = self.window().focusWidget()
        for view in self._views:
            if focus is not None and view.isAncestorOf(focus):
                return view
        return self._enlarged or self._last or (self._views[0] if self._views else None)

    def set_tab_start(self, before: QWidget) -> None:
        """Let the Tab key go from the widget `before` to the lanes."""
        self._before = before
        self._chain()

    def _chain(self) -> None:
        """Let the Tab key visit the lanes in the order in which they are shown."""
        previous = self._before
        for view in self._views:
            for widget in view.findChildren(QWidget):
                if previous is None or previous.window() is not widget.window():
                    continue  # the popup of a combo box is a window of its own
                if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                    self.setTabOrder(previous, widget)
                    previous = widget

    def even_out(self) -> None:
        """Give all lanes the same width."""
        if self._views:
            self._splitter.setSizes([10_000] * len(self._views))

    def _note_focus(self, _: QWidget | None, now: QWidget | None) -> None:
        for view in self._views:
            if now is not None and view.isAncestorOf(now):
                self._last = view
        self._mark_current()

    def _mark_current(self) -> None:
        """Mark the lane that commands of the menus concern, where there are several."""
        current = self.current() if len(self._views) > 1 else None
        for view in self._views:
            view.set_current(view is current)

    def _arrange(self) -> None:
        for view in self._views:
            view.setVisible(self._enlarged in (None, view))
            view.set_enlarged(self._enlarged is view)
        self._chain()
        self._empty.setVisible(not self._views)
        self._scroll.setVisible(bool(self._views))
        self._tabs.clear()
        while self._strip_row.count():
            item = self._strip_row.takeAt(0)
            widget = item.widget() if item else None
            if widget is not None:
                widget.deleteLater()
        shown = self._enlarged is not None and len(self._views) > 1
        self._strip.setVisible(shown)
        if shown:
            self._fill_strip()
        self._mark_current()

    def _fill_strip(self) -> None:
        for view in self._views:
            button = ElidedButton()
            button.reserve(24)
            button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            button.setCheckable(True)
            button.setChecked(view is self._enlarged)
            button.setProperty("kind", "tab")
            button.clicked.connect(view.header.commands[LaneCommand.ENLARGE].trigger)
            self._strip_row.addWidget(button)
            self._tabs.append((view, button))
        self._strip_row.addStretch(1)
        self._name_tabs()

    @Slot()
    def _name_tabs(self) -> None:
        for view, button in self._tabs:
            title = view.title()
            button.set_full_text(title)
            button.setAccessibleName(f"Enlarge {title}")
            enlarged = view is self._enlarged
            button.setToolTip("Show all lanes again" if enlarged else f"Enlarge {title}")
