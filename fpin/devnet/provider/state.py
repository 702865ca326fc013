"""The provider's memory: one SQLite file that survives a kill at any line.

Knows tables and transactions; what the rows mean is said by the modules that change them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

Argument = str | bytes | int | float | None

# A *piece* is bytes on disk, a *ref* says that somebody wants them kept, and only refs are looked up by
# the API: several uploads of the same bytes make several refs of one piece.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS sessions (
    uuid TEXT PRIMARY KEY, root BLOB, size INTEGER, nodes BLOB, completed_at REAL);
CREATE TABLE IF NOT EXISTS uploads (
    uuid TEXT PRIMARY KEY, root BLOB NOT NULL, size INTEGER NOT NULL, nodes BLOB, notify TEXT NOT NULL,
    ready INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pieces (
    root BLOB PRIMARY KEY, size INTEGER NOT NULL, nodes BLOB NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS refs (
    id INTEGER PRIMARY KEY, root BLOB NOT NULL REFERENCES pieces (root), created_at REAL NOT NULL,
    claimed INTEGER NOT NULL DEFAULT 0,
    index_state TEXT NOT NULL DEFAULT 'none', index_failures INTEGER NOT NULL DEFAULT 0, indexed_at REAL,
    ad_state TEXT NOT NULL DEFAULT 'none', ad_created_at REAL);
CREATE INDEX IF NOT EXISTS refs_by_root ON refs (root);

CREATE TABLE IF NOT EXISTS blocks (
    multihash BLOB NOT NULL, root BLOB NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (multihash, root)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blocks_by_root ON blocks (root);
CREATE TABLE IF NOT EXISTS ads (
    cid TEXT PRIMARY KEY, root BLOB NOT NULL, removal INTEGER NOT NULL, created_at REAL NOT NULL,
    announced_at REAL, synced_at REAL);
CREATE INDEX IF NOT EXISTS ads_by_root ON ads (root);

CREATE TABLE IF NOT EXISTS txs (
    hash TEXT PRIMARY KEY, raw BLOB NOT NULL, status TEXT NOT NULL DEFAULT 'pending', ok INTEGER,
    sent_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS txs_pending ON txs (status) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS creates (
    tx TEXT PRIMARY KEY, data_set INTEGER, indexing INTEGER NOT NULL, ok INTEGER);
CREATE TABLE IF NOT EXISTS adds (
    tx TEXT NOT NULL, position INTEGER NOT NULL, data_set INTEGER, root BLOB NOT NULL,
    ref INTEGER NOT NULL, ok INTEGER, recorded INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (tx, position));
CREATE TABLE IF NOT EXISTS data_sets (
    id INTEGER PRIMARY KEY, create_tx TEXT NOT NULL, indexing INTEGER, init_ready INTEGER NOT NULL DEFAULT 0,
    prove_at INTEGER, previous_prove_at INTEGER, challenge_window INTEGER, period_tx TEXT,
    proven_at INTEGER, proof_tx TEXT, boundary_passed INTEGER NOT NULL DEFAULT 0,
    proving_failed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS set_pieces (
    data_set INTEGER NOT NULL, piece_id INTEGER NOT NULL, root BLOB NOT NULL, ref INTEGER NOT NULL,
    add_tx TEXT NOT NULL, remove_tx TEXT, removed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (data_set, piece_id));
CREATE INDEX IF NOT EXISTS set_pieces_by_ref ON set_pieces (ref);
CREATE TABLE IF NOT EXISTS terminations (
    data_set INTEGER PRIMARY KEY, extra_data BLOB NOT NULL, tx TEXT, epoch INTEGER);

CREATE TABLE IF NOT EXISTS pulls (
    id INTEGER PRIMARY KEY, extra_hash BLOB NOT NULL, data_set INTEGER NOT NULL, record_keeper TEXT NOT NULL,
    payer TEXT NOT NULL, created_at REAL NOT NULL, UNIQUE (extra_hash, data_set, record_keeper));
CREATE TABLE IF NOT EXISTS pull_items (
    pull INTEGER NOT NULL REFERENCES pulls (id), root BLOB NOT NULL, size INTEGER NOT NULL, url TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
    retry_at REAL NOT NULL DEFAULT 0, PRIMARY KEY (pull, root, size, url));
"""


class State:
    """One connection, one lock: every statement is short, and nothing waits for a network inside."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; other threads wait. Nested use joins the outer transaction."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rows(self, sql: str, *arguments: Argument) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, arguments).fetchall()

    def row(self, sql: str, *arguments: Argument) -> sqlite3.Row | None:
        found = self.rows(sql, *arguments)
        return found[0] if found else None

    def remember(self, name: str, value: str) -> None:
        with self.write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def recall(self, name: str) -> str | None:
        row = self.row("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else str(row["value"])
