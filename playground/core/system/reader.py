"""Reads files that anybody may have written: only ordinary ones, and within bounds.

Every JSON file of a model is read here. Whatever is wrong with it raises FileError, so that
nobody has to know what a parser raises.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from playground.core.errors import FileError

#: Bytes of a model's small files; tokenizer_config.json can hold thousands of added tokens.
CONFIG_BYTES = 16 << 20
#: Bytes of an index of weights, or of a tokenizer; the largest honest ones have about 20 MB.
TABLE_BYTES = 64 << 20
_DEPTH = 100
_VALUES = 4_000_000
#: Digits of a whole number: some tokenizers state a length of 10**30.
_DIGITS = 40
_KEY = 10_000  # characters
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_bytes(path: Path, limit: int, *, cut: bool = False) -> bytes:
    """Return a file's bytes. Raises FileError where it is no ordinary file, or above `limit` bytes.

    With `cut` a longer file is cut there.
    """
    # A pipe or a device must not even be opened: that can wait for ever, or have effects.
    file_size(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise FileError(path.name, f"cannot be read ({error.strerror})") from error
    if len(data) > limit and not cut:
        raise FileError(path.name, f"is larger than the {limit:,} bytes that are read")
    return data[:limit]


def file_size(path: Path) -> int:
    """Return a file's size in bytes. Raises FileError where it is no ordinary file."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise FileError(path.name, "is missing") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or error
        raise FileError(path.name, f"cannot be read ({why})") from error
    if not stat.S_ISREG(found.st_mode):
        raise FileError(path.name, f"is {kind_of_file(found.st_mode)}, not an ordinary file")
    return found.st_size


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False also for a name that no file system takes."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether there is such an ordinary file; False also for a name that no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_object(path: Path, limit: int = CONFIG_BYTES) -> dict[str, Any]:
    """Return the JSON object in a file. Raises FileError."""
    return parse_object(read_bytes(path, limit), path.name)


def parse_object(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in the contents of the file `name`. Raises FileError."""
    value = parse_json(data, name)
    if not isinstance(value, dict):
        raise FileError(name, "is damaged: it holds no JSON object")
    return value


def parse_json(data: bytes, name: str) -> object:
    """Return the JSON value in the contents of the file `name`. Raises FileError."""
    try:
        # Each value but the first follows one of these, so that this bounds the memory.
        if data.count(b",") + data.count(b"[") + data.count(b"{") > _VALUES:
            raise FileError(name, f"is refused: it holds more than {_VALUES:,} values")
        text = data.decode("utf-8")
        value = json.loads(text, parse_int=_whole)
        check_bounds(value)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except FileError:
        raise
    except RecursionError as error:
        raise FileError(name, "is damaged: it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise FileError(name, "is damaged: it is not text in UTF-8", str(error)) from error
    except UnicodeEncodeError as error:
        raise FileError(name, "is damaged: it has half of a character", str(error)) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise FileError(name, f"is damaged: it is not valid JSON ({where})") from error
    except Exception as error:  # whatever a parser may raise
        raise FileError(name, f"is damaged: {error}", repr(error)) from error
    return value


def check_bounds(value: object) -> None:
    """Raise ValueError where parsed values are nested too deeply, or a number or key is too long.

    A container that occurs several times, as YAML's aliases make it, is looked at once.
    """
    seen: set[int] = set()
    level: list[object] = [value]
    for _ in range(_DEPTH + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, (dict, list)):
                if id(item) not in seen:
                    seen.add(id(item))
                    below += _contents(item)
            elif isinstance(item, int) and abs(item) >= 10**_DIGITS:
                raise ValueError(f"it has a number of more than {_DIGITS} digits")
        if not below:
            return
        level = below
    raise ValueError("it is nested too deeply")


def _contents(item: dict[Any, object] | list[object]) -> list[object]:
    if isinstance(item, list):
        return item
    if any(isinstance(key, str) and len(key) > _KEY for key in item):
        raise ValueError(f"it has a name of more than {_KEY:,} characters")
    return [*item.keys(), *item.values()]


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"it has a number of {len(digits):,} digits")
    return int(digits)


def kind_of_file(mode: int) -> str:
    """Return what a file's mode says it is: "a pipe", "a folder"."""
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFDIR: "a folder",
        stat.S_IFSOCK: "a socket",
        stat.S_IFREG: "a file",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")
