"""The models of a loopback Hub: files, facts, and the answer to a list's filters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SUFFIXES_IN_LFS = (".safetensors", ".bin", ".gguf", ".onnx", ".model")
#: What the Hub tells without `expand`.
LIST_PROPERTIES = (
    "createdAt", "downloads", "library_name", "likes", "pipeline_tag", "private", "tags",
)  # fmt: skip
_EXPANDABLE = frozenset(
    {
        "author", "baseModels", "cardData", "childrenModelCount", "config", "createdAt",
        "disabled", "downloads", "downloadsAllTime", "evalResults", "gated", "gguf", "inference",
        "lastModified", "library_name", "likes", "mask_token", "model-index", "pipeline_tag",
        "private", "safetensors", "sha", "siblings", "spaces", "tags", "transformersInfo",
        "trendingScore", "usedStorage", "widgetData",
    }
)  # fmt: skip
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass
class Repository:
    """A model repository. `gated` is the API's value; a gated one serves files to `granted`.

    `declared` are sizes that are reported in place of the real ones, `damaged` contents that are
    sent in place of them, under the true content's hash. `facts` are further values of
    the API by their names there ("downloads", "safetensors", "cardData", "evalResults", ...).
    """

    id: str
    files: dict[str, bytes]
    gated: str | bool = False
    private: bool = False
    granted: set[str] = field(default_factory=set)
    tags: tuple[str, ...] = ()
    refs: dict[str, str] = field(default_factory=dict)
    declared: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, bytes]] = field(default_factory=dict)  # earlier ones, by commit

    def __post_init__(self) -> None:
        self.refs.setdefault("main", self.new_commit())

    def new_commit(self) -> str:
        """Return the commit of the present files."""
        digest = hashlib.sha1(self.id.encode(), usedforsecurity=False)
        for name, data in sorted(self.files.items()):
            digest.update(name.encode() + b"\0" + data)
        return digest.hexdigest()

    def push(self, files: dict[str, bytes]) -> str:
        """Replace the files by a new commit, which `main` then is; the earlier one stays."""
        self.versions[self.refs["main"]] = self.files
        self.files = files
        self.refs["main"] = self.new_commit()
        return self.refs["main"]

    def files_at(self, commit: str) -> dict[str, bytes]:
        return self.versions.get(commit, self.files)

    def commit(self, revision: str) -> str | None:
        if revision in self.refs.values() or revision in self.versions:
            return revision
        return self.refs.get(revision)

    def info(self, commit: str) -> dict[str, Any]:
        known: dict[str, Any] = {
            "_id": hashlib.md5(self.id.encode(), usedforsecurity=False).hexdigest()[:24],
            "id": self.id,
            "modelId": self.id,
            "author": self.id.split("/")[0],
            "sha": commit,
            "private": self.private,
            "gated": self.gated,
            "disabled": False,
            "tags": list(self.tags),
            "downloads": 0,
            "likes": 0,
            "createdAt": "2024-01-01T00:00:00.000Z",
            "lastModified": "2024-01-02T00:00:00.000Z",
            "siblings": [{"rfilename": name} for name in sorted(self.files_at(commit))],
        }
        if "config.json" in self.files:
            try:
                config = json.loads(self.files["config.json"])
                wanted = ("architectures", "model_type", "quantization_config")
                known["config"] = {k: config[k] for k in wanted if k in config}
            except (ValueError, TypeError, RecursionError):
                pass  # the Hub leaves it out, too
        return known | self.facts

    def tree(self, commit: str) -> list[dict[str, Any]]:
        return [
            _tree_entry(name, data, self.size(name, data))
            for name, data in sorted(self.files_at(commit).items())
        ]

    def blobs(self, commit: str) -> list[dict[str, Any]]:
        """Return the files with sizes and hashes, as `?blobs=true` lists them."""
        told = []
        for entry in self.tree(commit):
            file = {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
            if "lfs" in entry:
                lfs = entry["lfs"]
                file["lfs"] = {
                    "sha256": lfs["oid"], "size": lfs["size"], "pointerSize": lfs["pointerSize"],
                }  # fmt: skip
            told.append(file)
        return told

    def size(self, name: str, data: bytes) -> int:
        return self.declared.get(name, len(data))


@dataclass(frozen=True)
class Crowd:
    """A large number of models that exist in lists only."""

    count: int
    owner: str = "crowd"

    def entry(self, index: int) -> dict[str, Any]:
        """Return the list entry of the model with this index."""
        return Repository(f"{self.owner}/model-{index:06}", {}, tags=("text-generation",)).info(
            "a" * 40
        )


class _Listed(Sequence[dict[str, Any]]):
    """Entries of a list: repositories first, then the crowd, created on access."""

    def __init__(self, entries: list[dict[str, Any]], crowd: Crowd) -> None:
        self._entries = entries
        self._crowd = crowd

    def __len__(self) -> int:
        return len(self._entries) + self._crowd.count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index < len(self._entries):
            return self._entries[index]
        return self._crowd.entry(index - len(self._entries))


def listed(
    repositories: Sequence[Repository], crowd: Crowd, asked: Mapping[str, list[str]]
) -> Sequence[dict[str, Any]]:
    """Return the entries that pass a list's filters, in the requested order."""
    entries = [r.info(r.refs["main"]) for r in repositories]
    entries = [entry for entry in entries if _fits(entry, asked)]
    sort = asked.get("sort", ["trendingScore"])[0]
    entries.sort(key=lambda entry: entry.get(sort) or 0, reverse=True)
    search = asked.get("search", [crowd.owner])[0].lower()
    whole = search in f"{crowd.owner}/model-" and not asked.keys() & {"author", "filter", "gated"}
    return _Listed(entries, crowd if whole else Crowd(0))


def expanded(entry: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
    """Return the properties that `expand` names; None for a name that the Hub does not know."""
    if not _EXPANDABLE.issuperset(names):
        return None
    return {name: entry[name] for name in ("_id", "id", *names) if name in entry}


def blob_id(data: bytes) -> str:
    """Return Git's id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _fits(entry: Mapping[str, Any], asked: Mapping[str, list[str]]) -> bool:
    tags = {*entry["tags"], entry.get("library_name"), entry.get("pipeline_tag")}
    wanted = {*asked.get("filter", ()), *asked.get("pipeline_tag", ())}
    if not wanted <= tags:
        return False
    if asked.get("search", [""])[0].lower() not in entry["id"].lower():
        return False
    if asked.get("author", [entry["author"]])[0] != entry["author"]:
        return False
    gated = asked.get("gated", [""])[0]
    if gated and bool(entry["gated"]) != (gated.lower() == "true"):
        return False
    return _within(entry, asked.get("num_parameters", [""])[0])


def _within(entry: Mapping[str, Any], bounds: str) -> bool:
    """Return whether an entry is within bounds such as `min:6B,max:13B`."""
    if not bounds:
        return True
    total = entry.get("safetensors", {}).get("total")
    for bound in bounds.split(","):
        match = re.fullmatch(r"(min|max):(\d+)([KMBT]?)", bound)
        if match is None or total is None:
            return False
        limit = int(match[2]) * _UNITS.get(match[3], 1)
        if total < limit if match[1] == "min" else total > limit:
            return False
    return True


def _tree_entry(name: str, data: bytes, size: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "oid": blob_id(data),
        "size": size,
        "path": name,
    }
    if name.endswith(SUFFIXES_IN_LFS):
        sha256 = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
    return entry
