"""Events on a real pipe: their order, the batches, and the last tokens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from playground.core.protocol import Activity, Event, Progress, Tokens, event_decoder
from playground.engine.wire.sender import BATCH_S, Sender


class Pipe:
    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.sender = Sender(writer)
        self.decoder = event_decoder()
        self.events: list[Event] = []

    def read(self, until_tokens: int) -> list[Event]:
        """Return all events once `until_tokens` tokens have arrived."""
        while sum(len(e.ids) for e in self.events if isinstance(e, Tokens)) < until_tokens:
            self.events += self.decoder.feed(os.read(self.reader, 1 << 16))
        return self.events


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reader)


def test_fast_tokens_go_in_batches_and_in_order(pipe: Pipe) -> None:
    began = time.monotonic()
    for i in range(2000):
        pipe.sender.token(1, i, str(i), i / 1000)
    pipe.sender.send(Progress(Activity.GENERATING))
    events = pipe.read(2000)
    batches = [e for e in events if isinstance(e, Tokens)]
    assert [i for b in batches for i in b.ids] == list(range(2000))
    assert [t for b in batches for t in b.times] == [i / 1000 for i in range(2000)]
    assert "".join(t for b in batches for t in b.texts) == "".join(map(str, range(2000)))
    # One at once, one in each BATCH_S, and what is left at the end.
    assert len(batches) <= 2 + (time.monotonic() - began) / BATCH_S
    assert isinstance(events[-1], Progress)


def test_a_lone_token_is_sent_at_once_and_a_delayed_one_soon(pipe: Pipe) -> None:
    pipe.sender.token(1, 1, "a", 0.1)
    pipe.sender.token(1, 2, "b", 0.1 + BATCH_S / 4)
    # Nothing follows: the second one comes without another call.
    batches = pipe.read(2)
    assert [e.ids for e in batches if isinstance(e, Tokens)] == [(1,), (2,)]


def test_requests_are_not_mixed(pipe: Pipe) -> None:
    for request_id in (1, 2):
        for token_id in range(3):
            pipe.sender.token(request_id, token_id, "", 0.0)
    batches = [e for e in pipe.read(6) if isinstance(e, Tokens)]
    assert [(b.request_id, i) for b in batches for i in b.ids] == [
        (r, i) for r in (1, 2) for i in range(3)
    ]
