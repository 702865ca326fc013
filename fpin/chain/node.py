"""A Filecoin node: blocks, balances, gas, transactions and their receipts, as typed values.

Knows Filecoin's habits: null rounds, actors that do not exist yet, receipts that take a minute. Knows no
contract. A question that failed is never answered with zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from fpin.chain.rpc import JsonRpc, RpcError
from fpin.errors import NodeUnavailable
from fpin.values import dataclass

# Head-room over the node's estimate: the state moves on before the transaction executes, one tipset later.
# Filecoin burns FIL for over-estimation, so no more than this.
GAS_HEADROOM_PERCENT = 20
RECEIPT_TIMEOUT = 300.0
# The newest block that can no longer be replaced, minutes behind the head: F3 says which (FIP-0086), or the
# 900 epochs after which Filecoin refuses forks where F3 does not run.
FINALIZED: Literal["finalized"] = "finalized"
Height = int | Literal["finalized"] | None  # None: the newest block
RECEIPT_POLL = (0.1, 4.0)  # seconds, first and longest pause: a devnet mines at once, a tipset takes 30 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One event of a receipt, undecoded. *address* is lower case."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction. *fee* is in attoFIL, or None where the node does not say."""

    tx_hash: str
    epoch: int
    succeeded: bool
    gas_used: int
    fee: int | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A tipset as Ethereum clients see it. *base_fee* is in attoFIL per unit of gas."""

    epoch: int
    timestamp: int
    base_fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Fee caps for a transaction, in attoFIL per unit of gas."""

    max_fee: int
    max_priority_fee: int


class Node:
    """What the methods of a node mean. Raises `NodeUnavailable` and `RpcError` as `JsonRpc.call` does."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc

    def chain_id(self) -> int:
        return self._rpc.number(self._rpc.call("eth_chainId"), "eth_chainId")

    def block(self, epoch: int | None = None) -> Block | None:
        """Return a block, the latest without *epoch*; None for an epoch that has none (a null round)."""
        try:
            found = self._rpc.call("eth_getBlockByNumber", _tag(epoch), False)
        except RpcError as exc:
            if exc.is_null_round:
                return None
            raise
        if found is None:
            return None
        try:
            number, timestamp = int(found["number"], 16), int(found["timestamp"], 16)
            base_fee = int(found.get("baseFeePerGas", "0x0"), 16)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise NodeUnavailable(f"{self._rpc.peer} sent a block that makes no sense") from exc
        if epoch is not None and number != epoch:  # some nodes answer a null round with the block before it
            return None
        return Block(epoch=number, timestamp=timestamp, base_fee=base_fee)

    def eth_call(self, to: str, data: bytes, *, sender: str | None = None, epoch: Height = None) -> bytes:
        """Return what a read gives; raises RpcError when it reverts.

        *sender* is for contracts that look at it; nodes refuse senders that they have never seen.
        """
        request = {"to": to, "data": "0x" + data.hex()} | ({"from": sender} if sender else {})
        answer = self._rpc.call("eth_call", request, _tag(epoch))
        return self._rpc.data(answer, "eth_call")

    def balance(self, address: str) -> int:
        """Return the attoFIL of *address*; an address the chain has never seen has none."""
        return self._zero_without_actor("eth_getBalance", address, "latest")

    def next_nonce(self, address: str) -> int:
        """Return the number of the next transaction of *address*, those under way included."""
        return self._zero_without_actor("eth_getTransactionCount", address, "pending")

    def executed_nonces(self, address: str) -> int:
        """Return how many transactions of *address* were executed; those under way are not counted."""
        return self._zero_without_actor("eth_getTransactionCount", address, "latest")

    def estimate_gas(self, *, sender: str, to: str, data: bytes, value: int = 0) -> int:
        """Return a gas limit with head-room; raises RpcError when the transaction would revert."""
        request = {"from": sender, "to": to, "data": "0x" + data.hex(), "value": hex(value)}
        estimate = self._rpc.number(self._rpc.call("eth_estimateGas", request), "eth_estimateGas")
        return estimate + estimate * GAS_HEADROOM_PERCENT // 100

    def fees(self) -> Fees:
        """Return caps that stay good while the base fee doubles."""
        tip = self._rpc.number(self._rpc.call("eth_maxPriorityFeePerGas"), "eth_maxPriorityFeePerGas")
        latest = self.block()
        if latest is None:
            raise NodeUnavailable(f"{self._rpc.peer} has no latest block")
        return Fees(max_fee=2 * latest.base_fee + tip, max_priority_fee=tip)

    def send_raw(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash. Sending it again is harmless."""
        answer = self._rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        return "0x" + self._rpc.data(answer, "eth_sendRawTransaction").hex()

    def knows_transaction(self, tx_hash: str) -> bool:
        """True when the node has the transaction, executed or waiting."""
        return self._rpc.call("eth_getTransactionByHash", tx_hash) is not None

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt; None while the transaction is unknown or not yet executed."""
        found = self._rpc.call("eth_getTransactionReceipt", tx_hash)
        if found is None:
            return None
        try:
            return _receipt(found)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise NodeUnavailable(f"{self._rpc.peer} sent a receipt that makes no sense") from exc

    def wait_for_receipt(
        self,
        tx_hash: str,
        *,
        timeout: float = RECEIPT_TIMEOUT,
        on_wait: Callable[[float], None] | None = None,
    ) -> Receipt:
        """Return the receipt once there is one; *on_wait* hears the seconds waited so far before each pause.

        No receipt for 30 to 90 seconds is normal: Filecoin executes a transaction one tipset after its own.
        Raises NodeUnavailable after *timeout* seconds; the transaction may still be executed later.
        """
        started, pause = self._rpc.clock(), RECEIPT_POLL[0]
        while (found := self.receipt(tx_hash)) is None:
            waited = self._rpc.clock() - started
            if waited >= timeout:
                raise NodeUnavailable(
                    f"transaction {tx_hash} is not confirmed after {waited:.0f} s",
                    hint="it may still be: run the same command again, it looks before it acts",
                    tx=tx_hash,
                )
            if on_wait is not None:
                on_wait(waited)
            self._rpc.sleep(pause)
            pause = min(pause * 2, RECEIPT_POLL[1])
        return found

    def _zero_without_actor(self, method: str, address: str, block: str) -> int:
        try:
            return self._rpc.number(self._rpc.call(method, address, block), method)
        except RpcError as exc:
            if exc.is_actor_missing:
                return 0
            raise


def _tag(height: Height) -> str:
    if height is None:
        return "latest"
    return hex(height) if isinstance(height, int) else height


def _receipt(found: Mapping[str, Any]) -> Receipt:
    gas_used = int(found["gasUsed"], 16)
    price = found.get("effectiveGasPrice")
    return Receipt(
        tx_hash=found["transactionHash"],
        epoch=int(found["blockNumber"], 16),
        succeeded=int(found["status"], 16) == 1,
        gas_used=gas_used,
        fee=gas_used * int(price, 16) if price else None,
        logs=tuple(
            Log(
                address=log["address"].lower(),
                topics=tuple(bytes.fromhex(topic.removeprefix("0x")) for topic in log["topics"]),
                data=bytes.fromhex(log["data"].removeprefix("0x")),
            )
            for log in found["logs"]
        ),
    )
