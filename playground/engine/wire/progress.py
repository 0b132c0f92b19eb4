"""Reports a load's progress: activities with their seconds, and transformers' own fractions."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

from playground.core.protocol import Activity, Progress
from playground.engine.wire.sender import Sender

#: Seconds between two reports of a fraction.
_INTERVAL_S = 0.05


class LoadProgress:
    """Reports activities and adds up their seconds."""

    def __init__(self, sender: Sender, importing_s: float) -> None:
        self._sender = sender
        self.seconds: dict[str, float] = {Activity.IMPORTING.value: importing_s}
        self._activity: Activity | None = None
        self._since = 0.0
        self._last_report = 0.0

    @contextmanager
    def activity(self, activity: Activity, detail: str = "") -> Iterator[None]:
        """Inside the block, count time as this activity, not as the enclosing one."""
        outer = self._activity
        self._enter(activity, detail)
        try:
            yield
        finally:
            self._enter(outer)

    def _enter(self, activity: Activity | None, detail: str = "") -> None:
        now = time.monotonic()
        if self._activity is not None:
            name = self._activity.value
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._activity, self._since = activity, now
        if activity is not None:
            self._sender.send(Progress(activity, None, detail))

    def detail(self, text: str) -> None:
        """Report a detail of the current activity."""
        if self._activity:
            self._sender.send(Progress(self._activity, None, text))

    def fraction(self, fraction: float) -> None:
        """Report the completed fraction of the activity, 0 to 1, at most every _INTERVAL_S."""
        now = time.monotonic()
        if self._activity and (now - self._last_report >= _INTERVAL_S or fraction >= 1.0):
            self._last_report = now
            self._sender.send(Progress(self._activity, fraction))

    @contextmanager
    def weights(self) -> Iterator[None]:
        """Inside the block, report the fraction of transformers' loop over the weights."""
        transformers_logging.disable_progress_bar()
        set_hook = getattr(transformers_logging, "set_tqdm_hook", None)
        if set_hook is None:
            yield
            return
        previous = set_hook(self._replace_bar)
        try:
            yield
        finally:
            set_hook(previous)

    def _replace_bar(
        self, factory: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        if kwargs.get("desc") == "Loading weights" and args and isinstance(args[0], Collection):
            return self._watched(args[0])
        return factory(*args, **kwargs)

    def _watched(self, items: Collection[object]) -> Iterator[object]:
        total = len(items)
        for done, item in enumerate(items, 1):
            yield item
            self.fraction(done / total)
