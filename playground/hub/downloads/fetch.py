"""Downloads models to their end, for callers that wait: the window's queue without a window."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.system.temporary import temporary_folder
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.downloads.queue import DownloadQueue


def fetch(specs: Iterable[ModelSpec], observe: Callable[[DownloadItem], None]) -> None:
    """Download models one after the other, with the queue's retries; return when all are over.

    `observe` is called at every change, on the calling thread. An exception in it, or Ctrl+C,
    stops what is left; the next download of the same model goes on there. Raises ModelError in
    the words of the last download that failed, after the others have finished.
    """
    changes: queue.SimpleQueue[DownloadItem] = queue.SimpleQueue()
    failure: ModelError | None = None
    with temporary_folder() as folder:
        downloads = DownloadQueue(changes.put, folder / "downloads.json")
        try:
            left = {downloads.add(spec).key for spec in specs}
            downloads.start()
            while left:
                item = changes.get()
                observe(item)
                if item.state is DownloadState.FAILED:
                    failure = ModelError(item.message, item.remedy)
                if item.state.is_over:
                    left.discard(item.key)
        finally:
            downloads.close()
    if failure is not None:
        raise failure
