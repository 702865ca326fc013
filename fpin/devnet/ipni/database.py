"""One SQLite file with one connection that several threads share.

Knows nothing of what is stored. What a finished transaction wrote survives a killed process.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]


class Database:
    """Opens *path* (made if missing) and runs *schema*, which must be safe to run again.

    *functions* are what its SQL may call besides SQLite's own: the same for the same arguments, always.
    """

    def __init__(
        self, path: Path, schema: str, *, functions: Mapping[str, Callable[..., bytes]] | None = None
    ) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False)
        # Write-ahead log and NORMAL: a killed process loses nothing; a power cut may lose the last seconds
        # of a devnet, which is a fair price for not waiting on the disk.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        for name, function in (functions or {}).items():
            self._connection.create_function(name, -1, function, deterministic=True)
        self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; other threads wait."""
        with self._lock, self._connection:
            yield self._connection

    def execute(self, sql: str, *values: object) -> None:
        """One statement, committed."""
        with self.transaction() as connection:
            connection.execute(sql, values)

    def rows(self, sql: str, *values: object) -> list[Row]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> Row | None:
        with self._lock:
            found: Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def close(self) -> None:
        with self._lock:
            self._connection.close()
