"""Every grader of texts: what is right, what was found, and what is no answer."""

from __future__ import annotations

import json

import pytest

from playground.core.scoring import ContinuationScore
from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.grade import GradeState
from playground.evaluation.graders.choice import grade_choice
from playground.evaluation.graders.grade import grade

K = GraderKind


def case(kind: GraderKind, *targets: str, choices: tuple[str, ...] = (), **options: str) -> Case:
    return Case(
        id="1", input="", targets=targets, choices=choices, grader=GraderSpec(kind, options)
    )


@pytest.mark.parametrize(
    ("one", "output", "score"),
    [
        (case(K.EXACT, "Paris"), " Paris\n", 1.0),
        (case(K.EXACT, "Paris"), "paris", 0.0),
        (case(K.EXACT, "Paris", case="ignore"), "PARIS", 1.0),
        (case(K.EXACT, "ｆｕｌｌ"), "full", 1.0),
        (case(K.CONTAINS, "straße", "weg"), "In der STRASSE", 1.0),
        (case(K.CONTAINS, "x"), "y", 0.0),
        (case(K.CONTAINS_ALL, "red", "blue"), "Blue and red", 1.0),
        (case(K.CONTAINS_ALL, "red", "blue"), "red", 0.0),
        (case(K.NOT_CONTAINS, "sorry"), "Of course", 1.0),
        (case(K.NOT_CONTAINS, "sorry"), "I am Sorry", 0.0),
        (case(K.REGEX, r"total: (\d+)"), "total: 12", 1.0),
        (case(K.NUMBER, "238"), "The answer is 238.00 EUR", 1.0),
        (case(K.NUMBER, "3.14", tolerance="0.01"), "about 3.1416", 1.0),
        (case(K.NUMBER, "0.5", "1"), "1/2", 1.0),
        (case(K.LETTER, "A", choices=("Angry", "Calm")), "The answer is (A)", 1.0),
        (case(K.LETTER, "Calm", choices=("Angry", "Calm")), "B", 1.0),
        (case(K.LETTER, "B", choices=("Angry", "Calm")), "It sounds calm to me", 1.0),
        (case(K.LETTER, "C"), "C) the third", 1.0),
        (case(K.LIST, "4, 8, 12"), "The answer is 4, 8, 12.", 1.0),
        (case(K.LIST, "a, b"), "- B\n- A", 0.0),
        (case(K.LIST, "a, b", order="any"), "1. B\n2. A", 1.0),
        (case(K.F1, "the quick brown fox"), "A quick, brown fox!", 1.0),
        (case(K.F1, "the quick brown fox", threshold="0.9"), "a fox", 0.0),
        (case(K.GSM8K, "18"), "The answer is 18.", 1.0),
        (case(K.BBH, "(B)"), "So the answer is (B).", 1.0),
    ],
)
def test_what_is_right(one: Case, output: str, score: float) -> None:
    found = grade(output, one)
    assert (found.state, found.score) == (GradeState.GRADED, score)


@pytest.mark.parametrize(
    ("one", "output"),
    [
        (case(K.REGEX, "x"), "y"),
        (case(K.NUMBER, "1"), "none"),
        (case(K.LETTER, "A", choices=("x", "y")), "who knows"),
        (case(K.LIST, "a"), " \n"),
        (case(K.JSON, "{}"), "no braces"),
        (case(K.GSM8K, "1"), "I do not know"),
    ],
)
def test_no_answer_is_not_just_wrong(one: Case, output: str) -> None:
    assert grade(output, one).state is GradeState.NO_ANSWER
    assert grade(output, one, "length").state is GradeState.HIT_LIMIT


def test_a_cut_output_is_graded_where_its_answer_is_there() -> None:
    assert grade("The answer is 5. And", case(K.NUMBER, "5"), "length").score == 1.0
    assert grade("So 3 and 4 ma", case(K.NUMBER, "7"), "length").state is GradeState.HIT_LIMIT
    assert grade("It is Paris and", case(K.CONTAINS, "Paris"), "length").score == 1.0


def test_what_was_extracted_has_its_place() -> None:
    output = "First 3. The answer is 42 of them."
    found = grade(output, case(K.NUMBER, "42"))
    assert found.span is not None
    assert output[slice(*found.span)].strip() == "42"
    assert found.how == "marked"
    found = grade("a total: 12 b", case(K.REGEX, r"total: (\d+)"))
    assert (found.value, found.span) == ("12", (9, 11))


SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["name", "age"],
        "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"const": 41}},
    }
)


@pytest.mark.parametrize(
    ("output", "score"),
    [
        ('Here: ```json\n{"name": "Lena", "age": 41}\n```', 1.0),
        ('{"name": "lena", "age": 41}', 0.0),
        ('{"name": "Lena"}', 0.0),
        ('{broken {"name": "Lena", "age": 41}', 1.0),
        ("[1, 2]", 0.0),
    ],
)
def test_json_fits_its_schema(output: str, score: float) -> None:
    found = grade(output, case(K.JSON, SCHEMA))
    assert (found.state, found.score) == (GradeState.GRADED, score)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('{"$ref": "http://example.org/x.json"}', "refers to something outside"),
        ('{"$ref": "file:///etc/passwd"}', "refers to something outside"),
        ('{"$ref": "#"}', "refers to itself"),
        ('{"type": 3}', "is not valid"),
        ("{", "is no valid JSON"),
        ('{"type": "object", "properties": {"a": {"pattern": "("}}}', "is not valid"),
        ('{"properties": {"a": {"pattern": "(a|a)*$"}}}', "takes too long"),
    ],
)
def test_a_hostile_schema_is_a_sentence(schema: str, words: str) -> None:
    found = grade('{"a": "' + "a" * 40 + '!"}', case(K.JSON, schema))
    assert found.state is GradeState.ERROR
    assert words in found.note


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (case(K.REGEX, "("), "The pattern is not valid"),
        (case(K.REGEX, "(a|a)*$"), "took longer than"),
        (case(K.REGEX, "x" * 10_001), "more than 10,000 characters"),
        (case(K.NUMBER, "1", tolerance="much"), "tolerance is no number"),
        (case(K.F1, "1", threshold="much"), "threshold is no number"),
        (case(K.EXACT), "has no target"),
        (case(K.HUMAN, "x"), "is not one of texts"),
    ],
)
def test_a_grader_that_cannot_be_used_is_a_sentence(one: Case, words: str) -> None:
    found = grade("a" * 60 + "!1", one)
    assert found.state is GradeState.ERROR
    assert words in found.note


def test_a_choice_is_the_likeliest() -> None:
    scores = (ContinuationScore(-4.0, 4, 40, False), ContinuationScore(-3.0, 1, 2, False))
    one = case(K.CHOICE, "A", choices=("a long one", "b"))
    assert grade_choice(scores, one).score == 0.0
    per_byte = case(K.CHOICE, "A", choices=("a long one", "b"), by="byte")
    assert grade_choice(scores, per_byte).score == 1.0
    assert grade_choice((), one).state is GradeState.ERROR
