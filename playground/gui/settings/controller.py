"""Applies the stored settings to the window, and stores them whenever they change."""

from __future__ import annotations

import base64
import logging
from typing import Any

import msgspec
from PySide6.QtCore import QByteArray, QObject, QTimer, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication

from playground.core.errors import PlaygroundError
from playground.core.facts import CodeConsent
from playground.core.system import own_files, paths
from playground.gui.context import AppContext
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.settings.dialog import SettingsDialog
from playground.gui.toolkit import theme
from playground.gui.window.main_window import MainWindow

log = logging.getLogger(__name__)

#: How long (ms) after the last change the window's state is stored.
_SAVE_MS = 1000


class SettingsController(QObject):
    """Keeps theme, panels, prompt, options and lanes across restarts."""

    def __init__(
        self, context: AppContext, lanes: LanesController, window: MainWindow, *, keep: bool
    ) -> None:
        """Without `keep` nothing is written: the user has not chosen what a screenshot shows."""
        super().__init__(window)
        self._window = window
        self._lanes = lanes
        self._context = context
        self._settings = context.settings
        self._notify = context.notify
        self._keep = keep
        self._complained = False
        self._restored = False
        self._soon = QTimer(self, singleShot=True, interval=_SAVE_MS)
        self._soon.timeout.connect(self.save)
        for field in (window.prompt.edit, window.prompt.system):
            field.textChanged.connect(self._changed)
        window.prompt.modes.chosen.connect(self._changed)
        window.options.changed.connect(self._changed)
        lanes.added.connect(self._watch)
        lanes.arranged.connect(self._changed)
        window.actions.settings.triggered.connect(self.open)
        window.actions.theme_group.triggered.connect(self._theme_chosen)

    def restore(self) -> None:
        """Bring the window back to its state when it was closed."""
        window, values = self._window, self._settings.values
        self._show_theme(values.theme)
        window.options.set_options(values.options)
        window.options.set_timing(values.timing)
        window.prompt.restore(values.prompt, values.prompt_mode, values.system_prompt)
        window.plot.set_view(values.plot_view)
        window.actions.keep_standby.setChecked(values.keep_standby)
        window.plot.floor.setChecked(values.plot_floor)
        window.actions.differences.setChecked(values.mark_differences)
        window.options.token_details = values.token_details
        window.actions.colour_probability.setChecked(values.colour_probability)
        if values.window_geometry:
            window.restoreGeometry(QByteArray(_bytes(values.window_geometry)))
        window.restore_state(_bytes(values.window_state))
        self._lanes.configure(values.lanes)
        self._restored = True

    @Slot()
    def say_notices(self) -> None:
        """Say which of the playground's own files were damaged, each once."""
        if notices := own_files.take_notices():
            message = " ".join(notice.message for notice in notices)
            self._notify.warning(PlaygroundError(message, "The defaults are used."))

    @Slot()
    def save(self) -> None:
        """Store the state of the window; where that fails, it is said once."""
        self._soon.stop()
        if not self._keep:
            return
        window = self._window
        prompt, system = window.prompt.prompt_text(), window.prompt.system_prompt()
        try:
            self._settings.change(
                window_geometry=_text(bytes(window.saveGeometry().data())),
                window_state=_text(window.state()),
                options=window.options.options(),
                timing=window.options.timing(),
                # A pasted megabyte is not worth keeping, and shortened it is another prompt.
                prompt=prompt if len(prompt) <= 100_000 else "",
                prompt_mode=window.prompt.mode(),
                system_prompt=system if len(system) <= 100_000 else "",
                plot_view=window.plot.view(),
                keep_standby=window.actions.keep_standby.isChecked(),
                plot_floor=window.plot.floor.isChecked(),
                mark_differences=window.actions.differences.isChecked(),
                colour_probability=window.actions.colour_probability.isChecked(),
                lanes=tuple(lane.config for lane in self._lanes.lanes),
            )
        except PlaygroundError as error:
            log.warning("%s", error)
            if not self._complained:
                self._complained = True
                self._notify.warning(error)
        else:
            self._complained = False

    @Slot()
    def open(self) -> None:
        """Show the dialog with the window's present settings."""
        # Imported here: it imports the Hub's library to ask for its folder.
        from playground.hub.local.cache import cache_folder

        window = self._window
        values = msgspec.structs.replace(
            self._settings.values,
            theme=next(name for name, one in window.actions.themes.items() if one.isChecked()),
            timing=window.options.timing(),
            plot_view=window.plot.view(),
            plot_floor=window.plot.floor.isChecked(),
            mark_differences=window.actions.differences.isChecked(),
            keep_standby=window.actions.keep_standby.isChecked(),
            token_details=window.options.token_details,
            colour_probability=window.actions.colour_probability.isChecked(),
            code_consents=self._settings.stored("code_consents"),
        )
        places = {
            "Settings": self._settings.path,
            "Data": paths.data_dir(),
            "History": paths.history_file(),
            "Cache": paths.cache_dir(),
            "Logs": paths.log_dir(),
            "Hub's models": cache_folder(),
        }
        dialog = SettingsDialog(values, places, window)
        dialog.changed.connect(self.change)
        dialog.revoked.connect(self.revoke)
        dialog.environments_button.clicked.connect(window.actions.environments.trigger)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot(str, object)
    def change(self, name: str, value: Any) -> None:
        """Change one setting, in the window and in the file."""
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
            case "mark_differences":
                window.actions.differences.setChecked(value)
            case "token_details":
                window.options.token_details = value
            case "colour_probability":
                window.actions.colour_probability.setChecked(value)
            case "keep_standby":
                window.actions.keep_standby.setChecked(value)
        if self._keep:
            self._context.change_settings(**{name: value})

    @Slot(object)
    def revoke(self, consent: CodeConsent) -> None:
        """Take back a consent; those that another window gave or revoked meanwhile stay so."""
        stored: tuple[CodeConsent, ...] = self._settings.stored("code_consents")
        self.change("code_consents", tuple(other for other in stored if other != consent))

    @Slot()
    def _changed(self) -> None:
        """Store the window's state soon: a crash must not lose what was typed or chosen."""
        if self._restored:
            self._soon.start()

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.lane.config_changed.connect(self._changed)

    @Slot(QAction)
    def _theme_chosen(self, action: QAction) -> None:
        self.change("theme", action.data())

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
