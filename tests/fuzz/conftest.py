"""The seed of the mutations, a guard on what is read, and what a message for people may hold."""

from __future__ import annotations

import re
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tiny_model import tiny_model_files, write_files

#: Words of a library or of Python, which no message for people holds.
_LIBRARY = re.compile(
    r"Traceback|NoneType|<class |0x[0-9a-f]{6}|\w+Error\b|\w+Exception\b|object is not"
    r"|not subscriptable|has no attribute|unexpected keyword|list index|invalid literal"
    r"|std::|panicked|torch\.|must be of type|object of type|argument \d|unhashable|instance of"
)
#: Processor seconds after which something hangs; waiting for ever is the test's time limit.
_HANG_S = 20.0
_GROWTH = 1 << 30  # bytes


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--fuzz-seed"))


class Reads:
    """The files that Python opened below a folder."""

    def __init__(self) -> None:
        self.folder = ""
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder and event == "open" and str(arguments[0]).startswith(self.folder):
            self.seen.append(str(arguments[0]))


_READS = Reads()  # an audit hook cannot be removed


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the models, of which nothing may be read."""
    folder = write_files(tmp_path / "outside", tiny_model_files())
    _READS.folder, _READS.seen = str(folder), []
    yield folder
    _READS.folder = ""
    assert not _READS.seen


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Fail where the process grows without bound."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < _GROWTH


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Interrupt what takes more than _HANG_S of processor time; `restart` begins anew."""

    def interrupt(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    restart()
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def restart() -> None:
    """Begin the next piece of work of a test with `no_hang`."""
    signal.setitimer(signal.ITIMER_VIRTUAL, _HANG_S)


def check_sentence(text: str, done: str) -> None:
    """Assert that a message is sentences in the project's own words; `done`: what was damaged."""
    assert text.rstrip().endswith((".", "”", '"')), (text, done)
    assert "\n" not in text, (text, done)
    assert len(text) < 1000, (text, done)
    found = _LIBRARY.search(text)
    assert not found, (found, text, done)
