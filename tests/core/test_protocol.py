"""Messages are read from a stream in any pieces, and other bytes are refused."""

from __future__ import annotations

import io

import pytest

from playground.core.errors import ProtocolError
from playground.core.generation import ChatPrompt, GenerationOptions, Message, RawPrompt
from playground.core.protocol import (
    MAGIC,
    MAX_BODY,
    Activity,
    Cancel,
    Generate,
    Progress,
    Quit,
    Tokens,
    command_decoder,
    encode,
    event_decoder,
)
from playground.core.token_record import Alternative, TokenDetail
from tests.support.frames import read_messages

COMMANDS = [
    Generate(request_id=1, prompt=RawPrompt("a\0b 🙂"), options=GenerationOptions(), sent_at=1.5),
    Generate(
        request_id=2,
        prompt=ChatPrompt((Message("system", "x"), Message("user", "y"))),
        options=GenerationOptions(greedy=False, stop=("\n",)),
        sent_at=2.5,
    ),
    Cancel(request_id=2),
    Quit(),
]
DETAIL = TokenDetail(-0.25, 2, (Alternative(5, "b\ufffd", -0.125), Alternative(4, "a", -0.25)))


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_messages_are_read_from_pieces_of_any_size(piece: int) -> None:
    stream = b"".join(map(encode, COMMANDS))
    decoder = command_decoder()
    received = []
    for start in range(0, len(stream), piece):
        received += decoder.feed(stream[start : start + piece])
    assert received == COMMANDS


def test_messages_end_with_the_stream() -> None:
    events = [Progress(Activity.IMPORTING), Tokens(1, (4,), ("a",), (0.1,), (DETAIL,))]
    stream = io.BytesIO(b"".join(map(encode, events)))
    assert list(read_messages(stream, event_decoder())) == events


@pytest.mark.parametrize(
    "garbage",
    [
        b"Loading checkpoint shards: 100%\n",
        MAGIC + (MAX_BODY + 1).to_bytes(4, "little"),
        MAGIC + (3).to_bytes(4, "little") + b"\xff\xff\xff",
        encode(Cancel(request_id=1)),  # a command is no event
    ],
    ids=["text", "absurd length", "no message pack", "wrong direction"],
)
def test_garbage_is_refused_with_a_sentence(garbage: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(event_decoder().feed(garbage))
    assert caught.value.message.endswith(".")
    assert caught.value.remedy


def test_activities_have_words_for_people_beside_their_data() -> None:
    assert (Activity.IMPORTING.value, Activity.IMPORTING.label) == (
        "importing",
        "starting Python libraries",
    )
    assert Activity.READING_WEIGHTS.label == "reading weights"
