"""`playground demo` where there is no screen: the comparison and the window's picture."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from playground.cli.demo import PROMPT
from tests.cli.commands import command, environment
from tests.support.home import make_home


def test_the_terminal_shows_three_precisions_and_a_picture_is_made(tmp_path: Path) -> None:
    done = subprocess.run(
        command("demo", "--new-tokens", "5"),
        capture_output=True,
        env=environment({"PLAYGROUND_HOME": str(make_home(tmp_path / "home"))}),
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert text.startswith("There is no screen here")
    assert text.count(PROMPT) == 3
    for label in ("── bf16 ──", "── int8 (bitsandbytes) ──", "── GPTQ 4-bit ──"):
        assert label in text
    assert "decode tok/s" in text
    picture = tmp_path / "playground.png"
    assert str(picture) in text.splitlines()[-1]
    header = picture.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert struct.unpack(">II", header[16:24]) == (1440, 900)
