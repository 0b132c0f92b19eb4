"""The CUDA-graph loop on the CPU, where the step runs uncaptured or compiled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from playground.core.generation import GenerationOptions
from playground.engine.cuda_graph.captures import waits_for_host
from playground.engine.cuda_graph.compiled_layers import compiled_layers
from playground.engine.cuda_graph.graph_loop import GraphDecoder
from playground.engine.cuda_graph.graph_step import Capture, FixedStep, StepRunner, uncaptured
from playground.engine.decoding.decoder import Decoder, Tell
from playground.engine.serving.choose_decoder import choose_decoder
from tests.engine.decoders import (
    FUSIBLE,
    assert_as_generate,
    check_a_common_start,
    check_greedy,
    check_sampling,
    decoder_for,
    ids_of,
    make,
    prompt_of,
)

CONTEXT = 2048


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A second thread waits for its core at every layer where another program has it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def captured(
    model: Any, eos: frozenset[int] = frozenset(), capture: Capture = uncaptured
) -> Decoder:
    chosen = choose_decoder(model, eos, CONTEXT, "auto", captures=[capture])
    assert isinstance(chosen.decoder, GraphDecoder)
    assert chosen.note == ""
    return chosen.decoder


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", list(FUSIBLE))
def test_it_chooses_what_generate_chooses(name: str, dtype: torch.dtype) -> None:
    model = make(FUSIBLE[name](), dtype)
    decoder = captured(model)
    assert decoder.name == "CUDA-graph loop, not captured"
    for length in (1, 17):
        check_greedy(decoder, model, prompt_of(length), 40)


def test_a_text_goes_from_bucket_to_bucket() -> None:
    model = make(FUSIBLE["llama"]())
    decoder = captured(model)
    prompt = prompt_of(500)
    told: list[str] = []
    # Once unprepared, so that it grows in the middle of the text, and once prepared.
    check_greedy(decoder, model, prompt, 30)
    assert decoder.prepare(500, 30, told.append, lambda: "") == ""
    assert told == []
    check_greedy(decoder, model, prompt_of(5), 30)
    check_greedy(decoder, model, prompt, 30)
    # A conversation moves to the longer cache, and from the longer one to the shorter.
    first = prompt_of(40)
    answer = ids_of(decoder, first, 10)[0]
    for length in (600, 700, 20):
        longer = [*first, *answer, *prompt_of(length, start=9)]
        found, decoded = ids_of(decoder, longer, 10, reuse=True)
        assert_as_generate(model, longer, found)
        assert decoded.reused >= len(first) + len(answer) - 1


def test_what_a_text_needs_is_captured_before_it_and_told() -> None:
    made: list[int] = []

    def noted(step: FixedStep, tell: Tell) -> StepRunner:
        tell("capturing")
        made.append(step.cache.slots)
        return uncaptured(step, tell)

    decoder = captured(make(FUSIBLE["llama"]()), capture=noted)
    assert made == [512]
    told: list[str] = []
    assert decoder.prepare(10, 100, told.append, lambda: "") == ""
    assert told == []
    assert decoder.prepare(10, 1500, told.append, lambda: "") == ""
    assert made == [512, 1024, 2048]
    each = ["capturing", "comparing with the model's own forward"]
    assert told == ["room for 1,024 tokens", *each, "room for 2,048 tokens", *each]
    ids_of(decoder, prompt_of(1000), 40)
    assert made == [512, 1024, 2048]


def test_preparing_can_be_stopped_and_done_again() -> None:
    decoder = captured(make(FUSIBLE["llama"]()))
    asked = iter(["", "", "cancelled"])
    told: list[str] = []
    assert decoder.prepare(700, 10, told.append, lambda: next(asked, "")) == ""  # only two steps
    asked = iter(["", "cancelled"])
    assert decoder.prepare(1100, 10, told.append, lambda: next(asked)) == "cancelled"
    assert decoder.prepare(1100, 10, told.append, lambda: "") == ""


def test_a_common_start_is_not_read_again() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    check_a_common_start(captured(model), model)


def test_sampling_draws_what_generate_draws() -> None:
    model = make(FUSIBLE["qwen2"](), torch.float32)
    check_sampling(captured(model), decoder_for(model, "generate"))


def test_stops_are_those_of_the_uncaptured_loop() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    prompt = prompt_of(11)
    whole = ids_of(decoder_for(model), prompt, 12)[0]
    eos = frozenset({whole[4], 299})
    for decoder in (captured(model, eos), decoder_for(model, eos=eos)):
        found, decoded = ids_of(decoder, prompt, 12)
        assert (found, decoded.stop_reason) == (whole[: whole.index(whole[4]) + 1], "eos")
        free = GenerationOptions(ignore_eos=True)
        found, decoded = ids_of(decoder, prompt, 12, free)
        assert (found, decoded.stop_reason) == (whole, "length")
        found, decoded = ids_of(decoder, prompt, 1, free)
        assert (found, decoded.stop_reason) == (whole[:1], "length")
    for decoder in (captured(model), decoder_for(model)):
        said: list[int] = []
        decoded = decoder.decode(
            prompt,
            GenerationOptions(),
            12,
            lambda token, _, said=said: said.append(token),  # type: ignore[misc]
            lambda said=said: "cancelled" if len(said) == 5 else "",  # type: ignore[misc]
        )
        assert (said, decoded.stop_reason) == (whole[:5], "cancelled")


def test_a_short_rest_is_read_where_there_is_room_for_it() -> None:
    model = make(FUSIBLE["qwen3"](), torch.float32)
    decoder = captured(model)
    for length in (16, 32, 48, 49):
        check_greedy(decoder, model, prompt_of(length), 5)
    # The rest is two tokens, and less than a whole chunk fits behind what is cached.
    first = prompt_of(498)
    answer = ids_of(decoder, first, 4)[0]
    longer = [*first, *answer, *prompt_of(2, start=90)]
    found, decoded = ids_of(decoder, longer, 5, reuse=True)
    assert decoded.reused == 498 + 4 - 1
    assert_as_generate(model, longer, found)


def test_an_interrupted_prompt_leaves_a_usable_cache() -> None:
    model = make(FUSIBLE["llama"]())
    decoder, prompt = captured(model), prompt_of(40)
    expected = ids_of(decoder, prompt, 10)[0]
    asked = iter(["", "cancelled"])
    found, decoded = ids_of(decoder, prompt_of(40, start=9), 10, should_stop=lambda: next(asked))
    assert (found, decoded.stop_reason) == ([], "cancelled")
    assert ids_of(decoder, prompt, 10, reuse=True)[0] == expected


# Compiled layers


class Compiled:
    """Runs the step with compiled layers, which on a GPU happens while it is captured."""

    name = "compiled"

    def __init__(self, model: Any, step: FixedStep, backend: Any) -> None:
        self._model, self._step, self._backend = model, step, backend

    def __call__(self) -> None:
        with compiled_layers(self._model, self._step, self._backend):
            self._step()


@pytest.mark.parametrize("name", ["llama", "qwen3", "mistral"])
def test_all_layers_are_one_program_without_a_break(name: str) -> None:
    """fullgraph raises at a break, and each further program would be one more call of the
    backend: there is one for all three layers, and one for the head."""
    model = make(FUSIBLE[name]())
    programs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        programs.append(graph)
        return graph

    decoder = captured(model, capture=lambda step, tell: Compiled(model, step, backend))
    assert len(programs) == 2
    prompt = prompt_of(9)
    check_greedy(decoder, model, prompt, 6)
    assert len(programs) == 2
    # Outside the step nothing is compiled.
    assert ids_of(decoder_for(model, "generate"), prompt_of(23), 3)[0]
    assert len(programs) == 2


def test_the_program_survives_the_lowering_to_aten() -> None:
    model = make(FUSIBLE["llama"]())
    decoder = captured(model, capture=lambda step, tell: Compiled(model, step, "aot_eager"))
    check_greedy(decoder, model, prompt_of(9), 3)


# Ways that fail


def test_where_no_capture_works_the_loop_runs_uncaptured_and_says_so() -> None:
    def fails(step: FixedStep, tell: Tell) -> StepRunner:
        raise RuntimeError("no such kernel\nand more")

    def wrong(step: FixedStep, tell: Tell) -> StepRunner:
        class Runner:
            name = "wrong"

            def __call__(self) -> None:
                step()
                step.logits.neg_()

        return Runner()

    model = make(FUSIBLE["llama"]())
    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=[fails, wrong])
    assert chosen.decoder.name.startswith("cached loop, ")
    assert "no such kernel" in chosen.note
    assert "and more" not in chosen.note
    assert "differ from the model's by 200%" in chosen.note
    check_greedy(chosen.decoder, model, prompt_of(9), 10)
    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=[fails, uncaptured])
    assert chosen.decoder.name == "CUDA-graph loop, not captured"
    assert "no such kernel" in chosen.note


class Named:
    """Runs the step under a name."""

    def __init__(self, name: str, step: FixedStep) -> None:
        self.name = name
        self._step = step

    def __call__(self) -> None:
        self._step()


def under_name(name: str) -> Capture:
    return lambda step, tell: Named(name, step)


def test_the_fastest_of_the_captured_steps_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(FUSIBLE["llama"]())
    seconds = {"slow": [0.3, 0.2], "quick": [0.9, 0.1]}
    monkeypatch.setattr(GraphDecoder, "time_steps", lambda self: seconds[self.name])
    told: list[str] = []
    for names in (("slow", "quick"), ("quick", "slow")):
        captures = list(map(under_name, names))
        chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", told.append, captures)
        assert chosen.decoder.name == "quick"
        assert chosen.note == ""
        assert chosen.step_seconds == {"slow": 0.2, "quick": 0.1}
        assert told[-1] == "timing the captured steps"


def test_timing_leaves_a_usable_cache() -> None:
    model = make(FUSIBLE["llama"]())
    captures = [under_name("one"), under_name("other")]
    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=captures)
    assert set(chosen.step_seconds) == {"one", "other"}
    assert all(seconds > 0 for seconds in chosen.step_seconds.values())
    check_greedy(chosen.decoder, model, prompt_of(9), 10)


def test_a_captured_step_that_fails_when_timed_steps_aside() -> None:
    model = make(FUSIBLE["llama"]())

    class Breaking(Named):
        runs = 0

        def __call__(self) -> None:
            self.runs += 1
            if self.runs > 3:  # the check is over
                raise RuntimeError("lost its graph")
            super().__call__()

    def breaks(step: FixedStep, tell: Tell) -> StepRunner:
        return Breaking("breaking", step)

    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=[breaks, uncaptured])
    assert chosen.decoder.name == "CUDA-graph loop, not captured"
    assert "lost its graph" in chosen.note
    assert list(chosen.step_seconds) == ["CUDA-graph loop, not captured"]


def test_a_bucket_that_cannot_be_captured_runs_as_it_is() -> None:
    def small_only(step: FixedStep, tell: Tell) -> StepRunner:
        if step.cache.slots > 512:
            raise RuntimeError("too large")
        return Named("captured", step)

    model = make(FUSIBLE["llama"]())
    decoder = captured(model, capture=small_only)
    assert decoder.name == "captured"
    check_greedy(decoder, model, prompt_of(600), 5)
    assert decoder.name == "CUDA-graph loop, not captured"


def test_the_exact_int8_product_is_known_to_wait_for_the_host() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    for threshold, waits in ((6.0, True), (0.0, False)):
        layer = bitsandbytes.nn.Linear8bitLt(
            8, 8, bias=False, has_fp16_weights=False, threshold=threshold
        )
        assert bool(waits_for_host(torch.nn.Sequential(layer))) is waits


# A device that works behind the host


class Device:
    """Work in the order it was given, done only when the host waits for it."""

    def __init__(self) -> None:
        self.work: deque[Callable[[], None]] = deque()
        self.steps_given = 0
        self.steps_done = 0

    def give_step(self, step: FixedStep) -> None:
        self.steps_given += 1

        def run() -> None:
            step()
            self.steps_done += 1

        self.work.append(run)

    def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.work.popleft()()


class QueuedReadback:
    """The readback from it: copies wait their turn in the same queue."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._arrived: deque[int] = deque()
        self.ahead: list[int] = []
        self.dropped = 0

    def send(self, token: Any) -> None:
        self._device.work.append(lambda: self._arrived.append(int(token)))

    def receive(self) -> int:
        self._device.until(lambda: bool(self._arrived))
        self.ahead.append(self._device.steps_given - self._device.steps_done)
        return self._arrived.popleft()

    def clear(self) -> None:
        """The device finishes what it was given before it does anything else."""
        self._device.until(lambda: not self._device.work)
        self.dropped = len(self._arrived)
        self._arrived.clear()


