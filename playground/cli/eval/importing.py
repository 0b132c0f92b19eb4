"""Turns another tool's cases into a suite: `playground eval import`."""

from __future__ import annotations

import argparse

from playground.cli.console import Console
from playground.core.errors import OptionsError
from playground.evaluation.suites.files import write_suite
from playground.evaluation.suites.imports import import_suite
from playground.evaluation.suites.kinds import ImportKind


def import_file(args: argparse.Namespace) -> int:
    """Write the suite. Raises PlaygroundError."""
    console = Console(json=args.json)
    suite = import_suite(args.file, ImportKind(args.kind) if args.kind else None, args.data)
    target = args.output or args.file.with_name(suite.name)
    if target.exists() and not args.output:
        raise OptionsError(f"There is already a file {target}.", "Name another one with -o.")
    write_suite(suite, target)
    unknown = [case for case in suite.cases if case.note]
    console.event("imported", file=str(target), cases=len(suite.cases), source=suite.source)
    console.print(f"{target}: {len(suite.cases):,} cases.")
    if unknown:
        console.warn(
            f"{len(unknown):,} cases have checks that were not imported; their notes name them."
        )
    return 0
