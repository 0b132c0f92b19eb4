"""What the README promises of the project itself."""

from __future__ import annotations

import re
from pathlib import Path

from playground.cli.arguments import parse
from playground.core.precision import LOADABLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def code_blocks() -> list[str]:
    return [block.strip() for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)]


def test_ci_runs_the_readmes_test_command_word_for_word() -> None:
    command = code_blocks()[1]
    assert command.endswith("-m pytest")
    assert command in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_both_commands_are_one_line_and_set_themselves_up() -> None:
    for command in code_blocks()[:2]:
        assert "\n" not in command
        assert command.startswith("python3 -m venv ")


def test_the_readmes_command_lines_are_accepted() -> None:
    lines = [line for line in code_blocks()[2].splitlines() if line]
    assert len(lines) >= 5
    for line in lines:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
        assert words[0] == "playground"
        parse(words[1:])


def test_the_readme_names_what_there_is() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for precision in LOADABLE:
        assert precision.value.upper() in README.upper()


def test_the_readme_says_where_to_change_what() -> None:
    section = README[README.index("### Where to change what") :]
    named = re.findall(
        r"`((?:app|cli|client|core|engine|evaluation|gui|history|hub)/[\w/.]*)`", section
    )
    for path in named:
        assert (ROOT / "playground" / path).exists(), path
    folders = {path.parent for path in (ROOT / "playground").rglob("__init__.py")}
    missing = folders - {ROOT / "playground" / path for path in named} - {ROOT / "playground"}
    assert not missing
