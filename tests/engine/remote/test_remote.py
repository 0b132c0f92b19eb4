"""The remote engine against a scripted server: what servers tell, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from playground.client.environments import process_of
from playground.client.session import Session
from playground.core.environments import REMOTE
from playground.core.errors import PlaygroundError
from playground.core.facts import Answer, LoadedModel, LoadRequest
from playground.core.generation import ChatPrompt, GenerationOptions, Message, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import Event, Progress, Tokens
from playground.core.servers import CountedBy, ServerKind, ServerRequest
from playground.engine.remote import connection
from tests.support.model_server import (
    HANG,
    ModelServer,
    Reply,
    events,
    json_reply,
    model_server,
    text_chunk,
)

TEXT, TALK = "/v1/completions", "/v1/chat/completions"
PROMPT = RawPrompt("The sea")
SHORT = events(text_chunk(" is"), text_chunk("", "length"))
#: Two tokens for the probe, and whatever a test answers then.
PROBED = (SHORT, SHORT)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


class Client:
    """A session on the server, with all its events."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.events: list[Event] = []
        self.session = Session(self.events.append, process_of(REMOTE, ()))

    def load(self, model: str = "tiny", key: str = "") -> LoadedModel:
        request = LoadRequest(
            name=model,
            folder="",
            commit="",
            precision=Precision.SERVER,
            server=ServerRequest(url=self.server.url, key=key),
        )
        return self.session.load(request)

    def generate(self, prompt: RawPrompt | ChatPrompt = PROMPT, **options: object) -> Answer:
        return self.session.generate(prompt, GenerationOptions(**options))  # type: ignore[arg-type]

    @property
    def tokens(self) -> list[Tokens]:
        return [event for event in self.events if isinstance(event, Tokens)]


@pytest.fixture
def client(server: ModelServer) -> Iterator[Client]:
    client = Client(server)
    with client.session:
        yield client


def refusal(client: Client, **options: object) -> PlaygroundError:
    with pytest.raises(PlaygroundError) as caught:
        client.generate(**options)  # type: ignore[arg-type]
    return caught.value


def test_the_child_imports_neither_torch_nor_qt(client: Client) -> None:
    client.session.ready()
    with open(f"/proc/{client.session.engine.pid}/maps", encoding="utf-8") as file:  # noqa: PTH123
        mapped = file.read()
    assert "python" in mapped
    assert "libtorch" not in mapped
    assert "Qt6" not in mapped


def test_what_an_unknown_server_told_is_known(client: Client, server: ModelServer) -> None:
    server.answers(TEXT, SHORT)
    loaded = client.load()
    facts = loaded.server
    assert facts is not None
    assert (facts.kind, facts.completions, facts.chat) == (ServerKind.UNKNOWN, True, False)
    assert facts.counted_by is CountedBy.CHUNKS
    assert {"top_k", "min_p", "repetition_penalty", "top"} <= set(facts.lacks)
    assert not loaded.mismatch
    answer = client.generate()
    assert (answer.text, answer.stop_reason) == (" is", "length")
    assert answer.count is not None
    assert (answer.count.by, answer.generated_tokens) == (CountedBy.CHUNKS, 0)
    assert answer.stamp.timed_by == "arrival"


def test_token_ids_count_and_share_their_chunks_time(client: Client, server: ModelServer) -> None:
    models = {"data": [{"id": "tiny", "owned_by": "vllm", "max_model_len": 512}]}
    server.answers("/v1/models", json_reply(models))
    server.answers("/version", json_reply({"version": "0.9.1"}))
    server.answers(
        TEXT,
        events(
            text_chunk(" is a", token_ids=[5, 6]),
            text_chunk(" sea", token_ids=[7]),
            text_chunk("", "length"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 3}},
        ),
    )
    loaded = client.load()
    assert loaded.kernel == "vLLM 0.9.1"
    assert loaded.context_length == 512
    answer = client.generate(max_new_tokens=3)
    assert answer.token_ids == (5, 6, 7)
    assert answer.count is not None
    assert (answer.count.by, answer.per_token) == (CountedBy.TOKEN_IDS, True)
    assert answer.times[0] == answer.times[1] < answer.times[2]
    assert [batch.texts for batch in client.tokens] == [(" is a", ""), (" sea",)]
    assert answer.prompt_tokens == 3
    sent = server.asked(TEXT)[-1]
    assert (sent["temperature"], sent["top_k"], sent["min_p"]) == (0, -1, 0.0)
    assert (sent["repetition_penalty"], sent["top_p"]) == (1.0, 1.0)
    assert server.asked(TEXT)[-2]["cache_salt"] != sent["cache_salt"]


