"""Data sets as this provider sees them: transactions it sent, sets and pieces it recorded when they landed.

One function per change of state. Knows no HTTP and asks no chain; receipts are handed to it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from eth_abi.abi import decode as abi_decode

from fpin.devnet.provider.commp import Piece
from fpin.devnet.provider.node import Log, Receipt, Signed, topic
from fpin.devnet.provider.state import State
from fpin.values import dataclass

_DATA_SET_CREATED = topic("DataSetCreated(uint256,address)")
_PIECES_ADDED = topic("PiecesAdded(uint256,uint256[],(bytes)[])")
_PIECES_ADDED_V2 = topic("PiecesAddedV2(uint256,uint256,(bytes32,bytes32)[])")  # PDPVerifier 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedPiece:
    """A piece named in an add request: what it is and the ref that keeps its bytes."""

    piece: Piece
    ref: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPiece:
    piece_id: int
    piece: Piece
    removed: bool


_BY_TRANSACTION = (
    ("txs", "hash"),
    ("creates", "tx"),
    ("adds", "tx"),
    ("data_sets", "create_tx"),
    ("set_pieces", "add_tx"),
)


class DataSets:
    """Rows of transactions, creations, additions, sets and their pieces."""

    def __init__(self, state: State) -> None:
        self._state = state

    # Sent

    def sent(self, signed: Signed) -> None:
        """A transaction is about to leave; what became of the very same one before, a fork has undone."""
        with self._state.write() as db:
            for table, column in _BY_TRANSACTION:
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (signed.hash,))
            db.execute(
                "INSERT INTO txs (hash, raw, sent_at) VALUES (?, ?, ?)",
                (signed.hash, signed.raw, time.time()),
            )

    def create_sent(self, signed: Signed, added: Sequence[AddedPiece], *, indexing: bool) -> None:
        with self._state.write() as db:
            self.sent(signed)
            db.execute("INSERT INTO creates (tx, indexing) VALUES (?, ?)", (signed.hash, indexing))
            self._add_rows(db, signed.hash, None, added, indexing)

    def add_sent(self, signed: Signed, data_set: int, added: Sequence[AddedPiece], *, indexing: bool) -> None:
        with self._state.write() as db:
            self.sent(signed)
            self._add_rows(db, signed.hash, data_set, added, indexing)

    def _add_rows(
        self,
        db: sqlite3.Connection,
        tx: str,
        data_set: int | None,
        added: Sequence[AddedPiece],
        indexing: bool,
    ) -> None:
        for position, each in enumerate(added):
            db.execute(
                "INSERT INTO adds (tx, position, data_set, root, ref) VALUES (?, ?, ?, ?, ?)",
                (tx, position, data_set, each.piece.root, each.ref),
            )
            if indexing:  # from now on, not from confirmation: a provider does not wait for the chain
                db.execute(
                    "UPDATE refs SET index_state = 'wanted' WHERE id = ? AND index_state = 'none'",
                    (each.ref,),
                )

    def removal_sent(self, signed: Signed, data_set: int, piece_ids: Sequence[int]) -> None:
        with self._state.write() as db:
            self.sent(signed)
            db.executemany(
                "UPDATE set_pieces SET remove_tx = ? WHERE data_set = ? AND piece_id = ?",
                [(signed.hash, data_set, piece_id) for piece_id in piece_ids],
            )

    def termination_sent(self, signed: Signed, data_set: int) -> None:
        with self._state.write() as db:
            self.sent(signed)
            db.execute("UPDATE terminations SET tx = ? WHERE data_set = ?", (signed.hash, data_set))

    def refused(self, tx: str) -> None:
        """The node did not take the transaction: as if it had never been made."""
        with self._state.write() as db:
            for table, column in (("txs", "hash"), ("creates", "tx"), ("adds", "tx")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (tx,))
            self._forget_tx(db, tx)

    # Landed

    def pending(self) -> list[tuple[str, bytes]]:
        """(hash, raw transaction) of everything whose receipt is not known yet."""
        rows = self._state.rows("SELECT hash, raw FROM txs WHERE status = 'pending' ORDER BY sent_at")
        return [(row["hash"], row["raw"]) for row in rows]

    def landed(self, tx: str, *, ok: bool) -> None:
        """The transaction is in a block; *ok* False: it was reverted there."""
        self._settled(tx, "confirmed", ok)

    def lost(self, tx: str) -> None:
        """The transaction can never be included: its nonce went to another one."""
        self._settled(tx, "failed", False)

    def _settled(self, tx: str, status: str, ok: bool) -> None:
        with self._state.write() as db:
            db.execute("UPDATE txs SET status = ?, ok = ? WHERE hash = ?", (status, ok, tx))
            db.execute("UPDATE creates SET ok = ? WHERE tx = ?", (ok, tx))
            db.execute("UPDATE adds SET ok = ? WHERE tx = ?", (ok, tx))
            if ok:
                db.execute("UPDATE data_sets SET boundary_passed = 1 WHERE period_tx = ?", (tx,))
            else:
                self._forget_tx(db, tx)

    def _forget_tx(self, db: sqlite3.Connection, tx: str) -> None:
        """Whatever waited for *tx* may be asked for again."""
        db.execute("UPDATE set_pieces SET remove_tx = NULL WHERE remove_tx = ? AND removed = 0", (tx,))
        db.execute("DELETE FROM terminations WHERE tx = ?", (tx,))
        db.execute("UPDATE data_sets SET proof_tx = NULL, proven_at = NULL WHERE proof_tx = ?", (tx,))
        db.execute(
            "UPDATE data_sets SET period_tx = NULL, prove_at = previous_prove_at WHERE period_tx = ?", (tx,)
        )

    def unrecorded(self) -> list[str]:
        """Creations and additions that landed well and are not in the provider's records yet."""
        rows = self._state.rows(
            "SELECT tx FROM creates WHERE ok = 1 AND data_set IS NULL"
            " UNION SELECT tx FROM adds WHERE ok = 1 AND recorded = 0"
        )
        return [row["tx"] for row in rows]

    def record(self, tx: str, receipt: Receipt, verifier: str) -> None:
        """Write down the set and the piece ids of *receipt*; before a fork, others may have had them."""
        logs = [log for log in receipt.logs if log.address == verifier.lower()]
        with self._state.write() as db:
            created = db.execute(
                "SELECT indexing FROM creates WHERE tx = ? AND data_set IS NULL", (tx,)
            ).fetchone()
            if created is not None:
                data_set = _created_id(logs)
                db.execute(
                    "REPLACE INTO data_sets (id, create_tx, indexing) VALUES (?, ?, ?)",
                    (data_set, tx, created["indexing"]),
                )
                db.execute("UPDATE creates SET data_set = ? WHERE tx = ?", (data_set, tx))
                db.execute("UPDATE adds SET data_set = ? WHERE tx = ?", (data_set, tx))
            self._record_pieces(db, tx, logs)

    def _record_pieces(self, db: sqlite3.Connection, tx: str, logs: Sequence[Log]) -> None:
        adds = db.execute(
            "SELECT * FROM adds WHERE tx = ? AND recorded = 0 ORDER BY position", (tx,)
        ).fetchall()
        if not adds:
            return
        for piece_id, add in zip(_added_ids(logs), adds, strict=True):
            db.execute(
                "REPLACE INTO set_pieces (data_set, piece_id, root, ref, add_tx) VALUES (?, ?, ?, ?, ?)",
                (add["data_set"], piece_id, add["root"], add["ref"], tx),
            )
            db.execute("UPDATE refs SET claimed = 1 WHERE id = ?", (add["ref"],))
        db.execute("UPDATE adds SET recorded = 1 WHERE tx = ?", (tx,))
        db.execute("UPDATE data_sets SET init_ready = 1 WHERE id = ?", (adds[0]["data_set"],))

    # Told

    def known(self, data_set: int) -> sqlite3.Row | None:
        if data_set >= 2**63:  # larger than SQLite's integers, and than any id a chain has given out
            return None
        return self._state.row("SELECT * FROM data_sets WHERE id = ?", data_set)

    def creation(self, tx: str) -> sqlite3.Row | None:
        return self._state.row(
            "SELECT creates.*, txs.status FROM creates JOIN txs ON txs.hash = creates.tx WHERE tx = ?", tx
        )

    def addition(self, data_set: int, tx: str) -> list[sqlite3.Row]:
        return self._state.rows(
            "SELECT adds.*, txs.status FROM adds JOIN txs ON txs.hash = adds.tx"
            " WHERE tx = ? AND data_set = ? ORDER BY position",
            tx,
            data_set,
        )

    def ids_added_by(self, data_set: int, tx: str) -> list[int]:
        rows = self._state.rows(
            "SELECT piece_id FROM set_pieces WHERE data_set = ? AND add_tx = ? ORDER BY piece_id",
            data_set,
            tx,
        )
        return [row["piece_id"] for row in rows]

    def pieces(self, data_set: int) -> list[SetPiece]:
        rows = self._state.rows(
            "SELECT piece_id, set_pieces.root AS root, size, removed FROM set_pieces"
            " JOIN pieces ON pieces.root = set_pieces.root WHERE data_set = ? ORDER BY piece_id",
            data_set,
        )
        return [
            SetPiece(
                piece_id=row["piece_id"], piece=Piece(row["root"], row["size"]), removed=bool(row["removed"])
            )
            for row in rows
        ]

    def has_pieces(self, data_set: int, piece_ids: Sequence[int]) -> bool:
        known = {
            row["piece_id"]
            for row in self._state.rows("SELECT piece_id FROM set_pieces WHERE data_set = ?", data_set)
        }
        return known.issuperset(piece_ids)

    def learn_indexing(self, data_set: int, indexing: bool) -> None:
        with self._state.write() as db:
            db.execute("UPDATE data_sets SET indexing = ? WHERE id = ?", (indexing, data_set))


def _created_id(logs: Sequence[Log]) -> int:
    return next(int.from_bytes(log.topics[1]) for log in logs if log.topics[0] == _DATA_SET_CREATED)


def _added_ids(logs: Sequence[Log]) -> list[int]:
    """Piece ids in the order of the request; ids are given out one after another."""
    ids: list[int] = []
    for log in logs:
        if log.topics[0] == _PIECES_ADDED:
            ids += abi_decode(["uint256[]", "(bytes)[]"], log.data)[0]
        elif log.topics[0] == _PIECES_ADDED_V2:
            first, cids = abi_decode(["uint256", "(bytes32,bytes32)[]"], log.data)
            ids += range(first, first + len(cids))
    return ids
