"""GSM8K and BBH: the harness' own extraction and scores, and the normalised ones beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.grade import Column, Grade, GradeState
from playground.evaluation.graders.grade import grade
from playground.evaluation.graders.harness import INVALID, gsm8k_columns
from tests.support.shared_data import evaluation_data


def graded(kind: GraderKind, output: str, *targets: str) -> Grade:
    return grade(output, Case(id="1", input="", targets=targets, grader=GraderSpec(kind)))


def outputs(name: str) -> list[dict[str, Any]]:
    path = evaluation_data() / "graded-outputs.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))[name]["cases"]
    return cases


def column(found: Grade, name: str) -> tuple[str, float]:
    return found.columns[name].value, found.columns[name].score


def test_gsm8k_is_extracted_and_scored_as_the_harness_does() -> None:
    for case in outputs("gsm8k_cot"):
        found = graded(GraderKind.GSM8K, case["raw"], case["gold"])
        assert column(found, "strict") == (case["strict"], case["strict_score"])
        assert column(found, "flexible") == (case["flexible"], case["flexible_score"])
        proposed = case["proposed"]
        assert (found.value or None, found.score, found.how or "none") == (
            proposed["value"],
            proposed["score"],
            proposed["how"],
        )


def test_bbh_is_extracted_and_scored_as_the_harness_does() -> None:
    for case in outputs("bbh_cot_fewshot"):
        found = graded(GraderKind.BBH, case["raw"], case["gold"])
        assert column(found, "strict") == (case["extracted"], case["score"])
        assert found.columns["flexible"] == found.columns["strict"]
        proposed = case["proposed"]
        assert (found.value or None, found.score) == (proposed["value"], proposed["score"])


@pytest.mark.parametrize(
    ("output", "target", "strict", "flexible"),
    [
        # What regexes_to_ignore do: the whole worked answer, commas, dollars, one last period.
        ("The answer is 1,200.", "20 x 60 = #### 1,200", ("1,200", 1.0), ("1,200.", 1.0)),
        ("The answer is 18..", "18.", ("18.", 1.0), ("18..", 0.0)),
        ("The answer is .,.", "#### .", (".,", 1.0), (".,.", 0.0)),
        # The first of several is strict, the last one flexible.
        ("The answer is 7. The answer is 8.", "8", ("7.", 0.0), ("8.", 1.0)),
        ("The answer is 7 \n", "7", ("7", 1.0), ("7", 1.0)),
        ("the answer is 7.", "7", (INVALID, 0.0), ("7.", 1.0)),
        ("nothing", INVALID, (INVALID, 1.0), (INVALID, 1.0)),
        # An array of numpy drops null characters at a text's end.
        ("The answer is 5\0", "5\0", ("5", 1.0), ("5", 1.0)),
    ],
)
def test_what_the_harness_makes_of_gsm8k(
    output: str, target: str, strict: tuple[str, float], flexible: tuple[str, float]
) -> None:
    columns = gsm8k_columns(output, [target])
    assert columns == {"strict": Column(*strict), "flexible": Column(*flexible)}


@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("the answer is  (B) .", "(B)"),
        ("the answer is (B).\nthe answer is (C).", "(B)"),
        ("the answer is \n(B)", INVALID),
        ("the answer is (B).\u2028", "(B)."),
        ("The answer is (B).", INVALID),
    ],
)
def test_what_the_harness_makes_of_bbh(output: str, value: str) -> None:
    assert column(graded(GraderKind.BBH, output, value), "strict") == (value, 1.0)
    assert column(graded(GraderKind.BBH, output, "x", value), "flexible") == (value, 1.0)


@pytest.mark.parametrize(
    ("output", "target", "value", "how"),
    [
        # A letter
        ("the answer is I think (C).", "(C)", "C", "marked"),
        ("the answer is A because (B) is wrong", "(A)", "A", "marked"),
        ("The answer is: b) no, (c).", "(B)", "B", "marked"),
        ("the answer is b.", "(B)", "B", "marked"),
        ("the answer is a dog, (B)", "(B)", "B", "marked"),
        ("Answer: **(D)**", "(D)", "D", "marked"),
        ("(A) is wrong, (D) is right", "(D)", "D", "last letter"),
        ("b", "(B)", "B", "first letter"),
        ("B. It is calm.", "B", "B", "first letter"),
        ("The answer is Ｂ.", "(B)", "B", "marked"),
        # A word
        ("So the answer is no; but yes", "No", "no", "marked"),
        ("So the answer is\n\n**Yes**", "Yes", "yes", "last line"),
        ("Hence:\n“Valid.”", "valid", "", ""),
        ("the answer is invalid.", "invalid", "invalid", "marked"),
        ("I think yes", "Yes", "", ""),
        # A number
        ("They have 4 + 3 = 7", "7", "7", "last number"),
        ("So the answer is −24.", "-24", "-24", "marked"),
        # A text
        ('the answer is "ant", bee cow. Right?', "ant bee cow", "ant bee cow", "marked"),
        ("the answer is:\nANT bee\ncow", "ant bee", "ant bee", "marked"),
        ("the answer is ant bee.Q", "ant bee", "ant bee", "marked"),
        ("the answer is ] ) }.", "] ) }", "] ) }", "marked"),
        ("ant bee\n", "ant bee", "ant bee", "whole output"),
        ("First ant.\nant bee", "ant bee", "", ""),
        ("the answer is", "ant bee", "", ""),
    ],
)
def test_bbh_in_the_kind_of_its_target(output: str, target: str, value: str, how: str) -> None:
    found = graded(GraderKind.BBH, output, target)
    assert (found.value, found.how) == (value, how)
    assert found.score == (1.0 if value else 0.0)
    assert found.state is (GradeState.GRADED if value else GradeState.NO_ANSWER)


def test_any_of_several_targets_is_right() -> None:
    assert graded(GraderKind.BBH, "the answer is (B).", "(A)", "(B)").score == 1.0
    assert graded(GraderKind.GSM8K, "The answer is 2.", "1", "2").columns["strict"].score == 1.0
