"""Runs one download for the window: the child's events as signals, cancel at any moment."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.hub.download import Download
from playground.hub.download_events import Advanced, Broken, Cancelled, Completed, Planned


class DownloadController(QObject):
    """One download at a time. After `start`, exactly one `ended` comes, whatever happens."""

    planned = Signal(object)  # Planned
    advanced = Signal(object)  # Advanced
    ended = Signal(object)  # Completed, Broken or Cancelled
    _told = Signal(object)  # from the reading thread, handled on this object's

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(parent)
        self._environment = environment
        self._download: Download | None = None
        self._thread: threading.Thread | None = None
        self._told.connect(self._tell)

    @property
    def running(self) -> bool:
        return self._download is not None

    @property
    def spec(self) -> ModelSpec | None:
        """The model being downloaded."""
        return self._download.spec if self._download else None

    def start(self, spec: ModelSpec) -> None:
        """Begin. Raises PlaygroundError where the id is wrong or another download runs."""
        if self._download is not None:
            raise PlaygroundError(
                f"{self._download.spec.source} is still being downloaded.",
                "Wait for its end, or cancel it.",
            )
        self._download = Download(spec, self._environment)
        self._thread = threading.Thread(
            target=self._read, args=(self._download,), name="download", daemon=True
        )
        self._thread.start()

    def cancel(self) -> None:
        """Stop it; `ended` follows. Finished files are kept."""
        if self._download is not None:
            self._download.cancel()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Cancel and wait for the reading thread; False where it still runs."""
        self.cancel()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        self._tell(Cancelled())  # what the thread has sent may never be delivered any more
        return not self._thread.is_alive()

    def _read(self, download: Download) -> None:
        try:
            download.start()
            for event in download.events():
                self._told.emit(event)
        except Exception as error:  # a defect must end the download for the window too
            download.cancel()
            for _ in download.events():  # to its end, so that nothing unfinished stays
                pass
            with contextlib.suppress(RuntimeError):  # the window may be gone
                told = Broken("The download could not be run.", "Try again.", repr(error))
                self._told.emit(told)

    @Slot(object)
    def _tell(self, event: object) -> None:
        if isinstance(event, Planned):
            self.planned.emit(event)
        elif isinstance(event, Advanced):
            self.advanced.emit(event)
        elif isinstance(event, Completed | Broken | Cancelled) and self._download is not None:
            self._download = None
            self.ended.emit(event)
