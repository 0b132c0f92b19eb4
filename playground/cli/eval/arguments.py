"""Defines what `playground eval` accepts."""

from __future__ import annotations

import argparse
from pathlib import Path

from playground.cli.options import (
    PRECISIONS,
    Commands,
    add_json,
    add_model_options,
    integer,
    name,
    path,
    positive,
    precision,
    precision_list,
    shown,
    whole,
)
from playground.core.choices import LONGEST_WINDOW
from playground.evaluation.kinds import GraderKind
from playground.evaluation.suites.kinds import ImportKind


def add_eval(commands: Commands) -> None:
    """Add the command with its actions."""
    evaluate = commands.add_parser(
        "eval",
        help="what precisions change on your own text",
        description="Compare precisions of a model on your own material.",
    )
    actions = evaluate.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = actions.add_parser(
        "text",
        help="perplexity, bits per byte, and the divergence from a reference",
        description="Score a text in several precisions, each against the reference. Perplexity "
        "compares precisions of one model, bits per byte also models.",
    )
    text.add_argument("file", type=Path, metavar="FILE", help="a UTF-8 text")
    text.add_argument(
        "--precisions",
        type=precision_list,
        default=(),
        metavar="P,P",
        help=f"of: {PRECISIONS} (bf16,int8,gptq)",
    )
    text.add_argument(
        "--reference",
        type=precision,
        metavar="P",
        help="the precision that the others are compared with (default: the highest)",
    )
    text.add_argument(
        "--window",
        type=positive,
        default=0,
        metavar="W",
        help=f"tokens read at once (default: the context, at most {LONGEST_WINDOW})",
    )
    text.add_argument(
        "--stride",
        type=positive,
        default=0,
        metavar="S",
        help="tokens from one window to the next (default: half a window)",
    )
    add_model_options(text)
    _add_run(actions)
    _add_results(actions)
    _add_verdict(actions)
    _add_grade(actions)
    _add_prompts(actions)
    _add_import(actions)


_SUITE = "a CSV or JSONL file, starter, gsm8k, or bbh/TASK"


def add_suite(parser: argparse.ArgumentParser) -> None:
    """Add where benchmarks are, and how they are asked."""
    parser.add_argument(
        "--folder", type=path, metavar="DIR", help="where gsm8k/ and bbh/ are with their files"
    )
    parser.add_argument(
        "--shots",
        type=lambda text: whole(text, "a number of examples", 0, 1000),
        metavar="N",
        help="worked examples in front of each question (gsm8k 8, bbh 3)",
    )


def _add_run(actions: Commands) -> None:
    run = actions.add_parser(
        "run",
        help="ask models the cases of a suite, and say which loses",
        description="Ask every contestant every case of a suite, keep each answer as it comes, "
        "and say of each contestant how it compares with the reference. Ctrl+C pauses.",
    )
    run.add_argument("suite", nargs="?", default="", metavar="SUITE", help=_SUITE)
    add_suite(run)
    run.add_argument(
        "--model",
        type=name,
        action="append",
        metavar="M",
        help="a folder, a Hub id, or bundled; may be repeated",
    )
    run.add_argument("--revision", default="", help="branch, tag or commit on the Hub")
    run.add_argument(
        "--precisions",
        type=precision_list,
        default=(),
        metavar="P,P",
        help=f"of: {PRECISIONS} (bf16,int8,gptq)",
    )
    run.add_argument("--reference", type=precision, metavar="P", help="default: the highest")
    run.add_argument("--limit", type=positive, default=200, metavar="N", help="cases asked (200)")
    run.add_argument("--margin", type=margin, default=5.0, metavar="POINTS", help=_MARGIN)
    run.add_argument(
        "--no-early-stop", action="store_true", help="ask all cases, also once it is decided"
    )
    run.add_argument("--seed", type=integer, default=0, metavar="S", help="of the order (0)")
    run.add_argument("--new-tokens", type=positive, metavar="N", help="default: the suite's")
    run.add_argument("--device", default="", help="cpu, cuda:0, …")
    run.add_argument("--resume", type=positive, metavar="RUN", help="go on with an evaluation")
    run.add_argument(
        "--fail-if-worse",
        type=margin,
        metavar="POINTS",
        help="exit with 4 where a contestant loses more, with 5 where that is undecided",
    )
    add_json(run)


