"""The tables of the evaluations' file, and the migrations that lead to them."""

from __future__ import annotations

from playground.core.system.database import DatabaseKind

#: Each script leads from one version to the next. Append only.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        created REAL NOT NULL,               -- Unix time, seconds
        state TEXT NOT NULL,                 -- an EvaluationState
        owner TEXT NOT NULL DEFAULT '',      -- the process that carries it out
        suite TEXT NOT NULL,                 -- its name, for lists
        plan BLOB NOT NULL,                  -- an EvaluationPlan, MessagePack
        cases BLOB NOT NULL                  -- the Suite, MessagePack
    );
    CREATE TABLE contestant (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        verified TEXT NOT NULL DEFAULT '',   -- the precision as counted
        loaded BLOB,                         -- a LoadedModel, MessagePack
        failure TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (run_id, position)
    ) WITHOUT ROWID;
    CREATE TABLE result (
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        case_id TEXT NOT NULL,
        key TEXT NOT NULL,                   -- of what decides the answer: see `answer_key`
        answer BLOB NOT NULL,                -- an ItemAnswer, MessagePack
        PRIMARY KEY (run_id, position, case_id)
    ) WITHOUT ROWID;
    CREATE INDEX result_key ON result (key);
    CREATE TABLE grade (                     -- apart: grading again asks no model
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        case_id TEXT NOT NULL,
        grade BLOB NOT NULL,                 -- a Grade, MessagePack
        human BLOB,                          -- the Grade that a person gave instead
        PRIMARY KEY (run_id, position, case_id)
    ) WITHOUT ROWID;
    CREATE TABLE vote (                      -- of a blind comparison
        run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        case_id TEXT NOT NULL,
        left_position INTEGER NOT NULL,
        right_position INTEGER NOT NULL,
        vote TEXT NOT NULL,                  -- a Vote
        PRIMARY KEY (run_id, case_id, left_position, right_position)
    ) WITHOUT ROWID;
    """,
)
#: What the evaluations' file is.
EVALUATIONS = DatabaseKind("file of evaluations", "results are not kept", MIGRATIONS)
