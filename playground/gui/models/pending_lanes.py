"""Lanes that a model's page asks for: set up at once, or when their downloads have finished.

Pending lanes are stored with their downloads, so that they outlive the window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.lane import LaneChoice, Stage
from playground.core.settings import MAX_LANES
from playground.gui.context import AppContext
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.local.resolve import missing
from playground.hub.place import HubPlace

_Lanes = tuple[LaneChoice, ...]


class PendingLanes(QObject):
    """Serves the latest request; models that are missing are downloaded first."""

    model_chosen = Signal(object, object)  # LanePresenter, ModelSpec: a lane takes it now

    def __init__(
        self, context: AppContext, lanes: LanesController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._lanes = lanes
        self._requested: _Lanes = ()
        self._target: LanePresenter | None = None
        self._awaited: set[str] = set()  # keys of downloads
        self._held: Callable[[], object] | None = None  # waits until no lane is answering
        lanes.added.connect(self._watch)
        context.downloads.changed.connect(self._download_changed)
        context.downloads.listed.connect(self._downloads_listed)

    def resume(self) -> None:
        """Take up the lanes that the last window left pending; their downloads go on."""
        items = [item for item in self._context.downloads.items() if item.lanes]
        if not items or self._requested:
            return
        requested = items[-1].lanes
        unfinished = [
            item
            for item in items
            if item.lanes == requested and item.state is not DownloadState.FINISHED
        ]
        if any(item.state is DownloadState.CANCELLED for item in unfinished):
            self._context.downloads.set_pending_lanes((), ())
        elif unfinished:
            self._wait(requested, unfinished)
        else:  # all downloads had finished when the window closed
            self.request(requested)

    def request(self, lanes: Sequence[LaneChoice], target: LanePresenter | None = None) -> None:
        """Set up lanes: one in `target` (else the current lane), several from the left."""
        self._requested, self._target, self._held = tuple(lanes)[:MAX_LANES], target, None
        self._awaited.clear()
        self._context.downloads.set_pending_lanes((), ())
        work = partial(_missing, self._requested, self._context.hub)
        self._context.background.start(work, self._looked, self._failed)

    @Slot(object)
    def _looked(self, found: tuple[_Lanes, list[ModelSpec]]) -> None:
        requested, absent = found
        if requested != self._requested:
            return  # a newer request has come since
        if not absent:
            self._when_idle(self._set_up)
            return
        items = [item for item in map(self._context.downloads.add, absent) if item is not None]
        if len(items) < len(absent):  # a name is invalid, as a message has said
            self._requested = ()
            return
        self._wait(requested, items)

    def _wait(self, requested: _Lanes, items: Sequence[DownloadItem]) -> None:
        self._requested, self._awaited = requested, {item.key for item in items}
        self._context.downloads.set_pending_lanes(self._awaited, requested)
        coming = [item.spec for item in items if not item.state.is_over]
        if not coming:
            return  # they failed, and can be retried
        self._context.notify.info(
            f"Downloading {_names(coming)} first; {_lanes_are(requested)} set up when "
            f"{'it finishes' if len(coming) == 1 else 'they finish'}.",
            "See View, Downloads.",
        )

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._requested = ()
        self._context.notify.error(error)

    @Slot(object)
    def _download_changed(self, item: DownloadItem) -> None:
        if item.key not in self._awaited:
            return
        if item.state is DownloadState.FINISHED:
            self._awaited.discard(item.key)
            if not self._awaited:
                self._finished()
        elif item.state is DownloadState.CANCELLED:
            self._give_up(item.key)
        elif item.state is DownloadState.FAILED:
            error = PlaygroundError(f"{item.key}: {item.message}", item.remedy)
            self._context.notify.error(error)

    @Slot(object)
    def _downloads_listed(self, items: Sequence[DownloadItem]) -> None:
        removed = self._awaited - {item.key for item in items}
        if removed:
            self._give_up(min(removed))

    def _give_up(self, key: str) -> None:
        self._awaited.clear()
        self._requested = ()
        self._context.downloads.set_pending_lanes((), ())
        self._context.notify.info(
            f"{key} is no longer being downloaded; the lanes stay as they are."
        )

    def _finished(self) -> None:
        self._context.downloads.set_pending_lanes((), ())
        self._when_idle(self._set_up_downloaded)

    def _set_up_downloaded(self) -> None:
        requested = self._requested
        if self._set_up():
            models = list(dict.fromkeys(spec for spec, _ in requested))
            are = "is" if len(models) == 1 else "are"
            self._context.notify.info(
                f"{_names(models)} {are} on this machine now, and {_lanes_are(requested)} set up."
            )

    def _when_idle(self, work: Callable[[], object]) -> None:
        """Do what changes lanes once no lane is answering."""
        self._held = work if self._answering() else None
        if self._held is None:
            work()
        else:
            self._context.notify.info(
                f"{_lanes_are(self._requested)} set up when the answers are complete.".capitalize()
            )

    def _answering(self) -> bool:
        return any(lane.state.stage is Stage.GENERATING for lane in self._lanes.lanes)

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        # Queued: when one lane of a run has answered, the next one begins at once.
        presenter.lane.state_changed.connect(self._lane_changed, Qt.ConnectionType.QueuedConnection)

    @Slot()
    def _lane_changed(self) -> None:
        if self._held is not None and not self._answering():
            work, self._held = self._held, None
            work()

    def _set_up(self) -> bool:
        """Set up the lanes requested; return False where no lane can take the model."""
        requested, self._requested = self._requested, ()
        presenters = self._lanes.presenters
        if len(requested) == 1:
            target = self._target if self._target in presenters else self._lanes.current
            return self._assign(target, requested[0])
        while len(presenters) < len(requested):
            self._lanes.add()
        for presenter, choice in zip(presenters, requested, strict=False):
            self._assign(presenter, choice)
        # Further lanes stay where they hold something.
        for presenter in presenters[len(requested) :]:
            if presenter.lane.state.stage is Stage.EMPTY and presenter.conversation.last is None:
                self._lanes.remove(presenter)
        return True

    def _assign(self, presenter: LanePresenter | None, choice: LaneChoice) -> bool:
        if presenter is None:
            return False
        spec, precision = choice
        lane = presenter.lane
        presenter.configure(replace(lane.config, model=spec, precision=precision))
        self.model_chosen.emit(presenter, spec)
        return True


def _names(specs: Sequence[ModelSpec]) -> str:
    return " and ".join(spec.source for spec in specs)


def _lanes_are(requested: _Lanes) -> str:
    return "the lane is" if len(requested) == 1 else "the lanes are"


def _missing(requested: _Lanes, hub: HubPlace) -> tuple[_Lanes, list[ModelSpec]]:
    return requested, missing([spec for spec, _ in requested], hub.cache)
