"""A window of its own process, driven as a user would: a gated model is asked for, the user logs
in with the token on stdin, and bf16 and GPTQ of it go into two lanes, which are printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication

from playground.app.main import Playground
from playground.client.engine_process import EngineProcess
from playground.core.settings import SettingsStore
from playground.gui.downloads.login_dialog import LoginDialog
from playground.gui.models.picker import ModelPicker
from tests.gui.support import scripted_prepare
from tests.support.scripted_engine import scripted_command


class User(QObject):
    """Takes one step after the other, each as soon as the one before has led to it."""

    def __init__(self, playground: Playground, token: str) -> None:
        super().__init__()
        self._playground = playground
        self._token = token
        self._steps: list[Callable[[], bool]] = [
            self._open, self._ask_login, self._log_in, self._compare, self._see_lanes,
        ]  # fmt: skip
        self._timer = QTimer(self, interval=50)
        self._timer.timeout.connect(self._step)
        self._timer.start()

    @Slot()
    def _step(self) -> None:
        if self._steps and self._steps[0]():
            self._steps.pop(0)
        if not self._steps:
            self._timer.stop()
            self._playground.window.close()

    def _picker(self) -> ModelPicker:
        picker = self._playground.window.findChild(ModelPicker)
        assert picker is not None
        return picker

    def _open(self) -> bool:
        self._playground.window.actions.choose_model.trigger()
        self._picker().view.filters.search.setText("owner/model")
        self._picker().view.filters.search.entered.emit()
        return True

    def _ask_login(self) -> bool:
        button = self._picker().page.login_button
        if button.isVisible():
            button.click()
        return button.isVisible()

    def _log_in(self) -> bool:
        dialog = self._picker().findChild(LoginDialog)
        if dialog is None:
            return False
        dialog.field.setText(self._token)
        dialog.accept()
        return True

    def _compare(self) -> bool:
        button = self._picker().page.compare_button
        if button.isVisible():
            button.click()
            return True
        return False

    def _see_lanes(self) -> bool:
        lanes = [lane.config for lane in self._playground.lanes.lanes]
        if any(lane.model.source == "bundled" for lane in lanes):
            return False
        sys.stdout.write(" ".join(f"{lane.model.source}:{lane.precision}" for lane in lanes))
        return True


def main() -> None:
    application = QApplication([])
    playground = Playground(
        SettingsStore(Path(sys.argv[1])),
        make_engine=lambda: EngineProcess(scripted_command()),
        prepare=scripted_prepare,
    )
    playground.window.show()
    user = User(playground, sys.stdin.readline())
    application.exec()
    user.deleteLater()
    sys.exit(0 if playground.end() else 1)


if __name__ == "__main__":
    main()
