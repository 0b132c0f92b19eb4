"""Carries out the actions of `playground eval`."""

from __future__ import annotations

import argparse


def evaluate(args: argparse.Namespace) -> int:
    """Run one action. Raises PlaygroundError."""
    match args.action:
        case "text":
            from playground.cli.eval.text import text

            return text(args)
        case "run":
            from playground.cli.eval.running import run_evaluation

            return run_evaluation(args)
        case "list":
            from playground.cli.eval.results import list_evaluations

            return list_evaluations(args)
        case "show":
            from playground.cli.eval.results import show_evaluation

            return show_evaluation(args)
        case "report":
            from playground.cli.eval.results import report_evaluation

            return report_evaluation(args)
        case "export":
            from playground.cli.eval.results import export_evaluation

            return export_evaluation(args)
        case "delete":
            from playground.cli.eval.results import delete_evaluation

            return delete_evaluation(args)
        case "verdict":
            from playground.cli.eval.verdict import print_verdict

            return print_verdict(args)
        case "grade":
            from playground.cli.eval.grading import grade_file

            return grade_file(args)
        case "prompts":
            from playground.cli.eval.prompts import prompts

            return prompts(args)
        case "import":
            from playground.cli.eval.importing import import_file

            return import_file(args)
        case action:
            raise AssertionError(action)
