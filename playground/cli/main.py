"""The command line's entry: it runs a command and turns its end into an exit code."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from playground.cli import streams
from playground.cli.arguments import parse
from playground.cli.window import window

#: What shells return for a program that SIGINT ended: 128 + 2.
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return the exit code, 0 only for success."""
    streams.prepare()
    try:
        args = parse(arguments)
    except SystemExit as end:  # --help, --version, or a mistake
        code = end.code if isinstance(end.code, int) else 0
        return guarded(lambda _: code, argparse.Namespace())
    return guarded(_dispatch, args)


def guarded(command: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command and return the exit code; report what it raises in one sentence."""
    streams.prepare()
    try:
        return _run(command, args)
    except BrokenPipeError:  # the reader of our output (`head`) has gone
        streams.discard_output()
        return 1


def _run(command: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run the command and report its failure, which may raise BrokenPipeError too."""
    from playground.core.system.log import start_log

    start_log()
    try:
        code = command(args)
        streams.write_result("")  # what a library has printed is written here, or fails here
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return _report(error, args)
    finally:
        _say_notices(args)


def _say_notices(args: argparse.Namespace) -> None:
    """Say which of the playground's own files were damaged."""
    from playground.core.system.own_files import take_notices

    if notices := take_notices():
        from playground.cli.console import Console

        console = Console(json=getattr(args, "json", False))
        for notice in notices:
            console.warn(str(notice))


def _dispatch(args: argparse.Namespace) -> int:
    from playground.app.leftovers import sweep

    sweep()
    match args.command:
        case "run":
            from playground.cli.run import run

            return run(args)
        case "bench":
            from playground.cli.bench.command import bench

            return bench(args)
        case "doctor":
            from playground.cli.doctor import doctor

            return doctor(args)
        case "servers":
            from playground.cli.servers.command import servers

            return servers(args)
        case "env":
            from playground.cli.env.command import env

            return env(args)
        case "eval":
            from playground.cli.eval.command import evaluate

            return evaluate(args)
        case "history":
            from playground.cli.history.command import history

            return history(args)
        case "report":
            from playground.cli.history.command import report

            return report(args)
        case "quantize":
            from playground.cli.quantize.command import quantize

            return quantize(args)
        case "models":
            from playground.cli.models.command import models

            return models(args)
        case "demo":
            from playground.cli.demo import demo

            return demo(args)
        case _:
            return window().main(args)


def _report(error: Exception, args: argparse.Namespace) -> int:
    from playground.cli.console import Console
    from playground.client.session import Interrupted
    from playground.core.errors import PlaygroundError

    if isinstance(error, streams.OutputError):
        streams.discard_output()
    console = Console(json=getattr(args, "json", False))
    if isinstance(error, Interrupted):
        console.event("interrupted")
        return INTERRUPTED
    if isinstance(error, PlaygroundError):
        console.failed(error)
        return 1
    console.failed(
        PlaygroundError(
            f"The playground met an unexpected error: {type(error).__name__}: {error}.",
            f"Please report it with the file {path}." if (path := _written_down(error)) else "",
        )
    )
    return 1


def _written_down(error: Exception) -> str:
    """Write the traceback to a file and return its path, "" where no file can be written."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="playground-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            traceback.print_exception(error, file=log)
    except OSError:
        return ""
    return log.name
