"""Every grader of texts: what is right, what was found, and what is no answer."""

from __future__ import annotations

import json

import pytest

from playground.core.scoring import ContinuationScore
from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.grade import GradeState
from playground.evaluation.graders.choice import choice_named, grade_choice
from playground.evaluation.graders.grade import case_problem, grade
from playground.evaluation.graders.judge import grade_judgements, judge_prompts
from playground.evaluation.suites.named import find_suite

K = GraderKind


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.evaluation.graders.pattern.TIME_LIMIT", 0.1)
    monkeypatch.setattr("playground.evaluation.graders.schema.TIME_LIMIT", 0.2)


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
        (case(K.EXACT, "Ⅳ", "4"), "IV", 1.0),
        (case(K.CONTAINS, "café"), "at the CAFE\u0301", 1.0),
        (case(K.REGEX, "12", pattern=r"total: (\d+)"), "total: 12", 1.0),
        (case(K.REGEX, "13", pattern=r"total: (\d+)"), "total: 12", 0.0),
        (case(K.REGEX, "TOTAL", case="ignore"), "total", 1.0),
        (case(K.LETTER, "B", choices=("x", "y")), "The answer is C, no, B", 1.0),
        (case(K.LIST, "red, green, blue"), "Red, green, and blue.", 1.0),
        (case(K.LIST, "red, green, blue"), "So:\nanswer: red, green and blue", 1.0),
        (case(K.LIST, "red, green"), '["Red", "Green"]', 1.0),
        (case(K.LIST, "ant bee", separator="space"), "Sorted.\nant  bee", 1.0),
        (case(K.LIST, "salt and pepper, oil"), "salt and pepper, oil", 1.0),
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
    guessed = grade("So 3 and 4 ma", case(K.NUMBER, "4"), "context full")
    assert (guessed.state, guessed.score, guessed.value) == (GradeState.HIT_LIMIT, 0.0, "4")
    assert grade("So 3 and 4 ma", case(K.NUMBER, "4"), "eos").score == 1.0
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


def with_schema(schema: str) -> Case:
    return Case(id="1", input="", schema=schema, grader=GraderSpec(K.JSON))


@pytest.mark.parametrize(
    ("output", "score", "how"),
    [
        ('Here: ```json\n{"name": "Lena", "age": 41}\n```', 1.0, "fenced"),
        ('See [1]: {"name": "Lena", "age": 41}', 1.0, "first object"),
        ('{"name": "lena", "age": 41}', 0.0, "first object"),
        ('{"name": "Lena"}', 0.0, "first object"),
        ('{broken {"name": "Lena", "age": 41}', 1.0, "first object"),
        ('[{"name": "Lena", "age": 41}]', 0.0, "first array"),
        ("[1, 2]", 0.0, "first array"),
        ("41", 0.0, "whole output"),
    ],
)
def test_json_fits_its_schema(output: str, score: float, how: str) -> None:
    for one in (case(K.JSON, SCHEMA), with_schema(SCHEMA)):
        found = grade(output, one)
        assert (found.state, found.score, found.how) == (GradeState.GRADED, score, how)
        assert bool(found.note) == (score == 0.0)


@pytest.mark.parametrize(
    ("target", "output", "score"),
    [
        ('{"a": 1, "b": [true]}', 'It is {"b": [true], "a": 1.0}.', 1.0),
        ('{"a": 1, "b": [true]}', '{"a": 1, "b": [1]}', 0.0),
        ('{"a": 1}', '{"a": 1, "b": 2}', 0.0),
        ("[1, 2]", "So [1, 2]", 1.0),
        ("3", "3", 1.0),
    ],
)
def test_json_equals_a_target_that_is_no_schema(target: str, output: str, score: float) -> None:
    assert grade(output, case(K.JSON, target)).score == score


@pytest.mark.parametrize(
    ("schema", "output", "score"),
    [
        ({"patternProperties": {"^x": True}, "additionalProperties": False}, '{"x1": 1}', 1.0),
        ({"patternProperties": {"^x": True}, "additionalProperties": False}, '{"y": 1}', 0.0),
        ({"patternProperties": {"^x": {"type": "null"}}}, '{"x": 1}', 0.0),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "null"}}, '{"b": 1}', 0.0),
        ({"properties": {"a": {"uniqueItems": True}}}, '{"a": [1, true, {"b": 2}, [1]]}', 1.0),
        ({"properties": {"a": {"uniqueItems": True}}}, '{"a": [{"b": 2}, {"b": 2.0}]}', 0.0),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"required": ["b"]}}}, '{"a": 1}', 0.0),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "minProperties": 2}, "{}", 0.0),
    ],
)
def test_a_schema_means_what_it_means_elsewhere(
    schema: dict[str, object], output: str, score: float
) -> None:
    assert grade(output, with_schema(json.dumps(schema))).score == score


