"""The head of a lane: what it is set to, and the commands on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.gui import theme
from playground.gui.views.widgets import (
    ElidedButton,
    ElidedComboBox,
    LaneSwatch,
    ThemedToolButton,
    tool_button,
)

#: (name, text, icon); None is a line between groups.
_MENU: tuple[tuple[str, str, str] | None, ...] = (
    ("regenerate", "Re&generate in this lane", "refresh"),
    None,
    ("answer", "&Copy answer", "copy"),
    ("script", "Copy as &script", "code"),
    ("stamp", "Copy s&tamp", "stamp"),
    None,
    ("duplicate", "&Duplicate lane", "duplicate"),
    ("left", "Move &left", "left"),
    ("right", "Move &right", "right"),
    ("enlarge", "&Enlarge", "enlarge"),
    None,
    ("unload", "&Unload", "unload"),
    ("remove", "Remo&ve lane", "close"),
)


class LaneHeader(QWidget):
    """Model, precision and device of a lane; `command` carries a menu entry's name."""

    modelRequested = Signal()
    precisionChosen = Signal(object)
    deviceChosen = Signal(str)
    loadRequested = Signal()
    enlargeRequested = Signal()
    command = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.swatch = LaneSwatch()
        self.model = ElidedButton()
        self.model.setProperty("kind", "model")
        self.model.set_room(14)
        self.model.clicked.connect(self.modelRequested)
        self.enlarge_button = tool_button("enlarge", "Enlarge the lane")
        self.enlarge_button.clicked.connect(self.enlargeRequested)
        self.menu_button = tool_button("more", "More commands for this lane")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.menu_button)
        self.menu.setToolTipsVisible(True)
        self.entries: dict[str, QAction] = {}
        self._icons: dict[str, str] = {}
        self._fill_menu()
        self.menu_button.setMenu(self.menu)

        self.precision = ElidedComboBox()
        self.precision.setAccessibleName("Precision")
        self.precision.activated.connect(self._precision_activated)
        self.device = ElidedComboBox()
        self.device.setAccessibleName("Device")
        self.device.activated.connect(self._device_activated)
        self.load_button = ThemedToolButton("load")
        self.load_button.setProperty("kind", "")
        self.load_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.load_button.clicked.connect(self.loadRequested)

        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.swatch)
        top.addWidget(self.model, 1)
        top.addWidget(self.enlarge_button)
        top.addWidget(self.menu_button)
        choices = QHBoxLayout()
        choices.setSpacing(4)
        choices.addWidget(self.precision, 3)
        choices.addWidget(self.device, 2)
        choices.addWidget(self.load_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addLayout(choices)
        self._reasons: dict[Precision, str] = {}
        self._devices: list[tuple[str, str]] = []
        theme.theme_changed.connect(self._tint)
        self._tint()
        self.set_loaded(False)

    def show_config(
        self,
        config: LaneConfig,
        label: str,
        precisions: Mapping[Precision, str],
        devices: Sequence[tuple[str, str]],
    ) -> None:
        """Show the choices without emitting anything."""
        self.model.set_full_text(label)
        self.model.setToolTip(f"{label}\nChoose another model, or drop a folder here")
        self.model.setAccessibleName(f"Model: {label}")
        if dict(precisions) != self._reasons:
            self._reasons = dict(precisions)
            self._fill_precisions()
        self.precision.setCurrentIndex(self.precision.findData(config.precision.value))
        reason = self._reasons.get(config.precision, "")
        self.precision.setToolTip(reason or config.precision.explanation)
        if list(devices) != self._devices:
            self._devices = list(devices)
            self._fill_devices()
        place = self.device.findData(config.device)
        if place < 0:
            self.device.addItem(config.device, config.device)
            place = self.device.count() - 1
        self.device.setCurrentIndex(place)
        self.device.setToolTip(f"Device: {self.device.currentText()}")

    def set_loaded(self, loaded: bool) -> None:
        """Let the button say what it will do."""
        self.load_button.setText("Unload" if loaded else "Load")
        self.load_button.set_icon_name("unload" if loaded else "load")
        tip = "Unload the model and free its memory" if loaded else "Load the model"
        self.load_button.setToolTip(tip)
        self.load_button.setAccessibleName("Unload" if loaded else "Load")
        self.load_button.setAccessibleDescription(tip)
        self.entries["unload"].setEnabled(loaded)

    def set_narrow(self, narrow: bool) -> None:
        """Leave out the text of the load button where the lane is narrow."""
        style = Qt.ToolButtonStyle
        wanted = style.ToolButtonIconOnly if narrow else style.ToolButtonTextBesideIcon
        if self.load_button.toolButtonStyle() != wanted:
            self.load_button.setToolButtonStyle(wanted)

    def _fill_menu(self) -> None:
        for entry in _MENU:
            if entry is None:
                self.menu.addSeparator()
                continue
            name, text, icon = entry
            action = self.menu.addAction(text)
            action.setData(name)
            self.entries[name] = action
            self._icons[name] = icon
        self.menu.triggered.connect(self._menu_triggered)

    def _menu_triggered(self, action: QAction) -> None:
        self.command.emit(str(action.data()))

    def _fill_precisions(self) -> None:
        self.precision.clear()
        model = cast("QStandardItemModel", self.precision.model())
        for precision, reason in self._reasons.items():
            item = QStandardItem(f"{precision.label} — {reason or precision.explanation}")
            item.setData(precision.value, Qt.ItemDataRole.UserRole)
            item.setData(precision.label.partition(" (")[0], ElidedComboBox.SHORT)
            item.setToolTip(reason or precision.explanation)
            item.setEnabled(not reason)
            model.appendRow(item)

    def _fill_devices(self) -> None:
        self.device.clear()
        for identity, name in self._devices:
            short = "CPU" if identity == "cpu" else identity
            self.device.addItem(f"{short} — {name}" if name else short, identity)
            row = self.device.count() - 1
            self.device.setItemData(row, short, ElidedComboBox.SHORT)
            self.device.setItemData(row, name, Qt.ItemDataRole.ToolTipRole)

    def _precision_activated(self, row: int) -> None:
        self.precisionChosen.emit(Precision(self.precision.itemData(row)))

    def _device_activated(self, row: int) -> None:
        self.deviceChosen.emit(self.device.itemData(row))

    def _tint(self) -> None:
        for name, icon in self._icons.items():
            self.entries[name].setIcon(theme.icon(icon))
