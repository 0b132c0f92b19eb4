"""The parser that all commands use, and the options and value types that several share."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import NoReturn, TypeAlias

from playground.core.format import plain_line
from playground.core.precision import LOADABLE, Precision

#: More CPU threads than any machine has; torch takes no arbitrary number.
MOST_THREADS = 4096
_SHOWN = 60  # characters of a wrong value in the message about it

# Help texts of options that several commands have
PROMPT = "the prompt; - reads it from stdin"
NEW_TOKENS = "most tokens to generate"
PRECISIONS = ", ".join(LOADABLE)


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one sentence and takes no shortened options."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})  # type: ignore[arg-type]  # as given

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        sentence = plain_line(message.rstrip("."))
        self.exit(2, f"playground: {sentence}. See `{self.prog} --help`.\n")


#: What a command is added to.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def precision(text: str) -> Precision:
    """Read a precision's name."""
    name = text.strip().lower()
    names = [p.value for p in LOADABLE]
    if name in names:
        return Precision(name)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f", did you mean {near[0]}" if near else ""
    raise argparse.ArgumentTypeError(
        f"{shown(text)} is not a precision{hint}: choose from {', '.join(names)}"
    )


def precision_list(text: str) -> tuple[Precision, ...]:
    """Read precisions separated by commas, none of them twice."""
    chosen = tuple(precision(part) for part in text.split(","))
    if len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"{shown(text)} names a precision twice")
    return chosen


def shown(text: str) -> str:
    """Return a wrong value as a message quotes it: shortened, without control characters."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def whole(text: str, what: str, least: int, most: int) -> int:
    """Read a whole number from `least` to `most`; `what` it is, for the message."""
    # Longer ones are refused unread: Python converts no number of 5,000 digits.
    if not (text.isdecimal() and len(text) <= 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{shown(text)} is not {what} from {least:,} to {most:,}")
    return int(text)


def positive(text: str) -> int:
    """Read a whole number above 0, of 32 bits."""
    return whole(text, "a whole number", 1, 2**31 - 1)


def threads(text: str) -> int:
    """Read a number of CPU threads."""
    return whole(text, "a number of threads", 1, MOST_THREADS)


def integer(text: str) -> int:
    """Read a whole number of 64 bits, which may be negative; the options check its range."""
    digits = text.removeprefix("-")
    if not (digits.isdecimal() and len(digits) <= 20 and abs(int(text)) < 2**63):
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number")
    return int(text)


def name(text: str) -> str:
    """Read a name that must not be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def path(text: str) -> Path:
    """Read a path that must not be empty: an empty one would be the current folder."""
    return Path(name(text))


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add which model is loaded and where, and --json."""
    parser.add_argument(
        "--model", type=name, default="bundled", metavar="M", help="a folder, a Hub id, or bundled"
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
    parser.add_argument("--threads", type=threads, default=0, metavar="N", help="CPU threads")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line, the last one `finished`"
    )


def add_json(*parsers: argparse.ArgumentParser) -> None:
    """Add --json to commands that don't end with a `finished` object."""
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="print one JSON object a line")
