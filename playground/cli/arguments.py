"""What the command line accepts."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import NoReturn, get_args

from playground import __version__
from playground.cli.env.arguments import add_env
from playground.cli.models.arguments import add_models
from playground.cli.quantize.arguments import add_quantize
from playground.core.facts import DecoderChoice
from playground.core.precision import Precision

EPILOG = "Without a command the window opens. `playground COMMAND --help` tells the options of one."


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and where to look."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"playground: {message.rstrip('.')}. See `{self.prog} --help`.\n")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse a command line. Exits with code 2 and a sentence on stderr where it is wrong."""
    return build_parser().parse_args(arguments)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; importing nothing that is slow."""
    parser = Parser(
        prog="playground",
        description="Load a language model in several precisions side by side.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"playground {__version__}")
    _add_window_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    _add_run(commands)
    _add_bench(commands)
    _add_doctor(commands)
    add_models(commands)
    add_quantize(commands)
    add_env(commands)
    demo = commands.add_parser(
        "demo",
        help="show the bundled model in three precisions",
        description="The bundled model in bf16, int8 and GPTQ: in the window where there is a "
        "screen, else in the terminal, with the window's picture in playground.png.",
        allow_abbrev=False,
    )
    demo.add_argument("--new-tokens", type=positive, default=96, metavar="N")
    return parser


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
    """Read precisions with commas between; each once."""
    chosen = tuple(precision(part) for part in text.split(","))
    if len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"{text!r} names a precision twice")
    return chosen


def size(text: str) -> str:
    """Check a window's size, WIDTHxHEIGHT."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give it as 1280x720")
    return f"{int(width)}x{int(height)}"


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _add_window_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the window")
    group.add_argument("--autorun", action="store_true", help="run the prompt over all lanes")
    group.add_argument("--prompt", metavar="TEXT", help="the prompt to begin with")
    group.add_argument(
        "--screenshot", type=Path, metavar="FILE", help="save a picture when done, and quit"
    )
    group.add_argument("--theme", choices=("system", "light", "dark"))
    group.add_argument("--new-tokens", type=positive, metavar="N")
    group.add_argument("--model", metavar="M", help="a folder, a Hub id, or bundled")
    group.add_argument(
        "--precisions", metavar="P,P", type=lambda text: _joined(precision_list(text))
    )
    group.add_argument("--size", type=size, metavar="WxH", help="such as 1280x720")


def _joined(precisions: tuple[Precision, ...]) -> str:
    return ",".join(precisions)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="bundled", metavar="M", help="a folder, a Hub id, or bundled"
    )
    parser.add_argument("--revision", default="", help="of a Hub model: branch, tag or commit")
    parser.add_argument(
        "--trust-remote-code",
        default="",
        metavar="COMMIT",
        help="run the model's own Python code, of this commit and no other",
    )
    parser.add_argument("--device", default="", help="cpu, cuda:0, …; the first GPU if left out")
    parser.add_argument("--threads", type=positive, default=0, metavar="N", help="CPU threads")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line, the last one `finished`"
    )


def _add_run(commands: argparse._SubParsersAction[Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="stream one answer to the terminal",
        description="Load a model in a precision and stream its answer to a prompt.",
        allow_abbrev=False,
    )
    run.add_argument("--prompt", required=True, metavar="T", help="- reads it from stdin")
    run.add_argument("--precision", type=precision, default=Precision.BF16, metavar="P")
    _add_model_options(run)
    run.add_argument("--chat", action="store_true", help="use the model's chat template")
    run.add_argument("--system", default="", metavar="TEXT", help="system prompt, with --chat")
    run.add_argument("--new-tokens", type=int, default=128, metavar="N")
    run.add_argument("--seed", type=int, default=0, metavar="S")
    choice = run.add_argument_group("choosing the next token (greedy unless one is given)")
    choice.add_argument("--greedy", action="store_true", help="always the likeliest token")
    choice.add_argument("--temperature", type=float)
    choice.add_argument("--top-k", type=int)
    choice.add_argument("--top-p", type=float)
    choice.add_argument("--min-p", type=float)
    run.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X")
    run.add_argument("--stop", action="append", default=[], metavar="TEXT", help="may be repeated")
    run.add_argument(
        "--decoder",
        choices=get_args(DecoderChoice),
        default="auto",
        help="auto: the fastest that agrees with the model's forward, as timed at load; "
        "generate: transformers' own loop",
    )
    run.add_argument(
        "--environment", default="", metavar="NAME", help="another Python, see `playground env`"
    )
    run.add_argument("--ignore-eos", action="store_true", help="go on to --new-tokens")


def _add_bench(commands: argparse._SubParsersAction[Parser]) -> None:
    bench = commands.add_parser(
        "bench",
        help="time precisions against each other",
        description="Run a prompt over several precisions in alternating order after an "
        "uncounted warm-up; medians, and ratios to the first precision.",
        allow_abbrev=False,
    )
    bench.add_argument("--prompt", metavar="T", help="- reads it from stdin")
    bench.add_argument("--precisions", type=precision_list, metavar="P,P")
    bench.add_argument("--new-tokens", type=int, metavar="N")
    bench.add_argument("--repeats", type=positive, metavar="R")
    bench.add_argument(
        "--founding",
        action="store_true",
        help="the founding comparison: its prompt, 15 tokens, bf16, int8 and GPTQ, beside the "
        "published figures",
    )
    _add_model_options(bench)


def _add_doctor(commands: argparse._SubParsersAction[Parser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="what works here, and the remedy for what does not",
        description="Devices, libraries, precisions (each tried with the bundled model), "
        "memory, the screen and the folders. Exit code 1 where the bundled model cannot run.",
        allow_abbrev=False,
    )
    doctor.add_argument("--quick", action="store_true", help="try bf16 only")
    doctor.add_argument("--json", action="store_true", help="one JSON object a line")
