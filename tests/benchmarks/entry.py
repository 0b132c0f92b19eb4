"""How a benchmark is run: its own arguments, and errors reported as the command line does."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from playground.cli.main import guarded
from playground.cli.options import Parser


def parser(name: str, description: str) -> Parser:
    """Return a parser for `python -m tests.benchmarks.NAME`, with `--json`."""
    made = Parser(
        prog=f"python -m tests.benchmarks.{name}", description=description, allow_abbrev=False
    )
    made.add_argument("--json", action="store_true", help="one JSON object a line")
    return made


def run(parser: Parser, benchmark: Callable[[argparse.Namespace], int]) -> NoReturn:
    """Parse this process's arguments, run the benchmark, and exit with its code."""
    sys.exit(guarded(benchmark, parser.parse_args()))
