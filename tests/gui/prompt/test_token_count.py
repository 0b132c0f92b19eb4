"""The tokens of the prompt that is being typed, in each lane's tokenizer."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings
from playground.gui.lanes.text import headroom_text
from tests.gui.support import LONG, MakeWindow


def test_the_count_is_that_of_the_answer_to_come(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(
        real=True,
        settings=Settings(
            lanes=(LaneConfig(precision=Precision.FP32),),
            options=GenerationOptions(max_new_tokens=2),
        ),
    )
    presenter = playground.lanes.presenters[0]
    playground.window.prompt.set_prompt_text("Once upon a time there was")
    presenter.lane.load()
    qtbot.waitUntil(lambda: presenter.lane.state.stage is Stage.READY, timeout=LONG)
    headroom = presenter.view.headroom
    qtbot.waitUntil(lambda: headroom.text().startswith("prompt "), timeout=LONG)
    count = int(headroom.text().split()[1])
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.run()
    answer = presenter.last_answer
    assert answer is not None
    assert answer.prompt_tokens == count
    playground.window.prompt.set_prompt_text("word " * 3000)
    qtbot.waitUntil(lambda: headroom.text().endswith("too long"), timeout=LONG)
    playground.window.prompt.set_prompt_text("")
    qtbot.waitUntil(lambda: headroom.text().startswith("context: "), timeout=LONG)


def test_the_words_for_what_is_left() -> None:
    assert headroom_text(None) == ""
    assert headroom_text(None, 7) == "prompt 7"
    assert headroom_text(900, 100) == "prompt 100 · 900 left"
    assert headroom_text(900, 100, narrow=True) == "100 + 900 left"
    assert headroom_text(100, 100) == "prompt 100: too long"
    assert headroom_text(0) == "context full"
