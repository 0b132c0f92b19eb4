"""A lane shows what its state says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItemModel
from pytestqt.qtbot import QtBot

from playground.core.facts import Answer, LoadedModel, LoadRequest, Stamp, VerifiedPrecision
from playground.core.format import clock_text, seconds_text, size_text
from playground.core.generation import GenerationOptions, Timing
from playground.core.lane import Failure, LaneConfig, LaneState, Stage
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.gui.lanes.availability import Availability
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.details_dialog import DetailsDialog
from playground.gui.lanes.lane_view import LaneView
from playground.gui.lanes.text import headroom_text, headroom_tip, stamp_line, stamp_text
from tests.gui.dropping import COPY_OR_MOVE, drag, drop, files, leave, words

#: The offscreen platform says so of every window with a smallest size.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
REASON = "This model is not GPTQ-quantized: choose a GPTQ checkpoint of it."


def loaded(asked: Precision, real: Precision) -> LoadedModel:
    request = LoadRequest(name="m", folder="/m", commit="0123456789", precision=asked)
    kinds = {"bf16": 43} if real is Precision.BF16 else {"int8 (bitsandbytes)": 42, "bf16": 1}
    verified = VerifiedPrecision(
        precision=real, modules=kinds, bytes_by_dtype={"int8": 4_000_000}, skipped=("lm_head",)
    )
    return LoadedModel(
        request=request,
        verified=verified,
        kernel="torch",
        device_name="a processor",
        architecture="LlamaForCausalLM",
        parameters=6_000_000,
        context_length=1024,
        has_chat_template=False,
        load_s={"reading weights": 0.4},
        memory_bytes=400_000_000,
        notes=("A note.",),
    )


def answer(timing: Timing = "in turn") -> Answer:
    verified = loaded(Precision.INT8, Precision.INT8).verified
    stamp = Stamp(
        model="<i>m</i>",
        folder="/m",
        commit="0123456789",
        requested_precision=Precision.INT8,
        verified=verified,
        kernel="torch",
        decoder="cached loop, fused step",
        device="cpu",
        device_name="a processor",
        threads=2,
        versions={"torch": "2.13.0"},
        options=GenerationOptions(),
        timing=timing,
        created="2025-01-01T00:00:00Z",
        step_seconds={"model's forward": 0.0041, "fused step": 0.00074},
    )
    return Answer(
        text="x",
        token_ids=(1, 2),
        prompt_tokens=3,
        times=(0.1, 0.2),
        prefill_s=0.1,
        stop_reason="length",
        peak_memory_bytes=1,
        stamp=stamp,
    )


@pytest.fixture
def lane(qtbot: QtBot) -> LaneView:
    view = LaneView()
    qtbot.addWidget(view)
    view.resize(360, 420)
    reasons = dict.fromkeys(Precision, "")
    reasons[Precision.GPTQ] = REASON
    available = Availability("a & b", reasons, (("cpu", "a CPU"),))
    view.show_config(LaneConfig(precision=Precision.INT8), available)
    view.show()
    return view


def test_an_unavailable_precision_says_why(lane: LaneView) -> None:
    combo = lane.header.precision
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    item = model.item(combo.findData("gptq"))
    assert not item.isEnabled()
    assert item.toolTip() == REASON
    assert REASON in item.accessibleText()
    assert model.item(combo.findData("bf16")).isEnabled()
    assert combo.shown_text() == "int8"


def test_choices_emit_only_when_the_user_makes_them(lane: LaneView, qtbot: QtBot) -> None:
    combo = lane.header.precision
    available = Availability("m", dict.fromkeys(Precision, ""), (("cpu", "a CPU"),))
    with qtbot.assertNotEmitted(lane.header.configChosen):
        lane.show_config(LaneConfig(), available)
    combo.setFocus()
    with qtbot.waitSignal(lane.header.configChosen) as chosen:
        qtbot.keyClick(combo, Qt.Key.Key_Down)
        qtbot.keyClick(combo.view(), Qt.Key.Key_Down)
        qtbot.keyClick(combo.view(), Qt.Key.Key_Return)
    assert chosen.args == [LaneConfig(precision=Precision.FP16)]


def test_an_unavailable_precision_cannot_be_chosen(lane: LaneView, qtbot: QtBot) -> None:
    combo = lane.header.precision
    qtbot.keyClick(combo, Qt.Key.Key_End)
    combo.view().setCurrentIndex(combo.model().index(combo.findData("gptq"), 0))
    qtbot.keyClick(combo.view(), Qt.Key.Key_Return)
    assert combo.currentData() == "int8"


def test_loading_shows_phase_clock_and_bar(lane: LaneView, qtbot: QtBot) -> None:
    state = LaneState(
        stage=Stage.LOADING, activity=Activity.READING_WEIGHTS, fraction=0.42, since=10.0
    )
    lane.show_state(state, 13.24)
    assert lane.status.full_text() == "reading weights · 3.2 s · 42%"
    assert lane.bar.accessibleDescription() == "42%"
    assert lane.cancel_button.isVisible()
    assert lane.cancel_button.text() == "Cancel"
    assert not lane.header.load_button.isEnabled()
    with qtbot.waitSignal(lane.commanded) as commanded:
        lane.cancel_button.click()
    assert commanded.args == [LaneCommand.CANCEL]
    lane.show_state(state, 75.0)
    assert "1:05 min" in lane.status.full_text()


def test_generating_offers_stop(lane: LaneView) -> None:
    state = LaneState(stage=Stage.GENERATING, activity=Activity.GENERATING, since=1.0)
    lane.show_state(state, 1.5)
    assert lane.cancel_button.text() == "Stop"
    lane.show_state(LaneState(stage=Stage.READY), 2.0)
    assert not lane.cancel_button.isVisible()


def test_the_badge_of_a_mixture_has_its_shares(lane: LaneView) -> None:
    mixed = msgspec.structs.replace(
        loaded(Precision.INT8, Precision.BF16).verified,
        weights={"bf16": 94_000, "int8": 6_000, "fp32": 10},
        unquantized="experts are not quantized by bitsandbytes",
    )
    model = msgspec.structs.replace(loaded(Precision.INT8, Precision.BF16), verified=mixed)
    lane.show_state(LaneState(stage=Stage.READY, loaded=model), 0.0)
    assert lane.badge.full_text() == "bf16 94%, int8 6.0%"
    assert lane.badge.property("bad") is True
    assert "experts are not quantized by bitsandbytes" in lane.badge.toolTip()
    # In a narrow lane it leaves out what matters less, and cuts no word.
    lane.resize(lane.minimumWidth(), 420)
    running = LaneState(stage=Stage.GENERATING, activity=Activity.GENERATING, loaded=model)
    lane.show_state(running, 0.0)
    assert lane.badge.text() in ("bf16 94% …", "bf16 94%", "bf16")
    assert lane.badge.accessibleName() == "Verified precision: bf16 94%, int8 6.0%"
    other = loaded(Precision.INT8_WEIGHT_ONLY, Precision.BF16)
    lane.show_state(replace(running, loaded=other), 0.0)
    assert lane.badge.full_text() == "bf16, not int8 weight-only"
    assert lane.badge.text() == "bf16"


def test_a_narrow_lane_keeps_the_words_that_matter(lane: LaneView) -> None:
    lane.resize(lane.minimumWidth(), 420)
    model = loaded(Precision.INT8, Precision.INT8)
    state = LaneState(stage=Stage.GENERATING, activity=Activity.GENERATING, since=1.0, loaded=model)
    lane.show_state(state, 4.2)
    assert lane.badge.isVisible()
    assert lane.badge.text() == "int8"
    assert lane.status.text().startswith("3.2 s")
    assert lane.status.toolTip() == "generating · 3.2 s"
    long = loaded(Precision.INT8_WEIGHT_ONLY, Precision.INT8_WEIGHT_ONLY)
    lane.show_state(replace(state, loaded=long), 4.2)
    assert lane.badge.isVisible()
    assert lane.status.text().startswith("3.2 s")
    lane.show_answer(answer("together"))
    lane.show_headroom(999_889, "")
    assert lane.caveat.isVisible()
    assert lane.caveat.width() >= lane.caveat.sizeHint().width()
    lane.show_answer(answer())
    assert lane.stamp.text().startswith("2 tokens (limit)")
    assert lane.headroom.text() == "999,889 left"


def test_badge_counts_and_a_mismatch_is_red(lane: LaneView) -> None:
    lane.show_state(
        LaneState(stage=Stage.READY, loaded=loaded(Precision.INT8, Precision.INT8)), 0.0
    )
    assert lane.badge.full_text() == "int8"
    assert not lane.badge.property("bad")
    assert "42 linear layers int8 (bitsandbytes)" in lane.badge.toolTip()
    assert "4.00 MB in int8" in lane.badge.toolTip()
    assert "lm_head" in lane.badge.accessibleDescription()
    lane.show_state(
        LaneState(stage=Stage.READY, loaded=loaded(Precision.INT8, Precision.BF16)), 0.0
    )
    assert lane.badge.full_text() == "bf16, not int8"
    assert lane.badge.property("bad") is True
    assert "really running: bf16." in lane.badge.toolTip()
    # It stays in sight while a narrow lane generates.
    lane.resize(220, 420)
    running = LaneState(
        stage=Stage.GENERATING,
        activity=Activity.GENERATING,
        loaded=loaded(Precision.INT8, Precision.BF16),
    )
    lane.show_state(running, 0.0)
    assert lane.badge.isVisible()


def test_a_failure_shows_its_remedy_and_details_on_request(lane: LaneView, qtbot: QtBot) -> None:
    failure = Failure("The <b>engine</b> was killed.", "Load it again.", "the log")
    lane.show_state(LaneState(stage=Stage.FAILED, failure=failure), 0.0)
    assert lane.failure.isVisible()
    assert lane.failure.accessibleName() == "Failure: The <b>engine</b> was killed."
    lane.details_button.click()
    dialog = lane.findChild(DetailsDialog)
    assert dialog is not None
    assert dialog.text.toPlainText() == "the log"
    dialog.close()
    lane.show_state(LaneState(), 0.0)
    assert not lane.failure.isVisible()


def test_a_refusal_for_lack_of_memory_offers_to_load_anyway(lane: LaneView, qtbot: QtBot) -> None:
    lane.show_state(LaneState(stage=Stage.FAILED, failure=Failure("Broken.")), 0.0)
    assert not lane.anyway_button.isVisibleTo(lane)
    refused = Failure("It takes 9 GB.", "Choose fewer bits.", may_insist=True)
    lane.show_state(LaneState(stage=Stage.FAILED, failure=refused), 0.0)
    assert lane.anyway_button.isVisibleTo(lane)
    with qtbot.waitSignal(lane.commanded) as commanded:
        lane.anyway_button.click()
    assert commanded.args == [LaneCommand.LOAD]


def test_the_headroom_is_shown_under_the_text(lane: LaneView) -> None:
    lane.show_headroom(1000, headroom_tip(24, 1024, 2000, 8_000_000))
    assert lane.headroom.text() == "context: 1,000 left"
    assert lane.headroom.toolTip().splitlines() == [
        "Context: 24 of 1,024 tokens used",
        "Memory: 8.00 MB free, 2.00 kB of KV cache for each token",
    ]
    assert headroom_text(0) == "context full"
    lane.show_headroom(None, "")
    assert not lane.headroom.isVisibleTo(lane)


def test_freed_memory_and_hints(lane: LaneView) -> None:
    lane.show_state(LaneState(freed="400 MB came back"), 0.0)
    assert lane.status.full_text() == "400 MB came back"
    assert "Ctrl+Enter" in lane.stream.accessibleDescription()


def test_load_button_follows_the_state(lane: LaneView, qtbot: QtBot) -> None:
    with qtbot.waitSignal(lane.commanded) as commanded:
        lane.header.load_button.click()
    assert commanded.args == [LaneCommand.LOAD]
    lane.show_state(
        LaneState(stage=Stage.READY, loaded=loaded(Precision.INT8, Precision.INT8)), 0.0
    )
    assert lane.header.load_button.accessibleName() == "Unload"
    with qtbot.waitSignal(lane.commanded) as commanded:
        lane.header.load_button.click()
    assert commanded.args == [LaneCommand.UNLOAD]


def test_every_entry_of_the_menus_is_a_command(lane: LaneView, qtbot: QtBot) -> None:
    lane.show_state(
        LaneState(stage=Stage.READY, loaded=loaded(Precision.INT8, Precision.INT8)), 0.0
    )
    seen = []
    for action in (*lane.header.menu.actions(), *lane.header.places.actions()):
        if isinstance(action.data(), LaneCommand):
            assert action.text()
            with qtbot.waitSignal(lane.commanded) as commanded:
                action.trigger()
            assert commanded.args == [action.data()]
            seen.append(action.data())
    with qtbot.waitSignal(lane.commanded) as commanded:
        lane.failure.review_button.click()
    assert commanded.args == [LaneCommand.REVIEW_CODE]
    seen.append(LaneCommand.REVIEW_CODE)
    buttons = {LaneCommand.CHOOSE_MODEL, LaneCommand.LOAD, LaneCommand.CANCEL}
    assert set(LaneCommand) == {*seen, *buttons, LaneCommand.OPEN_FOLDER}
    assert len(seen) == len(set(seen))


def test_stamp_is_shown_plain_and_warns_of_shared_devices(lane: LaneView) -> None:
    lane.show_answer(answer("together"))
    assert lane.caveat.text() == "not comparable"
    assert "ran concurrently" in lane.caveat.toolTip()
    assert lane.stamp.textFormat() == Qt.TextFormat.PlainText
    assert "torch 2.13.0" in stamp_text(answer())
    assert "0123456789" in stamp_text(answer())
    assert lane.stamp.full_text().startswith("2 tokens (limit) · ")
    assert "reached the limit of 128 tokens" in stamp_text(answer())
    timed = "cached loop, fused step (timed at load, a token: model's forward 4.10 ms, fused step "
    assert f"Decoder: {timed}0.740 ms)" in stamp_text(answer())
    lane.clear_answer()
    assert lane.stamp.full_text() == ""
    assert lane.caveat.isHidden()
    lane.show_answer(answer())
    assert lane.caveat.isHidden()


def test_folders_and_files_are_dropped_as_copies(
    lane: LaneView, qtbot: QtBot, tmp_path: Path
) -> None:
    weights, other = tmp_path / "model.safetensors", tmp_path / "other"
    weights.touch()
    other.mkdir()
    dragged = files([tmp_path, weights, other])
    for inside in (lane, lane.header, lane.stream):
        assert drag(dragged, inside).isAccepted()
        assert lane.property("dropping")
        leave(inside)
        assert not lane.property("dropping")
        with qtbot.waitSignal(lane.foldersDropped) as caught:
            assert drop(dragged, inside) == Qt.DropAction.CopyAction
        assert caught.args == [[tmp_path, other]]
    for refused, actions in ((dragged, Qt.DropAction.MoveAction), (words("a text"), COPY_OR_MOVE)):
        with qtbot.assertNotEmitted(lane.foldersDropped):
            assert drop(refused, lane, actions) == Qt.DropAction.IgnoreAction
        assert not lane.property("dropping")


def test_figures_in_words() -> None:
    assert [size_text(n) for n in (None, 999, 1_000, 13_240_000)] == [
        "–", "999 B", "1.00 kB", "13.2 MB",
    ]  # fmt: skip
    assert [seconds_text(s) for s in (None, 0.0342, 1.5, 90)] == [
        "–",
        "34.2 ms",
        "1.50 s",
        "90.0 s",
    ]
    assert clock_text(59.94) == "59.9 s"


def test_nf4_on_a_processor_that_unpacks_it_says_so_beforehand(lane: LaneView) -> None:
    combo = lane.header.precision
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    reasons = dict.fromkeys(Precision, "")
    for device, capability, slow in [
        ("cpu", "avx2 avx512f avx512_vnni", True),
        ("cpu", "avx2 avx512f avx512_bf16", False),
        ("cuda:0", "9.0", False),
        ("cpu", "", False),  # not known yet
    ]:
        config = LaneConfig(precision=Precision.NF4, device=device)
        available = Availability("m", reasons, ((device, "a device"),), capability)
        lane.show_config(config, available)
        item = model.item(combo.findData("nf4"))
        assert item is not None
        assert item.isEnabled()
        assert ("slow on this processor" in item.accessibleText()) is slow
        assert ("slow on this processor" in combo.toolTip()) is slow


@pytest.mark.parametrize(
    ("reason", "words", "short"),
    [
        ("length", "reached the limit of 128 tokens", "limit"),
        ("eos", "ended by the model", "ended by the model"),
        ("stop string", "reached a stop string", "stop string"),
        ("cancelled", "stopped before its end", "stopped"),
        ("context full", "filled the model's context", "context full"),
    ],
)
def test_why_an_answer_ended_is_put_into_words(reason: str, words: str, short: str) -> None:
    ended = msgspec.structs.replace(answer(), stop_reason=reason)
    assert ended.ending == words
    assert stamp_line(ended).startswith(f"2 tokens ({short}) · ")
    assert words in stamp_text(ended)
