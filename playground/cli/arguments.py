"""Defines what the command line accepts."""

from __future__ import annotations

import argparse
from typing import get_args

from playground import __version__
from playground.cli.bench.arguments import add_bench
from playground.cli.env.arguments import add_env
from playground.cli.eval.arguments import add_eval
from playground.cli.history.arguments import add_history, add_report
from playground.cli.models.arguments import add_models
from playground.cli.options import (
    NEW_TOKENS,
    PRECISIONS,
    PROMPT,
    Commands,
    Parser,
    add_json,
    add_model_options,
    integer,
    name,
    path,
    positive,
    precision,
    precision_list,
    shown,
    whole,
)
from playground.cli.quantize.arguments import add_quantize
from playground.cli.servers.arguments import add_servers
from playground.core.choices import DecoderChoice
from playground.core.precision import Precision

#: Pixels of a window's side: more than any screen has, and what Qt still draws.
LARGEST = 8192
EPILOG = "Without a command the window opens. `playground COMMAND --help` lists its options."


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse a command line. A wrong one exits with code 2 and a sentence on stderr."""
    return build_parser().parse_args(arguments)


def build_parser() -> Parser:
    """Return the parser of the whole command line; it imports nothing slow."""
    parser = Parser(
        prog="playground",
        description="Load a language model in several precisions side by side.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"playground {__version__}")
    _add_window_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    _add_run(commands)
    add_bench(commands)
    _add_doctor(commands)
    add_models(commands)
    add_quantize(commands)
    add_env(commands)
    add_eval(commands)
    add_servers(commands)
    add_history(commands)
    add_report(commands)
    demo = commands.add_parser(
        "demo",
        help="show the bundled model in three precisions",
        description="Run the bundled model in bf16, int8 and GPTQ: in the window where there is "
        "a screen, else in the terminal, with a picture of the window in playground.png.",
    )
    demo.add_argument(
        "--new-tokens", type=positive, default=96, metavar="N", help=f"{NEW_TOKENS} (96)"
    )
    return parser


def size(text: str) -> str:
    """Read a window's size, WIDTHxHEIGHT."""
    width, _, height = text.lower().partition("x")
    try:
        sides = [whole(side, "a side", 1, LARGEST) for side in (width, height)]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a size: give it as 1280x720, each side at most {LARGEST:,}"
        ) from None
    return "x".join(map(str, sides))


def _add_window_options(parser: Parser) -> None:
    group = parser.add_argument_group("the window")
    group.add_argument("--autorun", action="store_true", help="run the prompt in all lanes")
    group.add_argument("--prompt", metavar="TEXT", help="the prompt to begin with")
    group.add_argument(
        "--screenshot",
        type=path,
        metavar="FILE",
        help="save a picture of the window when done, and quit",
    )
    group.add_argument(
        "--theme", choices=("system", "light", "dark"), help="default: the stored setting"
    )
    group.add_argument("--new-tokens", type=positive, metavar="N", help=NEW_TOKENS)
    group.add_argument("--model", type=name, metavar="M", help="a folder, a Hub id, or bundled")
    group.add_argument(
        "--precisions",
        metavar="P,P",
        type=lambda text: ",".join(precision_list(text)),
        help=f"one lane for each of: {PRECISIONS}",
    )
    group.add_argument("--size", type=size, metavar="WxH", help="such as 1280x720")


def _add_run(commands: Commands) -> None:
    run = commands.add_parser(
        "run",
        help="stream one answer to the terminal",
        description="Load a model in a precision and stream its answer to a prompt.",
    )
    run.add_argument("--prompt", required=True, metavar="T", help=PROMPT)
    run.add_argument(
        "--precision",
        type=precision,
        default=Precision.BF16,
        metavar="P",
        help=f"{PRECISIONS} (bf16)",
    )
    add_model_options(run)
    run.add_argument("--chat", action="store_true", help="use the model's chat template")
    run.add_argument("--system", default="", metavar="TEXT", help="system prompt, with --chat")
    run.add_argument(
        "--new-tokens", type=integer, default=128, metavar="N", help=f"{NEW_TOKENS} (128)"
    )
    run.add_argument(
        "--seed", type=integer, default=0, metavar="S", help="seed of the sampling (0)"
    )
    choice = run.add_argument_group("sampling (greedy unless one is given)")
    choice.add_argument("--greedy", action="store_true", help="always take the likeliest token")
    choice.add_argument("--temperature", type=float)
    choice.add_argument("--top-k", type=integer)
    choice.add_argument("--top-p", type=float)
    choice.add_argument("--min-p", type=float)
    run.add_argument(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="X",
        help="above 1 makes repetitions less likely (1)",
    )
    run.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="stop at this text; may be repeated",
    )
    run.add_argument(
        "--decoder",
        choices=get_args(DecoderChoice),
        default="auto",
        help="auto: the fastest that agrees with the model's forward, as timed at load; "
        "generate: transformers' own loop",
    )
    run.add_argument(
        "--environment",
        default="",
        metavar="NAME",
        help="run in another Python, see `playground env`",
    )
    run.add_argument(
        "--top",
        type=integer,
        default=0,
        metavar="N",
        help="with --json: each token's log-probability, its rank and the N likeliest tokens",
    )
    run.add_argument(
        "--server",
        default="",
        metavar="URL",
        help="run on a server with OpenAI's API: its address, or a name of `playground servers`; "
        "--model is then the server's name of a model",
    )
    run.add_argument("--private", action="store_true", help="do not keep the run in the history")
    run.add_argument(
        "--ignore-eos", action="store_true", help="do not stop before --new-tokens tokens"
    )


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="check what works here, with remedies for what does not",
        description="Check devices, libraries, precisions (each tried with the bundled model), "
        "memory, the screen and the folders. Exit code 1 where the bundled model cannot run.",
    )
    doctor.add_argument("--quick", action="store_true", help="try bf16 only")
    add_json(doctor)
