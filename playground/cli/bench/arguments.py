"""Defines what `playground bench` accepts."""

from __future__ import annotations

from playground.cli.options import (
    PRECISIONS,
    PROMPT,
    Commands,
    add_model_options,
    integer,
    positive,
    precision_list,
)


def add_bench(commands: Commands) -> None:
    """Add the command."""
    bench = commands.add_parser(
        "bench",
        help="time precisions against each other",
        description="Run a prompt in several precisions, in alternating order after an uncounted "
        "warm-up; print medians, and ratios to the first precision.",
    )
    bench.add_argument("--prompt", metavar="T", help=PROMPT)
    bench.add_argument(
        "--precisions", type=precision_list, metavar="P,P", help=f"of {PRECISIONS} (bf16,int8,gptq)"
    )
    bench.add_argument("--new-tokens", type=integer, metavar="N", help="tokens of each answer (64)")
    bench.add_argument("--repeats", type=positive, metavar="R", help="runs of each precision (5)")
    bench.add_argument(
        "--founding",
        action="store_true",
        help="the founding comparison: its prompt, 15 tokens, bf16, int8 and GPTQ, beside the "
        "published figures",
    )
    add_model_options(bench)
