"""What the user does with the prompt: run it, stop, regenerate, edit, clear, and copy answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QGuiApplication

from playground.core.errors import OptionsError, PlaygroundError
from playground.core.generation import RANGES, GenerationOptions, Prompt, clean_prompt_text
from playground.core.lane import Stage
from playground.core.run_plan import prompt_run
from playground.core.token_record import Alternative
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.content import LaneContent
from playground.gui.lanes.conversation import Mode, chat_reason
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.lanes.run import RunController, RunResult
from playground.gui.models.controller import ModelsController
from playground.gui.prompt.options_panel import OptionsPanel
from playground.gui.prompt.prompt_panel import PromptPanel
from playground.gui.toolkit.notify import Notify
from playground.history.records import RunRequest

_COPIED = {
    LaneCommand.COPY_ANSWER: "The answer",
    LaneCommand.COPY_STAMP: "The stamp",
    LaneCommand.COPY_SCRIPT: "The script",
}
_NO_ANSWER = PlaygroundError(
    "No lane could answer.", "Each lane shows the reason and what to do about it."
)


class PromptController(QObject):
    """Runs the prompt in every lane; copies or regenerates the answer of one."""

    #: A run begins: its RunRequest, its lanes, and its RunController.
    requested = Signal(object, object, object)
    running_changed = Signal(bool)
    finished = Signal(object)  # a RunResult, when everything shown is up to date

    def __init__(
        self,
        notify: Notify,
        lanes: LanesController,
        models: ModelsController,
        prompt: PromptPanel,
        options: OptionsPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.run_controller = RunController(self)
        self._notify = notify
        self._lanes = lanes
        self._models = models
        self._prompt = prompt
        self._options = options
        self._runs = 0
        self._complaint: PlaygroundError | None = None
        self._replace_last = False
        self._before_editing = ""  # the text that `edit_last` replaced
        prompt.edit.textChanged.connect(self._text_changed)
        self.run_controller.begun.connect(self._begun)
        self.run_controller.finished.connect(self._finished)
        self.run_controller.waiting_changed.connect(self._show_waiting)
        lanes.added.connect(self._added)
        lanes.removed.connect(self._removed)
        lanes.arranged.connect(self.check_chat)

    @Slot()
    def run(self) -> None:
        """Load what is not loaded and run the prompt in every lane."""
        if self.run_controller.running:
            return
        as_typed = self._prompt.prompt_text()
        try:
            typed, notice = clean_prompt_text(as_typed)
        except OptionsError as error:
            self._complain(error)
            return
        options = self._valid_options()
        if options is None:
            return
        self._prompt.set_notice(notice)
        mode, system = self._prompt.mode(), clean_system(self._prompt.system_prompt())
        reason = self.chat_reason() if mode == "chat" else ""
        if reason:
            self._complain(PlaygroundError(reason, "Switch the mode to Continue text."))
            return
        replacing = self._replace_last

        def prompt_for(lane: LaneController) -> Prompt:
            # Only now a lane can answer: the text typed is kept where none can.
            self._replace_last = False
            if mode == "chat" and self._prompt.prompt_text() == as_typed:
                self._prompt.set_prompt_text("")
            presenter = self._presenter(lane)
            if replacing and presenter.conversation.last is not None:
                presenter.drop_last()
            return presenter.ask(mode, typed, system, self._runs)

        request = RunRequest(
            typed=typed, lanes=(), mode=mode, system=system if mode == "chat" else ""
        )
        self._start(self._lanes.lanes, prompt_for, options, request)

    @Slot()
    def stop(self) -> None:
        """Stop the run, or whatever else the lanes are doing."""
        if self.run_controller.running:
            self.run_controller.stop()
            return
        for lane in self._lanes.lanes:
            if lane.state.stage is not Stage.UNLOADING:
                lane.cancel()

    @Slot()
    def regenerate(self) -> None:
        """Run every lane's last prompt again, with the options on the screen and the next seed."""
        self._regenerate(self._lanes.presenters)

    def regenerate_in(self, presenter: LanePresenter) -> None:
        """Run one lane's last prompt again in the same way."""
        self._regenerate([presenter])

    def go_on_from(self, presenter: LanePresenter, number: int, instead: Alternative) -> None:
        """Go on from a lane's answer with another token at `number`, counted from one."""
        if self.run_controller.running:
            self._notify.info(
                "An answer cannot be continued during a run.",
                "Stop the run, or wait until it has ended.",
            )
            return
        options = self._valid_options()
        if options is None:
            return

        def prompt_for(lane: LaneController) -> Prompt:
            return presenter.go_on_from(number, instead, self._runs)

        self._start([presenter.lane], prompt_for, options, self._request_again(presenter))

    @Slot()
    def edit_last(self) -> None:
        """Put the last prompt back into the panel; the next run replaces its answers."""
        presenters = [p for p in self._lanes.presenters if p.conversation.last]
        if not presenters or self.run_controller.running:
            return
        current = self._lanes.current
        last = (current if current in presenters and current else presenters[0]).conversation.last
        if last is not None:
            self._prompt.set_mode(last.mode)
            self._before_editing = self._prompt.prompt_text()
            self._prompt.set_prompt_text(last.typed)
            self._prompt.set_notice("The next run replaces the last answers.")
            self._replace_last = True
            self._prompt.focus_prompt()

    @Slot()
    def _text_changed(self) -> None:
        typed = self._before_editing
        if self._replace_last and typed and self._prompt.prompt_text() == typed:
            self._replace_last = False  # `edit_last` was undone
            self._prompt.set_notice("")

    @Slot()
    def clear(self) -> None:
        """Forget all conversations, and offer to bring them back."""
        if self.run_controller.running:
            return
        self._replace_last = False
        self._prompt.set_notice("")
        kept = [(p, p.content()) for p in self._lanes.presenters if p.conversation.exchanges]
        for presenter in self._lanes.presenters:
            presenter.clear()
        if kept:
            self._notify.offer("The texts were cleared.", "Undo", partial(self._bring_back, kept))

    def _bring_back(self, kept: Sequence[tuple[LanePresenter, LaneContent]]) -> None:
        for presenter, content in kept:
            generating = presenter.lane.state.stage is Stage.GENERATING
            if presenter in self._lanes.presenters and not generating:
                presenter.show_content(content)

    @Slot()
    def load_all(self) -> None:
        """Load every lane's model."""
        for lane in self._lanes.lanes:
            lane.load()

    @Slot()
    def unload_all(self) -> None:
        """Stop the run and unload every lane."""
        self.run_controller.stop()
        for lane in self._lanes.lanes:
            lane.unload()

    def copy(self, presenter: LanePresenter, command: LaneCommand) -> None:
        """Put a lane's answer, script or stamp on the clipboard, as the copy command says."""
        text = presenter.copyable(command)
        if not text:
            self._notify.info("There is no answer to copy yet.", "Run a prompt first.")
            return
        # The clipboard cannot hold lone surrogates.
        QGuiApplication.clipboard().setText(text.encode("utf-8", "replace").decode("utf-8"))
        self._notify.info(f"{_COPIED[command]} was copied.")

    @Slot()
    def open_founding(self) -> None:
        """Open the founding comparison for the current lane's model."""
        from playground.gui.reference.dialog import FoundingDialog

        if self.run_controller.running:
            self._notify.info(
                "The founding comparison cannot be measured during a run.",
                "Stop the run, or wait until it has ended.",
            )
            return
        presenter = self._lanes.current
        if presenter is None:
            return
        dialog = FoundingDialog(
            self._lanes, presenter.lane.config, presenter.available.model, self._prompt.window()
        )
        dialog.measurement.requested.connect(self.requested)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # Chat

    def chat_reason(self) -> str:
        """Return why the lanes cannot hold a conversation, "" where they can."""
        models = []
        for presenter in self._lanes.presenters:
            lane = presenter.lane
            loaded = lane.state.loaded
            if loaded is not None:
                models.append((loaded.request.name, loaded.has_chat_template))
                continue
            facts = self._models.facts(lane.config)
            if facts is not None:
                models.append((facts.name, facts.checkpoint.has_chat_template))
        return chat_reason(models)

    @Slot()
    def check_chat(self) -> None:
        """Offer the chat mode where every lane's model has a chat template."""
        reason = self.chat_reason()
        self._prompt.set_chat_available(not reason, reason)

    # Internals

    def _regenerate(self, presenters: Sequence[LanePresenter]) -> None:
        presenters = [p for p in presenters if p.conversation.last]
        if self.run_controller.running:
            self._notify.info(
                "Nothing can be regenerated during a run.",
                "Stop the run, or wait until it has ended.",
            )
            return
        if not presenters:
            self._notify.info("There is no answer to regenerate yet.", "Run a prompt first.")
            return
        options = self._valid_options()
        if options is None:
            return
        if not options.greedy:
            seed = options.seed + 1 if options.seed < RANGES["seed"][1] else 0
            options = msgspec.structs.replace(options, seed=seed)
            self._options.set_options(options)
        elif all(p.last_answer and p.last_answer.stamp.options == options for p in presenters):
            self._notify.info(
                "Greedy decoding gives the same answer again.",
                "Choose Sample in the generation options for another one.",
            )

        def prompt_for(lane: LaneController) -> Prompt:
            presenter = self._presenter(lane)
            last = presenter.conversation.last
            mode: Mode = last.mode if last else "raw"
            typed = last.typed if last else ""
            system = clean_system(self._prompt.system_prompt())
            presenter.drop_last()
            return presenter.ask(mode, typed, system, self._runs)

        request = self._request_again(presenters[0])
        self._start([p.lane for p in presenters], prompt_for, options, request)

    def _valid_options(self) -> GenerationOptions | None:
        """Return the options on the screen; None, and say why, where they are not possible."""
        options = self._options.options()
        try:
            options.check()
        except OptionsError as error:
            self._complain(error)
            return None
        return options

    def _request_again(self, presenter: LanePresenter) -> RunRequest:
        """Return the request of a run that answers a lane's last prompt once more."""
        last = presenter.conversation.last
        return RunRequest(
            typed=last.typed if last else "",
            lanes=(),
            mode=last.mode if last else "raw",
            system=clean_system(self._prompt.system_prompt()),
        )

    def _start(
        self,
        lanes: Sequence[LaneController],
        prompt_for: Callable[[LaneController], Prompt],
        options: GenerationOptions,
        request: RunRequest,
    ) -> None:
        """Begin a run; `request` says what was typed, and how."""
        # The order alternates, so that thermal and clock drift affects all lanes alike.
        order = list(lanes) if self._runs % 2 == 0 else list(reversed(lanes))
        self._runs += 1
        timing = self._options.timing()
        plan = prompt_run(order, prompt_for, options, timing)
        whole = msgspec.structs.replace(
            request, lanes=tuple(lane.config for lane in lanes), options=options, timing=timing
        )
        self.requested.emit(whole, list(lanes), self.run_controller)
        self.run_controller.start(order, plan)

    def _presenter(self, lane: LaneController) -> LanePresenter:
        presenter = self._lanes.presenter_of(lane)
        if presenter is None:
            raise LookupError("the lane of a run is not in the window")
        return presenter

    def _complain(self, error: PlaygroundError) -> None:
        """Say why a run did not begin, or had no answer, until another run begins."""
        self._complaint = error
        if error is _NO_ANSWER:
            self._notify.error(error)
        else:
            self._notify.warning(error)

    @Slot()
    def _begun(self) -> None:
        if self._complaint is not None:
            self._notify.withdraw(self._complaint)
            self._complaint = None
        self._prompt.set_running(True)
        self.running_changed.emit(True)

    @Slot(object, bool)
    def _show_waiting(self, lane: LaneController, waits: bool) -> None:
        if presenter := self._lanes.presenter_of(lane):
            presenter.show_queued(waits)

    @Slot(object)
    def _finished(self, result: RunResult) -> None:
        self._prompt.set_running(False)
        self.running_changed.emit(False)
        if set(result.failed) == set(self._lanes.lanes):
            self._complain(_NO_ANSWER)
        self.finished.emit(result)

    @Slot(object)
    def _added(self, presenter: LanePresenter) -> None:
        presenter.lane.state_changed.connect(self._lane_changed)
        presenter.inspector.go_on.connect(partial(self.go_on_from, presenter))

    @Slot(object)
    def _removed(self, presenter: LanePresenter) -> None:
        self.run_controller.discard(presenter.lane)

    @Slot(object)
    def _lane_changed(self, lane: LaneController) -> None:
        if lane.state.stage in (Stage.READY, Stage.EMPTY):
            self.check_chat()


def clean_system(text: str) -> str:
    """Return a system prompt that can be encoded; it may be empty."""
    return clean_prompt_text(text)[0] if text.strip() else ""
