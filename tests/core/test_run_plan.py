"""Plans of runs as plain generators: the order of lanes, and what answers change in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from playground.core.comparison import alternating
from playground.core.facts import Answer, Stamp, VerifiedPrecision
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.run_plan import (
    WARM_UP,
    GenerateStep,
    LoadStep,
    Plan,
    next_step,
    prompt_run,
    repeated_run,
)

OPTIONS = GenerationOptions(max_new_tokens=3)
PROMPT = RawPrompt("The old house")
ANSWER = Answer(
    text="",
    token_ids=(1,),
    prompt_tokens=1,
    times=(0.1,),
    prefill_s=0.1,
    stop_reason="length",
    peak_memory_bytes=0,
    stamp=Stamp(
        model="",
        folder="",
        commit="",
        requested_precision=Precision.BF16,
        verified=VerifiedPrecision(precision=Precision.BF16, modules={}, bytes_by_dtype={}),
        kernel="",
        decoder="",
        device="cpu",
        device_name="",
        threads=1,
        versions={},
        options=OPTIONS,
        timing="in turn",
        created="",
    ),
)


def generations(
    plan: Plan[str], failing: frozenset[tuple[int, str]] = frozenset()
) -> Iterator[GenerateStep[str]]:
    """Follow a plan; the (number, lane) in `failing` do not answer."""
    step = next_step(plan)
    while step is not None:
        answers = {}
        if isinstance(step, GenerateStep):
            yield step
            answers = {x: ANSWER for x in step.lanes if (step.number, x) not in failing}
        step = next_step(plan, answers)


def test_lanes_answer_in_turn_after_all_have_loaded() -> None:
    plan = prompt_run("abc", lambda lane: RawPrompt(f"to {lane}"), OPTIONS, "in turn")
    assert next_step(plan) == LoadStep(("a", "b", "c"))
    steps = []
    step = next_step(plan, {})
    while isinstance(step, GenerateStep):
        steps.append(step)
        step = next_step(plan, {})  # what fails keeps no other lane from its turn
    assert step is None
    assert [step.lanes for step in steps] == [("a",), ("b",), ("c",)]
    assert [step.waiting for step in steps] == [("b", "c"), ("c",), ()]
    assert [(step.number, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3)]
    assert [step.prompt(step.lanes[0]) for step in steps] == [
        RawPrompt("to a"), RawPrompt("to b"), RawPrompt("to c"),
    ]  # fmt: skip
    assert all(step.options == OPTIONS and step.timing == "in turn" for step in steps)
    assert all(step.counted for step in steps)


def test_lanes_answer_together_in_one_step() -> None:
    (step,) = generations(prompt_run("abc", lambda _: PROMPT, OPTIONS, "together"))
    assert step.lanes == ("a", "b", "c")
    assert step.timing == "together"
    assert step.waiting == ()
    assert step.counted


def test_repeats_alternate_after_an_uncounted_warm_up() -> None:
    steps = list(generations(repeated_run("ab", PROMPT, OPTIONS, 3)))
    turns = [(step.repeat, *step.lanes) for step in steps]
    assert turns == [(WARM_UP, "a"), (WARM_UP, "b"), *alternating("ab", 3)]
    assert [step.counted for step in steps] == [False] * 2 + [True] * 6
    assert [step.number for step in steps] == list(range(8))
    assert {step.total for step in steps} == {8}
    assert {step.timing for step in steps} == {"in turn"}
    assert all(step.prompt("a") == PROMPT and step.options == OPTIONS for step in steps)


def test_a_lane_waits_until_its_last_turn() -> None:
    steps = list(generations(repeated_run("ab", PROMPT, OPTIONS, 1)))
    assert [(*step.lanes, step.waiting) for step in steps] == [
        ("a", ("b",)), ("b", ("a",)), ("a", ("b",)), ("b", ()),
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 2, 5])
def test_a_lane_that_does_not_answer_is_passed_over_from_then_on(number: int) -> None:
    steps = list(generations(repeated_run("ab", PROMPT, OPTIONS, 3), frozenset({(number, "a")})))
    whole = list(generations(repeated_run("ab", PROMPT, OPTIONS, 3)))
    kept = [s for s in whole if s.lanes == ("b",) or s.number <= number]
    assert [(s.number, s.lanes) for s in steps] == [(s.number, s.lanes) for s in kept]
    assert all("a" not in step.waiting for step in steps if step.number > number)


def test_a_run_in_which_every_lane_fails_ends() -> None:
    failing = frozenset({(0, "a"), (1, "b")})
    assert len(list(generations(repeated_run("ab", PROMPT, OPTIONS, 100), failing))) == 2


def test_a_closed_plan_has_no_further_step() -> None:
    plan = repeated_run("ab", PROMPT, OPTIONS, 3)
    next_step(plan)
    assert isinstance(next_step(plan, {}), GenerateStep)
    plan.close()
    assert next_step(plan, {"a": ANSWER}) is None
