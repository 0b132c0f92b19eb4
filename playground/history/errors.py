"""What can go wrong with the history's file, as values that code may branch on."""

from __future__ import annotations

import errno
import sqlite3
from enum import StrEnum
from pathlib import Path

from playground.core.errors import PlaygroundError


class HistoryProblem(StrEnum):
    """Why the history cannot be used."""

    LOCKED = "locked"
    READ_ONLY = "read-only"
    FULL = "disk full"
    DAMAGED = "damaged"
    NEWER = "newer"
    UNREADABLE = "unreadable"
    MISSING = "missing"


class HistoryError(PlaygroundError):
    """The history's file cannot be read or written; the application works on without it."""

    def __init__(
        self, problem: HistoryProblem, message: str, remedy: str = "", detail: str = ""
    ) -> None:
        super().__init__(message, remedy, detail)
        self.problem = problem


_WORDS = {
    HistoryProblem.LOCKED: (
        "The history {path} is locked by another program.",
        "Runs are not kept until it is free again.",
    ),
    HistoryProblem.READ_ONLY: (
        "The history {path} cannot be written.",
        "Make the file and its folder writable; until then runs are not kept.",
    ),
    HistoryProblem.FULL: (
        "The disk of the history {path} is full.",
        "Free some space; until then runs are not kept.",
    ),
    HistoryProblem.DAMAGED: (
        "The history {path} is damaged.",
        "Move the file away; a new history is then begun.",
    ),
    HistoryProblem.NEWER: (
        "The history {path} is of a newer version of the playground.",
        "Use that version to read it; this one leaves it as it is and keeps no runs.",
    ),
    HistoryProblem.UNREADABLE: (
        "The history {path} cannot be opened.",
        "Check the file and its folder; until then runs are not kept.",
    ),
}
#: By the primary result code, which is the low byte of an extended one.
_PROBLEMS = {
    sqlite3.SQLITE_BUSY: HistoryProblem.LOCKED,
    sqlite3.SQLITE_LOCKED: HistoryProblem.LOCKED,
    sqlite3.SQLITE_READONLY: HistoryProblem.READ_ONLY,
    sqlite3.SQLITE_PERM: HistoryProblem.READ_ONLY,
    sqlite3.SQLITE_FULL: HistoryProblem.FULL,
    sqlite3.SQLITE_CORRUPT: HistoryProblem.DAMAGED,
    sqlite3.SQLITE_NOTADB: HistoryProblem.DAMAGED,
}


def history_error(problem: HistoryProblem, path: Path, detail: str = "") -> HistoryError:
    """Return the error of a problem, with its words for people."""
    message, remedy = _WORDS[problem]
    return HistoryError(problem, message.format(path=path), remedy, detail)


def explain(error: Exception, path: Path) -> HistoryError:
    """Return the HistoryError of an error of SQLite or of the file system."""
    problem = HistoryProblem.UNREADABLE
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            problem = HistoryProblem.FULL
        elif error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            problem = HistoryProblem.READ_ONLY
    else:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        problem = _PROBLEMS.get(code, problem)
        if code == sqlite3.SQLITE_ERROR and isinstance(error, sqlite3.DatabaseError):
            # A table or column of the schema is missing or of another shape.
            problem = HistoryProblem.DAMAGED
    return history_error(problem, path, f"{type(error).__name__}: {error}")
