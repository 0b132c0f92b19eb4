"""The main window: places the panels, and knows nothing of models or engines."""

from __future__ import annotations

import msgspec
from PySide6.QtCore import QByteArray, Qt, Signal, Slot
from PySide6.QtGui import QAction, QCloseEvent, QIcon
from PySide6.QtWidgets import (
    QFrame,
    QMainWindow,
    QMenu,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from playground.core.system.resources import resource
from playground.gui.downloads.indicator import DownloadIndicator
from playground.gui.figures.plot import LatencyPlot
from playground.gui.figures.table import FiguresTable
from playground.gui.lanes.area import LanesArea
from playground.gui.prompt.options_panel import OptionsPanel
from playground.gui.prompt.prompt_panel import PromptPanel
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.scroll import FittingScrollArea
from playground.gui.window.actions import Actions
from playground.gui.window.command_palette import CommandPalette
from playground.gui.window.help_dialogs import about, figures_help, keys_help
from playground.gui.window.message_bar import MessageBar

_SIDEBAR = 300
_LEAST = (760, 440)
_SMALL = 600  # height of a new window that has no room for everything


class _State(msgspec.Struct, tag="window-1"):
    """The panels' sizes and visibility; another version of it has another tag."""

    across: bytes
    down: bytes
    sidebar: bool
    plot: bool
    reading: bool = False
    options_folded: bool = False


class MainWindow(QMainWindow):
    """A sidebar with prompt and options; to its right the lanes, the plot and the table."""

    closing = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Language model playground")
        self.setWindowIcon(QIcon(str(resource("icons", "app.svg"))))
        self.actions: Actions = Actions(self)  # type: ignore[assignment]  # not Qt's list
        self.prompt = PromptPanel()
        self.options = OptionsPanel()
        self.lanes = LanesArea()
        self.plot = LatencyPlot()
        self.table = FiguresTable()
        self.messages = MessageBar()
        #: Whether sidebar and plot were shown before the reading view, None outside of it.
        self._before_reading: tuple[bool, bool] | None = None
        self.indicator = DownloadIndicator()
        self._place()
        self._fill_menus()
        self._connect_actions()
        self.lanes.set_tab_start(self.options.last_field())
        self.setMinimumSize(*_LEAST)
        open_at_size(self, 1280, 720)
        if self.height() < _SMALL:  # the texts come first; both can be shown
            self.options.set_folded(True)
            self.actions.toggle_plot.setChecked(False)
        self.prompt.focus_prompt()

    def state(self) -> bytes:
        """Return the panels' sizes and visibility, for `restore_state`."""
        sidebar, plot = self._before_reading or self._panels()
        return msgspec.msgpack.encode(
            _State(
                across=bytes(self._across.saveState().data()),
                down=bytes(self._down.saveState().data()),
                sidebar=sidebar,
                plot=plot,
                reading=self._before_reading is not None,
                options_folded=self.options.folded(),
            )
        )

    def restore_state(self, state: bytes) -> bool:
        """Apply what `state` returned; return False, changing nothing, for anything else."""
        try:
            saved = msgspec.msgpack.decode(state, type=_State)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return False
        self._across.restoreState(QByteArray(saved.across))
        self._down.restoreState(QByteArray(saved.down))
        self.actions.toggle_sidebar.setChecked(saved.sidebar)
        self.actions.toggle_plot.setChecked(saved.plot)
        self.options.set_folded(saved.options_folded)
        self.actions.reading.setChecked(saved.reading)
        return True

    def closeEvent(self, event: QCloseEvent) -> None:
        self.closing.emit()
        super().closeEvent(event)

    def _place(self) -> None:
        inner = QWidget()
        inner.setObjectName("scrolled")
        column = QVBoxLayout(inner)
        column.setContentsMargins(12, 8, 12, 12)
        column.addWidget(self.options)
        column.addStretch(1)
        options = FittingScrollArea(inner)
        self._sidebar = QFrame()
        self._sidebar.setObjectName("card")
        self._sidebar.setMinimumWidth(264)
        side = QVBoxLayout(self._sidebar)
        side.setContentsMargins(1, 12, 1, 1)
        side.setSpacing(0)
        prompt = QWidget()
        around = QVBoxLayout(prompt)
        around.setContentsMargins(11, 0, 11, 8)
        around.addWidget(self.prompt)
        line = QFrame()
        line.setFixedHeight(1)
        line.setObjectName("rule")
        side.addWidget(prompt, 1)
        side.addWidget(line)
        side.addWidget(options, 0)

        self._down = QSplitter(Qt.Orientation.Vertical)
        self._down.setHandleWidth(8)
        self._down.setChildrenCollapsible(False)
        for widget, stretch in ((self.lanes, 6), (self.plot, 3), (self.table, 0)):
            self._down.addWidget(widget)
            self._down.setStretchFactor(self._down.count() - 1, stretch)
        self._down.setSizes([345, 185, 100])
        right = QWidget()
        stack = QVBoxLayout(right)
        stack.setContentsMargins(0, 0, 0, 0)
        stack.setSpacing(8)
        stack.addWidget(self.messages)
        stack.addWidget(self._down, 1)

        self._across = QSplitter(Qt.Orientation.Horizontal)
        self._across.setHandleWidth(8)
        self._across.addWidget(self._sidebar)
        self._across.addWidget(right)
        self._across.setStretchFactor(1, 1)
        self._across.setCollapsible(0, False)
        self._across.setCollapsible(1, False)
        self._across.setSizes([_SIDEBAR, 10_000])
        centre = QWidget()
        whole = QVBoxLayout(centre)
        whole.setContentsMargins(8, 8, 8, 8)
        whole.addWidget(self._across)
        self.setCentralWidget(centre)

    def _fill_menus(self) -> None:
        a = self.actions
        themes = QMenu("&Colours", self)
        themes.addActions(list(a.themes.values()))
        menus: dict[str, tuple[QAction | QMenu | None, ...]] = {
            "&File": (a.open_folder, a.export_plot, None, a.quit),
            "&Edit": (
                a.copy_answer, a.copy_script, a.copy_stamp, None, a.edit_last, a.clear, None,
                a.palette, a.settings,
            ),
            "&Run": (
                a.run, a.stop, a.regenerate, None, a.load_all, a.unload_all, a.keep_standby, None,
                a.founding, a.evaluate, a.keep_case, None, a.private_run, a.history,
            ),
            "&Lane": (
                a.add_lane, a.duplicate_lane, a.remove_lane, None, a.choose_model,
                a.load_lane, a.unload_lane, a.lane_memory, a.regenerate_lane,
                a.environments, a.servers, a.quantize, None,
                a.enlarge_lane, a.compare_lane, a.move_lane_left, a.move_lane_right, None, *a.lanes,
            ),
            "&View": (
                a.reading, a.differences, a.colour_probability, None,
                a.toggle_sidebar, a.toggle_plot, None,
                a.focus_prompt, a.focus_options, a.focus_plot, a.focus_table, None, a.downloads,
                None, themes,
            ),
            "&Help": (a.help_figures, a.help_keys, None, a.about),
        }  # fmt: skip
        bar = self.menuBar()
        for title, entries in menus.items():
            menu = bar.addMenu(title)
            menu.setToolTipsVisible(True)
            for entry in entries:
                if entry is None:
                    menu.addSeparator()
                elif isinstance(entry, QMenu):
                    menu.addMenu(entry)
                else:
                    menu.addAction(entry)
        bar.setCornerWidget(self.indicator)

    def _connect_actions(self) -> None:
        """Connect what concerns the window alone: focus, visibility, help, closing."""
        a = self.actions
        a.focus_prompt.triggered.connect(self._focus_prompt)
        a.focus_options.triggered.connect(self._focus_options)
        a.focus_plot.triggered.connect(self._focus_plot)
        a.focus_table.triggered.connect(self.table.setFocus)
        a.toggle_sidebar.toggled.connect(self._sidebar.setVisible)
        a.toggle_plot.toggled.connect(self._show_plot)
        a.reading.toggled.connect(self._show_reading)
        a.palette.triggered.connect(self._open_palette)
        a.lane_group.triggered.connect(self._focus_lane)
        a.export_plot.triggered.connect(self.plot.ask_export)
        a.help_figures.triggered.connect(self._open_figures_help)
        a.help_keys.triggered.connect(self._open_keys_help)
        a.about.triggered.connect(self._open_about)
        a.quit.triggered.connect(self.close)

    def _focus_prompt(self) -> None:
        self.actions.toggle_sidebar.setChecked(True)
        self.prompt.focus_prompt()

    def _focus_options(self) -> None:
        self.actions.toggle_sidebar.setChecked(True)
        self.options.focus_first()

    def _focus_plot(self) -> None:
        self.actions.toggle_plot.setChecked(True)
        self.plot.focus_plot()

    @Slot(QAction)
    def _focus_lane(self, action: QAction) -> None:
        self.lanes.focus_lane(action.data())

    def _show_plot(self, on: bool) -> None:
        self.plot.setVisible(on)
        self.table.setVisible(on)

    def _panels(self) -> tuple[bool, bool]:
        """Return whether the sidebar and the plot are shown."""
        return self.actions.toggle_sidebar.isChecked(), self.actions.toggle_plot.isChecked()

    def _show_reading(self, on: bool) -> None:
        """Give the lanes' texts the whole window, or show again what was shown before."""
        shown = (False, False) if on else self._before_reading or (True, True)
        self._before_reading = self._panels() if on else None
        self.actions.toggle_sidebar.setChecked(shown[0])
        self.actions.toggle_plot.setChecked(shown[1])
        self.lanes.set_reading(on)
        current = self.lanes.current()
        if on and current is not None:
            current.focus_first()  # the keys scroll the text

    def _open_palette(self) -> None:
        palette = CommandPalette(self.actions.all(), self)
        if view := self.lanes.current():
            palette.add_choices("Runs on", view.header.environment_choices())
        palette.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        palette.open_palette()

    def _open_figures_help(self) -> None:
        figures_help(self).open()

    def _open_keys_help(self) -> None:
        keys_help(self.actions.all(), self).open()

    def _open_about(self) -> None:
        about(self).open()
