"""Reads what names a model: the bundled one, a folder, or an id on the Hub."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playground.core.errors import ModelError, OptionsError
from playground.core.facts import ModelSpec

BUNDLED = "bundled"
_REMEDY = "A Hub id looks like owner/name, for example Qwen/Qwen3-0.6B."
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,199}")
_SCHEMES = ("http://", "https://")
_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
#: What stands in an address between a model's id and a revision.
_VIEWS = ("tree", "blob", "resolve", "raw", "commit", "commits")
#: Pages of the Hub that are no models.
_OTHER_PAGES = {
    "datasets": "a data set", "spaces": "a space", "collections": "a collection",
    "papers": "a paper", "docs": "the documentation", "blog": "the blog", "models": "a search",
    "settings": "the settings", "organizations": "an organization",
}  # fmt: skip


class SourceKind(StrEnum):
    BUNDLED = "bundled"
    FOLDER = "folder"
    HUB = "hub"


def kind_of(source: str) -> SourceKind:
    """Return what a source is; of the disk only whether a folder exists is read.

    The address of a web page is HUB, whether or not it leads to a model.
    """
    if source == BUNDLED:
        return SourceKind.BUNDLED
    if is_address(source):
        return SourceKind.HUB
    path = Path(source)
    looks_like_path = path.is_absolute() or "\\" in source or source.startswith((".", "~"))
    if looks_like_path or source.partition("@")[0].count("/") > 1:
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
    if text == BUNDLED:
        raise ModelError(
            "The bundled model comes with the playground, and is not on the Hub.",
            "It needs no download: use it as it is.",
        )
    if is_address(text):
        name, revision = _read_address(text)
    else:
        name, _, revision = text.partition("@")
        if text.endswith("@"):
            raise ModelError("There is no revision after the @.", "Name one, or leave out the @.")
    check_hub_id(name)
    check_revision(revision)
    return ModelSpec(name, "" if revision == "main" else revision)


def is_address(text: str) -> bool:
    """Whether a text is the address of a web page, of the Hub or another."""
    text = text.strip().lower()
    return text.startswith((*_SCHEMES, *(f"{host}/" for host in _hosts())))


def _hosts() -> tuple[str, ...]:
    """Return the hosts, with a port where they have one, that the Hub's pages are on."""
    try:
        own = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc.lower()
    except ValueError:
        own = ""
    return (*_HOSTS, own) if own else _HOSTS


def _read_address(text: str) -> tuple[str, str]:
    """Return the id and the revision ("" for none) in a page's address. Raises ModelError."""
    host, _, rest = re.sub(r"^https?://", "", text, flags=re.IGNORECASE).partition("/")
    if host.lower() not in _hosts():
        raise ModelError(
            f"{host[:60]} is not the Hugging Face Hub.",
            f"Paste the address of a model's page on {_hosts()[-1]}, or type owner/name.",
        )
    parts = [unquote(part) for part in re.split(r"[?#]", rest)[0].split("/") if part]
    if parts and parts[0] in _OTHER_PAGES:
        raise ModelError(
            f"This is the address of {_OTHER_PAGES[parts[0]]}, not of a model.",
            "Paste the address of a model's page, or type owner/name.",
        )
    # A few old models have no owner.
    length = 1 if parts[1:2] and parts[1] in _VIEWS else 2
    view, *revision = [*parts[length:], ""]
    if view not in _VIEWS:
        return "/".join(parts[:length]), ""
    # Branches of the Hub's own have three parts, "refs/pr/1"; of others a slash is written %2F.
    return "/".join(parts[:length]), "/".join(revision[: 3 if revision[0] == "refs" else 1])


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
