"""SQLite files of the playground: opening, migrating, transactions, and errors in words."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from playground.core.errors import PlaygroundError

#: How long (s) a statement waits for another process that writes.
BUSY_S = 5.0


class DatabaseProblem(StrEnum):
    """Why a database cannot be used."""

    LOCKED = "locked"
    READ_ONLY = "read-only"
    FULL = "disk full"
    DAMAGED = "damaged"
    NEWER = "newer"
    UNREADABLE = "unreadable"
    MISSING = "missing"


class DatabaseError(PlaygroundError):
    """A database cannot be read or written."""

    def __init__(
        self, problem: DatabaseProblem, message: str, remedy: str = "", detail: str = ""
    ) -> None:
        super().__init__(message, remedy, detail)
        self.problem = problem


@dataclass(frozen=True)
class DatabaseKind:
    """What a database holds, for its errors' words, and the scripts that make its tables.

    `what` is its name, "history"; `meanwhile` the end of a sentence on what follows where it
    cannot be written, "runs are not kept". Each of the `migrations` leads from one version to the
    next; they are only appended.
    """

    what: str
    meanwhile: str
    migrations: tuple[str, ...]


#: A problem's message and remedy.
_WORDS = {
    DatabaseProblem.LOCKED: (
        "The {what} {path} is locked by another program.",
        "Until it is free again, {meanwhile}.",
    ),
    DatabaseProblem.READ_ONLY: (
        "The {what} {path} cannot be written.",
        "Make the file and its folder writable; until then {meanwhile}.",
    ),
    DatabaseProblem.FULL: (
        "The disk of the {what} {path} is full.",
        "Free some space; until then {meanwhile}.",
    ),
    DatabaseProblem.DAMAGED: (
        "The {what} {path} is damaged.",
        "Move the file away; a new one is then begun.",
    ),
    DatabaseProblem.NEWER: (
        "The {what} {path} is of a newer version of the playground.",
        "Use that version to read it; this one leaves it as it is, and {meanwhile}.",
    ),
    DatabaseProblem.UNREADABLE: (
        "The {what} {path} cannot be opened.",
        "Check the file and its folder; until then {meanwhile}.",
    ),
}
#: By the primary result code, which is the low byte of an extended one.
_PROBLEMS = {
    sqlite3.SQLITE_BUSY: DatabaseProblem.LOCKED,
    sqlite3.SQLITE_LOCKED: DatabaseProblem.LOCKED,
    sqlite3.SQLITE_READONLY: DatabaseProblem.READ_ONLY,
    sqlite3.SQLITE_PERM: DatabaseProblem.READ_ONLY,
    sqlite3.SQLITE_FULL: DatabaseProblem.FULL,
    sqlite3.SQLITE_CORRUPT: DatabaseProblem.DAMAGED,
    sqlite3.SQLITE_NOTADB: DatabaseProblem.DAMAGED,
}


class Database:
    """A connection to a file, as a context that closes it.

    Every method raises DatabaseError where the file cannot be used; all of them block.
    """

    def __init__(self, path: Path, kind: DatabaseKind, connection: sqlite3.Connection) -> None:
        """Take over a connection. Raises DatabaseError for a file of a newer version."""
        self.path = path
        self.kind = kind
        self.connection = connection
        try:
            with self.explaining():
                version = version_of(connection)
            if version > len(kind.migrations):
                raise _error(DatabaseProblem.NEWER, path, kind)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def explaining(self) -> contextlib.AbstractContextManager[None]:
        """Turn an error of SQLite or of the file system into a DatabaseError."""
        return explaining(self.path, self.kind)

    def prepare(self) -> None:
        """Make the file ready for one writer and many readers, with the newest tables."""
        try:
            with self.explaining():
                self.connection.execute("PRAGMA journal_mode = WAL")
                # A killed process loses nothing then; a power cut may lose the last commits.
                self.connection.execute("PRAGMA synchronous = NORMAL")
                self.connection.execute("PRAGMA foreign_keys = ON")
                migrate(self.connection, self.kind)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything done inside at once, or nothing."""
        with self.explaining():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
                raise


def connect_to_write(path: Path, kind: DatabaseKind) -> sqlite3.Connection:
    """Open the file for writing; create it and its folder where they are missing."""
    with explaining(path, kind):
        path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)


def connect_to_read(path: Path, kind: DatabaseKind) -> sqlite3.Connection:
    """Open the file for reading only. One that does not exist yet reads as an empty one."""
    with explaining(path, kind):
        if not path.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            migrate(connection, kind)
            return connection
        # `rw` and not `ro`: a WAL file that a killed process left must be recovered.
        address = f"file:{quote(str(path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        return connection


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the file's tables, 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, kind: DatabaseKind) -> None:
    """Bring the tables to the newest version. Two processes may do it at the same time."""
    if version_of(connection) == len(kind.migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(connection), len(kind.migrations)):
            for statement in _statements(kind.migrations[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _statements(script: str) -> list[str]:
    """Return the statements of a script: `executescript` would end the transaction."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


@contextlib.contextmanager
def explaining(path: Path, kind: DatabaseKind) -> Iterator[None]:
    """Turn an error of SQLite or of the file system into a DatabaseError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _explained(error, path, kind) from error


def _error(
    problem: DatabaseProblem, path: Path, kind: DatabaseKind, detail: str = ""
) -> DatabaseError:
    values = {"what": kind.what, "path": path, "meanwhile": kind.meanwhile}
    message, remedy = (words.format(**values) for words in _WORDS[problem])
    return DatabaseError(problem, message, remedy, detail)


def _explained(error: Exception, path: Path, kind: DatabaseKind) -> DatabaseError:
    problem = DatabaseProblem.UNREADABLE
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            problem = DatabaseProblem.FULL
        elif error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            problem = DatabaseProblem.READ_ONLY
    else:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        problem = _PROBLEMS.get(code, problem)
        if code == sqlite3.SQLITE_ERROR and isinstance(error, sqlite3.DatabaseError):
            # A table or column of the schema is missing or of another shape.
            problem = DatabaseProblem.DAMAGED
    return _error(problem, path, kind, f"{type(error).__name__}: {error}")
