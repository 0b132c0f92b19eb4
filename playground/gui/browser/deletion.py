"""Deletes a model from this machine, after asking with how much that would free."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.format import plain_line, size_text
from playground.gui.context import AppContext
from playground.gui.toolkit.question import Question
from playground.hub.catalog import Deletion, ModelRow, Where


class DeletionController(QObject):
    """Asks and deletes, one model at a time."""

    deleted = Signal(object)  # the ModelRow that is gone, perhaps in part
    reported = Signal(str, bool)  # a sentence on how it went, and whether it failed

    def __init__(self, context: AppContext, in_use: Sequence[ModelSpec], window: QWidget) -> None:
        """`in_use` are the models of the lanes; `window` is where the question is asked."""
        super().__init__(window)
        self._window = window
        self._background = context.background
        self._in_use = tuple(in_use)
        self._cache = context.hub.cache
        self._plan: Deletion | None = None
        self._busy = False
        self.question: Question | None = None

    def ask(self, row: ModelRow) -> None:
        """Find out how much deleting would free, and ask the user."""
        if not self._busy:
            self._busy = True
            self._background.start(partial(_plan, row, self._cache), self._planned, self._failed)

    @Slot(object)
    def _planned(self, plan: Deletion) -> None:
        self._plan = plan
        self.question = Question(
            self._window,
            "Delete a model",
            f"Delete {plain_line(plan.row.name)}? That frees {size_text(plan.freed)}.",
            _details(plan, plan.row.spec in self._in_use),
            do="&Delete",
            keep="&Keep it",
        )
        self.question.answered.connect(self._answered)
        self.question.open()

    @Slot(bool)
    def _answered(self, agreed: bool) -> None:
        self.question = None
        if agreed and self._plan is not None:
            self._background.start(
                partial(_delete, self._plan, self._cache), self._done, self._failed
            )
        else:
            self._busy = False

    @Slot(object)
    def _done(self, freed: int) -> None:
        self._busy = False
        if self._plan is not None:
            name = self._plan.row.name
            self.reported.emit(f"{name} was deleted, which freed {size_text(freed)}.", False)
            self.deleted.emit(self._plan.row)

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._busy = False
        self.reported.emit(str(error), True)
        if self._plan is not None:
            self.deleted.emit(self._plan.row)  # a part of it may be gone


def _details(plan: Deletion, in_use: bool) -> str:
    row = plan.row
    where = f"the folder {row.folder}" if row.where is Where.FOLDER else "the Hub's cache"
    sentences = [f"Its files are in {where}."]
    if row.where is Where.CACHE:
        sentences.append("It can be downloaded again.")
    if plan.keeps:
        sentences.append(plan.keeps)
    if in_use:
        sentences.append("A lane uses this model and cannot load it again.")
    return " ".join(sentences)


def _plan(row: ModelRow, cache: Path | None) -> Deletion:
    from playground.hub.local.deletion import plan_deletion

    return plan_deletion(row, cache)


def _delete(plan: Deletion, cache: Path | None) -> int:
    from playground.hub.local.deletion import delete

    return delete(plan, cache)
