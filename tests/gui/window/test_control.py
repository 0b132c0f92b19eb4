"""The whole window over scripted engines: runs, lanes, faults, the end."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.facts import ModelSpec
from playground.core.generation import ChatPrompt, GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.run import RunResult
from playground.gui.toolkit.question import Question
from tests.gui.dropping import drop, files
from tests.gui.support import LONG, MakeWindow, shown_text
from tests.support.tiny_model import tiny_model_files, write_files

FAST = ("--rate", "2000")


def run(qtbot: QtBot, playground: Playground, prompt: str = "Once upon a time") -> RunResult:
    playground.window.prompt.set_prompt_text(prompt)
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG) as waiting:
        playground.prompt.run()
    result = waiting.args[0]
    assert isinstance(result, RunResult)
    return result


def generate_long(qtbot: QtBot, playground: Playground) -> None:
    """Let every lane stream a text without an end."""
    window = playground.window
    window.options.set_options(GenerationOptions(max_new_tokens=1_000_000))
    window.options.set_timing("together")
    window.prompt.set_prompt_text("Once")
    playground.prompt.run()
    qtbot.waitUntil(
        lambda: all(p.figures()[0].tokens > 20 for p in playground.lanes.presenters), timeout=LONG
    )


def pids(playground: Playground) -> list[int]:
    return [lane.pid for lane in playground.lanes.lanes]


def test_one_click_loads_and_runs_three_lanes(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    assert [lane.config.precision for lane in playground.lanes.lanes] == [
        Precision.BF16,
        Precision.INT8,
        Precision.GPTQ,
    ]
    result = run(qtbot, playground)
    assert len(result.answered) == 3
    assert not result.failed
    for presenter in playground.lanes.presenters:
        answer = presenter.last_answer
        assert answer is not None
        assert shown_text(presenter.view.stream) == f"Once upon a time{answer.text}"
        assert presenter.figures()[0].tokens == len(answer.token_ids) == 128
    table = playground.window.table
    assert table.rowCount() == 3
    assert "tok/s" in table.as_tsv()
    assert not playground.prompt.run_controller.running


def test_lanes_answer_one_after_the_other_and_the_order_alternates(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(*FAST)
    busy: list[int] = []
    order: list[int] = []

    def look() -> None:
        generating = [
            index
            for index, lane in enumerate(playground.lanes.lanes)
            if lane.state.stage is Stage.GENERATING
        ]
        busy.append(len(generating))
        if generating and order[-1:] != generating:
            order.extend(generating)

    for lane in playground.lanes.lanes:
        lane.state_changed.connect(look)
    run(qtbot, playground)
    run(qtbot, playground)
    assert max(busy) == 1
    assert order == [0, 1, 2, 1, 0] or order == [0, 1, 2, 2, 1, 0]
    stamps = {p.last_answer.stamp.timing for p in playground.lanes.presenters if p.last_answer}
    assert stamps == {"in turn"}


def test_lanes_that_wait_for_their_turn_say_so(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    window, lanes = playground.window, playground.lanes.presenters
    window.options.set_options(GenerationOptions(max_new_tokens=1_000_000))
    window.prompt.set_prompt_text("Once")
    playground.prompt.run()
    qtbot.waitUntil(lambda: lanes[0].figures()[0].tokens > 20, timeout=LONG)
    statuses = [presenter.view.status.full_text() for presenter in lanes]
    assert "generating" in statuses[0]
    assert statuses[1:] == ["waiting for its turn"] * 2
    assert "its turn" in lanes[1].view.stream.accessibleDescription()
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.stop()
    assert all(p.view.status.full_text().startswith("ready") for p in lanes)


def test_together_is_stamped(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    playground.window.options.set_timing("together")
    run(qtbot, playground)
    stamps = {p.last_answer.stamp.timing for p in playground.lanes.presenters if p.last_answer}
    assert stamps == {"together"}


def test_stop_ends_a_run_in_every_lane(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "200")
    generate_long(qtbot, playground)
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG) as waiting:
        playground.prompt.stop()
    assert waiting.args[0].stopped
    assert all(lane.state.stage is Stage.READY for lane in playground.lanes.lanes)


def test_stop_while_loading_ends_the_processes(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--delay", "reading_weights=60")
    playground.window.prompt.set_prompt_text("Once")
    playground.prompt.run()
    lanes = playground.lanes.lanes
    qtbot.waitUntil(lambda: all(x.state.stage is Stage.LOADING for x in lanes), timeout=LONG)
    running = pids(playground)
    playground.prompt.stop()
    qtbot.waitUntil(lambda: all(x.state.stage is Stage.EMPTY for x in lanes), timeout=LONG)
    assert not any(psutil.pid_exists(pid) for pid in running)


def test_a_changed_precision_reloads_that_lane_only(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    run(qtbot, playground)
    before = pids(playground)
    lane = playground.lanes.lanes[1]
    chosen = replace(lane.config, precision=Precision.NF4)
    playground.lanes.presenters[1].view.header.configChosen.emit(chosen)
    qtbot.waitUntil(
        lambda: lane.state.stage is Stage.READY and lane.pid not in (0, before[1]), timeout=LONG
    )
    after = pids(playground)
    assert (after[0], after[2]) == (before[0], before[2])
    assert lane.state.loaded is not None
    assert lane.state.loaded.request.precision is Precision.NF4
    # The figures of what the lane ran before are not shown under its new name.
    assert playground.lanes.presenters[1].figures()[0].tokens == 0


def test_a_change_while_a_lane_answers_is_asked_for(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "400")
    generate_long(qtbot, playground)
    presenter = playground.lanes.presenters[0]
    lane, header = presenter.lane, presenter.view.header
    before, pid = lane.config, lane.pid
    changed = replace(before, precision=Precision.FP32)

    header.configChosen.emit(changed)
    question = presenter.view.findChild(Question)
    assert question is not None
    qtbot.keyClick(question, Qt.Key.Key_Escape)
    assert lane.config == before
    assert lane.state.stage is Stage.GENERATING
    assert header.precision.currentData() == "bf16"
    qtbot.waitUntil(lambda: presenter.view.findChild(Question) is None)

    playground.models.use(presenter, ModelSpec("/another/model"))  # every other way asks too
    question = presenter.view.findChild(Question)
    assert question is not None
    (change,) = [b for b in question.buttons() if b is not question.defaultButton()]
    change.click()
    assert lane.config.model == ModelSpec("/another/model")
    qtbot.waitUntil(lambda: lane.pid not in (0, pid))
    assert playground.lanes.lanes[1].state.stage is Stage.GENERATING
    playground.prompt.stop()


def test_lanes_that_were_asked_for_are_set_up_when_the_answers_are_complete(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "400")
    generate_long(qtbot, playground)
    lane = playground.lanes.lanes[2]
    before = lane.config
    pending = playground.models.pending
    with qtbot.waitSignal(playground.notify.message):
        pending.request(((ModelSpec(), Precision.FP32),), playground.lanes.presenters[2])
    assert lane.config == before
    assert "when the answers are complete" in playground.window.messages.text()
    playground.prompt.stop()
    qtbot.waitUntil(lambda: lane.config == replace(before, precision=Precision.FP32))


def test_a_lane_that_dies_leaves_the_others_alone(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "200")
    generate_long(qtbot, playground)
    lanes = playground.lanes.lanes
    os.kill(lanes[1].pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: lanes[1].state.stage is Stage.FAILED, timeout=LONG)
    counts = [p.figures()[0].tokens for p in playground.lanes.presenters]
    qtbot.waitUntil(
        lambda: all(
            playground.lanes.presenters[i].figures()[0].tokens > counts[i] + 20 for i in (0, 2)
        ),
        timeout=LONG,
    )
    assert len(shown_text(playground.lanes.presenters[1].view.stream)) > len("Once")
    playground.prompt.stop()
    qtbot.waitUntil(lambda: not playground.prompt.run_controller.running, timeout=LONG)


def test_an_error_goes_when_another_run_begins(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "400")
    messages = playground.window.messages
    playground.window.prompt.set_prompt_text("")
    playground.prompt.run()
    assert messages.level() == "warning"
    generate_long(qtbot, playground)
    assert messages.text() == ""
    with qtbot.waitSignal(playground.prompt.finished):
        for pid in pids(playground):
            os.kill(pid, signal.SIGKILL)
    assert "No lane could answer" in messages.text()
    playground.window.options.set_options(GenerationOptions(max_new_tokens=4))
    assert len(run(qtbot, playground).answered) == 3
    assert messages.text() == ""
    assert all(p.view.failure.isHidden() for p in playground.lanes.presenters)


def test_lanes_that_were_stopped_by_hand_are_not_blamed(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--delay", "reading_weights=60")
    playground.window.prompt.set_prompt_text("Once")
    with qtbot.waitSignal(playground.prompt.finished) as waiting:
        playground.prompt.run()
        lanes = playground.lanes.lanes
        qtbot.waitUntil(lambda: all(lane.state.stage is Stage.LOADING for lane in lanes))
        for presenter in playground.lanes.presenters:
            presenter.view.cancel_button.click()
    assert waiting.args[0] == RunResult((), (), stopped=False)
    assert playground.window.messages.text() == ""


def test_a_run_goes_on_without_a_lane_that_is_removed(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "500")
    playground.window.prompt.set_prompt_text("Once")
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG) as waiting:
        playground.prompt.run()
        first = playground.lanes.lanes[0]
        qtbot.waitUntil(lambda: first.state.stage is Stage.GENERATING, timeout=LONG)
        pid = first.pid
        playground.lanes.remove(playground.lanes.presenters[0])
    assert len(waiting.args[0].answered) == 2
    qtbot.waitUntil(lambda: not psutil.pid_exists(pid), timeout=LONG)


def test_lanes_are_added_duplicated_moved_and_removed(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(*FAST)
    lanes, window = playground.lanes, playground.window
    window.actions.add_lane.trigger()
    assert len(lanes.presenters) == 4
    assert lanes.lanes[3].config.precision not in {x.config.precision for x in lanes.lanes[:3]}
    window.actions.add_lane.trigger()
    assert len(lanes.presenters) == 4
    assert "4 lanes" in window.messages.text()
    last = lanes.presenters[3]
    last.view.commanded.emit(LaneCommand.MOVE_LEFT)
    assert lanes.presenters[2] is last
    assert window.lanes.views()[2] is last.view
    last.view.commanded.emit(LaneCommand.REMOVE)
    lanes.presenters[0].view.commanded.emit(LaneCommand.DUPLICATE)
    assert [x.config.precision for x in lanes.lanes] == [
        Precision.BF16,
        Precision.BF16,
        Precision.INT8,
        Precision.GPTQ,
    ]
    lanes.presenters[1].view.commanded.emit(LaneCommand.ENLARGE)
    assert window.lanes.enlarged() is lanes.presenters[1].view
    for _ in range(4):
        lanes.presenters[0].view.commanded.emit(LaneCommand.REMOVE)
    assert len(lanes.presenters) == 1


def test_regenerating_takes_the_next_seed_and_replaces_the_answer(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(*FAST)
    playground.window.options.set_options(GenerationOptions(greedy=False, seed=7))
    run(qtbot, playground)
    first = playground.lanes.presenters[0]
    old = first.last_answer
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.regenerate()
    assert old is not None
    for presenter in playground.lanes.presenters:
        assert presenter.last_answer is not None
        assert presenter.last_answer.stamp.options.seed == 8
        assert len(presenter.conversation.exchanges) == 1
    assert playground.window.options.options().seed == 8
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        first.view.commanded.emit(LaneCommand.REGENERATE)
    assert first.last_answer is not None
    assert first.last_answer.stamp.options.seed == 9
    other = playground.lanes.presenters[1].last_answer
    assert other is not None
    assert other.stamp.options.seed == 8


def test_the_last_prompt_can_be_edited_and_run_again(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    run(qtbot, playground, "One")
    run(qtbot, playground, "Two")
    playground.window.prompt.set_prompt_text("")
    playground.prompt.edit_last()
    assert playground.window.prompt.prompt_text() == "Two"
    run(qtbot, playground, "Three")
    talk = playground.lanes.presenters[0].conversation
    assert [exchange.typed for exchange in talk.exchanges] == ["One", "Three"]
    assert "Two" not in playground.lanes.presenters[0].view.stream.toPlainText()
    playground.prompt.clear()
    assert playground.lanes.presenters[0].view.stream.toPlainText() == ""


def test_undoing_the_editing_of_the_last_prompt_keeps_its_answers(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(*FAST)
    run(qtbot, playground, "One")
    prompt = playground.window.prompt
    prompt.set_prompt_text("typed with care")
    playground.prompt.edit_last()
    assert prompt.prompt_text() == "One"
    assert prompt.notice.isVisible()
    qtbot.keyClick(prompt.edit, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert prompt.prompt_text() == "typed with care"
    assert not prompt.notice.isVisible()
    with qtbot.waitSignal(playground.prompt.finished):
        playground.prompt.run()
    assert len(playground.lanes.presenters[0].conversation.exchanges) == 2


def test_a_chat_has_several_turns(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    run(qtbot, playground)  # a scripted model has a chat template; known once it is loaded
    playground.window.prompt.set_mode("chat")
    playground.window.prompt.system.set_text("Be brief.")
    run(qtbot, playground, "Hello")
    assert playground.window.prompt.prompt_text() == ""
    run(qtbot, playground, "And?")
    last = playground.lanes.presenters[2].conversation.last
    assert last is not None
    assert isinstance(last.prompt, ChatPrompt)
    assert [m.role for m in last.prompt.messages] == ["system", "user", "assistant", "user"]


def test_a_message_that_no_lane_could_take_is_not_lost(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--fault", "out-of-memory", "--at", "reading_weights")
    playground.window.prompt.set_mode("chat")
    result = run(qtbot, playground, "Hello")
    assert not result.answered
    assert playground.window.prompt.prompt_text() == "Hello"
    again = run(qtbot, playground, "Hello")  # while the engines that failed are still ending
    assert len(again.failed) == 3
    assert all(lane.state.failure for lane in playground.lanes.lanes)


def test_late_tokens_do_not_reopen_a_finished_line(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    run(qtbot, playground)
    playground.lanes.streamed.emit(playground.lanes.presenters)
    plot = playground.window.plot
    plot.follow()
    (left, right), _ = plot.tokens.canvas.box.viewRange()
    assert (left, right) == (0.0, 128 * 1.02 + 1)  # all of it, as nothing runs


def test_dropped_folders_are_models_or_change_nothing(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    playground = make_window()
    folders = [tmp_path / name for name in ("holiday pictures", "one", "two")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[1:]:
        write_files(folder, tiny_model_files())
    presenter = playground.lanes.presenters[0]
    before = presenter.lane.config
    with qtbot.waitSignal(playground.notify.message) as said:
        assert drop(files(folders[:1]), presenter.view) == Qt.DropAction.CopyAction
    assert "holiday pictures" in said.args[0]
    assert said.args[1] == "warning"
    assert presenter.lane.config == before
    with qtbot.waitSignal(playground.lanes.added):
        assert drop(files(folders), presenter.view) == Qt.DropAction.CopyAction
    models = [lane.config.model.source for lane in playground.lanes.lanes]
    assert models[:3] == [str(folders[1]), str(folders[2]), "bundled"]
    assert len(models) == 4
    # Nothing else in the window takes what belongs on a lane.
    window = playground.window
    for place in (window.plot, window.table, window.options.stop):
        assert drop(files(folders), place) == Qt.DropAction.IgnoreAction


def test_a_lane_takes_a_model_though_settings_cannot_be_written(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    playground = make_window(*FAST)
    (tmp_path / "file").touch()
    playground.store.path = tmp_path / "file" / "settings.toml"
    playground.models.use(playground.lanes.presenters[0], ModelSpec(str(tmp_path)))
    assert playground.lanes.lanes[0].config.model == ModelSpec(str(tmp_path))
    assert "could not be saved" in playground.window.messages.text()


def test_a_bad_prompt_is_a_message_and_starts_nothing(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(*FAST)
    playground.window.prompt.set_prompt_text("")
    playground.prompt.run()
    assert "prompt is empty" in playground.window.messages.text()
    assert not playground.prompt.run_controller.running
    assert pids(playground) == [0, 0, 0]


def test_a_hostile_prompt_runs(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST, "--text-style", "hostile")
    prompt = "a\x00b <b>bold</b> \u202eback " + "x" * 1_000_000
    result = run(qtbot, playground, prompt)
    assert len(result.answered) == 3


def test_copies_are_texts(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(*FAST)
    clipboard = QApplication.clipboard()
    playground.lanes.presenters[0].view.commanded.emit(LaneCommand.COPY_ANSWER)
    assert "no answer" in playground.window.messages.text()
    run(qtbot, playground)
    answer = playground.lanes.presenters[0].last_answer
    assert answer is not None
    playground.lanes.presenters[0].view.commanded.emit(LaneCommand.COPY_ANSWER)
    assert clipboard.text() == answer.text
    playground.lanes.presenters[0].view.commanded.emit(LaneCommand.COPY_SCRIPT)
    compile(clipboard.text(), "script.py", "exec")
    playground.lanes.presenters[0].view.commanded.emit(LaneCommand.COPY_STAMP)
    assert "bf16" in clipboard.text()


def test_closing_the_window_while_three_lanes_generate_waits_for_none_of_them(
    qtbot: QtBot, make_window: MakeWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    playground = make_window("--rate", "1000")
    generate_long(qtbot, playground)
    running = pids(playground)
    waits: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(LaneController, "wait", lambda _, timeout_ms: waits.append(timeout_ms))
        playground.window.close()
    assert not waits
    assert playground.end()
    assert not any(psutil.pid_exists(pid) for pid in running)


def test_the_settings_are_restored(qtbot: QtBot, make_window: MakeWindow) -> None:
    settings = Settings(lanes=(LaneConfig(precision=Precision.NF4), LaneConfig()))
    playground = make_window(settings=settings)
    playground.window.prompt.set_prompt_text("Kept")
    playground.window.options.set_timing("together")
    playground.window.options.set_options(GenerationOptions(top_k=7))
    playground.window.actions.themes["dark"].trigger()
    playground.window.close()
    store = SettingsStore(playground.store.path)
    assert store.values.prompt == "Kept"
    assert store.values.timing == "together"
    assert store.values.options.top_k == 7
    assert store.values.theme == "dark"
    assert store.values.lanes == settings.lanes
    again = make_window()
    assert again.window.prompt.prompt_text() == "Kept"
    assert msgspec.structs.asdict(again.window.options.options())["top_k"] == 7
    again.window.actions.themes["light"].trigger()
