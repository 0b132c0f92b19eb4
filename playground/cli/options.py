"""The parser that all commands use, and the options and value types that several share."""

from __future__ import annotations

import argparse
import difflib
from typing import NoReturn, TypeAlias

from playground.core.precision import Precision

# Help texts of options that several commands have
PROMPT = "the prompt; - reads it from stdin"
NEW_TOKENS = "most tokens to generate"
PRECISIONS = ", ".join(Precision)


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one sentence and takes no shortened options."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})  # type: ignore[arg-type]  # as given

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"playground: {message.rstrip('.')}. See `{self.prog} --help`.\n")


#: What a command is added to.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def precision(text: str) -> Precision:
    """Read a precision's name."""
    name = text.strip().lower()
    try:
        return Precision(name)
    except ValueError:
        names = [p.value for p in Precision]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f", did you mean {near[0]}" if near else ""
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a precision{hint}: choose from {', '.join(names)}"
        ) from None


def precision_list(text: str) -> tuple[Precision, ...]:
    """Read precisions separated by commas, none of them twice."""
    chosen = tuple(precision(part) for part in text.split(","))
    if len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"{text!r} names a precision twice")
    return chosen


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add which model is loaded and where, and --json."""
    parser.add_argument(
        "--model", default="bundled", metavar="M", help="a folder, a Hub id, or bundled"
    )
    parser.add_argument(
        "--revision", default="", help="branch, tag or commit of a model on the Hub"
    )
    parser.add_argument(
        "--trust-remote-code",
        default="",
        metavar="COMMIT",
        help="run the model's own Python code, of this commit and no other",
    )
    parser.add_argument("--device", default="", help="cpu, cuda:0, …; default: the first GPU")
    parser.add_argument("--threads", type=positive, default=0, metavar="N", help="CPU threads")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line, the last one `finished`"
    )


def add_json(*parsers: argparse.ArgumentParser) -> None:
    """Add --json to commands that don't end with a `finished` object."""
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="print one JSON object a line")