def test_log_probabilities_count_and_give_alternatives(client: Client, server: ModelServer) -> None:
    first = {
        "tokens": [" is"],
        "token_logprobs": [-0.25],
        "top_logprobs": [{" was": -2.0, " is": -0.25}],
    }
    server.answers(TEXT, events(text_chunk(" is", logprobs=first), text_chunk("", "stop")))
    assert client.load().server.top_logprobs == 2  # type: ignore[union-attr]
    answer = client.generate(top=2)
    assert answer.count is not None
    assert (answer.count.by, answer.stop_reason) == (CountedBy.LOGPROBS, "eos")
    detail = client.tokens[0].details[0]
    assert (detail.logprob, detail.rank) == (-0.25, 1)
    assert [alternative.text for alternative in detail.top] == [" is", " was"]
    assert server.asked(TEXT)[-1]["logprobs"] == 2


@pytest.mark.parametrize(("told", "per_token"), [(2, True), (3, False)])
def test_usage_alone_tells_a_total(
    client: Client, server: ModelServer, told: int, per_token: bool
) -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": told}
    end = text_chunk("", "length") | {"usage": usage}
    server.answers(TEXT, events(text_chunk(" is"), text_chunk(" a"), end))
    client.load()
    answer = client.generate(max_new_tokens=told)
    assert answer.generated_tokens == told
    assert answer.per_token is per_token


def test_a_conversation_goes_to_its_own_path(client: Client, server: ModelServer) -> None:
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    word = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    server.answers(TALK, events(role, word, end))
    loaded = client.load()
    assert (loaded.has_chat_template, loaded.server.completions) == (True, False)  # type: ignore[union-attr]
    answer = client.generate(ChatPrompt((Message("user", "Hi"),)))
    assert (answer.text, len(answer.times)) == ("Hello", 1)
    assert server.asked(TALK)[-1]["messages"] == [{"role": "user", "content": "Hi"}]
    error = refusal(client)
    assert str(error).startswith("This server only holds conversations")


def test_an_option_that_the_server_lacks_is_refused(client: Client, server: ModelServer) -> None:
    server.answers(TEXT, SHORT)
    client.load()
    assert "takes no top-k, which is 50" in refusal(client, greedy=False).message
    assert client.generate(greedy=False, top_k=0).text == " is"
    assert server.asked(TEXT)[-1]["temperature"] == 0.8


def test_a_stop_string_closes_the_connection(client: Client, server: ModelServer) -> None:
    lasting = Reply(
        [*events(text_chunk(" one. "), text_chunk("Two."), done=False).pieces, HANG],
        headers={"content-type": "text/event-stream"},
    )
    server.answers(TEXT, SHORT, lasting)
    client.load()
    answer = client.generate(stop=(". T",))
    assert (answer.text, answer.stop_reason) == (" one", "stop string")
    assert server.left.wait(60)


def test_a_cancel_closes_the_connection_and_keeps_the_text(
    client: Client, server: ModelServer
) -> None:
    lasting = Reply(
        [*events(text_chunk(" one"), done=False).pieces, HANG],
        headers={"content-type": "text/event-stream"},
    )
    server.answers(TEXT, SHORT, lasting, SHORT)
    client.load()
    observe = client.session.observe

    def interrupt(event: Event) -> None:
        observe(event)
        if isinstance(event, Tokens):
            client.session.interrupt()

    client.session.observe = interrupt
    answer = client.generate()
    assert (answer.text, answer.stop_reason) == (" one", "cancelled")
    assert server.left.wait(60)
    client.session.observe = observe