def test_the_host_is_one_step_behind_and_one_token_too_many_is_dropped() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    device = Device()
    readback = QueuedReadback(device)
    working = False

    class Queued:
        name = "queued"

        def __init__(self, step: FixedStep) -> None:
            self._step = step

        def __call__(self) -> None:
            if working:
                device.give_step(self._step)
            else:
                self._step()

    prompt = prompt_of(13)
    whole = ids_of(decoder_for(model, "generate"), prompt, 20)[0]
    eos = frozenset({whole[7]})
    decoder = GraphDecoder(model, eos, CONTEXT, lambda step, tell: Queued(step), readback=readback)
    working = True
    free = GenerationOptions(ignore_eos=True)
    assert ids_of(decoder, prompt, 20, free)[0] == whole
    # At each token but the last the next step was given already.
    assert readback.ahead == [1] * 19 + [0]
    assert device.steps_given == 19
    assert readback.dropped == 0
    found, decoded = ids_of(decoder, prompt, 20)
    assert (found, decoded.stop_reason) == (whole[: whole.index(whole[7]) + 1], "eos")
    assert readback.dropped == 1
    # The step too many has left nothing behind.
    longer = [*prompt, *found, *prompt_of(4, start=50)]
    again, decoded = ids_of(decoder, longer, 12, free, reuse=True)
    assert decoded.reused == len(prompt) + len(found) - 1
    assert again == ids_of(decoder_for(model, "generate"), longer, 12)[0]
