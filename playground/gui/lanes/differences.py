"""Compares every lane's answer with the reference lane's, while they stream and at their end."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Slot

from playground.core.comparison import default_reference
from playground.core.difference import Agreement, agreement, different_spans
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.lanes.stream_view import Difference, visible


@dataclass(frozen=True)
class _Compared:
    """Two generations, how far they agree, and whether both had ended by then."""

    reference: Generation
    lane: Generation
    found: Agreement
    ended: bool


class DifferencesController(QObject):
    """Knows the reference lane: the one with the highest precision until another is chosen."""

    def __init__(self, lanes: LanesController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lanes = lanes
        self._chosen: LanePresenter | None = None
        self._enabled = True
        self._compared: dict[LanePresenter, _Compared] = {}
        lanes.added.connect(self._watch)
        lanes.removed.connect(self._forget)
        lanes.arranged.connect(self.update_all)
        lanes.streamed.connect(self.update_all)

    @property
    def reference(self) -> LanePresenter | None:
        """The lane that the others are compared with."""
        presenters = self._lanes.presenters
        if self._chosen is not None or not presenters:
            return self._chosen
        return presenters[default_reference([p.lane.config.precision for p in presenters])]

    def choose(self, presenter: LanePresenter) -> None:
        """Compare the others with this lane from now on."""
        self._chosen = presenter
        self._compared.clear()
        self.update_all()

    @Slot(bool)
    def set_enabled(self, enabled: bool) -> None:
        """Show the differences, or the texts alone."""
        self._enabled = enabled
        self._compared.clear()
        self.update_all()

    @Slot()
    def update_all(self) -> None:
        """Compare the lanes whose texts have changed, and show what was found."""
        reference, presenters = self.reference, self._lanes.presenters
        for presenter in presenters:
            is_reference = self._enabled and presenter is reference and len(presenters) > 1
            presenter.view.header.set_reference(is_reference, self._enabled and len(presenters) > 1)
            if reference is None or not self._enabled or presenter is reference:
                self._compared.pop(presenter, None)
                presenter.view.show_difference("")
            else:
                self._update(presenter, reference)

    def _update(self, presenter: LanePresenter, reference: LanePresenter) -> None:
        lane, expected = presenter.generation, reference.generation
        if lane is None or expected is None or not _comparable(presenter, reference):
            if self._compared.pop(presenter, None) is not None:
                presenter.view.show_difference("")
            return
        before = self._compared.get(presenter)
        ended = lane.ended and expected.ended
        known = before is not None and before.reference is expected and before.lane is lane
        if known and before and (before.ended or not (before.found.whole or ended)):
            return  # where they part does not change any more
        here, there = presenter.lane.config, reference.lane.config
        # A server's tokenizer is not known to be the same, and few servers tell their tokens' ids.
        same = here.model == there.model and not here.server and not there.server
        found = agreement(expected.record, lane.record, same_tokenizer=same)
        self._compared[presenter] = _Compared(expected, lane, found, ended)
        if not lane.ids or not expected.ids:
            presenter.view.show_difference("")
            return
        name = there.server or there.precision.short_label
        text = difference_text(found, len(lane.ids), name, ended)
        presenter.view.show_difference(text, _marks(presenter, reference, found, ended))

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.changed.connect(self.update_all)

    @Slot(object)
    def _forget(self, presenter: LanePresenter) -> None:
        self._compared.clear()
        if presenter is self._chosen:
            self._chosen = None


def difference_text(found: Agreement, tokens: int, reference: str, ended: bool) -> str:
    """Return how far an answer of `tokens` tokens agrees with the reference's, in words."""
    if not found.whole:
        return f"agrees with {reference} for {found.tokens:,} of {_tokens(tokens)}"
    if ended:
        return f"the same {_tokens(found.tokens)} as {reference}"
    return f"agrees with {reference} so far, {_tokens(found.tokens)}"


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"


def _comparable(presenter: LanePresenter, reference: LanePresenter) -> bool:
    """Return whether the last answers of both are to the same text typed, from its beginning."""
    lane, expected = presenter.conversation.last, reference.conversation.last
    if lane is None or expected is None:
        return False
    same = lane.mode == expected.mode and lane.typed == expected.typed
    return same and not lane.given and not expected.given


def _marks(
    presenter: LanePresenter, reference: LanePresenter, found: Agreement, ended: bool
) -> Difference | None:
    """Return what to mark in the lane's text; None while it may still change, or for nothing."""
    lane, expected = presenter.conversation.last, reference.conversation.last
    if found.whole or not ended or lane is None or expected is None:
        return None
    before = visible(lane.text[: found.characters])
    text, other = visible(lane.text), visible(expected.text)
    spans = different_spans(other, text, len(before))
    generation = presenter.generation
    rest = generation.texts[found.tokens :] if generation else []
    first = next((piece for piece in rest if piece), "")
    start = len(before)
    return Difference((start, min(len(text), start + len(visible(first)))), spans)
