"""GSM8K and BBH: the harness' own extraction and scores, and the normalised ones beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from playground.evaluation.graders.benchmarks import (
    bbh_normal,
    bbh_strict,
    gsm8k_flexible,
    gsm8k_normal,
    gsm8k_strict,
)
from tests.support.shared_data import evaluation_data


def graded(name: str) -> list[dict[str, Any]]:
    path = evaluation_data() / "graded-outputs.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))[name]["cases"]
    return cases


def test_gsm8k_is_extracted_and_scored_as_the_harness_does() -> None:
    for case in graded("gsm8k_cot"):
        strict = gsm8k_strict(case["raw"], case["gold"])
        flexible = gsm8k_flexible(case["raw"], case["gold"])
        normalised, found = gsm8k_normal(case["raw"], case["gold"])
        assert (strict.value, strict.score) == (case["strict"], case["strict_score"])
        assert (flexible.value, flexible.score) == (case["flexible"], case["flexible_score"])
        proposed = case["proposed"]
        how = found.how if found is not None else "none"
        assert (normalised.value, normalised.score, how) == (
            proposed["value"],
            proposed["score"],
            proposed["how"],
        )


def test_bbh_is_extracted_and_scored_as_the_harness_does() -> None:
    for case in graded("bbh_cot_fewshot"):
        strict = bbh_strict(case["raw"], case["gold"])
        assert (strict.value, strict.score) == (case["extracted"], case["score"])
        normalised, _ = bbh_normal(case["raw"], case["gold"])
        proposed = case["proposed"]
        assert (normalised.value, normalised.score) == (proposed["value"], proposed["score"])


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("so 7.\nThe answer is −1,234.50 €.", "-2469/2"),
        ("**Answer:** \\frac{3}{4} of it", "3/4"),
        ("Thus \\boxed{\\text{42}}", "42"),
        ("the answer is £ 1,000,000!", "1000000"),
        ("the answer is -$7", "-7"),
        ("the answer is $-7", "-7"),
        ("It is 20-5", "5"),
        ("The answer is unknown.\n\nBut 3 it was", "3"),
        ("The answer is 2.5e3 m", "2500"),
        ("The answer is 1/0", None),
        ("Version A1", None),
        ("", None),
        ("The answer is " + "9" * 5000, None),
    ],
)
def test_numbers_in_many_forms(output: str, value: str | None) -> None:
    assert gsm8k_normal(output, "1")[0].value == value


@pytest.mark.parametrize(
    ("output", "gold", "value", "score"),
    [
        ("the answer is I think (C).", "(C)", "C", 1.0),
        ("the answer is A good one: B.", "(B)", "B", 1.0),
        ("(A) is wrong, (D) is right", "(D)", "D", 1.0),
        ("the answer is not valid, so invalid", "invalid", "valid", 0.0),
        ("Yes", "Yes", "yes", 1.0),
        ("I say yes", "Yes", None, 0.0),
        ("the answer is ] ) }.", "] ) }", "] ) }", 1.0),
        ("the answer is 7 apples", "7", "7", 1.0),
    ],
)
def test_bbh_in_the_gold_answers_kind(
    output: str, gold: str, value: str | None, score: float
) -> None:
    scored, _ = bbh_normal(output, gold)
    assert (scored.value, scored.score) == (value, score)
