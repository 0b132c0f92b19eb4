"""Opens a kept run as the window's lanes, which can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject

from playground.core.generation import GenerationOptions, Timing
from playground.core.lane import LaneConfig
from playground.core.settings import MAX_LANES
from playground.gui.history.reopened import contents_of
from playground.gui.history.text import gone_text, run_text
from playground.gui.lanes.content import LaneContent
from playground.gui.lanes.conversation import Mode
from playground.gui.lanes.lanes import LanesController
from playground.gui.prompt.controller import PromptController
from playground.gui.prompt.options_panel import OptionsPanel
from playground.gui.prompt.prompt_panel import PromptPanel
from playground.gui.toolkit.notify import Notify
from playground.history.records import KeptRun


@dataclass(frozen=True)
class _Shown:
    """What the window shows: its lanes, what they say, and the prompt with its options."""

    lanes: tuple[LaneConfig, ...]
    contents: tuple[LaneContent, ...]
    typed: str
    mode: Mode
    system: str
    options: GenerationOptions
    timing: Timing


class Reopening(QObject):
    """Replaces what the window shows by a kept run, or runs that run again."""

    def __init__(
        self,
        notify: Notify,
        lanes: LanesController,
        controller: PromptController,
        prompt: PromptPanel,
        options: OptionsPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._notify = notify
        self._lanes = lanes
        self._controller = controller
        self._prompt = prompt
        self._options = options

    def open(self, run: KeptRun, gone: Sequence[str], *, again: bool = False) -> bool:
        """Show a run as lanes; with `again` run its prompt there. Return whether that began.

        `gone` names what its lanes need and this machine lacks.
        """
        if self._controller.run_controller.running:
            self._notify.info(
                "A run cannot be opened while another goes on.",
                "Stop the run, or wait until it has ended.",
            )
            return False
        before = self._shown()
        request = run.request
        sent = request.mode == "chat" and not again and bool(run.answers)
        self._show(
            _Shown(
                lanes=request.lanes[:MAX_LANES],
                contents=contents_of(run, answers=not again),
                typed="" if sent else request.typed,  # as after sending it
                mode=request.mode,
                system=request.system,
                options=request.options,
                timing=request.timing,
            )
        )
        text = f"{run_text(request.typed)} is open as lanes. {gone_text(gone)}".strip()
        self._notify.offer(text, "Undo", partial(self._undo, before))
        if again:
            self._controller.run()
        return True

    def _undo(self, before: _Shown) -> None:
        if self._controller.run_controller.running:
            self._controller.stop()
        self._show(before)

    def _shown(self) -> _Shown:
        presenters = self._lanes.presenters
        return _Shown(
            lanes=tuple(p.lane.config for p in presenters),
            contents=tuple(p.content() for p in presenters),
            typed=self._prompt.prompt_text(),
            mode=self._prompt.mode(),
            system=self._prompt.system_prompt(),
            options=self._options.options(),
            timing=self._options.timing(),
        )

    def _show(self, shown: _Shown) -> None:
        lanes = self._lanes
        for config in shown.lanes[len(lanes.presenters) :]:
            lanes.add(config)
        for presenter in lanes.presenters[len(shown.lanes) :]:
            lanes.remove(presenter)
        for presenter, config, content in zip(
            list(lanes.presenters), shown.lanes, shown.contents, strict=True
        ):
            presenter.configure(config)
            presenter.show_content(content)
        lanes.arranged.emit()  # which lanes' figures belong together has changed
        self._prompt.set_mode(shown.mode)
        self._prompt.set_prompt_text(shown.typed)
        self._prompt.system.set_text(shown.system)
        self._prompt.set_notice("")
        self._options.set_options(shown.options)
        self._options.set_timing(shown.timing)
