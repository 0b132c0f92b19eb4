"""Streams that are closed, full, or read by nobody, and what must not reach a terminal."""

from __future__ import annotations

import subprocess

import pytest

from playground.cli.arguments import parse
from playground.cli.console import table
from tests.cli.commands import command, environment, one_sentence, playground


def through_shell(line: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line, "$@" in a line of a shell, to its end."""
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", *command(*arguments)],
        capture_output=True,
        env=environment(),
        check=False,
    )


@pytest.mark.parametrize(
    "arguments", [("models", "list"), ("models", "list", "--json"), ("--help",)]
)
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('exec "$@" >/dev/full', "no space is left"),
        ('exec "$@" >&- <&-', "it is closed"),
    ],
)
def test_a_result_that_cannot_be_written_fails_in_a_sentence(
    line: str, why: str, arguments: tuple[str, ...]
) -> None:
    done = through_shell(line, *arguments)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1, done.stderr
    assert why in one_sentence(done)


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    done = through_shell('"$@" | head -n 1', "models", "list")
    assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")


@pytest.mark.parametrize("errors", ["2>&-", "2>/dev/full"])
def test_a_status_that_cannot_be_written_costs_no_result(errors: str) -> None:
    done = through_shell(f'exec "$@" {errors}', "models", "search", "--help")
    assert done.returncode == 0
    assert b"usage" in done.stdout
    listed = through_shell(f'exec "$@" {errors}', "models", "delete", "classics-6m")
    assert listed.returncode == 1  # a bundled model is not deleted, which nobody can be told


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "show", "red\x1b[31m"),
        ("models", "delete", "red\x1b[31m\nplayground: all is well"),
        ("run", "--prompt", "x", "--model", "red\x1b[31m"),
        ("--red\x1b[31m",),
        ("run", "--prompt", "x", "--precision", "red\x1b[31m"),
        ("env", "check", "red\x1b[31m"),
    ],
)
def test_control_characters_of_a_name_do_not_reach_the_terminal(arguments: tuple[str, ...]) -> None:
    done = playground(*arguments)
    assert done.returncode != 0
    assert "red" in one_sentence(done)
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_name_cannot_break_a_table() -> None:
    assert len(table([("a", "b"), ("x\ny\x1b[2J", "z")])) == 3


@pytest.mark.parametrize(
    "line",
    [
        ("--size", "99999x99999"),
        ("--size", f"{'9' * 5000}x1"),
        ("--size", "٣٠٠x"),
        ("--model", ""),
        ("--screenshot", ""),
        ("run", "--prompt", "x", "--model", " "),
        ("run", "--prompt", "x", "--threads", "9" * 12),
        ("run", "--prompt", "x", "--new-tokens", "9" * 5000),
        ("run", "--prompt", "x", "--seed", "-" + "9" * 30),
        ("models", "show", ""),
        ("models", "delete", ""),
        ("models", "list", "--folder", ""),
        ("models", "search", "--limit", "9" * 5000),
        ("quantize", "--output", ""),
        ("quantize", "--samples", "9" * 5000),
        ("env", "add", ""),
    ],
)
def test_values_beyond_sense_are_refused_in_a_short_sentence(line: tuple[str, ...]) -> None:
    done = playground(*line)
    assert done.returncode == 2
    assert len(one_sentence(done)) < 250


def test_values_at_the_limits_are_taken() -> None:
    assert parse(["--size", "8192x8192"]).size == "8192x8192"
    assert parse(["env", "add", "/usr/bin/python3"]).name == ""
    assert parse(["run", "--prompt", "x", "--seed", "-1"]).seed == -1
