"""The chain's SQLite file: state, blocks, transactions, logs; one block is one SQLite transaction.

Knows rows and no rules. State is kept as of the head, with what each block replaced beside it, so that the
past can be rebuilt backwards.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fpin.devnet.chain.machine import Log
from fpin.devnet.chain.storage import Key, Value
from fpin.errors import LocalError
from fpin.values import dataclass

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, parent BLOB NOT NULL,
                     timestamp INTEGER NOT NULL, undo TEXT NOT NULL);
CREATE TABLE transactions (hash BLOB PRIMARY KEY, block INTEGER NOT NULL UNIQUE, raw BLOB NOT NULL,
                           succeeded INTEGER NOT NULL, gas_used INTEGER NOT NULL, fee TEXT NOT NULL);
CREATE TABLE logs (block INTEGER NOT NULL, position INTEGER NOT NULL, address TEXT NOT NULL,
                   topics TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (block, position)) WITHOUT ROWID;
"""


@dataclass(frozen=True, kw_only=True)
class Block:
    number: int
    hash: bytes
    parent: bytes
    timestamp: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a transaction. A block holds at most one, so its index is always 0."""

    hash: bytes
    block: int
    raw: bytes
    succeeded: bool
    gas_used: int
    fee: int  # attoFIL charged in all


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """An event and where it happened."""

    block: int
    position: int
    log: Log


class BlockStore:
    """Reads and appends. Not thread-safe; its owner holds a lock."""

    def __init__(self, path: Path) -> None:
        hint = "end the process that uses it, free some space, or choose another folder"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.DatabaseError) as exc:
            raise LocalError(f"cannot open the devnet's chain {path}: {exc}", hint=hint) from exc
        try:
            # One process at a time: a second one would run on a copy of the state in its own memory.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            # A killed process loses nothing it committed; only a power cut can lose the last blocks.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._prepare(path)
        except sqlite3.DatabaseError as exc:
            self._db.close()
            raise LocalError(f"cannot open the devnet's chain {path}: {exc}", hint=hint) from exc
        except LocalError:
            self._db.close()
            raise

    def _prepare(self, path: Path) -> None:
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise LocalError(
                    f"the devnet's chain {path} has format {version}, this program writes {SCHEMA_VERSION}",
                    hint="Start a new devnet, or use the program that made this one.",
                )

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN EXCLUSIVE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Writing

    def append(
        self,
        block: Block,
        changes: Sequence[tuple[Key, Value | None, Value | None]],
        receipt: Receipt | None = None,
        logs: Sequence[Log] = (),
    ) -> None:
        """Write a block and everything it changed, or nothing at all."""
        undo = _dump([(key, before) for key, _, before in changes])
        with self._transaction():
            self._write(changes)
            row = block.number, block.hash, block.parent, block.timestamp, undo
            self._db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", row)
            if receipt:
                outcome = receipt.succeeded, receipt.gas_used, str(receipt.fee)
                values = receipt.hash, receipt.block, receipt.raw, *outcome
                self._db.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)", values)
            self._db.executemany(
                "INSERT INTO logs VALUES (?, ?, ?, ?, ?)",
                [
                    (block.number, position, log.address, _topics(log.topics), log.data)
                    for position, log in enumerate(logs)
                ],
            )

    def cut(self, number: int, changes: Sequence[tuple[Key, Value | None, Value | None]]) -> None:
        """Forget every block after *number*; *changes* lead from the head's state to that of *number*."""
        with self._transaction():
            self._write(changes)
            for table, column in (("blocks", "number"), ("transactions", "block"), ("logs", "block")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} > ?", (number,))

    def _write(self, changes: Sequence[tuple[Key, Value | None, Value | None]]) -> None:
        for key, now, _ in changes:
            if now is None:
                self._db.execute("DELETE FROM state WHERE key = ?", (_dump(key),))
            else:
                self._db.execute("REPLACE INTO state VALUES (?, ?)", (_dump(key), _dump(now)))

    # Reading

    def state(self) -> Iterator[tuple[Key, Value]]:
        for key, value in self._db.execute("SELECT key, value FROM state"):
            yield _load(key), _load(value)  # type: ignore[misc]  # keys are tuples

    def head(self) -> Block | None:
        return self._block("ORDER BY number DESC LIMIT 1")

    def block(self, number: int) -> Block | None:
        """Return the block at *number*; None for a null round or an epoch to come."""
        return self._block("WHERE number = ?", number)

    def block_at_or_before(self, number: int) -> Block | None:
        return self._block("WHERE number <= ? ORDER BY number DESC LIMIT 1", number)

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        return self._block("WHERE hash = ?", block_hash)

    def _block(self, where: str, *values: int | bytes) -> Block | None:
        query = f"SELECT number, hash, parent, timestamp FROM blocks {where}"
        row = self._db.execute(query, values).fetchone()
        return Block(number=row[0], hash=row[1], parent=row[2], timestamp=row[3]) if row else None

    def undo_after(self, number: int) -> Iterator[tuple[Key, Value | None]]:
        """Yield (key, value before) that lead from the head back to block *number*, newest first."""
        query = "SELECT undo FROM blocks WHERE number > ? AND undo <> '[]' ORDER BY number DESC"
        for (undo,) in self._db.execute(query, (number,)):
            yield from _load(undo)  # type: ignore[misc]  # pairs

    def transactions_after(self, number: int) -> list[bytes]:
        """Return the raw transactions of the blocks after *number*, oldest first."""
        query = "SELECT raw FROM transactions WHERE block > ? ORDER BY block"
        return [raw for (raw,) in self._db.execute(query, (number,))]

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        return self._receipt("hash", transaction_hash)

    def receipt_in(self, block: int) -> Receipt | None:
        return self._receipt("block", block)

    def _receipt(self, column: str, value: bytes | int) -> Receipt | None:
        query = f"SELECT hash, block, raw, succeeded, gas_used, fee FROM transactions WHERE {column} = ?"
        row = self._db.execute(query, (value,)).fetchone()
        if row is None:
            return None
        transaction_hash, block, raw, succeeded, gas_used, fee = row
        return Receipt(
            hash=transaction_hash,
            block=block,
            raw=raw,
            succeeded=bool(succeeded),
            gas_used=gas_used,
            fee=int(fee),
        )

    def logs(self, first: int, last: int) -> Iterator[LogEntry]:
        """Yield the events of blocks *first* to *last*, both included, in order."""
        query = (
            "SELECT block, position, address, topics, data FROM logs"
            " WHERE block BETWEEN ? AND ? ORDER BY block, position"
        )
        for block, position, address, topics, data in self._db.execute(query, (first, last)):
            log = Log(address, tuple(map(bytes.fromhex, topics.split())), data)
            yield LogEntry(block=block, position=position, log=log)


def _topics(topics: Sequence[bytes]) -> str:
    return " ".join(topic.hex() for topic in topics)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=_dump_bytes)


def _dump_bytes(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    raise TypeError(f"no state value: {value!r}")


def _load(text: str) -> Value | None:
    return _frozen(json.loads(text, object_hook=lambda tagged: bytes.fromhex(tagged["hex"])))


def _frozen(value: object) -> Value | None:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)  # type: ignore[misc]  # None only in undo pairs
    return value  # type: ignore[return-value]  # what JSON holds was dumped from Value
