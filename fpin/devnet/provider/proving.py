"""Proofs of possession: every data set is challenged once a period, and answers from its stored bytes.

Source: curio tasks/pdpv0/task_init_pp.go, task_prove.go, task_next_pp.go (commit e0294b0f).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from eth_utils.crypto import keccak

from fpin.devnet.provider import commp
from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.node import NodeError, NodeSilent, Signed
from fpin.devnet.provider.onchain import Onchain
from fpin.devnet.provider.pieces import PieceStore
from fpin.devnet.provider.state import State


class Proving:
    """Called for each epoch; sends what that epoch asks for."""

    def __init__(self, state: State, data_sets: DataSets, pieces: PieceStore, chain: Onchain) -> None:
        self._state = state
        self._data_sets = data_sets
        self._pieces = pieces
        self._chain = chain
        self._beginning = threading.Lock()

    def begin_new(self) -> bool:
        """Open the first proving period of every set that got its first pieces."""
        return sum(map(self.begin, self._waiting())) > 0

    def begin(self, data_set: int) -> bool:
        """Open the first proving period of *data_set* unless it is open; tells whether that was sent.

        It has to happen before the only pieces of a new set are scheduled for removal: the service refuses
        a first period in which the set is empty, and the removal would never end.
        """
        with self._beginning:
            if data_set not in self._waiting():
                return False
            try:
                return self._begin(data_set)
            except NodeSilent:
                return False
            except NodeError:
                self._look_closer(data_set)
                return False

    def _waiting(self) -> list[int]:
        rows = self._state.rows(
            "SELECT id FROM data_sets WHERE prove_at IS NULL AND init_ready = 1 AND proving_failed = 0"
        )
        return [row["id"] for row in rows]

    def run(self, epoch: int) -> bool:
        """Do what *epoch* asks for; tells whether anything was sent. A silent node is asked again later."""
        due = self._state.rows("SELECT * FROM data_sets WHERE proving_failed = 0 AND prove_at <= ?", epoch)
        return sum(self._step(row, epoch) for row in due) > 0

    def _step(self, row: sqlite3.Row, epoch: int) -> bool:
        try:
            if epoch >= row["prove_at"] + row["challenge_window"]:
                return self._next_period(row)
            if row["proven_at"] != row["prove_at"]:
                return self._prove(row)
        except NodeSilent:
            return False
        except NodeError:
            self._look_closer(row["id"])
        return False

    def _begin(self, data_set: int) -> bool:
        if self._chain.leaf_count(data_set) == 0:
            self._stop(data_set)
            return False
        schedule = self._chain.schedule()
        start = self._chain.next_window(data_set)
        # The middle of the first window: whatever delays the transaction, the challenge stays inside.
        prove_at = (schedule.first_window if start is None else start) + schedule.challenge_window // 2
        self._send_period(data_set, prove_at, schedule.challenge_window, previous=None)
        return True

    def _next_period(self, row: sqlite3.Row) -> bool:
        data_set = row["id"]
        if self._chain.next_challenge_epoch(data_set) == 0:  # the last boundary left the set empty
            self._stop(data_set)
            return False
        start = self._chain.next_window(data_set)
        if start is None:
            raise NodeError(f"data set {data_set} was proven before and has no proving period")
        window = self._chain.schedule().challenge_window
        self._send_period(data_set, start, window, previous=row["prove_at"])
        return True

    def _send_period(self, data_set: int, prove_at: int, window: int, *, previous: int | None) -> None:
        def record(signed: Signed) -> None:
            with self._state.write() as db:
                self._data_sets.sent(signed)
                db.execute(
                    "UPDATE data_sets SET prove_at = ?, previous_prove_at = ?, challenge_window = ?,"
                    " period_tx = ? WHERE id = ?",
                    (prove_at, previous, window, signed.hash, data_set),
                )

        self._chain.next_proving_period(data_set, prove_at, record)

    def _prove(self, row: sqlite3.Row) -> bool:
        data_set = row["id"]
        challenge_epoch = self._chain.next_challenge_epoch(data_set)
        leaves = self._chain.challenge_range(data_set) if challenge_epoch else 0
        if leaves == 0:
            self._stop(data_set)
            return False
        seed = self._chain.randomness(challenge_epoch)
        challenged = [
            _challenge(seed, data_set, index, leaves) for index in range(self._chain.schedule().challenges)
        ]
        found = self._chain.find_leaves(data_set, challenged)
        proofs = [self._proof(data_set, piece_id, leaf) for piece_id, leaf in found]
        self._chain.prove(data_set, proofs, self._recorder(data_set, row["prove_at"]))
        return True

    def _proof(self, data_set: int, piece_id: int, leaf: int) -> tuple[bytes, list[bytes]]:
        row = self._state.row(
            "SELECT root FROM set_pieces WHERE data_set = ? AND piece_id = ?", data_set, piece_id
        )
        if row is None:
            raise NodeError(f"piece {piece_id} of data set {data_set} is challenged and not recorded here")
        with self._pieces.open(row["root"]) as (file, piece, nodes):
            return commp.prove(file, piece, nodes, leaf)

    def _recorder(self, data_set: int, prove_at: int) -> Callable[[Signed], None]:
        def record(signed: Signed) -> None:
            with self._state.write() as db:
                self._data_sets.sent(signed)
                db.execute(
                    "UPDATE data_sets SET proven_at = ?, proof_tx = ? WHERE id = ?",
                    (prove_at, signed.hash, data_set),
                )

        return record

    def _stop(self, data_set: int) -> None:
        """No challenge is scheduled: begin anew when pieces came in since, else wait until some do."""
        filled = self._chain.leaf_count(data_set) > 0
        with self._state.write() as db:
            db.execute(
                "UPDATE data_sets SET prove_at = NULL, init_ready = ? WHERE id = ?", (filled, data_set)
            )

    def _look_closer(self, data_set: int) -> None:
        """After a refusal: a set that has ended for good is not proven any more."""
        try:
            _, end_epoch = self._chain.payer_and_end(data_set)
            over = not self._chain.live(data_set) or 0 < end_epoch <= self._chain.node.head()
        except NodeError:
            return
        if over:
            with self._state.write() as db:
                db.execute("UPDATE data_sets SET proving_failed = 1 WHERE id = ?", (data_set,))


def _challenge(seed: int, data_set: int, index: int, leaves: int) -> int:
    payload = seed.to_bytes(32) + data_set.to_bytes(32) + index.to_bytes(8)
    return int.from_bytes(keccak(payload)) % leaves
