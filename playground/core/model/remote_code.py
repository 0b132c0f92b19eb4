"""Reads the Python code that a model brings, for a review, and keeps the user's consents."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.core.errors import FileError, ModelError
from playground.core.facts import MAX_CONSENTS, CodeConsent
from playground.core.model.folder import is_inside
from playground.core.system.reader import read_bytes, read_object

#: Files whose `auto_map` refers to classes in the model's own code.
_MAPS = ("config.json", "tokenizer_config.json", "processor_config.json")
_MAX_FILES = 200
#: Control characters, marks of writing direction, and characters of no width.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class CodeFile:
    """One file of code; `name` is its path in the model's folder."""

    name: str
    text: str


@dataclass(frozen=True)
class RemoteCode:
    """All Python code in a model's folder. `digest` is a hash over all of it.

    `elsewhere` names other repositories that its classes come from; `unseen` are references to
    anything that is not a class in one of the files.
    """

    files: tuple[CodeFile, ...]
    digest: str
    elsewhere: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The beginning of the hash, which names the code where its folder has no commits."""
        return self.digest[:23]


def brings_code(folder: Path) -> bool:
    """Return whether the model or its tokenizer refers to classes in its own code.

    Raises FileError where its config cannot be read.
    """
    return any(_maps(folder).values())


def read_code(folder: Path) -> RemoteCode:
    """Read a model's code. Raises ModelError where it is unreadable, or too long to review."""
    maps = _maps(folder)
    digest = hashlib.sha256(json.dumps(maps, sort_keys=True).encode())
    files = []
    try:
        paths = _code_files(folder)
        if len(paths) > _MAX_FILES or sum(path.stat().st_size for path in paths) > _MAX_BYTES:
            raise ModelError(
                f"The model brings {len(paths)} files of code, more than anybody can review.",
                "Choose another model.",
            )
        for path in paths:
            data = read_bytes(path, _MAX_BYTES)
            name = path.relative_to(folder).as_posix()
            head = f"{name}\0{len(data)}\0"
            digest.update(head.encode("utf-8", "surrogateescape") + data)
            files.append(CodeFile(_visible(name), _visible(data.decode("utf-8", "replace"))))
    except OSError as error:
        raise ModelError(
            f"The model's code cannot be read: {error.strerror or error}.",
            "Download the model again.",
            str(error),
        ) from error
    names = tuple(dict.fromkeys(_names(maps)))
    elsewhere = dict.fromkeys(name.partition("--")[0] for name in names if "--" in name)
    modules = {file.name.removesuffix(".py") for file in files}
    unseen = (n for n in names if "--" not in n and not _is_class_in(n, modules))
    return RemoteCode(tuple(files), f"sha256:{digest.hexdigest()}", tuple(elsewhere), tuple(unseen))


def check_reviewable(code: RemoteCode) -> None:
    """Raise ModelError where code lies in another repository or file, which was not reviewed."""
    if code.elsewhere:
        raise ModelError(
            f"The model's code lies in another repository, {code.elsewhere[0]}, where it could "
            "change unseen.",
            "Choose a model whose code is in its own repository, or one that needs none.",
        )
    if code.unseen:
        raise ModelError(
            f"The model names “{_visible(code.unseen[0][:100])}” as its code, which is no class "
            "in a Python file of its folder.",
            "Choose a model whose code lies beside its config.json, or one that needs none.",
        )


def with_consent(consents: Sequence[CodeConsent], consent: CodeConsent) -> tuple[CodeConsent, ...]:
    """Return the consents with this one in front; it replaces others for the same commit."""
    others = (c for c in consents if (c.model, c.commit) != (consent.model, consent.commit))
    return (consent, *others)[:MAX_CONSENTS]


def _visible(text: str) -> str:
    """Return the text with hidden or direction-changing characters written as escapes."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


def _code_files(folder: Path) -> list[Path]:
    """Return all Python files in a folder. Raises FileError where a link could hide others."""
    found = []
    for place, folders, names in os.walk(folder):
        paths = [Path(place, name) for name in names if name.endswith(".py")]
        linked = [path for name in folders if (path := Path(place, name)).is_symlink()]
        for path in (*linked, *(path for path in paths if not is_inside(path, folder))):
            raise FileError(
                path.relative_to(folder).as_posix(),
                f"is refused: it is a link to {path.readlink()}, whose code cannot be reviewed",
                remedy="Put the files themselves into the folder, if you trust them.",
            )
        found += paths
    return sorted(found)


def _is_class_in(name: str, modules: Collection[str]) -> bool:
    """Whether a reference is `module.Class`, with the module at the top of the model's folder."""
    module, _, class_ = name.partition(".")
    return module.isidentifier() and class_.isidentifier() and module in modules


def _maps(folder: Path) -> dict[str, Any]:
    found = {}
    for name in _MAPS:
        stated = read_object(folder / name).get("auto_map") if (folder / name).exists() else None
        if stated and not isinstance(stated, (dict, list)):
            raise FileError(name, "is damaged: its auto_map names no classes")
        if stated:
            found[name] = stated
    return found


def _names(value: Any) -> list[str]:
    """Return all class references of an `auto_map`; those of tokenizers are in lists."""
    if isinstance(value, dict):
        return [name for inner in value.values() for name in _names(inner)]
    if isinstance(value, list):
        return [name for inner in value for name in _names(inner)]
    return [value] if isinstance(value, str) else []
