"""Defines what `playground eval` accepts."""

from __future__ import annotations

import argparse
from pathlib import Path

from playground.cli.options import (
    PRECISIONS,
    Commands,
    add_json,
    add_model_options,
    name,
    path,
    positive,
    precision,
    precision_list,
    whole,
)
from playground.core.choices import LONGEST_WINDOW
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
