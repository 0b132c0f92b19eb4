"""Brings the stored settings into the window, and back at its end."""

from __future__ import annotations

import base64
import logging
from typing import Any

import msgspec
from PySide6.QtCore import QByteArray, QObject, Slot
from PySide6.QtWidgets import QApplication

from playground.core.errors import PlaygroundError
from playground.core.settings import SettingsStore
from playground.core.system import paths
from playground.gui.lanes.lanes import LanesController
from playground.gui.settings.dialog import SettingsDialog
from playground.gui.toolkit import theme
from playground.gui.window.main_window import MainWindow

log = logging.getLogger(__name__)


class SettingsController(QObject):
    """Theme, panels, prompt, options and lanes over restarts."""

    def __init__(
        self, window: MainWindow, lanes: LanesController, store: SettingsStore, *, keep: bool
    ) -> None:
        """With `keep` false nothing is written: a window for a picture is nobody's choice."""
        super().__init__(window)
        self._window = window
        self._lanes = lanes
        self._store = store
        self._keep = keep
        window.actions.settings.triggered.connect(self.open)
        for action in window.actions.themes.values():
            action.triggered.connect(self._theme_chosen)

    def restore(self) -> None:
        """Show what was left last time."""
        window, values = self._window, self._store.values
        self._show_theme(values.theme)
        window.options.set_options(values.options)
        window.options.set_timing(values.timing)
        window.prompt.set_prompt_text(values.prompt)
        window.prompt.set_mode(values.prompt_mode)
        window.prompt.set_system_prompt(values.system_prompt)
        window.plot.set_view(values.plot_view)
        window.actions.keep_standby.setChecked(values.keep_standby)
        window.plot.floor.setChecked(values.plot_floor)
        if values.window_geometry:
            window.restoreGeometry(QByteArray(_bytes(values.window_geometry)))
        window.restore_state(_bytes(values.window_state))
        self._lanes.configure(values.lanes)
        if self._store.problems:
            window.messages.show_message(
                "Some settings could not be read and were reset.",
                "warning",
                f"The old file is kept as {self._store.path.name}.bad.",
            )

    @Slot()
    def save(self) -> None:
        """Write down how the window is left; a failure is logged, for the window is going."""
        if not self._keep:
            return
        window = self._window
        prompt, system = window.prompt.prompt_text(), window.prompt.system_prompt()
        try:
            self._store.change(
                window_geometry=_text(bytes(window.saveGeometry().data())),
                window_state=_text(window.state()),
                options=window.options.options(),
                timing=window.options.timing(),
                # A pasted megabyte is not worth keeping, and cut off it would be another prompt.
                prompt=prompt if len(prompt) <= 100_000 else "",
                prompt_mode=window.prompt.mode(),
                system_prompt=system if len(system) <= 100_000 else "",
                plot_view=window.plot.view(),
                keep_standby=window.actions.keep_standby.isChecked(),
                plot_floor=window.plot.floor.isChecked(),
                lanes=tuple(lane.config for lane in self._lanes.lanes),
            )
        except PlaygroundError as error:
            log.warning("%s", error)

    @Slot()
    def open(self) -> None:
        """Show the dialog, as the window is set now."""
        # Imported when it is needed: it asks the Hub's library for its folder.
        from playground.hub.local.cache import cache_folder

        window = self._window
        values = msgspec.structs.replace(
            self._store.values,
            theme=next(name for name, one in window.actions.themes.items() if one.isChecked()),
            timing=window.options.timing(),
            plot_view=window.plot.view(),
            plot_floor=window.plot.floor.isChecked(),
            keep_standby=window.actions.keep_standby.isChecked(),
        )
        places = {
            "Settings": self._store.path,
            "Data": paths.data_dir(),
            "Cache": paths.cache_dir(),
            "Logs": paths.log_dir(),
            "Hub's models": cache_folder(),
        }
        dialog = SettingsDialog(values, places, window)
        dialog.changed.connect(self.change)
        dialog.environmentsRequested.connect(window.actions.environments.trigger)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str, object)
    def change(self, name: str, value: Any) -> None:
        """Set one setting, in the window and in the file."""
        window = self._window
        match name:
            case "theme":
                self._show_theme(value)
            case "timing":
                window.options.set_timing(value)
            case "plot_view":
                window.plot.set_view(value)
            case "plot_floor":
                window.plot.floor.setChecked(value)
            case "keep_standby":
                window.actions.keep_standby.setChecked(value)
        if self._keep:
            try:
                self._store.change(**{name: value})
            except PlaygroundError as error:
                window.messages.show_message(error.message, "warning", error.remedy)

    @Slot()
    def _theme_chosen(self) -> None:
        for choice, action in self._window.actions.themes.items():
            if action is self.sender():
                self.change("theme", choice)

    def _show_theme(self, choice: str) -> None:
        self._window.actions.themes[choice].setChecked(True)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.apply_theme(application, choice)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