PAGE = Reply([b"<!doctype html><title>Log in</title>"], headers={"content-type": "text/html"})


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (json_reply({"error": {"message": "no such key"}}, 401), "The server refused the key."),
        (json_reply({"detail": "gone"}, 404), 'what it was asked for: "gone".'),
        (json_reply({"message": "bad"}, 400), 'refused the request (status 400): "bad".'),
        (Reply([b"Traceback"], 500), 'The server failed (status 500): "Traceback".'),
        (Reply([], 302, {"location": "http://elsewhere/"}), "sends its visitors on"),
        (PAGE, "A web page answered"),
        (json_reply({"text": "all at once"}), "did not stream its answer"),
        (events("{broken"), "no part of an answer"),
        (events("[1, 2]"), "no part of an answer"),
        (events({"error": "out of memory"}), 'gave up the answer: "out of memory".'),
        (events(text_chunk(" is"), done=False), "ended the answer in the middle"),
        (
            Reply(
                [*events(text_chunk(" is"), done=False).pieces, b""],
                headers={"content-type": "text/event-stream"},
            ),
            "broke in the middle of the answer",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_a_sentence_and_the_next_answer_comes(
    client: Client, server: ModelServer, reply: Reply, words: str
) -> None:
    server.answers(TEXT, SHORT, reply, SHORT)
    client.load()
    error = refusal(client)
    assert words in error.message
    assert error.remedy
    assert client.generate().text == " is"


def test_a_busy_server_is_asked_again_before_the_first_byte(
    client: Client, server: ModelServer
) -> None:
    busy = json_reply({"error": "busy"}, 429, retry_after="0")
    server.answers(TEXT, SHORT, busy, busy, SHORT)
    client.load()
    assert client.generate().text == " is"
    said = [e.detail for e in client.events if isinstance(e, Progress) and "no more" in e.detail]
    assert said == ["The server takes no more requests at the moment. Trying again in 1 s."]


def test_a_model_that_is_not_there_names_those_that_are(
    client: Client, server: ModelServer
) -> None:
    server.answers(TEXT, json_reply({"error": "unknown model"}, 404))
    with pytest.raises(PlaygroundError) as caught:
        client.load("other")
    assert str(caught.value) == (
        "The server does not answer for a model other. Choose one of: tiny."
    )


def test_a_key_goes_to_its_server_and_does_not_come_back(
    client: Client, server: ModelServer
) -> None:
    server.answers(TEXT, SHORT)
    loaded = client.load(key="secret-key")
    assert {headers["authorization"] for _, _, headers in server.requests} == {"bearer secret-key"}
    assert "secret-key" not in repr(loaded)
    assert "secret-key" not in repr(client.generate())


def test_a_server_does_no_engines_work(client: Client, server: ModelServer) -> None:
    from playground.core.scoring import ScoreRequest

    server.answers(TEXT, SHORT)
    client.load()
    with pytest.raises(PlaygroundError, match="A server cannot do this"):
        client.session.score(ScoreRequest(text="The sea"))


def test_nobody_there(client: Client, server: ModelServer) -> None:
    server.url = "http://127.0.0.1:1/v1"
    with pytest.raises(PlaygroundError, match="There is no server at this address"):
        client.load()


def test_silence_is_said_and_at_last_given_up(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "QUIET_S", 0.01)
    monkeypatch.setattr(connection, "GIVE_UP_S", 0.03)
    server.answers(TEXT, Reply([HANG], headers={"content-type": "text/event-stream"}))
    said: list[float] = []

    async def ask() -> None:
        client = connection.Connection(ServerRequest(url=server.url))
        try:
            async with client.stream("/completions", {}, lambda _: None) as stream:
                async for _ in stream.events(said.append):
                    raise AssertionError
        finally:
            await client.close()

    with pytest.raises(PlaygroundError, match="has sent nothing for"):
        asyncio.run(ask())
    assert said == pytest.approx([0.01, 0.02])
    assert server.left.wait(60)
