"""Keeps what is read of a model inside its folder: no links that lead out, no pipes, no devices."""

from __future__ import annotations

from pathlib import Path

from playground.core.errors import FileError, ModelError
from playground.core.system.reader import file_size, is_folder, read_object

#: Endings of files that a load reads.
_READ = frozenset({
    ".json", ".safetensors", ".model", ".txt", ".jinja", ".py", ".tiktoken", ".bin", ".vocab",
})  # fmt: skip
_TEMPLATES = "additional_chat_templates"
#: Small files that libraries read at a load, beside the config and the index.
_SMALL = (
    "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "quantize_config.json", "processor_config.json",
    "preprocessor_config.json", "chat_template.json", "adapter_config.json",
)  # fmt: skip
_TOKENIZER = "tokenizer_config.json"
_COPY = "Put the file itself into the folder, if you trust it."


def check_folder(folder: Path) -> None:
    """Raise ModelError where a load would read something that is not in the folder, or no file.

    The small JSON files are read, too.
    """
    for path in (*_entries(folder), *_entries(folder / _TEMPLATES)):
        if path.is_symlink() and not is_inside(path, folder):
            if path.suffix in _READ or path.name == _TEMPLATES:
                raise _leads_out(path)
        elif path.suffix in _READ and path.exists() and not path.is_dir():
            file_size(path)
    small = {name: read_object(folder / name) for name in _SMALL if (folder / name).exists()}
    named = small.get(_TOKENIZER, {}).get("fast_tokenizer_files")
    for name in named if isinstance(named, list) else [named] if named else []:
        file_named(folder, name, _TOKENIZER)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, its links resolved, lies in the folder, or is a blob of a Hub's cache."""
    try:
        target = path.resolve()
        blob = target.parent.name == "blobs" and target.parent.parent.name.startswith("models--")
        return blob or target.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, or no possible name
        return False


def file_named(folder: Path, name: object, named_by: str) -> Path:
    """Return the file of the folder that another of its files names. Raises FileError.

    `named_by` is the name of that other file.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 255 or "\0" in name:
        shown = name if isinstance(name, str) else repr(name)
        shown = shown if len(shown) <= 40 else f"{shown[:30]}…"
        raise FileError(named_by, f"is damaged: “{shown}” is not the name of a file")
    path = folder / name
    if "/" in name or name == ".." or not is_inside(path, folder):
        problem = f"is refused: it names the file {name}, which does not lie in the model's folder"
        raise FileError(named_by, problem)
    return path


def _leads_out(path: Path) -> ModelError:
    target = path.readlink()
    return FileError(
        path.name, f"is refused: it is a link to {target}, outside the folder", remedy=_COPY
    )


def _entries(folder: Path) -> list[Path]:
    if not is_folder(folder):
        return []
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ModelError(
            f"The folder {folder} cannot be read: {error.strerror}.",
            "Check that its files may be read.",
        ) from error
