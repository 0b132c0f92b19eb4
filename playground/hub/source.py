"""Reads what names a model: the bundled one, a folder, or an id on the Hub."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from playground.core.errors import ModelError, OptionsError
from playground.core.facts import ModelSpec

BUNDLED = "bundled"
_REMEDY = "A Hub id looks like owner/name, for example Qwen/Qwen3-0.6B."
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,199}")
_URL = re.compile(
    r"https?://[^/]+/(?P<id>[^/?#]+/[^/?#]+)(?:/tree/(?P<revision>[^?#]+))?/?(?:[?#].*)?"
)


class SourceKind(StrEnum):
    BUNDLED = "bundled"
    FOLDER = "folder"
    HUB = "hub"


def kind_of(source: str) -> SourceKind:
    """Return what a source is; of the disk only whether a folder exists is read."""
    if source == BUNDLED:
        return SourceKind.BUNDLED
    path = Path(source)
    looks_like_path = path.is_absolute() or "\\" in source or source.startswith((".", "~"))
    if looks_like_path or source.count("/") > 1:
        return SourceKind.FOLDER
    try:
        return SourceKind.FOLDER if path.is_dir() else SourceKind.HUB
    except (OSError, ValueError):  # a name that no file system takes
        return SourceKind.HUB


def model_spec(source: str, revision: str = "") -> ModelSpec:
    """Read a model as a command line names it: "bundled", a folder, or a Hub id.

    An id may be owner/name@revision or a page's address; `revision` stands above the one in it.
    Raises ModelError for no possible id, OptionsError for a revision of what has none.
    """
    if kind_of(source) is not SourceKind.HUB:
        if revision:
            raise OptionsError(
                f"{source} is not a Hub model, so it has no revision {revision}.",
                "Leave out --revision.",
            )
        return ModelSpec(source)
    spec = parse_hub_id(source)
    return ModelSpec(spec.source, revision or spec.revision)


def parse_hub_id(text: str) -> ModelSpec:
    """Read `owner/name`, `owner/name@revision` or a model page's address.

    The revision `main` is returned as "". Raises ModelError for anything else.
    """
    text = text.strip()
    if not text:
        raise ModelError("The Hub id is empty.", _REMEDY)
    url = _URL.fullmatch(text)
    if url is not None:
        name, revision = url["id"], (url["revision"] or "").rstrip("/")
    else:
        name, _, revision = text.partition("@")
        if text.endswith("@"):
            raise ModelError("There is no revision after the @.", "Name one, or leave out the @.")
    check_hub_id(name)
    check_revision(revision)
    return ModelSpec(name, "" if revision == "main" else revision)


def check_hub_id(name: str) -> None:
    """Raise ModelError where `name` cannot be a Hub id."""
    parts = name.split("/")
    shown = name if len(name) <= 60 else name[:57] + "…"
    good = len(parts) <= 2 and all(_NAME.fullmatch(part) for part in parts)
    if not good or ".." in name or "--" in name or name.endswith(".git"):
        raise ModelError(f"“{shown}” is not a Hub id.", _REMEDY)


def check_revision(revision: str) -> None:
    """Raise ModelError where `revision` cannot be a branch, tag or commit ("" is the default)."""
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise ModelError(
            f"“{revision[:60]}” is not a revision.",
            "Name a branch, a tag or a commit of the model.",
        )
