"""What a kept run's lanes show again: their conversations and generations, as values."""

from __future__ import annotations

from playground.core.generation import ChatPrompt, Prompt
from playground.core.settings import MAX_LANES
from playground.core.trace import LatencyTrace
from playground.gui.lanes.content import LaneContent
from playground.gui.lanes.conversation import Conversation, Exchange
from playground.gui.lanes.generation import Generation
from playground.history.records import KeptAnswer, KeptRun

#: The number of every kept run among the window's: before the first.
_BEFORE = -1


def contents_of(run: KeptRun, *, answers: bool = True) -> tuple[LaneContent, ...]:
    """Return what each lane of a run shows, for as many lanes as the window has.

    Without `answers` only the turns before the run's prompt are shown.
    """
    return tuple(
        _content(run, next(iter(run.answers_of(position)), None), answers)
        for position in range(min(len(run.request.lanes), MAX_LANES))
    )


def _content(run: KeptRun, kept: KeptAnswer | None, answers: bool) -> LaneContent:
    if kept is None:
        return LaneContent()
    earlier = _earlier(kept.prompt)
    if not answers:
        return LaneContent(Conversation(earlier))
    request = run.request
    exchange = Exchange(request.mode, request.typed, kept.prompt, kept.text, kept.answer)
    generation = Generation(
        request_id=0,
        config=request.lanes[kept.position],
        prompt=kept.prompt,
        options=request.options,
        timing=request.timing,
        floor=kept.floor,
        trace=LatencyTrace(kept.tokens.times),
        ids=list(kept.tokens.ids),
        texts=list(kept.tokens.texts),
        prompt_tokens=kept.answer.prompt_tokens if kept.answer else 0,
        started=True,
        ended=True,
        answer=kept.answer,
        disturbances=dict.fromkeys(kept.answer.stamp.disturbed_by) if kept.answer else {},
    )
    return LaneContent(Conversation((*earlier, exchange)), generation, _BEFORE)


def _earlier(prompt: Prompt) -> tuple[Exchange, ...]:
    """Return the turns of a conversation before its last message."""
    if not isinstance(prompt, ChatPrompt):
        return ()
    turns = [(n, m) for n, m in enumerate(prompt.messages[:-1]) if m.role != "system"]
    return tuple(
        Exchange(
            "chat",
            user.content,
            ChatPrompt(prompt.messages[: number + 1]),
            answer.content,
            kept=True,
        )
        for (number, user), (_, answer) in zip(turns[::2], turns[1::2], strict=False)
    )
