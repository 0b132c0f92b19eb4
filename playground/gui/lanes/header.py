"""The header of a lane: what it is set to, and the commands on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from playground.core.environments import OWN, OWN_LABEL
from playground.core.format import device_label
from playground.core.lane import LaneConfig, placed
from playground.core.precision import Precision
from playground.gui.lanes.availability import Availability
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.swatch import LaneSwatch
from playground.gui.toolkit import theme
from playground.gui.toolkit.described import EXPLANATION, DescribedDelegate
from playground.gui.toolkit.elided import ElidedButton, ElidedComboBox
from playground.gui.toolkit.widgets import ThemedToolButton, set_name, tool_button

#: The menu's commands with text and icon; None is a line between groups.
_MENU: tuple[tuple[LaneCommand, str, str] | None, ...] = (
    (LaneCommand.REGENERATE, "Re&generate in this lane", "refresh"),
    None,
    (LaneCommand.COPY_ANSWER, "&Copy answer", "copy"),
    (LaneCommand.COPY_SCRIPT, "Copy as &script", "code"),
    (LaneCommand.COPY_STAMP, "Copy s&tamp", "stamp"),
    None,
    (LaneCommand.DUPLICATE, "&Duplicate lane", "duplicate"),
    (LaneCommand.MOVE_LEFT, "Move &left", "left"),
    (LaneCommand.MOVE_RIGHT, "Move &right", "right"),
    (LaneCommand.ENLARGE, "&Enlarge", "enlarge"),
    (LaneCommand.REFERENCE, "Com&pare the others with this lane", "star"),
    None,
    (LaneCommand.SHOW_MEMORY, "&Memory…", "fit"),
    (LaneCommand.UNLOAD, "&Unload", "unload"),
    (LaneCommand.REMOVE, "Remo&ve lane", "close"),
)

#: An environment's name and a server's, one of them "".
_Place = tuple[str, str]


class LaneHeader(QWidget):
    """Model, precision, device and place of a lane: an engine environment, or a server.

    `commands` has an action for every LaneCommand, which is the action's data; buttons and menu
    entries trigger them, and all are in `command_group`. `configChosen` carries the LaneConfig
    that the user chose.
    """

    configChosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config = LaneConfig()
        self._available = Availability()
        self._reading = False
        self._loaded = False
        self._icons: dict[LaneCommand, str] = {}
        self.command_group = QActionGroup(self)
        self.command_group.setExclusive(False)
        self.commands: dict[LaneCommand, QAction] = {}
        for command in LaneCommand:
            self.commands[command] = action = self.command_group.addAction("")
            action.setData(command)

        self.swatch = LaneSwatch()
        self.model = ElidedButton()
        self.model.setProperty("kind", "model")
        self.model.reserve(14)
        self.model.clicked.connect(self.commands[LaneCommand.CHOOSE_MODEL].trigger)
        self.enlarge_button = tool_button("enlarge", "Enlarge the lane")
        self.enlarge_button.clicked.connect(self.commands[LaneCommand.ENLARGE].trigger)
        self.star = tool_button("star", "Compare the others with this lane")
        self.star.clicked.connect(self.commands[LaneCommand.REFERENCE].trigger)
        self.star.hide()
        self.menu_button = tool_button("more", "More commands for this lane")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setMenu(self._build_menu())
        self.environment = ElidedButton()
        self.environment.setProperty("kind", "chip")
        self.environment.setAccessibleName("Engine environment")
        self.environment.setToolTip("Engine environment")
        self.environment.reserve(34)
        self.environment.clicked.connect(self._open_places)
        self.environment.hide()

        self.precision = ElidedComboBox()
        self.precision.setItemDelegate(DescribedDelegate(self.precision))
        set_name(self.precision, "Precision")
        self.precision.activated.connect(self._precision_activated)
        self.device = ElidedComboBox()
        self.device.setItemDelegate(DescribedDelegate(self.device))
        set_name(self.device, "Device")
        self.device.activated.connect(self._device_activated)
        self.load_button = ThemedToolButton("load")
        self.load_button.setProperty("kind", "")
        self.load_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.load_button.clicked.connect(self._toggle_load)

        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.swatch)
        top.addWidget(self.model, 1)
        top.addWidget(self.star)
        top.addWidget(self.enlarge_button)
        top.addWidget(self.menu_button)
        self._choices = QWidget()
        choices = QHBoxLayout(self._choices)
        choices.setContentsMargins(0, 0, 0, 0)
        choices.setSpacing(4)
        choices.addWidget(self.precision, 3)
        choices.addWidget(self.device, 2)
        choices.addWidget(self.load_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self._choices)
        column.addWidget(self.environment)
        self._place_group = QActionGroup(self)
        self._shown_places: tuple[_Place, list[tuple[_Place, str, str]]] | None = None
        self._local = LaneConfig()  # what the lane was last set to on this machine
        #: Why a precision is unavailable ("" where it is not), and its text in the list.
        self._precisions: dict[Precision, tuple[str, str]] = {}
        self._devices: Sequence[tuple[str, str]] = ()
        theme.theme_changed.connect(self._tint)
        self._tint()
        self.set_loaded(False)

    def show_config(self, config: LaneConfig, available: Availability) -> None:
        """Show what is chosen and what could be; `configChosen` is not emitted."""
        self._config, self._available = config, available
        self._name_model()
        self.model.setToolTip(f"{available.model}\nChoose another model, or drop a folder here")
        self.model.setAccessibleName(f"Model: {available.model}")
        shown = {
            precision: (
                reason,
                reason or precision.explanation_on(config.device, available.capability),
            )
            for precision, reason in available.reasons.items()
        }
        if shown != self._precisions:
            self._precisions = shown
            self._fill_precisions()
        self.precision.setCurrentIndex(self.precision.findData(config.precision.value))
        _, text = shown.get(config.precision, ("", config.precision.explanation))
        self.precision.setToolTip(text)
        if available.devices != self._devices:
            self._devices = available.devices
            self._fill_devices()
        row = self.device.findData(config.device)
        if row < 0:
            self.device.addItem(config.device, config.device)
            row = self.device.count() - 1
        self.device.setCurrentIndex(row)
        self.device.setToolTip(f"Device: {self.device.currentData(EXPLANATION) or config.device}")
        self.device.setVisible(not config.server)
        if not config.server:
            self._local = config
        self._show_places(config, available)

    def _show_places(self, config: LaneConfig, available: Availability) -> None:
        """Offer environments and servers in the menu; a button shows one that is not the default.

        An action's data are an environment's name and a server's, one of them "".
        """
        offered = [((OWN, ""), OWN_LABEL, "")]
        offered += [((name, ""), name, tip) for name, tip in available.environments]
        offered += [(("", name), name, f"Server: {tip}") for name, tip in available.servers]
        chosen = config.environment, config.server
        if all(place != chosen for place, _, _ in offered):
            offered.append((chosen, f"{config.runs_on} (not found)", "It is not in the list"))
        if (chosen, offered) == self._shown_places:
            return
        self._shown_places = chosen, offered
        for action in self._place_group.actions():
            self.places.removeAction(action)
        self._place_group.deleteLater()
        self._place_group = group = QActionGroup(self)
        group.triggered.connect(self._place_triggered)
        for place, text, tip in offered:
            action = group.addAction(text[:1].upper() + text[1:] if text == OWN_LABEL else text)
            self.places.insertAction(self._places_end, action)
            action.setData(place)
            action.setIcon(theme.icon("server" if place[1] else "engine"))
            action.setToolTip(tip or action.text())
            action.setCheckable(True)
            action.setChecked(place == chosen)
            if place == chosen:
                what = "Server" if config.server else "Engine environment"
                self.environment.set_full_text(text)
                self.environment.setToolTip(f"{what}: {text}\n{tip}".rstrip())
                self.environment.setAccessibleName(f"{what}: {text}")
        self.environment.setIcon(theme.icon("server" if config.server else "engine"))
        self.environment.setVisible(bool(config.runs_on) and not self._reading)

    def environment_choices(self) -> list[QAction]:
        """Return the actions that choose where the engine runs, as in the menu."""
        return self._place_group.actions()

    def set_loaded(self, loaded: bool) -> None:
        """Let the button load or unload."""
        self._loaded = loaded
        self.load_button.setText("Unload" if loaded else "Load")
        self.load_button.set_icon_name("unload" if loaded else "load")
        tip = "Unload the model and free its memory" if loaded else "Load the model"
        self.load_button.setToolTip(tip)
        self.load_button.setAccessibleName("Unload" if loaded else "Load")
        self.load_button.setAccessibleDescription(tip)
        self.commands[LaneCommand.UNLOAD].setEnabled(loaded)

    def set_reference(self, is_reference: bool, possible: bool) -> None:
        """Show whether the other lanes are compared with this one; `possible`: there are others."""
        self.star.setVisible(possible)
        self.commands[LaneCommand.REFERENCE].setEnabled(possible and not is_reference)
        self.star.set_icon_name("star-filled" if is_reference else "star")
        chosen = "The other lanes are compared with this one"
        text = chosen if is_reference else "Compare the others with this lane"
        self.star.setAccessibleName(text)
        self.star.setToolTip(text)

    def set_reading(self, reading: bool) -> None:
        """Leave out the choices; the model's button then names the precision too."""
        self._reading = reading
        self._choices.setVisible(not reading)
        self.environment.setVisible(not reading and bool(self._config.runs_on))
        self._name_model()

    def _name_model(self) -> None:
        name = self._available.model
        self.model.set_full_text(f"{name} · {self._config.how}" if self._reading else name)

    def set_narrow(self, narrow: bool) -> None:
        """Leave out the text of the load button where the lane is narrow."""
        style = Qt.ToolButtonStyle
        needed = style.ToolButtonIconOnly if narrow else style.ToolButtonTextBesideIcon
        if self.load_button.toolButtonStyle() != needed:
            self.load_button.setToolButtonStyle(needed)

    def _build_menu(self) -> QMenu:
        self.menu = QMenu(self.menu_button)
        self.menu.setToolTipsVisible(True)
        for entry in _MENU:
            if entry is None:
                self.menu.addSeparator()
                continue
            command, text, self._icons[command] = entry
            self.commands[command].setText(text)
            self.menu.addAction(self.commands[command])
        self.places = QMenu("Ru&ns on", self.menu)
        self.places.setToolTipsVisible(True)
        self._places_end = self.places.addSeparator()
        for command, text in (
            (LaneCommand.MANAGE_ENVIRONMENTS, "&Manage environments…"),
            (LaneCommand.MANAGE_SERVERS, "Manage &servers…"),
        ):
            self.commands[command].setText(text)
            self.places.addAction(self.commands[command])
        self.menu.insertMenu(self.commands[LaneCommand.UNLOAD], self.places)
        return self.menu

    def _toggle_load(self) -> None:
        self.commands[LaneCommand.UNLOAD if self._loaded else LaneCommand.LOAD].trigger()

    def _open_places(self) -> None:
        self.places.popup(self.environment.mapToGlobal(QPoint(0, self.environment.height())))

    def _fill_precisions(self) -> None:
        self.precision.clear()
        model = cast("QStandardItemModel", self.precision.model())
        for precision, (reason, text) in self._precisions.items():
            item = QStandardItem(precision.label)
            item.setData(text, EXPLANATION)
            item.setData(f"{precision.label}: {text}", Qt.ItemDataRole.AccessibleTextRole)
            item.setData(precision.value, Qt.ItemDataRole.UserRole)
            item.setData(precision.short_label, ElidedComboBox.SHORT)
            item.setToolTip(text)
            item.setEnabled(not reason)
            model.appendRow(item)

    def _fill_devices(self) -> None:
        self.device.clear()
        for identity, name in self._devices:
            short = device_label(identity)
            self.device.addItem(short, identity)
            row = self.device.count() - 1
            self.device.setItemData(row, name, EXPLANATION)
            accessible = f"{short}: {name}" if name else short
            self.device.setItemData(row, accessible, Qt.ItemDataRole.AccessibleTextRole)
            self.device.setItemData(row, name, Qt.ItemDataRole.ToolTipRole)

    def _precision_activated(self, row: int) -> None:
        precision = Precision(self.precision.itemData(row))
        self.configChosen.emit(replace(self._config, precision=precision))

    def _device_activated(self, row: int) -> None:
        self.configChosen.emit(replace(self._config, device=self.device.itemData(row)))

    def _place_triggered(self, action: QAction) -> None:
        environment, server = action.data()
        self.configChosen.emit(placed(self._config, self._local, environment, server))

    def _tint(self) -> None:
        for command, icon in self._icons.items():
            self.commands[command].setIcon(theme.icon(icon))
        self.places.setIcon(theme.icon("engine"))
        self._shown_places = None  # their icons are drawn again
