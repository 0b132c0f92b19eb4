"""Deletes a model from this machine: what it would free, the question, the deed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.format import plain_line, size_text
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.question import Question
from playground.hub.catalog import Deletion, ModelRow, Where


class DeletionController(QObject):
    """One deletion at a time. `told` is a sentence on how it went, and whether that is bad."""

    deleted = Signal(object)  # the ModelRow that is gone
    told = Signal(str, bool)

    def __init__(
        self,
        window: QWidget,
        background: Background,
        in_use: Sequence[ModelSpec] = (),
        cache: Path | None = None,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._background = background
        self._in_use = tuple(in_use)
        self._cache = cache
        self._plan: Deletion | None = None
        self._busy = False
        self.question: Question | None = None

    def ask(self, row: ModelRow) -> None:
        """Work out what deleting would free, and ask the user."""
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
            self.told.emit(f"{self._plan.row.name} is deleted, {size_text(freed)} freed.", False)
            self.deleted.emit(self._plan.row)

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._busy = False
        self.told.emit(f"{error.message} {error.remedy}".strip(), True)
        if self._plan is not None:
            self.deleted.emit(self._plan.row)  # a part of it may be gone


def _details(plan: Deletion, in_use: bool) -> str:
    row = plan.row
    told = [f"From {row.folder}." if row.where is Where.FOLDER else "From the Hub's cache."]
    if row.where is Where.CACHE:
        told.append("It can be downloaded again.")
    if plan.keeps:
        told.append(plan.keeps)
    if in_use:
        told.append("A lane has this model: it cannot be loaded there again.")
    return " ".join(told)


def _plan(row: ModelRow, cache: Path | None) -> Deletion:
    from playground.hub.local.deletion import plan_deletion

    return plan_deletion(row, cache)


def _delete(plan: Deletion, cache: Path | None) -> int:
    from playground.hub.local.deletion import delete

    return delete(plan, cache)
