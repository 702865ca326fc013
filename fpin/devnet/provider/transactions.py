"""What became of the provider's transactions: receipts watched, lost ones sent again, results recorded."""

from __future__ import annotations

import time

from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.node import Node, NodeError, NodeSilent

SEND_AGAIN_SECONDS = 5.0


class Transactions:
    """Jobs that follow what was sent."""

    def __init__(self, node: Node, data_sets: DataSets) -> None:
        self._node = node
        self._data_sets = data_sets
        self._send_again_at = 0.0  # at once after a start: a kill may have come between signing and sending

    def record_landed(self) -> bool:
        """Write down sets and pieces of transactions whose receipt is known."""
        landed = self._data_sets.unrecorded()
        for tx in landed:
            receipt = self._node.receipt(tx)
            if receipt is not None:
                self._data_sets.record(tx, receipt, self._node.contracts.verifier)
        return bool(landed)

    def watch(self) -> bool:
        """Ask for the receipts of pending transactions; one block is confirmation enough."""
        again = time.monotonic() >= self._send_again_at
        if again:
            self._send_again_at = time.monotonic() + SEND_AGAIN_SECONDS
        done = False
        for tx, raw in self._data_sets.pending():
            receipt = self._node.receipt(tx)
            if receipt is not None:
                self._data_sets.landed(tx, ok=receipt.ok)
                done = True
            elif again and not self._node.knows(tx):
                self._send_again(tx, raw)
                done = True
        return done

    def _send_again(self, tx: str, raw: bytes) -> None:
        try:
            self._node.submit(raw)
        except NodeSilent:
            return
        except NodeError as error:
            # Its nonce is used up and it has no receipt: it was replaced, or the chain has lost it for good.
            if "nonce" in str(error).lower() and self._node.receipt(tx) is None:
                self._data_sets.lost(tx)
