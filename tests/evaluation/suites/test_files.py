"""One's own suites: CSV and JSONL, their options, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.errors import PlaygroundError
from playground.core.generation import ChatPrompt, Message, RawPrompt
from playground.evaluation.case import Case, Example, GraderKind, GraderSpec, Suite
from playground.evaluation.suites.files import read_suite, write_suite
from playground.evaluation.suites.named import find_suite
from playground.evaluation.suites.prompts import case_key, prefix_of, prompt_of

BILLING = """\
id,input,target,grader,choices,system,group,tags,note
vat-1,"Net 200, VAT 19 %. Gross?",238,number tolerance=0.5,,,,billing,
sent-1,"Angry or calm? 'Fix it now!'",A,choice,"Angry|Calm",,,,
json-1,"Give name and age as JSON",schemas/person.json,json,,,,,
city-1,"Capital of France?",Paris|paris (France),,,,"geo, one",,
"""


def suite_of(folder: Path, text: str | bytes, name: str = "billing.csv") -> Suite:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_suite(path)


def test_a_table_of_cases(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "person.json").write_text('{"type": "object"}', encoding="utf-8")
    vat, mood, person, city = suite_of(tmp_path, BILLING).cases
    assert vat.grader == GraderSpec(GraderKind.NUMBER, {"tolerance": "0.5"})
    assert (vat.id, vat.targets, vat.tags) == ("vat-1", ("238",), ("billing",))
    assert (mood.grader.kind, mood.choices) == (GraderKind.CHOICE, ("Angry", "Calm"))
    assert person.schema == '{"type": "object"}'
    assert city.targets == ("Paris", "paris (France)")
    assert (city.grader.kind, city.group) == (GraderKind.EXACT, "geo, one")


def test_only_the_input_is_required(tmp_path: Path) -> None:
    first, second = suite_of(tmp_path, "input\nOne\nTwo\n").cases
    assert (first.id, second.id) == ("1", "2")
    assert first.grader.kind is GraderKind.HUMAN


def test_other_columns_are_variables_of_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "mails.suite.toml").write_text(
        'template = "{{ tone }}: {{input}}"\nstop = ["\\n"]\nnew_tokens = 9\n'
        '[[examples]]\ninput = "Hi"\noutput = " Hello"\n',
        encoding="utf-8",
    )
    suite = suite_of(tmp_path, "input;tone\nFix it;{{input}}\n", "mails.csv")
    assert (suite.stop, suite.max_new_tokens) == (("\n",), 9)
    with pytest.raises(PlaygroundError, match=r"mails\.csv: there is no column 'tone'"):
        prefix_of(suite)  # examples have no columns
    plain = Suite(name="m", cases=suite.cases, template=suite.template)
    assert prompt_of(plain, suite.cases[0]) == RawPrompt("{{input}}: Fix it")


def test_the_prompt_is_prefix_examples_and_question() -> None:
    case = Case(id="1", input="2 + 2", choices=("3", "4"), system="Be brief.")
    suite = Suite(
        name="s",
        cases=(case,),
        prefix="Count.\n\n",
        examples=(Example("1 + 1", " 2"),),
        template="Q: {{input}}\n{{choices}}\nA:",
    )
    text = "Count.\n\nQ: 1 + 1\n\nA: 2\n\n"
    assert prefix_of(suite) == text
    assert prompt_of(suite, case) == RawPrompt(text + "Q: 2 + 2\nA. 3\nB. 4\nA:")
    chat = Suite(name="s", cases=(case,), examples=suite.examples, chat=True)
    assert prompt_of(chat, case) == ChatPrompt(
        (
            Message("system", "Be brief."),
            Message("user", "1 + 1"),
            Message("assistant", " 2"),
            Message("user", "2 + 2"),
        )
    )
    assert case_key(prompt_of(suite, case)) != case_key(prompt_of(chat, case))
    assert len(case_key(prompt_of(chat, case))) == 64


@pytest.mark.parametrize("name", ["again.csv", "again.jsonl"])
def test_what_is_written_reads_the_same(tmp_path: Path, name: str) -> None:
    cases = (
        Case(
            id="a",
            input='Say "x, y"\nand =1+1',
            targets=("a|b", "c"),
            grader=GraderSpec(GraderKind.CONTAINS, {"case": "keep it"}),
            choices=("1", "2|3"),
            group="g",
            tags=("t", "u"),
            note="n",
            variables={"tone": "-calm"},
        ),
        Case(id="b", input="r", targets=("a|b+",), grader=GraderSpec(GraderKind.REGEX),
             variables={"tone": ""}),
    )  # fmt: skip
    suite = Suite(
        name=name, cases=cases, prefix="p", examples=(Example("i", "o"),), stop=("x",),
        template="{{tone}}{{input}}", chat=True, max_new_tokens=7, source=name,
    )  # fmt: skip
    write_suite(suite, tmp_path / name)
    read = read_suite(tmp_path / name)
    if name.endswith(".jsonl"):  # it leaves empty values out
        cases = (cases[0], Case(id="b", input="r", targets=("a|b+",), grader=cases[1].grader))
        suite = Suite(**{f: getattr(suite, f) for f in Suite.__struct_fields__} | {"cases": cases})
    assert read == suite


def test_a_spreadsheet_s_own_forms_are_read(tmp_path: Path) -> None:
    text = "input\ttarget\r\nGrüße?\tja\r\n\r\n"
    for data in (text.encode("utf-8-sig"), text.encode("utf-16")):
        (case,) = suite_of(tmp_path, data).cases
        assert (case.input, case.targets) == ("Grüße?", ("ja",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "billing.csv: it is empty."),
        (b"question\nx\n", "it has no column named input."),
        (b"input\n", "it has no case."),
        (b"input,a\nx,y\nx,y,z\n", "line 3: it has 3 cells for 2 columns."),
        (b"input,a\n\n ,y\n", "line 3: its input is empty."),
        (b'input\n"x\n', "line 2: the quotes of a cell do not match."),
        (b'input\nx\n"' + b"y" * 1_000_001 + b'"\n', "line 3: a cell has more than 1,000,000"),
        (b"input,input\nx,y\n", "two columns are named 'input'."),
        (b"input\nok\nGr\xfc\xdfe\n", "line 3: it is not text in UTF-8."),
        (b"input\nx\0y\n", "line 2: it has a null character."),
        (b"id,input\na,x\na,y\n", "line 3: the id 'a' stands twice."),
        (b"input,grader\nx,magic\n", "line 2: there is no grader 'magic'."),
        (b"input,grader\nx,number 5\n", "'5' is no option of a grader."),
        (b"input,grader,target\nx,json,../x.json\n", "is outside of its folder."),
        (b"input,grader,target\nx,json,/etc/passwd\n", "is outside of its folder."),
        (b"input,grader,target\nx,json,none.json\n", "the schema none.json is missing."),
        (b"input\n" + b"x\n" * 100_001, "it has more than 100,000 rows."),
        (b",".join(b"c%d" % n for n in range(201)), "it has more than 200 columns."),
    ],
)  # fmt: skip
def test_a_wrong_file_is_a_sentence_with_its_line(tmp_path: Path, text: bytes, words: str) -> None:
    with pytest.raises(PlaygroundError) as caught:
        suite_of(tmp_path, text)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"input": "x"}\n{broken\n', "line 2: it is not valid JSON (column 2)."),
        ('{"input": "x"}\n3\n', "line 2: it holds no JSON object."),
        ('{"input": ' + "[" * 5000 + "]" * 5000 + "}\n", "nested too deeply"),
        ("\n\n", "it is empty."),
    ],
)
def test_a_wrong_json_file_too(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PlaygroundError) as caught:
        suite_of(tmp_path, text, "cases.jsonl")
    assert words in caught.value.message


def test_a_huge_file_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    import os

    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(1 << 30)
    os.mkfifo(tmp_path / "pipe.csv")
    for name, words in (("huge.csv", "larger than"), ("pipe.csv", "is a pipe")):
        with pytest.raises(PlaygroundError, match=words):
            read_suite(tmp_path / name)


@pytest.mark.parametrize(
    "options", ["prefix = 3", "unknown = 1", "[[[", "new_tokens = 0", "chat = 'yes'"]
)
def test_wrong_options_name_what_is_allowed(tmp_path: Path, options: str) -> None:
    (tmp_path / "billing.suite.toml").write_text(options, encoding="utf-8")
    with pytest.raises(PlaygroundError, match=r"billing\.suite\.toml: it is not valid") as caught:
        suite_of(tmp_path, "input\nx\n")
    assert "It may set chat, prefix, template" in caught.value.remedy


def test_the_starter_suite_has_thirty_cases_of_several_kinds() -> None:
    suite = find_suite("starter")
    assert len(suite.cases) == 30
    assert len({case.grader.kind for case in suite.cases}) >= 5
    assert len({case.group for case in suite.cases}) >= 5
    assert all(case.targets and case.group for case in suite.cases)
    for case in suite.cases:
        prompt = prompt_of(suite, case)
        assert isinstance(prompt, RawPrompt)
        assert prompt.text.startswith(prefix_of(suite))
        assert case.input in prompt.text
    with pytest.raises(PlaygroundError, match="there is no such file or suite"):
        find_suite("nothing")
