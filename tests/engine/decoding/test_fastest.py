"""The choice of the fastest candidate, with scripted times and failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from playground.engine.decoding import fastest as module
from playground.engine.decoding.fastest import Choice, fastest
from playground.engine.decoding.kept_choice import keep_choice, kept_choice


@dataclass
class Scripted:
    """A candidate with scripted step times or errors, round by round; the last round repeats."""

    name: str
    rounds: Sequence[Sequence[float] | Exception]
    tried: int = field(default=0)

    def trial(self) -> Sequence[float]:
        found = self.rounds[min(self.tried, len(self.rounds) - 1)]
        self.tried += 1
        if isinstance(found, Exception):
            raise found
        return found


def choose(*candidates: Scripted) -> Choice[Scripted]:
    return fastest(candidates, Scripted.trial)


def test_the_fastest_is_taken_wherever_it_stands() -> None:
    slow, fast, middle = (
        Scripted("slow", [[3.0]]),
        Scripted("fast", [[1.0]]),
        Scripted("m", [[2.0]]),
    )
    for candidates in ((slow, fast, middle), (fast, middle, slow), (middle, slow, fast)):
        choice = choose(*candidates)
        assert choice.taken is fast
        assert choice.seconds == {"slow": 3.0, "fast": 1.0, "m": 2.0}
        assert choice.failures == {}


def test_one_that_disagrees_is_not_taken_however_fast() -> None:
    error = ValueError("its logits differ")
    wrong, right = Scripted("wrong", [error]), Scripted("right", [[5.0]])
    choice = choose(wrong, right)
    assert choice.taken is right
    assert choice.seconds == {"right": 5.0}
    assert choice.failures == {"wrong": error}
    assert wrong.tried == 1
    # Its frames would keep the candidates, and so their memory, alive.
    assert error.__traceback__ is None


def test_one_that_fails_later_steps_aside_too() -> None:
    late = Scripted("late", [[1.0], RuntimeError("out of luck")])
    other, third = Scripted("other", [[1.5]]), Scripted("third", [[1.8]])
    choice = choose(late, other, third)
    assert choice.taken is other
    assert set(choice.seconds) == {"other", "third"}
    assert set(choice.failures) == {"late"}


def test_none_is_taken_where_all_fail() -> None:
    choice = choose(Scripted("a", [OSError()]), Scripted("b", [OSError()]))
    assert choice.taken is None
    assert choice.seconds == {}
    assert set(choice.failures) == {"a", "b"}
    assert choose().taken is None


def test_the_shortest_step_counts_not_what_a_busy_machine_adds() -> None:
    disturbed = Scripted("disturbed", [[9.0, 1.9], [8.0, 1.0, 9.0]])
    steady = Scripted("steady", [[1.5]])
    choice = choose(steady, disturbed)
    assert choice.taken is disturbed
    assert choice.seconds == {"steady": 1.5, "disturbed": 1.0}


def test_an_earlier_candidate_is_preferred_within_a_few_percent() -> None:
    first, second = Scripted("first", [[1.00]]), Scripted("second", [[0.97]])
    assert choose(first, second).taken is first
    assert choose(second, first).taken is second
    assert choose(first, Scripted("clearly", [[0.9]])).taken is not first


def test_a_hopeless_candidate_is_tried_once() -> None:
    hopeless, good, near = (
        Scripted("hopeless", [[9.0], [0.1]]),
        Scripted("good", [[1.0]]),
        Scripted("near", [[1.5]]),
    )
    assert choose(hopeless, good, near).taken is good
    assert hopeless.tried == 1
    assert good.tried == near.tried > 1
    alone = Scripted("alone", [[1.0]])
    choose(hopeless, alone)
    assert alone.tried == 1


def test_no_round_begins_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUDGET_S", -1.0)
    one, other = Scripted("one", [[1.0]]), Scripted("other", [[1.5]])
    assert choose(one, other).taken is one
    assert one.tried == other.tried == 1


def test_the_last_choice_stays_while_it_is_nearly_as_fast() -> None:
    first, second = Scripted("first", [[1.0]]), Scripted("second", [[1.25]])
    assert fastest((first, second), Scripted.trial, last="second").taken is second
    assert fastest((first, second), Scripted.trial, last="gone").taken is first
    slow = Scripted("slow", [[1.4]])
    assert fastest((first, slow), Scripted.trial, last="slow").taken is first
    broken = Scripted("broken", [OSError()])
    assert fastest((first, broken), Scripted.trial, last="broken").taken is first


def test_a_choice_is_kept_by_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    assert kept_choice("a model") == ""
    keep_choice("a model", "fused step")
    keep_choice("another", "model's forward")
    assert (kept_choice("a model"), kept_choice("another")) == ("fused step", "model's forward")
    keep_choice("a model", "model's forward")
    assert kept_choice("a model") == "model's forward"
    file = next((tmp_path / "cache").glob("steps.json"))
    file.write_bytes(b"[" * 100_000)
    assert kept_choice("a model") == ""
    keep_choice("a model", "fused step")
    assert kept_choice("a model") == "fused step"
