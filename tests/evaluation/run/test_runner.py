"""Evaluations over lanes that answer by rule, for faults that a real one gives on no demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from playground.core.errors import EngineError, PlaygroundError
from playground.core.facts import Answer, LoadedModel, LoadRequest, Stamp, VerifiedPrecision
from playground.core.generation import GenerationOptions, Prompt, RawPrompt
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.scoring import ContinuationScore
from playground.evaluation.case import Case, GraderKind, GraderSpec, Suite
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.report.forms import markdown_of, page_of, results_of, table_of
from playground.evaluation.report.summary import remaining_s, summarise
from playground.evaluation.report.text import report_of
from playground.evaluation.run.runner import Runner
from playground.evaluation.store.records import EvaluationPlan, EvaluationState, KeptEvaluation
from playground.evaluation.store.store import EvaluationReader, EvaluationStore
from playground.evaluation.verdict import VerdictKind

PRECISIONS = (Precision.BF16, Precision.INT8)
OPTIONS = GenerationOptions(max_new_tokens=8)


@dataclass
class RuleLane:
    """Answers "n" with n, and with -1 where its rule says so."""

    config: LaneConfig
    wrong: Callable[[int], bool] = lambda n: False
    dies_at: int = -1
    commit: str = "c"
    asked: list[int] = field(default_factory=list)
    alive: bool = True

    def load(self) -> LoadedModel:
        return LoadedModel(
            request=LoadRequest(
                name="m", folder="", commit=self.commit, precision=self.config.precision
            ),
            verified=VerifiedPrecision(
                precision=self.config.precision, modules={}, bytes_by_dtype={}
            ),
            kernel="k",
            device_name="d",
            architecture="",
            parameters=0,
            context_length=100,
            has_chat_template=False,
            load_s={},
            memory_bytes=0,
        )

    def generate(self, prompt: Prompt, options: GenerationOptions, reuse: int) -> Answer:
        assert isinstance(prompt, RawPrompt)
        number = int(prompt.text)
        if number == self.dies_at:
            self.alive, self.dies_at = False, -1
            raise EngineError("The engine was killed.")
        self.asked.append(number)
        text = str(-1 if self.wrong(number) else number)
        return Answer(
            text=text, token_ids=(1, 2), prompt_tokens=3, times=(0.1, 0.3), prefill_s=0.1,
            stop_reason="eos", peak_memory_bytes=5, stamp=STAMP,
        )  # fmt: skip

    def count(self, prompts: Sequence[Prompt]) -> tuple[int, ...]:
        return tuple(95 if one == RawPrompt("7") else 3 for one in prompts)

    def score(self, context: str, continuations: Sequence[str]) -> tuple[ContinuationScore, ...]:
        return tuple(ContinuationScore(-float(len(c)), 1, len(c), False) for c in continuations)

    def close(self) -> None:
        self.alive = False


STAMP = Stamp(
    model="m", folder="", commit="c", requested_precision=Precision.BF16,
    verified=VerifiedPrecision(precision=None, modules={}, bytes_by_dtype={}), kernel="",
    decoder="", device="", device_name="", threads=1, versions={}, options=OPTIONS,
    timing="in turn", created="",
)  # fmt: skip


def suite(count: int) -> Suite:
    cases = tuple(
        Case(id=f"c{n}", input=f"{n}", targets=(f"{n}",), grader=GraderSpec(GraderKind.NUMBER))
        for n in range(count)
    )
    return Suite(name="numbers", cases=cases)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EvaluationStore]:
    with EvaluationStore(tmp_path / "evaluations.sqlite") as store:
        yield store


def begun(store: EvaluationStore, count: int, *, early_stop: bool = False) -> KeptEvaluation:
    cases = suite(count)
    plan = EvaluationPlan(
        contestants=tuple(LaneConfig(precision=p) for p in PRECISIONS),
        reference=0,
        order=tuple(case.id for case in cases.cases),
        options=OPTIONS,
        early_stop=early_stop,
    )
    return store.evaluation(store.begin(plan, cases))


def run(
    store: EvaluationStore,
    evaluation: KeptEvaluation,
    lanes: dict[Precision, RuleLane],
    *,
    together: bool = True,
    pause: Callable[[], bool] = lambda: False,
) -> EvaluationState:
    def open_lane(config: LaneConfig) -> RuleLane:
        lane = lanes[config.precision]
        lane.alive = True
        return lane

    runner = Runner(store, evaluation, open_lane, together=together, should_pause=pause)
    return runner.run()


def rule_lanes(**int8: object) -> dict[Precision, RuleLane]:
    return {
        Precision.BF16: RuleLane(LaneConfig(precision=Precision.BF16)),
        Precision.INT8: RuleLane(LaneConfig(precision=Precision.INT8), **int8),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("together", [True, False])
def test_every_case_is_asked_once_and_kept(store: EvaluationStore, together: bool) -> None:
    evaluation = begun(store, 20)
    lanes = rule_lanes(wrong=lambda n: n % 4 == 0)
    assert run(store, evaluation, lanes, together=together) is EvaluationState.FINISHED
    with EvaluationReader(store.path) as reader:
        kept = reader.evaluation(evaluation.id)
        assert reader.rows()[0].asked == 40
    first, second = summarise(kept)
    assert (first.tally.right, first.tally.skipped) == (19, 1)
    assert (second.tally.right, second.tally.wrong) == (14, 5)
    assert second.paired is not None
    assert second.paired.flips_down == ("c0", "c4", "c8", "c12", "c16")
    assert all(sorted(lane.asked) == [n for n in range(20) if n != 7] for lane in lanes.values())
    skipped = kept.contestants[0].items["c7"].answer.skipped
    assert "95 tokens; with 8 new ones that is more than the model's context of 100" in skipped
    assert second.seconds == pytest.approx(0.3)


def test_a_pause_loses_and_repeats_nothing(store: EvaluationStore) -> None:
    evaluation = begun(store, 6)
    lanes = rule_lanes()
    state = run(store, evaluation, lanes, pause=lambda: len(lanes[Precision.BF16].asked) >= 3)
    assert state is EvaluationState.PAUSED
    again = store.evaluation(evaluation.id)
    assert again.state is EvaluationState.PAUSED
    assert remaining_s(again) is not None
    assert run(store, again, lanes) is EvaluationState.FINISHED
    assert sorted(lanes[Precision.BF16].asked) == list(range(6))
    assert sorted(lanes[Precision.INT8].asked) == list(range(6))


def test_a_dead_engine_is_opened_once_more(store: EvaluationStore) -> None:
    evaluation = begun(store, 6)
    lanes = rule_lanes(dies_at=2)
    assert run(store, evaluation, lanes) is EvaluationState.FINISHED
    assert sorted(lanes[Precision.INT8].asked) == list(range(6))


def test_one_that_dies_twice_is_marked_and_the_others_go_on(store: EvaluationStore) -> None:
    evaluation = begun(store, 6)
    lanes = rule_lanes(dies_at=2)

    class Dying(RuleLane):
        def load(self) -> LoadedModel:
            self.dies_at = 2
            return super().load()

    lanes[Precision.INT8] = Dying(LaneConfig(precision=Precision.INT8))
    assert run(store, evaluation, lanes) is EvaluationState.FINISHED
    kept = store.evaluation(evaluation.id)
    assert kept.contestants[1].failure == "The engine was killed."
    assert len(kept.contestants[0].items) == 6


def test_it_stops_as_soon_as_every_contestant_is_decided(store: EvaluationStore) -> None:
    evaluation = begun(store, 300, early_stop=True)
    lanes = rule_lanes(wrong=lambda n: n % 2 == 0)
    assert run(store, evaluation, lanes) is EvaluationState.DECIDED
    verdict = summarise(evaluation)[1].verdict
    assert verdict is not None
    assert verdict.kind is VerdictKind.LOSS
    assert len(lanes[Precision.INT8].asked) < 60


def test_an_earlier_answer_to_the_same_question_is_taken(store: EvaluationStore) -> None:
    lanes = rule_lanes()
    run(store, begun(store, 5), lanes)
    again = rule_lanes()
    second = begun(store, 5)
    assert run(store, second, again) is EvaluationState.FINISHED
    assert not again[Precision.BF16].asked
    assert all(item.answer.reused for item in second.contestants[0].items.values())
    other = rule_lanes(commit="sampled:1")
    run(store, begun(store, 5), other)
    assert len(other[Precision.INT8].asked) == 5


def test_choices_are_scored_and_graded(store: EvaluationStore) -> None:
    case = Case(
        id="x", input="3", targets=("short",), choices=("short", "much longer"),
        grader=GraderSpec(GraderKind.CHOICE),
    )  # fmt: skip
    plan = EvaluationPlan(
        contestants=(LaneConfig(),), reference=0, order=("x",), options=OPTIONS, early_stop=False
    )
    evaluation = store.evaluation(store.begin(plan, Suite(name="s", cases=(case,))))
    run(store, evaluation, rule_lanes())
    item = evaluation.contestants[0].items["x"]
    assert (item.answer.text, len(item.answer.choices)) == ("short", 2)
    assert item.grade is not None
    assert item.grade.score == 1.0


def test_a_person_overrules_the_grader(store: EvaluationStore) -> None:
    evaluation = begun(store, 3)
    run(store, evaluation, rule_lanes(wrong=lambda n: n == 1))
    right = Grade(state=GradeState.GRADED, score=1.0, human=True)
    store.overrule(evaluation.id, 1, "c1", right)
    kept = store.evaluation(evaluation.id)
    assert summarise(kept)[1].tally.right == 3
    assert summarise(kept)[1].tally.human == 1
    store.overrule(evaluation.id, 1, "c1", None)
    assert summarise(store.evaluation(evaluation.id))[1].tally.right == 2


def test_the_reports_show_every_flip_and_escape_what_models_write(store: EvaluationStore) -> None:
    evaluation = begun(store, 4)
    run(store, evaluation, rule_lanes(wrong=lambda n: n == 2))
    case = msgspec.structs.replace(evaluation.suite.cases[2], input="<script>|2")
    cases = (*evaluation.suite.cases[:2], case, *evaluation.suite.cases[3:])
    evaluation.suite = msgspec.structs.replace(evaluation.suite, cases=cases)
    report = report_of(evaluation)
    page, text = page_of(report), markdown_of(report)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "### c2" in text
    assert "### c1" not in text
    assert len(list(results_of(evaluation))) == 8
    assert table_of(evaluation).splitlines()[1:] == ["c0,,1,1", "c1,,1,1", "c2,,1,0", "c3,,1,1"]


def test_two_processes_do_not_carry_out_one_evaluation(
    store: EvaluationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playground.evaluation.store import store as module

    evaluation = begun(store, 3)
    monkeypatch.setattr(module, "this_process", lambda: "another")
    with pytest.raises(PlaygroundError, match="is being carried out by another process"):
        run(store, evaluation, rule_lanes())
