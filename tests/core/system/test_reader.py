"""Files that anybody may have written: read within bounds, or refused with a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from playground.core.errors import FileError
from playground.core.system.reader import CONFIG_BYTES, check_bounds, read_bytes, read_object


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not valid JSON (line 1, column 1)"),
        (b"[1]", "holds no JSON object"),
        (b"\xff{}", "not text in UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not text in UTF-8"),
        (b'{"a": "\\ud800"}', "half of a character"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5,000 digits"),
        (b'{"a": ' + b"9" * 50 + b"}", "a number of 50 digits"),
        (b'{"' + b"a" * 20_000 + b'": 1}', "a name of more than 10,000 characters"),
        (b'{"a": [' + b"[]," * 2_000_001 + b"1]}", "more than 4,000,000 values"),
        (b'{"a": "' + b"x" * CONFIG_BYTES + b'"}', "larger than the"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_on_the_file(
    tmp_path: Path, data: bytes, says: str
) -> None:
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(FileError) as caught:
        read_object(tmp_path / "config.json")
    assert caught.value.message.startswith("config.json ")
    assert says in caught.value.message
    assert caught.value.remedy.endswith(".")


def test_what_real_files_hold_is_read(tmp_path: Path) -> None:
    # Tokenizers state 10**30 as a length, Mamba-2 an endless step, and texts are full of emoji.
    value = {"model_max_length": 10**30, "time_step_limit": [0.0, float("inf")], "text": "👩‍👩‍👧"}
    (tmp_path / "config.json").write_text(json.dumps(value))
    assert read_object(tmp_path / "config.json") == value


def test_only_ordinary_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")  # opening it would wait for a writer
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "device.json").symlink_to("/dev/zero")
    (tmp_path / "broken.json").symlink_to("nowhere")
    (tmp_path / "circle.json").symlink_to("circle.json")
    for name, says in {
        "pipe.json": "a pipe",
        "folder.json": "a folder",
        "device.json": "a device",
        "broken.json": "missing",
        "circle.json": "cannot be read",
        "x" * 5000: "File name too long",
        "nul\0": "null",
    }.items():
        with pytest.raises(FileError, match=says):
            read_bytes(tmp_path / name, 10)


def test_yaml_that_refers_to_itself_has_an_end() -> None:
    circle: list[object] = []
    circle.append(circle)
    check_bounds(circle)
    many: list[object] = [1]
    for _ in range(90):
        many = [many, many]  # 2**90 values, written out
    check_bounds(many)
    with pytest.raises(ValueError, match="digits"):
        check_bounds({"a": [int("f" * 100, 16)]})
