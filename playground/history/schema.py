"""The history's tables, and the migrations that lead to them."""

from __future__ import annotations

from playground.core.system.database import DatabaseKind

#: Each script leads from one version to the next. Append only.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        created REAL NOT NULL,               -- Unix time, seconds
        request BLOB NOT NULL,               -- a RunRequest, MessagePack
        typed TEXT NOT NULL,
        state TEXT NOT NULL,                 -- a RunState
        owner TEXT NOT NULL DEFAULT '',      -- the process that writes it, while it runs
        offered INTEGER NOT NULL DEFAULT 0,  -- an interrupted run was offered to the user
        deleted REAL,                        -- Unix time; NULL while it is not deleted
        bytes INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX run_created ON run (created);
    CREATE TABLE lane (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        model TEXT NOT NULL,
        precision TEXT NOT NULL,             -- as requested
        verified TEXT NOT NULL DEFAULT '',   -- as counted in its last answer
        failure TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (run_id, position)
    ) WITHOUT ROWID;
    CREATE TABLE answer (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        repeat INTEGER NOT NULL,             -- -1 for a warm-up
        prompt BLOB NOT NULL,                -- a Prompt, MessagePack
        text TEXT NOT NULL DEFAULT '',
        tokens BLOB,                         -- TokenRecord, MessagePack; NULL until it ended
        answer BLOB,                         -- an Answer without its tokens, MessagePack
        floor BLOB                           -- the model's Floor, MessagePack
    );
    CREATE INDEX answer_run ON answer (run_id);
    CREATE TABLE chunk (                     -- the tokens of an answer that has not ended
        answer_id INTEGER NOT NULL REFERENCES answer (id) ON DELETE CASCADE,
        sequence INTEGER NOT NULL,
        tokens BLOB NOT NULL,                -- TokenRecord, MessagePack
        PRIMARY KEY (answer_id, sequence)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE run_text USING fts5 (typed, answers, tokenize = 'trigram');
    """,
)


#: What the history's file is.
HISTORY = DatabaseKind("history", "runs are not kept", MIGRATIONS)
