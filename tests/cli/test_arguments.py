"""The command line's form, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playground.cli.arguments import parse
from playground.cli.demo import window_arguments
from playground.core.precision import Precision
from tests.cli.commands import environment


def test_the_window_gets_its_options() -> None:
    line = (
        "--autorun --prompt Hi --screenshot a.png --precisions bf16,gptq --size 1280x720 "
        "--new-tokens 30 --theme dark --model bundled"
    )
    args = parse(line.split())
    assert args.command is None
    assert (args.autorun, args.prompt, args.screenshot) == (True, "Hi", Path("a.png"))
    assert (args.precisions, args.size, args.theme) == ("bf16,gptq", "1280x720", "dark")
    assert (args.new_tokens, args.model) == (30, "bundled")


def test_without_options_the_window_just_opens() -> None:
    args = vars(parse([]))
    wanted = vars(window_arguments(10))
    assert set(wanted) <= set(args)
    assert not any(args.values())


def test_run_and_bench() -> None:
    run = parse(["run", "--prompt", "x", "--precision", "NF4"])
    assert (run.command, run.precision, run.model) == ("run", Precision.NF4, "bundled")
    bench = parse(["bench", "--founding", "--precisions", "bf16, int8"])
    assert (bench.command, bench.precisions) == ("bench", (Precision.BF16, Precision.INT8))


def test_help_imports_nothing_slow() -> None:
    program = (
        "import sys\n"
        "from playground.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "slow = {'torch', 'transformers', 'PySide6', 'huggingface_hub', 'numpy', 'msgspec'}\n"
        "sys.exit(','.join(slow & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"doctor" in done.stdout


def test_a_command_never_imports_qt_or_torch() -> None:
    program = (
        "import sys\n"
        "import playground.cli.run, playground.cli.bench.command, playground.cli.doctor\n"
        "import playground.cli.demo, tests.support.scripted_engine\n"
        "sys.exit(','.join({'torch', 'transformers', 'PySide6'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