def bomb(depth: int) -> str:
    """Return a schema whose check doubles with every level."""
    levels = {f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(depth)}
    return json.dumps({"$ref": "#/$defs/a0", "$defs": {**levels, f"a{depth}": {"type": "null"}}})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ('{"$ref": "http://example.org/x.json"}', "refers to 'http://example.org/x.json'"),
        ('{"$ref": "file:///etc/passwd"}', "refers to 'file:///etc/passwd'"),
        ('{"$ref": "other.json#/a"}', "only what is inside it is read"),
        ('{"$ref": "#/$defs/missing"}', "refers to '/$defs/missing'"),
        ('{"$ref": "#"}', "refers to itself"),
        ('{"type": 3}', "The schema is not valid"),
        ("{", "is not valid JSON"),
        ("[]", "no JSON object"),
        ("[" * 2000, "nested too deeply"),
        ('{"$schema": "http://["}', "The schema is not valid"),
        (
            '{"not": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "x"}}',
            "names a dialect inside",
        ),
        ('{"properties": {"a": {"pattern": "("}}}', "'(' is not a 'regex'"),
        ('{"properties": {"a": {"pattern": "(a|a)*$"}}}', "more than 0.1 s"),
        ('{"unevaluatedProperties": false, "patternProperties": {}}', "is not supported"),
        ('{"title": "' + "x" * 200_000 + '"}', "more than 200,000 characters"),
    ],
)
def test_a_hostile_schema_is_a_sentence(schema: str, words: str) -> None:
    found = grade('{"a": "' + "a" * 40 + '!"}', with_schema(schema))
    assert found.state is GradeState.ERROR
    assert words in found.note


def test_a_schema_that_takes_too_long_is_ended() -> None:
    found = grade("{}", with_schema(bomb(40)))
    assert found.state is GradeState.ERROR
    assert "The schema takes more than 0.2 s" in found.note


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (case(K.REGEX, "("), "The pattern '(' is not valid: missing )"),
        (case(K.REGEX, "(a|a)*$"), "takes more than 0.1 s"),
        (case(K.REGEX, "x" * 10_001), "more than 2,000 characters"),
        (case(K.REGEX, "(" * 900 + ")" * 900), "nested too deeply"),
        (case(K.NUMBER, "1", tolerance="much"), "tolerance of number is 'much'"),
        (case(K.NUMBER, "1", tolerance="-1"), "tolerance of number is '-1'"),
        (case(K.NUMBER, "one"), "The target 'one' has no number"),
        (case(K.F1, "1", threshold="much"), "threshold of f1 is 'much'"),
        (case(K.F1, "1", threshold="nan"), "threshold of f1 is 'nan'"),
        (case(K.EXACT, "1", case="off"), "'off', not match or ignore"),
        (case(K.EXACT, "1", caze="match"), "no option 'caze'; it takes case"),
        (case(K.LETTER, "Angry"), "neither a letter nor a choice"),
        (case(K.JSON, "Lena"), "is no JSON, and the case has no schema"),
        (case(K.EXACT), "needs a target"),
        (case(K.CONTAINS, " "), "needs a target"),
        (case(K.HUMAN, "x"), "is not one of texts"),
    ],
)
def test_a_grader_that_cannot_be_used_is_a_sentence(one: Case, words: str) -> None:
    found = grade("a" * 60 + "!1", one)
    assert found.state is GradeState.ERROR
    assert found.score is None
    assert words in found.note


def test_a_wrong_case_is_found_before_an_output_is_there() -> None:
    assert "is not valid" in case_problem(case(K.REGEX, "("))
    assert "none of the choices" in case_problem(case(K.CHOICE, "C", choices=("x", "y")))
    for one in (case(K.NUMBER, "5"), case(K.HUMAN), case(K.CHOICE, "x", choices=("x", "y"))):
        assert not case_problem(one)


def test_a_choice_is_the_likeliest() -> None:
    scores = (ContinuationScore(-4.0, 4, 40, False), ContinuationScore(-3.0, 1, 2, False))
    one = case(K.CHOICE, "A", choices=("a long one", "b"))
    assert grade_choice(scores, one).score == 0.0
    per_byte = case(K.CHOICE, "A", choices=("a long one", "b"), by="byte")
    assert grade_choice(scores, per_byte).score == 1.0
    assert grade_choice(scores, one).columns["per byte"].score == 1.0
    assert grade_choice((), one).state is GradeState.ERROR
    assert grade_choice(scores, case(K.CHOICE, "c", choices=one.choices)).state is GradeState.ERROR


def test_a_choices_text_goes_before_another_ones_letter() -> None:
    one = case(K.CHOICE, "A", choices=("B", "A"))
    assert [choice_named(name, one) for name in ("A", "b", "(A).", "C")] == [1, 0, 0, None]


def test_a_judge_is_asked_in_both_orders_and_has_to_agree() -> None:
    one = Case(id="1", input="Why?", targets=("Because",), grader=GraderSpec(K.JUDGE))
    first, second = judge_prompts(one, "LANE", "REFERENCE")
    assert first.index("LANE") < first.index("REFERENCE")
    assert second.index("REFERENCE") < second.index("LANE")
    assert "Because" in first
    for texts, value, score in [
        (("B is worse. [[A]]", "[[B]]"), "win", 1.0),
        (("[[A]] no, [[B]]", "[[A]]"), "loss", 0.0),
        (("[[A]]", "[[A]]"), "tie", 0.5),
        (("[[C]]", "[[B]]"), "tie", 0.5),
    ]:
        found = grade_judgements(*texts)
        assert (found.value, found.score) == (value, score)
    assert "answer A in both orders" in grade_judgements("[[A]]", "[[A]]").note
    assert grade_judgements("A, clearly", "[[B]]").state is GradeState.ERROR


def test_every_case_of_the_starter_suite_can_be_graded() -> None:
    suite = find_suite("starter")
    assert len(suite.cases) == 30
    assert [(one.id, text) for one in suite.cases if (text := case_problem(one))] == []
