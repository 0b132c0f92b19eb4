"""Presents a checkpoint's folder as the installed libraries expect it, by links and new files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playground.core.model import foreign
from playground.core.system.temporary import temporary_folder
from playground.engine.loading import gptq
from playground.engine.machine import compat


@contextmanager
def readable(folder: Path) -> Iterator[Path]:
    """Yield a folder that the installed libraries can read: `folder`, or a mirror of it.

    They follow nothing in it that leads elsewhere, to an adapter or to a kernel. Raises ModelError
    where they cannot run what the folder describes.
    """
    texts, names = gptq.translated(folder)
    texts |= foreign.without_implementations(folder, texts)
    texts |= compat.translated(folder, texts)
    adapter = (folder / foreign.ADAPTER).exists()
    if not texts and not names and not adapter:
        yield folder
        return
    with mirrored(folder, texts, names) as mirror:
        (mirror / foreign.ADAPTER).unlink(missing_ok=True)
        yield mirror


@contextmanager
def mirrored(
    folder: Path, texts: Mapping[str, str], names: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Yield a temporary folder of links: `texts` replaces files, `names` maps old names to new."""
    names = names or {}
    with temporary_folder() as temporary:
        # transformers names the module of a model's own code after the folder.
        mirror = temporary / (folder.name or "model")
        mirror.mkdir()
        for path in folder.iterdir():
            if path.name not in texts:
                (mirror / names.get(path.name, path.name)).symlink_to(path.resolve())
        for name, text in texts.items():
            (mirror / name).write_text(text, "utf-8")
        yield mirror
