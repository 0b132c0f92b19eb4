"""The system's keyring, which may be missing, locked, or one that stores nothing."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)
#: Seconds that a keyring may take; a locked one waits for its owner.
WAIT_S = 20.0
ResultT = TypeVar("ResultT")


class Keyring(Protocol):
    """What is used of the library `keyring`."""

    def get_password(self, service: str, name: str) -> str | None: ...
    def set_password(self, service: str, name: str, password: str) -> None: ...
    def delete_password(self, service: str, name: str) -> None: ...


def ask(question: Callable[[Keyring], ResultT], otherwise: ResultT) -> ResultT:
    """Return what a keyring answers within WAIT_S, `otherwise` where it does not.

    The keyring is asked on a thread of its own, because its libraries may block.
    """
    answers: queue.SimpleQueue[ResultT] = queue.SimpleQueue()

    def run() -> None:
        try:
            import keyring

            answers.put(question(keyring))
        except Exception as error:  # whatever a desktop's services raise
            log.info("the keyring cannot be used: %s", type(error).__name__)
            answers.put(otherwise)

    threading.Thread(target=run, name="keyring", daemon=True).start()
    try:
        return answers.get(timeout=WAIT_S)
    except queue.Empty:
        return otherwise
