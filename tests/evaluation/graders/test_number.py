"""Numbers as models write them: what is found, how, and where it stands."""

from __future__ import annotations

import pytest

from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.grade import grade


def number(output: str, target: str = "1", **options: str) -> Grade:
    spec = GraderSpec(GraderKind.NUMBER, options)
    return grade(output, Case(id="1", input="", targets=(target,), grader=spec))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("18.", "18"),
        ("18...", "18"),
        ("+18", "18"),
        (".5", "1/2"),
        ("-.5", "-1/2"),
        ("0.50", "1/2"),
        ("1/2", "1/2"),
        ("-3/4 cup", "-3/4"),
        ("3½", "7/2"),
        ("⅓ of it", "1/3"),
        ("3 1/2", "3"),
        ("24/7/365", "24"),
        ("5/0", "5"),
        # Signs
        ("−5", "-5"),
        ("–5", "-5"),
        ("- 5", "-5"),
        ("(-5)", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("20-5=15, so 20", "20"),
        ("5-10", "5"),
        ("5–10 apples", "5"),
        # Thousands, currencies, units
        ("1,234,567", "1234567"),
        ("$1,234.50.", "2469/2"),
        ("12,34,567 rupees", "1234567"),
        ("12,34", "12"),
        ("18, 19", "18"),
        ("€ 5", "5"),
        ("5 €", "5"),
        ("USD18", "18"),
        ("¥18 (or 19)", "18"),
        ("50 %", "50"),
        ("18dollars", "18"),
        ("25 m²", "25"),
        # Powers
        ("1e7", "10000000"),
        ("2.5E-3", "1/400"),
        ("1.5 × 10^6", "1500000"),
        ("2·10⁻²", "1/50"),
        ("10²", "10"),
        ("2**3 = 8", "2"),
        # Markup
        ("**18**", "18"),
        ("`18`", "18"),
        (r"$\boxed{18}$", "18"),
        (r"\boxed{\text{\$1{,}234}}", "1234"),
        (r"\boxed{\mathbf{\frac{3}{4}}}", "3/4"),
        (r"-\dfrac{1}{2}", "-1/2"),
        (r"\frac12", "1/2"),
        (r"3\frac{1}{2}", "7/2"),
        (r"1.5 \times 10^{6}", "1500000"),
        (r"10\,000", "10000"),
        (r"50\%", "50"),
        # Other digits
        ("１８", "18"),
        ("٤٢", "42"),
        ("1\u200b8", "18"),
    ],
)
def test_a_stated_number(written: str, value: str) -> None:
    found = number(f"First 99. The answer is {written}", target="0")
    assert (found.value, found.how, found.state) == (value, "marked", GradeState.GRADED)


@pytest.mark.parametrize(
    ("output", "value", "how"),
    [
        ("The answer is 17. Wait, the answer is 18.", "18", "marked"),
        ("The answer is 18 = 20 - 2. I hope this answer is clear!", "18", "marked"),
        ("Answer : 18 of 20", "18", "marked"),
        ("**Answer:** 18 of 20", "18", "marked"),
        ("The **answer** is 18 of 20", "18", "marked"),
        ("9 * 2\n#### 18\n#### done", "18", "marked"),
        ("So the answer is not 5 but 6", "6", "last number"),
        ("The answer is\n\n18", "18", "last number"),
        ("The answer is:\n- 5 apples", "5", "marked"),
        ("He has 20 - 5", "5", "last number"),
        ("x = - 5", "-5", "last number"),
        ("Total - 5", "5", "last number"),
        ("x_2 = 4 m^2", "4", "last number"),
        (r"\boxed{18}", "18", "last number"),
        ("nine", "", ""),
        ("", "", ""),
        ("9" * 5000, "", ""),
        ("1e9999", "", ""),
    ],
)
def test_which_number_is_the_answer(output: str, value: str, how: str) -> None:
    found = number(output, target="0")
    assert (found.value, found.how) == (value, how)
    assert (found.state is GradeState.NO_ANSWER) == (not value)


@pytest.mark.parametrize(
    ("target", "output", "options", "score"),
    [
        ("$1,234", "1234.00", {}, 1.0),
        ("9 * 2 = 18 #### 18", "18", {}, 1.0),
        ("- 5", "−5", {}, 1.0),
        ("0.1", "1/10", {}, 1.0),
        ("0.3333", "1/3", {}, 0.0),
        ("0.3333", "1/3", {"tolerance": "0.0001"}, 1.0),
        ("200", "203", {"tolerance": "2%"}, 1.0),
        ("200", "205", {"tolerance": "2%"}, 0.0),
        ("0.5", "50%", {}, 0.0),
    ],
)
def test_equal_as_fractions(
    target: str, output: str, options: dict[str, str], score: float
) -> None:
    assert number(output, target, **options).score == score


@pytest.mark.parametrize(
    ("output", "value", "score"),
    [
        ("Of 5, the answer is **Two** lamps.", "two", 1.0),
        ("The answer is 2.", "2", 1.0),
        ("The answer is twofold: 3", "3", 0.0),
        ("two", "", 0.0),
    ],
)
def test_a_word_beside_a_number(output: str, value: str, score: float) -> None:
    spec = GraderSpec(GraderKind.NUMBER)
    found = grade(output, Case(id="1", input="", targets=("2", "two"), grader=spec))
    assert (found.value, found.score) == (value, score)


@pytest.mark.parametrize(
    ("output", "marked"),
    [
        ("First 3. The answer is 42 of them.", "42"),
        ("The answer is −$1,234.50 €", "−$1,234.50"),
        ("Ｔhe answer is １８！", "１８"),
        ("Étude — **Answer:** **- 18**!", "- 18"),
        (r"$\boxed{\text{18}}$", "18"),
        (r"It is \frac{3}{4}.", "3}{4"),
        ("3½ cups", "3½"),
    ],
)
def test_its_place_in_the_output(output: str, marked: str) -> None:
    found = number(output)
    assert found.span is not None
    assert output[slice(*found.span)] == marked


@pytest.mark.parametrize("piece", ["1,22", "1/", "answer is ", r"\frac{1}", "**", "é1 ", "1\u2064"])
def test_an_endless_output_is_an_error_and_a_long_one_is_read(piece: str) -> None:
    assert number(piece * 200_000 * 5).state is GradeState.ERROR
    found = number(piece * (200_000 // len(piece)) + "\nanswer: 7", target="7")
    assert (found.score, found.how) == (1.0, "marked")
