"""Defines what `playground eval` accepts."""

from __future__ import annotations

from pathlib import Path

from playground.cli.options import (
    PRECISIONS,
    Commands,
    add_model_options,
    positive,
    precision,
    precision_list,
)
from playground.core.choices import LONGEST_WINDOW


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
