"""The history's file, open for reading or for writing."""

from __future__ import annotations

import msgspec

from playground.core.system.database import Database
from playground.core.token_record import TokenRecord


class HistoryFile(Database):
    """What reader and writer of the history have in common."""

    def tokens_so_far(self, answer_id: int) -> TokenRecord:
        """Return the tokens of an answer that has not ended."""
        rows = self.connection.execute(
            "SELECT tokens FROM chunk WHERE answer_id = ? ORDER BY sequence", (answer_id,)
        ).fetchall()
        return TokenRecord.joined(
            msgspec.msgpack.decode(data, type=TokenRecord) for (data,) in rows
        )
