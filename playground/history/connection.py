"""Opens the history's file, and turns SQLite's errors into HistoryError."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import msgspec

from playground.core.token_record import TokenRecord
from playground.history.errors import HistoryProblem, explain, history_error
from playground.history.schema import MIGRATIONS, migrate, version_of

#: How long (s) a statement waits for another process that writes.
BUSY_S = 5.0


class HistoryFile:
    """A connection to the file, as a context that closes it.

    Every method raises HistoryError where the file cannot be used; all of them block.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take over a connection. Raises HistoryError for a file of a newer version."""
        self.path = path
        self.connection = connection
        try:
            with explaining(path):
                version = version_of(connection)
            if version > len(MIGRATIONS):
                raise history_error(HistoryProblem.NEWER, path)
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

    def tokens_so_far(self, answer_id: int) -> TokenRecord:
        """Return the tokens of an answer that has not ended."""
        rows = self.connection.execute(
            "SELECT tokens FROM chunk WHERE answer_id = ? ORDER BY sequence", (answer_id,)
        ).fetchall()
        return TokenRecord.joined(
            msgspec.msgpack.decode(data, type=TokenRecord) for (data,) in rows
        )


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open the file for writing; create it and its folder where they are missing."""
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the file for reading only. A file that does not exist yet is an empty history."""
    with explaining(path):
        if not path.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            migrate(connection)
            return connection
        # `rw` and not `ro`: a WAL file that a killed process left must be recovered.
        address = f"file:{quote(str(path))}?mode=rw"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
        return connection


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or of the file system into a HistoryError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error
