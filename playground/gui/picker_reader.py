"""Reads for the model picker off the GUI thread: the list of models, and one model's facts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.gui.model_choices import Choice, Described, describe, list_choices

log = logging.getLogger(__name__)

_Lists = tuple[tuple[ModelSpec, ...], tuple[ModelSpec, ...]]


class PickerReader(QObject):
    """Answers the latest question of each kind; an answer that comes too late is dropped.

    It has no parent, and every thread holds it: it lives until the last one has answered.
    """

    listed = Signal(object)  # list[Choice]
    looked = Signal(object, object)  # ModelSpec, Described or PlaygroundError
    _came = Signal(int, object, object)  # number of the question, its model or None, the answer

    def __init__(self, cache: Path | None = None) -> None:
        super().__init__()
        self._cache = cache
        self._numbers = {"list": 0, "look": 0}
        self._came.connect(self._deliver)

    def list_models(self, recents: Sequence[ModelSpec], opened: Sequence[ModelSpec]) -> None:
        """Ask what there is; `listed` follows."""
        self._start("list", None, (tuple(recents), tuple(opened)))

    def look(self, spec: ModelSpec) -> None:
        """Ask for a model's facts; `looked` follows."""
        self._start("look", spec)

    def close(self) -> None:
        """Drop whatever is still to come."""
        for kind in self._numbers:
            self._numbers[kind] += 1

    def _start(self, kind: str, spec: ModelSpec | None, lists: _Lists = ((), ())) -> None:
        self._numbers[kind] += 1
        arguments = (self._numbers[kind], spec, lists)
        threading.Thread(target=self._read, args=arguments, name=kind, daemon=True).start()

    def _read(self, number: int, spec: ModelSpec | None, lists: _Lists) -> None:
        answer: list[Choice] | Described | PlaygroundError
        try:
            answer = describe(spec, self._cache) if spec else list_choices(*lists, self._cache)
        except PlaygroundError as error:
            answer = error
        except Exception as error:  # a defect must reach the user as a sentence too
            log.exception("the model picker could not read")
            answer = PlaygroundError(f"Something went wrong: {error}", "Choose another model.")
        self._came.emit(number, spec, answer)

    @Slot(int, object, object)
    def _deliver(self, number: int, spec: ModelSpec | None, answer: object) -> None:
        if number != self._numbers["look" if spec else "list"]:
            return
        if spec is not None:
            self.looked.emit(spec, answer)
        else:
            self.listed.emit(answer if isinstance(answer, list) else [])
