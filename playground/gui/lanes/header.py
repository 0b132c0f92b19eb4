"""The head of a lane: what it is set to, and the commands on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from playground.core.environments import OWN, OWN_LABEL
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.gui.lanes.swatch import LaneSwatch
from playground.gui.toolkit import theme
from playground.gui.toolkit.elided import ElidedButton, ElidedComboBox
from playground.gui.toolkit.widgets import ThemedToolButton, set_name, tool_button

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
    ("memory", "&Memory…", "fit"),
    ("unload", "&Unload", "unload"),
    ("remove", "Remo&ve lane", "close"),
)


class LaneHeader(QWidget):
    """Model, precision and device of a lane; `command` carries a menu entry's name."""

    modelRequested = Signal()
    precisionChosen = Signal(object)
    deviceChosen = Signal(str)
    environmentChosen = Signal(str)
    environmentsRequested = Signal()
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
        self.environment = ElidedButton()
        self.environment.setProperty("kind", "chip")
        self.environment.setAccessibleName("Engine environment")
        self.environment.setToolTip("Engine environment")
        self.environment.set_room(34)
        self.environment.clicked.connect(self._open_environments)
        self.environment.hide()

        self.precision = ElidedComboBox()
        set_name(self.precision, "Precision")
        self.precision.activated.connect(self._precision_activated)
        self.device = ElidedComboBox()
        set_name(self.device, "Device")
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
        column.addWidget(self.environment)
        self._environment_group: QActionGroup | None = None
        self._environments_shown: tuple[str, list[tuple[str, str]]] | None = None
        #: Why it cannot be had ("" where it can), and that or what it costs and gains.
        self._precisions: dict[Precision, tuple[str, str]] = {}
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
        capability: str = "",
    ) -> None:
        """Show the choices without emitting anything; `capability` is the chosen device's."""
        self.model.set_full_text(label)
        self.model.setToolTip(f"{label}\nChoose another model, or drop a folder here")
        self.model.setAccessibleName(f"Model: {label}")
        shown = {
            precision: (reason, reason or precision.explanation_on(config.device, capability))
            for precision, reason in precisions.items()
        }
        if shown != self._precisions:
            self._precisions = shown
            self._fill_precisions()
        self.precision.setCurrentIndex(self.precision.findData(config.precision.value))
        _, text = shown.get(config.precision, ("", config.precision.explanation))
        self.precision.setToolTip(text)
        if list(devices) != self._devices:
            self._devices = list(devices)
            self._fill_devices()
        place = self.device.findData(config.device)
        if place < 0:
            self.device.addItem(config.device, config.device)
            place = self.device.count() - 1
        self.device.setCurrentIndex(place)
        self.device.setToolTip(f"Device: {self.device.currentText()}")

    def show_environments(self, chosen: str, choices: Sequence[tuple[str, str]]) -> None:
        """Offer the engine environments in the menu; another one than our own has a line."""
        if (chosen, list(choices)) == self._environments_shown:
            return
        self._environments_shown = chosen, list(choices)
        menu = self.environments
        menu.clear()
        offered = [(OWN, OWN_LABEL, ""), *((name, name, tip) for name, tip in choices)]
        if all(name != chosen for name, _, _ in offered):
            offered.append((chosen, f"{chosen} (not there)", "It was removed"))
        if self._environment_group is not None:
            self._environment_group.deleteLater()
        self._environment_group = group = QActionGroup(menu)
        group.triggered.connect(self._environment_triggered)
        for name, text, tip in offered:
            action = menu.addAction(text[:1].upper() + text[1:] if name == OWN else text)
            action.setData(name)
            action.setToolTip(tip or action.text())
            action.setCheckable(True)
            action.setChecked(name == chosen)
            group.addAction(action)
            if name == chosen:
                self.environment.set_full_text(text)
                self.environment.setToolTip(f"Engine environment: {text}\n{tip}".rstrip())
                self.environment.setAccessibleName(f"Engine environment: {text}")
        menu.addSeparator()
        menu.addAction("&Manage environments…").triggered.connect(self.environmentsRequested)
        self.environment.setVisible(chosen != OWN)

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
        self.environments = QMenu("Engine e&nvironment", self.menu)
        self.environments.setToolTipsVisible(True)
        self.menu.insertMenu(self.entries["unload"], self.environments)
        self.menu.triggered.connect(self._menu_triggered)

    def _menu_triggered(self, action: QAction) -> None:
        # Those of the submenu arrive here too, by names that somebody chose.
        if action in self.entries.values():
            self.command.emit(str(action.data()))

    def _environment_triggered(self, action: QAction) -> None:
        self.environmentChosen.emit(str(action.data()))

    def _open_environments(self) -> None:
        self.environments.popup(self.environment.mapToGlobal(QPoint(0, self.environment.height())))

    def _fill_precisions(self) -> None:
        self.precision.clear()
        model = cast("QStandardItemModel", self.precision.model())
        for precision, (reason, text) in self._precisions.items():
            item = QStandardItem(f"{precision.label} — {text}")
            item.setData(precision.value, Qt.ItemDataRole.UserRole)
            item.setData(precision.short_label, ElidedComboBox.SHORT)
            item.setToolTip(text)
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
        self.environments.setIcon(theme.icon("engine"))
        self.environment.setIcon(theme.icon("engine"))
