"""Defines what `playground history` and `playground report` accept."""

from __future__ import annotations

from pathlib import Path

from playground.cli.options import PRECISIONS, Commands, Parser, add_json, positive, precision


def add_history(commands: Commands) -> None:
    """Add the command with its actions."""
    history = commands.add_parser(
        "history",
        help="the runs that were kept",
        description="Runs of the window and of `playground run`, the newest first.",
    )
    actions = history.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", help="list the runs, or find some")
    listed.add_argument(
        "--search", default="", metavar="WORDS", help="words in the prompt or in the answers"
    )
    listed.add_argument("--model", default="", metavar="M", help="runs with this model")
    listed.add_argument(
        "--precision", type=precision, metavar="P", help=f"runs with one of: {PRECISIONS}"
    )
    listed.add_argument("--limit", type=positive, default=20, metavar="N", help="at most N (20)")
    show = actions.add_parser("show", help="show a run with its answers and figures")
    _add_run(show)
    export = actions.add_parser("export", help="save a run as a file that opens elsewhere")
    _add_run(export)
    export.add_argument("file", type=Path, metavar="FILE", help="a zip file")
    imported = actions.add_parser("import", help="take over a run that was exported")
    imported.add_argument("file", type=Path, metavar="FILE", help="a zip file")
    delete = actions.add_parser("delete", help="delete runs; `history restore` undoes it")
    delete.add_argument("runs", type=positive, nargs="+", metavar="RUN", help="their numbers")
    restore = actions.add_parser("restore", help="bring back runs deleted within the last hour")
    restore.add_argument("runs", type=positive, nargs="+", metavar="RUN", help="their numbers")
    add_json(listed, show, export, imported, delete, restore)


def add_report(commands: Commands) -> None:
    """Add the command that writes a run as one file."""
    report = commands.add_parser(
        "report",
        help="write a kept run as HTML, Markdown or JSON",
        description="Write a run with its prompt, texts, differences, figures and conditions.",
    )
    _add_run(report)
    formats = report.add_mutually_exclusive_group(required=True)
    formats.add_argument("--html", type=Path, metavar="FILE", help="one page, plot included")
    formats.add_argument("--markdown", type=Path, metavar="FILE", help="text with tables")
    formats.add_argument(
        "--json-file", type=Path, metavar="FILE", help="everything, for other programs"
    )
    add_json(report)


def _add_run(parser: Parser) -> None:
    parser.add_argument(
        "run", type=positive, metavar="RUN", help="its number, as `history list` shows it"
    )
