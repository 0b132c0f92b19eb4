"""Watches the GUI thread while the window works: lateness, processor time, memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil
from PySide6.QtCore import QObject, Qt, QTimer, Slot

#: The heart beats this often; a loop that is busy lets it beat late.
BEAT_MS = 10
_SAMPLE_MS = 1000
#: Above this share of all cores other programs make lateness and rates theirs.
_BUSY = 0.1


@dataclass(frozen=True)
class Sample:
    """Counts since the start: seconds, GUI thread's seconds, tokens; resident bytes; beats."""

    wall_s: float
    thread_s: float
    tokens: int
    resident: int
    beats: int


class GuiProbe(QObject):
    """Measures from `start` to `stop`. For the GUI thread."""

    def __init__(self, tokens: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.samples: list[Sample] = []
        self._tokens = tokens
        self._process = psutil.Process()
        self._lateness: list[float] = []
        self._work: list[float] = []
        self._last_work = 0.0
        self._begun = self._thread_begun = self._last = 0.0
        self._heart = QTimer(self, interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
        self._heart.timeout.connect(self._beat)
        self._sampler = QTimer(self, interval=_SAMPLE_MS)
        self._sampler.timeout.connect(self._sample)

    def start(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._thread_begun = self._last_work = time.thread_time()
        self._sample()
        self._heart.start()
        self._sampler.start()

    def stop(self) -> None:
        self._heart.stop()
        self._sampler.stop()
        self._sample()

    @property
    def cpu_share(self) -> float:
        """The GUI thread's share of one core."""
        last = self.samples[-1]
        return last.thread_s / last.wall_s if last.wall_s else 0.0

    def lateness_ms(self, start: int = 0, end: int | None = None) -> float:
        """Return the 99th percentile of how late the beats from number `start` to `end` were."""
        beats = self._lateness[start:end]
        return float(np.percentile(beats, 99)) * 1e3 if beats else 0.0

    def work_ms(self) -> float:
        """Return the 99th percentile of the GUI thread's own processor time between two beats.

        Lateness beyond it is time the thread waited for a processor or a lock.
        """
        return float(np.percentile(self._work, 99)) * 1e3 if self._work else 0.0

    @Slot()
    def _beat(self) -> None:
        now = time.perf_counter()
        late = now - self._last - BEAT_MS / 1e3
        self._last = now
        work = time.thread_time()
        self._work.append(work - self._last_work)
        self._last_work = work
        # Beats that a busy loop skipped were late as well, each a beat less than the last.
        self._lateness.append(max(0.0, late))
        while (late := late - BEAT_MS / 1e3) > 0:
            self._lateness.append(late)

    @Slot()
    def _sample(self) -> None:
        self.samples.append(
            Sample(
                time.perf_counter() - self._begun,
                time.thread_time() - self._thread_begun,
                self._tokens(),
                self._process.memory_info().rss,
                len(self._lateness),
            )
        )


class Bystanders:
    """What other programs do on this machine, from its creation on."""

    def __init__(self) -> None:
        self._all, self._ours = _busy_s(), _own_s()
        self._began = time.perf_counter()
        self._swapped = psutil.swap_memory()

    def share(self) -> float:
        """Return the share of all cores that other programs have used since the creation."""
        elapsed = (time.perf_counter() - self._began) * (psutil.cpu_count() or 1)
        others = (_busy_s() - self._all) - (_own_s() - self._ours)
        return max(0.0, others / elapsed) if elapsed > 0 else 0.0

    def doubt(self) -> str:
        """Return why times are not certain, "" where they are."""
        share = self.share()
        return f"other programs used {share:.0%} of all cores" if share > _BUSY else ""

    def memory_doubt(self) -> str:
        """Return why resident memory is not certain, "" where it is."""
        now = psutil.swap_memory()
        moved = now.sin - self._swapped.sin + now.sout - self._swapped.sout
        return "the machine was swapping" if moved else ""


def _busy_s() -> float:
    """Return the seconds in which the machine's cores were not idle, since its start."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def _own_s() -> float:
    """Return the processor seconds of this process and its children."""
    seconds = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def cpu_per_token(samples: list[Sample], start: float, end: float) -> float:
    """Return the GUI seconds a token between two fractions of all tokens; 0 without tokens."""
    first, last = at(samples, start), at(samples, end)
    tokens = last.tokens - first.tokens
    return (last.thread_s - first.thread_s) / tokens if tokens else 0.0


def at(samples: list[Sample], fraction: float) -> Sample:
    """Return the first sample at which this fraction of all tokens had come."""
    wanted = samples[-1].tokens * fraction
    return next(sample for sample in samples if sample.tokens >= wanted)