def _add_results(actions: Commands) -> None:
    listed = actions.add_parser("list", help="list the kept evaluations")
    show = actions.add_parser("show", help="show an evaluation's figures and verdicts")
    report = actions.add_parser("report", help="write an evaluation's report")
    report.add_argument("--html", type=path, metavar="FILE")
    report.add_argument("--markdown", type=path, metavar="FILE")
    export = actions.add_parser("export", help="write an evaluation's results")
    export.add_argument(
        "-o",
        "--output",
        type=path,
        required=True,
        metavar="FILE",
        help=".jsonl: every answer; .csv: outcomes, for `eval verdict`; .zip: everything",
    )
    delete = actions.add_parser("delete", help="remove an evaluation")
    for one in (show, report, export, delete):
        one.add_argument("number", type=positive, metavar="RUN", help="its number in the list")
    add_json(listed, show, report, export, delete)


def _add_verdict(actions: Commands) -> None:
    verdict = actions.add_parser(
        "verdict",
        help="say what a table of outcomes shows",
        description="Read a table of one row a case and one column a contestant (1, 0 or empty), "
        "from anywhere, and say of each contestant how it compares with the reference.",
    )
    verdict.add_argument("table", type=path, metavar="TABLE", help="a CSV or JSONL file")
    verdict.add_argument(
        "--reference",
        default="",
        metavar="COLUMN",
        help="default: the one named like the highest precision, else the first",
    )
    verdict.add_argument("--margin", type=margin, default=5.0, metavar="POINTS", help=_MARGIN)
    verdict.add_argument(
        "--group", default="", metavar="COLUMN", help="cases of one group belong together"
    )
    add_json(verdict)


def _add_grade(actions: Commands) -> None:
    grade = actions.add_parser(
        "grade",
        help="grade outputs that were made anywhere",
        description='Grade outputs: lines of {"output": …, "target": …}. With --as gsm8k or '
        "bbh three columns stand beside each other: strict and flexible as "
        "lm-evaluation-harness 0.4.13 extracts and scores, and normalised. Other graders give "
        "their own grade in all three; the flexible one of f1 is the F1 itself. A line may also "
        "have choices, schema and stop_reason.",
    )
    grade.add_argument(
        "outputs",
        type=path,
        metavar="OUTPUTS",
        help="a JSONL file, - for stdin, or the number of a kept evaluation, to grade it again",
    )
    grade.add_argument(
        "--as",
        dest="kind",
        choices=[kind.value for kind in GraderKind if kind not in _ASKED_ELSEWHERE],
        help="the grader, for a file",
    )
    grade.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the grader, such as tolerance=0.01",
    )
    add_json(grade)


def margin(text: str) -> float:
    """Read a margin in points."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a number of points up to 100")
    return value


_MARGIN = "the loss that is tolerated, in hundredths of the cases (5)"
#: Graders that need a model or a person.
_ASKED_ELSEWHERE = (GraderKind.CHOICE, GraderKind.JUDGE, GraderKind.HUMAN)


def _add_prompts(actions: Commands) -> None:
    prompts = actions.add_parser(
        "prompts",
        help="print what models are asked for a suite's cases",
        description="Print each case's prompt, byte for byte as a model gets it.",
    )
    prompts.add_argument("--suite", type=name, required=True, metavar="SUITE", help=_SUITE)
    add_suite(prompts)
    prompts.add_argument("--limit", type=positive, metavar="N", help="print only the first N")
    add_json(prompts)


def _add_import(actions: Commands) -> None:
    imported = actions.add_parser(
        "import",
        help="turn another tool's cases into a suite",
        description="Read cases of promptfoo, inspect, OpenAI evals or lm-evaluation-harness, "
        "and write them as a suite.",
    )
    imported.add_argument("file", type=path, metavar="FILE")
    imported.add_argument(
        "--as",
        dest="kind",
        choices=[kind.value for kind in ImportKind],
        help="default: recognised by its columns",
    )
    imported.add_argument(
        "--data", type=path, metavar="FILE", help="the documents of a lm-evaluation-harness task"
    )
    imported.add_argument("-o", "--output", type=path, metavar="FILE", help="default: beside it")
    add_json(imported)
