"""A window of its own process whose three lanes stream without an end; prints its engines' ids.

Then it prints how many tokens of each lane it shows, a line every 50 ms.
With the argument "idle" nothing runs, and a standby engine waits beside the first lane's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtWidgets import QApplication

from playground.app.main import Playground
from playground.client.engine_process import EngineProcess
from playground.core.generation import GenerationOptions
from playground.core.settings import Settings, SettingsStore
from tests.gui.support import scripted_prepare, standby_pids, standby_ready
from tests.support.scripted_engine import scripted_command


class Reporter(QObject):
    """Prints the engines' process ids when every lane streams, or a standby engine waits."""

    def __init__(self, playground: Playground) -> None:
        super().__init__()
        self._playground = playground
        self._streams = False
        self._timer = QTimer(self, interval=50)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    @Slot()
    def _look(self) -> None:
        presenters, standby = self._playground.lanes.presenters, self._playground.standby
        if self._streams:
            counts = [p.figures()[0].tokens for p in presenters]
            sys.stdout.write(" ".join(map(str, counts)) + "\n")
            sys.stdout.flush()
            return
        if standby_ready(standby) or all(p.figures()[0].tokens for p in presenters):
            self._streams = not standby.engines
            if not self._streams:
                self._timer.stop()
            pids = [p.lane.pid for p in presenters if p.lane.pid]
            pids += standby_pids(standby).values()
            sys.stdout.write(" ".join(map(str, pids)) + "\n")
            sys.stdout.flush()


def main() -> None:
    application = QApplication([])
    store = SettingsStore(Path(sys.argv[1]))
    idle = sys.argv[2:] == ["idle"]
    store.values = Settings(
        keep_standby=idle,
        prompt="Once",
        timing="together",
        options=GenerationOptions(max_new_tokens=1_000_000),
    )
    playground = Playground(
        store,
        make_engine=lambda _: EngineProcess(scripted_command("--rate", "300")),
        prepare=scripted_prepare,
    )
    playground.window.show()
    reporter = Reporter(playground)
    QTimer.singleShot(0, playground.start_ahead if idle else playground.prompt.run)
    application.exec()
    del reporter


if __name__ == "__main__":
    main()
