"""The end of pieces and data sets: removals noticed, terminations sent, what nobody needs collected.

The order is a real provider's (spec storage-provider, section 7), the hours between the steps are not.
"""

from __future__ import annotations

import sqlite3
import time

from fpin.devnet.provider.commp import Piece
from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.indexing import Indexing
from fpin.devnet.provider.node import NodeError, NodeSilent
from fpin.devnet.provider.onchain import Onchain
from fpin.devnet.provider.pieces import UNCLAIMED_SECONDS, PieceStore
from fpin.devnet.provider.state import State

DELETE_AGAIN_EPOCHS = 20  # between attempts to delete a data set whose service has ended
OVERDUE_EPOCHS = 10  # how late the end of a proving period may be before nobody hurries for it any more

_IN_FLIGHT = "SELECT ref FROM adds WHERE recorded = 0 AND ok IS NOT 0"


class Removal:
    """Jobs that take things away."""

    def __init__(
        self, *, state: State, data_sets: DataSets, pieces: PieceStore, indexing: Indexing, chain: Onchain
    ) -> None:
        self._state = state
        self._data_sets = data_sets
        self._pieces = pieces
        self._indexing = indexing
        self._chain = chain
        self._delete_after = 0

    def waits_for_boundary(self, epoch: int) -> bool:
        """Whether a removal is scheduled on chain and its proving period is still open in *epoch*.

        A boundary that is overdue is not waited for: something else keeps it from coming.
        """
        waiting = self._state.row(
            "SELECT 1 FROM set_pieces JOIN txs ON hash = remove_tx JOIN data_sets ON id = data_set"
            " WHERE removed = 0 AND status = 'confirmed' AND proving_failed = 0"
            " AND prove_at + challenge_window + ? >= ? LIMIT 1",
            OVERDUE_EPOCHS,
            epoch,
        )
        return waiting is not None

    # Pieces

    def notice(self) -> bool:
        """After a boundary, mark the scheduled pieces that the chain has removed."""
        passed = self._state.rows("SELECT id FROM data_sets WHERE boundary_passed = 1")
        for row in passed:
            gone = [
                (row["id"], each) for each in self._scheduled(row["id"]) if self._is_gone(row["id"], each)
            ]
            with self._state.write() as db:
                db.executemany("UPDATE set_pieces SET removed = 1 WHERE data_set = ? AND piece_id = ?", gone)
                db.execute("UPDATE data_sets SET boundary_passed = 0 WHERE id = ?", (row["id"],))
        return bool(passed)

    def _scheduled(self, data_set: int) -> list[int]:
        rows = self._state.rows(
            "SELECT piece_id FROM set_pieces WHERE data_set = ? AND remove_tx IS NOT NULL AND removed = 0",
            data_set,
        )
        return [row["piece_id"] for row in rows]

    def _is_gone(self, data_set: int, piece_id: int) -> bool:
        return not self._chain.piece_live(data_set, piece_id)

    def collect(self) -> bool:
        """Drop removed pieces, then refs without use, then pieces without refs."""
        return self._drop_rows() | self._drop_refs() | self._drop_pieces()

    def _drop_rows(self) -> bool:
        removed = self._state.rows("SELECT data_set, piece_id FROM set_pieces WHERE removed = 1")
        dead = [
            (row["data_set"], row["piece_id"])
            for row in removed
            if self._data_sets.known(row["data_set"]) is None
            or self._is_gone(row["data_set"], row["piece_id"])
        ]
        if not dead:
            return False
        with self._state.write() as db:
            db.executemany("DELETE FROM set_pieces WHERE data_set = ? AND piece_id = ?", dead)
        return True

    def _drop_refs(self) -> bool:
        """A ref that served a data set goes with it; one that never did is kept for two hours."""
        if self._state.row("SELECT 1 FROM refs LIMIT 1") is None:
            return False
        with self._state.write() as db:
            dropped = db.execute(
                "DELETE FROM refs WHERE (claimed = 1 OR created_at < ?)"
                f" AND id NOT IN (SELECT ref FROM set_pieces) AND id NOT IN ({_IN_FLIGHT})",
                (time.time() - UNCLAIMED_SECONDS,),
            ).rowcount
        return dropped > 0

    def _drop_pieces(self) -> bool:
        """First the advertisement is taken back and the index forgotten, then the bytes go."""
        unwanted = self._state.rows(
            "SELECT root, size FROM pieces WHERE root NOT IN (SELECT root FROM refs)"
            " AND root NOT IN (SELECT root FROM uploads WHERE ready = 1)"
        )
        for row in unwanted:
            self._indexing.retract(Piece(row["root"], row["size"]))
            self._pieces.drop(row["root"])
        return bool(unwanted)

    # Data sets

    def terminate(self) -> bool:
        """Send queued terminations, and write down the epoch of those that were done."""
        done = False
        for row in self._state.rows("SELECT * FROM terminations WHERE epoch IS NULL"):
            done = self._terminate_one(row) or done
        return done

    def _terminate_one(self, row: sqlite3.Row) -> bool:
        try:
            _, end_epoch = self._chain.payer_and_end(row["data_set"])
            if end_epoch == 0 and row["tx"] is None:
                self._chain.terminate(row["data_set"], row["extra_data"])
                return True
        except NodeSilent:
            return False
        except NodeError:
            with self._state.write() as db:  # refused: the client may ask again
                db.execute("DELETE FROM terminations WHERE data_set = ?", (row["data_set"],))
            return True
        if end_epoch == 0:
            return False
        with self._state.write() as db:
            db.execute("UPDATE terminations SET epoch = ? WHERE data_set = ?", (end_epoch, row["data_set"]))
        return True

    def delete_ended(self, epoch: int) -> bool:
        """Delete data sets whose service has ended: on chain first, and once that landed, here."""
        if epoch < self._delete_after:
            return False
        self._delete_after = epoch + DELETE_AGAIN_EPOCHS
        ended = self._state.rows(
            "SELECT data_set FROM terminations JOIN data_sets ON id = data_set WHERE epoch < ?", epoch
        )
        return sum(self._delete_one(row["data_set"]) for row in ended) > 0

    def _delete_one(self, data_set: int) -> bool:
        try:
            if self._chain.live(data_set):
                self._chain.settle_and_delete(data_set)
                return True
        except NodeError:  # not settled yet: a later attempt
            return False
        with self._state.write() as db:
            db.execute("UPDATE set_pieces SET removed = 1 WHERE data_set = ?", (data_set,))
            db.execute("DELETE FROM data_sets WHERE id = ?", (data_set,))
        return True
