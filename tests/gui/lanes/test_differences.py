"""The reference lane, and what the others say and mark of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextCursor
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.protocol import Tokens
from playground.gui.lanes.conversation import Conversation
from playground.gui.lanes.differences import DifferencesController
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.lane_view import LaneView
from playground.gui.lanes.stream_view import StreamView


@dataclass
class Lane:
    config: LaneConfig


@dataclass(eq=False)
class Presenter:
    """What a presenter shows of a lane: a real view, conversation and generation."""

    view: LaneView
    lane: Lane
    conversation: Conversation = field(default_factory=Conversation)
    generation: Generation | None = None
    changed: QObject | None = None

    def answer(self, typed: str, *texts: str, ended: bool = True) -> None:
        """Let the lane answer with these tokens."""
        self.conversation = Conversation().asked("raw", typed).with_text("".join(texts))
        self.view.stream.begin_turn("prompt", typed)
        self.view.stream.append("".join(texts))
        generation = Generation(
            1, self.lane.config, RawPrompt(typed), GenerationOptions(), "in turn", ended=ended
        )
        ids = tuple(hash(text) for text in texts)
        generation.take([Tokens(1, ids, texts, tuple(map(float, range(len(texts)))))])
        self.generation = generation


class Presenters(QObject):
    """The signals and the list that the controller uses of the window's lanes."""

    added = Signal(object)
    removed = Signal(object)
    arranged = Signal()
    streamed = Signal(object)

    def __init__(self, presenters: Sequence[Presenter]) -> None:
        super().__init__()
        self.presenters = list(presenters)


def lanes_of(qtbot: QtBot, *precisions: Precision) -> Presenters:
    presenters = []
    for precision in precisions:
        view = LaneView()
        qtbot.addWidget(view)
        presenters.append(Presenter(view, Lane(LaneConfig(ModelSpec("m"), precision))))
    return Presenters(presenters)


def marked(stream: StreamView) -> list[str]:
    """Return the marked texts, the first token that differs last."""
    found = []
    for selection in stream.extraSelections():
        cursor: QTextCursor = selection.cursor
        found.append(cursor.selectedText())
    return found


def test_the_highest_precision_is_the_reference_until_another_is_chosen(qtbot: QtBot) -> None:
    lanes = lanes_of(qtbot, Precision.INT8, Precision.BF16, Precision.GPTQ)
    differences = DifferencesController(lanes)  # type: ignore[arg-type]
    int8, bf16, gptq = lanes.presenters
    assert differences.reference is bf16
    differences.choose(gptq)  # type: ignore[arg-type]
    assert differences.reference is gptq
    stars = [p.view.header.star.accessibleName() for p in lanes.presenters]
    assert [star.startswith("The other lanes are compared") for star in stars] == [
        False,
        False,
        True,
    ]
    lanes.presenters.remove(gptq)
    lanes.removed.emit(gptq)
    assert differences.reference is bf16
    assert int8.view.difference.isHidden()


def test_a_lane_says_how_far_it_agrees_and_marks_where_it_differs(qtbot: QtBot) -> None:
    lanes = lanes_of(qtbot, Precision.BF16, Precision.INT8, Precision.GPTQ)
    differences = DifferencesController(lanes)  # type: ignore[arg-type]
    bf16, int8, gptq = lanes.presenters
    bf16.answer("A", " red", " fox", " ran 😀", " home")
    int8.answer("A", " red", " fox", " ran 😀", " home")
    gptq.answer("A", " red", " cat", " ran 😀", " away")
    differences.update_all()
    assert bf16.view.difference.isHidden()
    assert int8.view.difference.full_text() == "the same 4 tokens as bf16"
    assert gptq.view.difference.full_text() == "agrees with bf16 for 1 of 4 tokens"
    assert marked(int8.view.stream) == []
    assert marked(gptq.view.stream) == ["cat", "away", " cat"]
    differences.set_enabled(False)
    assert marked(gptq.view.stream) == []
    assert gptq.view.difference.isHidden()
    assert gptq.view.header.star.isHidden()


def test_nothing_is_marked_before_the_end_nor_of_another_prompt(qtbot: QtBot) -> None:
    lanes = lanes_of(qtbot, Precision.BF16, Precision.INT8)
    differences = DifferencesController(lanes)  # type: ignore[arg-type]
    bf16, int8 = lanes.presenters
    bf16.answer("A", " red", " fox")
    int8.answer("A", " red", ended=False)
    differences.update_all()
    assert int8.view.difference.full_text() == "agrees with bf16 so far, 1 token"
    int8.answer("A", " red", " cat", ended=False)
    differences.update_all()
    assert int8.view.difference.full_text() == "agrees with bf16 for 1 of 2 tokens"
    assert marked(int8.view.stream) == []
    int8.answer("B", " red", " cat")
    differences.update_all()
    assert int8.view.difference.isHidden()


def test_marks_lie_right_in_long_paragraphs_and_follow_the_theme(qtbot: QtBot) -> None:
    lanes = lanes_of(qtbot, Precision.BF16, Precision.INT8)
    differences = DifferencesController(lanes)  # type: ignore[arg-type]
    bf16, int8 = lanes.presenters
    start = " 漢😀 word" * 700  # several breaks of the view lie within
    bf16.answer("A", start, " left\n", "end")
    int8.answer("A", start, " right\n", "end")
    differences.update_all()
    assert marked(int8.view.stream) == ["right", " right\u2029"]
