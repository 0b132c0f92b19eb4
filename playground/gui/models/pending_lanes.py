"""Lanes that a model's page asks for: set up at once, or when their models have arrived.

What waits is kept with the downloads, so that it outlives the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.lane import LaneChoice, Stage
from playground.core.settings import MAX_LANES
from playground.gui.downloads.controller import DownloadsController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.toolkit.background import Background
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.local.resolve import missing
from playground.hub.place import HubPlace


class PendingLanes(QObject):
    """Takes the latest wish; what is not on this machine is downloaded first."""

    model_chosen = Signal(object, object)  # LanePresenter, ModelSpec: a lane takes it now
    message = Signal(str, str, str)  # text, level, remedy

    def __init__(
        self,
        lanes: LanesController,
        downloads: DownloadsController,
        background: Background,
        parent: QObject | None = None,
        *,
        place: HubPlace | None = None,
    ) -> None:
        super().__init__(parent)
        self._lanes = lanes
        self._downloads = downloads
        self._background = background
        self._place = place or HubPlace()
        self._wish: tuple[LaneChoice, ...] = ()
        self._target: LanePresenter | None = None
        self._waiting: set[str] = set()  # keys of downloads
        downloads.changed.connect(self._download_changed)
        downloads.listed.connect(self._downloads_listed)

    def go_on(self) -> None:
        """Take up what the last window was waiting for; its downloads are going on."""
        kept = [item for item in self._downloads.items() if item.lanes]
        if not kept or self._wish:
            return
        wish = kept[-1].lanes
        left = [i for i in kept if i.lanes == wish and i.state is not DownloadState.FINISHED]
        if any(item.state is DownloadState.CANCELLED for item in left):
            self._downloads.want((), ())
        elif left:
            self._wait(wish, left)
        else:  # all had come when the window closed
            self.take(wish)

    def take(self, wish: Sequence[LaneChoice], target: LanePresenter | None = None) -> None:
        """Set up lanes: a single one in `target` (else the current lane), several from the left."""
        self._wish, self._target = tuple(wish)[:MAX_LANES], target
        self._waiting.clear()
        self._downloads.want((), ())
        specs = [spec for spec, _ in self._wish]
        self._background.start(
            partial(_looked_for, self._wish, specs, self._place), self._looked, self._failed
        )

    @Slot(object)
    def _looked(self, found: tuple[tuple[LaneChoice, ...], list[ModelSpec]]) -> None:
        wish, absent = found
        if wish != self._wish:
            return  # another wish has come since
        if not absent:
            self._set_up()
            return
        items = [item for item in map(self._downloads.add, absent) if item is not None]
        if len(items) < len(absent):  # a name is wrong, which was told
            self._wish = ()
            return
        self._wait(wish, items)

    def _wait(self, wish: tuple[LaneChoice, ...], items: Sequence[DownloadItem]) -> None:
        self._wish, self._waiting = wish, {item.key for item in items}
        self._downloads.want(self._waiting, wish)
        coming = [item.spec for item in items if not item.state.is_over]
        if not coming:
            return  # they failed, and wait for another try
        one = len(coming) == 1
        self.message.emit(
            f"{_names(coming)} {'comes' if one else 'come'} first. "
            f"{_lanes(wish)} set up when {'it is' if one else 'they are'} here.",
            "info",
            "See View, Downloads.",
        )

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._wish = ()
        self.message.emit(error.message, "error", error.remedy)

    @Slot(object)
    def _download_changed(self, item: DownloadItem) -> None:
        if item.key not in self._waiting:
            return
        if item.state is DownloadState.FINISHED:
            self._waiting.discard(item.key)
            if not self._waiting:
                self._arrived()
        elif item.state is DownloadState.CANCELLED:
            self._do_without(item.key)
        elif item.state is DownloadState.FAILED:
            self.message.emit(f"{item.key}: {item.message}", "error", item.remedy)

    @Slot(object)
    def _downloads_listed(self, items: Sequence[DownloadItem]) -> None:
        gone = self._waiting - {item.key for item in items}
        if gone:
            self._do_without(min(gone))

    def _do_without(self, key: str) -> None:
        self._waiting.clear()
        self._wish = ()
        self._downloads.want((), ())
        self.message.emit(f"Without {key} the lanes stay as they are.", "info", "")

    def _arrived(self) -> None:
        wish = self._wish
        self._downloads.want((), ())
        if self._set_up():
            models = list(dict.fromkeys(spec for spec, _ in wish))
            are = "is" if len(models) == 1 else "are"
            lanes = _lanes(wish).lower()
            self.message.emit(
                f"{_names(models)} {are} on this machine now, and {lanes} set up.", "info", ""
            )

    def _set_up(self) -> bool:
        """Give the lanes what was wished for; False where there is none to take it."""
        wish, self._wish = self._wish, ()
        if len(wish) == 1:
            target = self._target if self._target in self._lanes.presenters else None
            return self._give(target or self._lanes.current, wish[0])
        while len(self._lanes.presenters) < len(wish):
            self._lanes.add()
        for presenter, choice in zip(self._lanes.presenters, wish, strict=False):
            self._give(presenter, choice)
        # Lanes beyond the wish stay where there is something in them.
        for presenter in self._lanes.presenters[len(wish) :]:
            if presenter.lane.state.stage is Stage.EMPTY and presenter.conversation.last is None:
                self._lanes.remove(presenter)
        return True

    def _give(self, presenter: LanePresenter | None, choice: LaneChoice) -> bool:
        if presenter is None:
            return False
        spec, precision = choice
        lane = presenter.lane
        lane.set_config(replace(lane.config, model=spec, precision=precision))
        self.model_chosen.emit(presenter, spec)
        return True


def _names(specs: Sequence[ModelSpec]) -> str:
    return " and ".join(spec.source for spec in specs)


def _lanes(wish: Sequence[LaneChoice]) -> str:
    return "The lane is" if len(wish) == 1 else "The lanes are"


def _looked_for(
    wish: tuple[LaneChoice, ...], specs: Sequence[ModelSpec], place: HubPlace
) -> tuple[tuple[LaneChoice, ...], list[ModelSpec]]:
    return wish, missing(specs, place.cache)
