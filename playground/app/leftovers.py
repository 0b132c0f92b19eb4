"""Removes what killed processes of the playground have left on the disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from playground.client.environment_builder import sweep_builds
from playground.core.errors import PlaygroundError
from playground.core.system import paths, temporary

log = logging.getLogger(__name__)


def sweep(model_folders: Sequence[Path] = ()) -> None:
    """Remove temporary folders, half-written files and copies, and half-built environments.

    Copies are looked for in the library and in `model_folders`. What a process uses stays.
    """
    try:
        caches = (paths.cache_dir(), paths.cache_dir() / "native")
        own = (paths.config_dir(), paths.data_dir(), paths.library_dir(), *caches)
        temporary.sweep(*own, *model_folders)
        sweep_builds()
    except (OSError, PlaygroundError) as error:  # no home directory, for example
        log.info("not everything could be swept: %s", error)


def sweep_all(model_folders: Sequence[Path], cache: Path | None) -> None:
    """Do what `sweep` does; from the Hub's cache (None: the user's) remove what nothing resumes."""
    # Imported on first use: it imports the Hub's library.
    from playground.hub.downloads.partial_files import sweep_orphans
    from playground.hub.local.cache import cache_folder

    sweep(model_folders)
    sweep_orphans(cache or cache_folder())
