"""Plain values that describe models on the Hub and on this machine; cheap to import.

`search` makes pages of rows, `local_models` the rows of this machine, `model_page` the page of
one model. Every text in them is written by strangers: show it in plain-text labels only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from playground.core.facts import ModelSpec
from playground.core.model.safetensors_header import StoredTensor

#: Tasks to filter by: the Hub's name, and the one to show.
TASKS: Mapping[str, str] = {
    "text-generation": "Text generation",
    "image-text-to-text": "Image and text to text",
    "any-to-any": "Any to any",
    "text2text-generation": "Text to text",
    "translation": "Translation",
    "summarization": "Summarization",
}
#: Licences to filter by (the Hub's names); rows may have others.
LICENCES: tuple[str, ...] = (
    "apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "gpl-3.0",
    "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "gemma", "openrail", "other",
)  # fmt: skip
#: Libraries (or weight formats) to filter by, the Hub's names.
LIBRARIES: tuple[str, ...] = (
    "transformers", "safetensors", "gptq", "awq", "bitsandbytes", "compressed-tensors", "gguf",
)  # fmt: skip


class Sort(StrEnum):
    """Orders of a search: the largest or latest first, names from A.

    Values are the Hub's names. The Hub lacks the last three; they order rows that are loaded.
    """

    TRENDING = "trendingScore"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    UPDATED = "lastModified"
    CREATED = "createdAt"
    NAME = "name"
    SIZE = "size"
    PARAMETERS = "parameters"

    @property
    def by_hub(self) -> bool:
        """Whether the Hub can sort in this order."""
        return self not in (Sort.NAME, Sort.SIZE, Sort.PARAMETERS)

    @property
    def label(self) -> str:
        return {
            Sort.TRENDING: "Trending",
            Sort.DOWNLOADS: "Most downloads",
            Sort.LIKES: "Most likes",
            Sort.UPDATED: "Updated last",
            Sort.CREATED: "Newest",
            Sort.NAME: "Name",
            Sort.SIZE: "Largest",
            Sort.PARAMETERS: "Most parameters",
        }[self]


class Where(StrEnum):
    """Where the model of a row is."""

    HUB = "hub"
    CACHE = "cache"  # a snapshot in this machine's Hub cache
    FOLDER = "folder"  # one of the user's folders
    BUNDLED = "bundled"  # comes with the playground


@dataclass(frozen=True, kw_only=True)
class SearchFilters:
    """What to search for. Empty texts, None and 0 filter nothing.

    `text` is a part of the id. Parameters are counts (7_000_000_000), which the Hub knows for
    models with safetensors only. `here_only` keeps off the network.
    """

    text: str = ""
    task: str = "text-generation"
    author: str = ""
    min_parameters: int = 0
    max_parameters: int = 0
    licence: str = ""
    library: str = ""
    gated: bool | None = None
    here_only: bool = False
    sort: Sort = Sort.DOWNLOADS
    page_size: int = 30  # rows, 1 to 100


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """One model in a list, on the Hub or on this machine.

    `key` is unique within a list. `spec` is what a lane takes. None and "" mean "not known".
    `parameters` counts logical weights (packed ones unpacked). `stored` is the label of the
    stored precision ("bf16", "GPTQ 4-bit", "NF4"), `quantization` the method's own name ("gptq",
    "awq", "nf4", "int8", …; "" for plain weights), `bits` its bits (0: not known). `size` is in
    bytes: a local model's files, or the weights of one on the Hub. `is_here`: some revision is on
    this machine. `problem` is a sentence on why a local model cannot be loaded, else "".
    """

    key: str
    spec: ModelSpec
    where: Where
    name: str
    author: str = ""
    parameters: int | None = None
    stored: str = ""
    quantization: str = ""
    bits: int = 0
    licence: str = ""
    library: str = ""
    task: str = ""
    downloads: int | None = None  # of the last 30 days
    likes: int | None = None
    updated: datetime | None = None  # with its time zone
    gated: bool = False
    is_here: bool = False
    size: int | None = None
    commit: str = ""
    refs: tuple[str, ...] = ()  # branches and tags at this commit (cache)
    folder: Path | None = None  # local rows
    problem: str = ""

    @property
    def is_local(self) -> bool:
        return self.where is not Where.HUB

    @property
    def is_deletable(self) -> bool:
        """Whether the user may delete it: models in the cache and in model folders."""
        return self.where in (Where.CACHE, Where.FOLDER)


@dataclass(frozen=True)
class SearchPage:
    """Some rows of a search, and whether the next page has more."""

    rows: tuple[ModelRow, ...]
    more: bool


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """What a deletion would do, computed before the user is asked.

    `freed` counts the bytes that become free; files shared with another revision stay. `keeps`
    is a sentence on what stays, "" for nothing.
    """

    row: ModelRow
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    freed: int
    keeps: str = ""


@dataclass(frozen=True)
class ModelFile:
    """A file of a repository or folder. `size` in bytes; `needed`: loading the model reads it."""

    name: str
    size: int | None
    needed: bool


class Gate(StrEnum):
    """Who grants access to a repository."""

    OPEN = "open"
    AUTOMATIC = "auto"  # granted at once to those who agree to the terms
    MANUAL = "manual"  # its authors decide


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """One published result, as its source gives it.

    `value` stays a text, as scales differ (0.2767, 63.3). `measured_on` is the repository it was
    measured on, `precision` the one that the source states; "" where it states none. `verified`:
    the Hub marks the result as verifiable.
    """

    task: str
    dataset: str
    metric: str
    value: str
    source: str = ""
    source_url: str = ""  # http(s) only, else ""
    measured_on: str = ""
    precision: str = ""
    revision: str = ""  # commit of the dataset
    date: str = ""
    notes: str = ""
    verified: bool = False


@dataclass(frozen=True)
class DerivativeGroup:
    """The quantized versions of a model by one method: "gptq", "awq", "bitsandbytes", "gguf", …

    `runs`: lanes can run this method.
    """

    method: str
    label: str
    runs: bool
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True, kw_only=True)
class ModelPage:
    """Everything known about one model before it is loaded.

    `card` is Markdown with front matter, HTML and images taken out; `card_cut` tells that it
    was longer than CARD_LIMIT characters. `load_bytes` are the bytes of the needed files,
    `skipped_bytes` of the others (the same weights in other formats, mostly). `config` is the
    parsed config.json, {} where there is none. `ask_at`: the address where access to a gated
    model is requested, else "". `cannot_load`: a sentence where the repository holds nothing
    that the playground loads, else "". `notes`: sentences about parts of the page that could not
    be read. `base_relation`: "quantized", "finetune", "adapter", "merge" or "".
    """

    spec: ModelSpec
    row: ModelRow
    commit: str
    card: str = ""
    card_cut: bool = False
    files: tuple[ModelFile, ...] = ()
    load_bytes: int | None = None
    skipped_bytes: int = 0
    architecture: str = ""
    model_type: str = ""
    context_length: int = 0  # tokens, 0 where not stated
    vocabulary: int = 0
    licence: str = ""
    gate: Gate = Gate.OPEN
    ask_at: str = ""
    page_url: str = ""  # on the Hub; "" for a folder
    chat_template: str = ""
    tokenizer_class: str = ""
    remote_code: bool = False
    base_models: tuple[str, ...] = ()
    base_relation: str = ""
    evaluations: tuple[EvaluationResult, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    cannot_load: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TensorTable:
    """Every tensor that loading a model reads, known from the files' headers alone."""

    commit: str
    tensors: tuple[StoredTensor, ...]
    weight_bytes: int  # of the files
    config: Mapping[str, Any]  # config.json, for the memory arithmetic
