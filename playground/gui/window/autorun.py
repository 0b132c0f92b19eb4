"""Runs the prompt without user input, saves a picture of the window, and quits."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QObject, QTimer, Slot
from PySide6.QtWidgets import QWidget

from playground.gui.lanes.run import RunResult
from playground.gui.prompt.controller import PromptController
from playground.gui.toolkit.notify import Notify

#: Plot and table show the last token within this time (ms).
_SETTLE_MS = 250


class Autorun(QObject):
    """Ends the application after saving a picture; without one it leaves the window open."""

    def __init__(
        self,
        window: QWidget,
        controller: PromptController,
        notify: Notify,
        *,
        run: bool,
        picture: Path | None,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._controller = controller
        self._run = run
        self._picture = picture
        self._code = 0
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._save_picture)
        notify.message.connect(self._print)
        controller.finished.connect(self._finished)

    @Slot()
    def start(self) -> None:
        """Begin; called in the event loop, with the window shown."""
        if not self._run:
            self._settle.start()
            return
        self._controller.run()
        if not self._controller.run_controller.running:
            self._code = 1  # a message has said why
            self._settle.start()

    @Slot(object)
    def _finished(self, result: RunResult) -> None:
        for lane in result.failed:
            failure = lane.state.failure
            why = f"{failure.message} {failure.remedy}".strip() if failure else "It did not answer."
            sys.stderr.write(f"playground: {lane.config.precision.label}: {why}\n")
        self._code = 1 if result.failed or not result.answered else 0
        self._settle.start()

    @Slot(str, str, str)
    def _print(self, text: str, level: str, remedy: str) -> None:
        if level != "info":
            sys.stderr.write(f"playground: {text} {remedy}\n")

    @Slot()
    def _save_picture(self) -> None:
        if self._picture is None:
            return
        with contextlib.suppress(OSError):  # saving then fails, and says so
            self._picture.parent.mkdir(parents=True, exist_ok=True)
        if not self._window.grab().save(str(self._picture)):
            sys.stderr.write(
                f"playground: The picture could not be saved to {self._picture}. "
                "Choose a writable folder and a name that ends in .png.\n"
            )
            self._code = 1
        QCoreApplication.exit(self._code)
