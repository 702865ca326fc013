from __future__ import annotations

from typing import Any

import pytest

from fpin.chain.node import Fees, Node
from fpin.chain.rpc import JsonRpc, RpcError
from fpin.errors import NodeUnavailable
from tests.chain.nodes import Refusal, ScriptedNode, Waits

ADDRESS = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"
HASH = "0x" + "ab" * 32
RECEIPT: dict[str, Any] = {
    "transactionHash": HASH,
    "blockNumber": "0x10",
    "status": "0x1",
    "gasUsed": "0x5",
    "effectiveGasPrice": "0x3",
    "logs": [{"address": ADDRESS, "topics": ["0x" + "01" * 32], "data": "0x02"}],
}
BLOCK = {"number": "0x10", "timestamp": "0x64", "baseFeePerGas": "0x7"}


@pytest.fixture
def node(rpc: JsonRpc) -> Node:
    return Node(rpc)


def test_an_address_the_chain_has_never_seen_has_no_balance_and_no_nonce(
    node: Node, scripted: ScriptedNode
) -> None:
    unknown = Refusal(3, "failed to lookup: resolution lookup failed: actor not found")
    scripted.methods |= {"eth_getBalance": unknown, "eth_getTransactionCount": unknown}
    assert node.balance(ADDRESS) == node.next_nonce(ADDRESS) == 0


def test_a_balance_that_cannot_be_read_is_not_zero(node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_getBalance"] = Refusal(-1, "database is gone")
    with pytest.raises(RpcError, match="database is gone"):
        node.balance(ADDRESS)
    scripted.methods["eth_getBalance"] = None
    with pytest.raises(NodeUnavailable, match="not a number"):
        node.balance(ADDRESS)


@pytest.mark.parametrize(
    "answer",
    [
        Refusal(12, "requested epoch was a null round (17)", 17),
        Refusal(1, "requested epoch was a null round"),
        BLOCK,  # some nodes answer with the block before it
        None,
    ],
)
def test_a_null_round_has_no_block(answer: object, node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_getBlockByNumber"] = answer
    assert node.block(17) is None


def test_the_latest_block_says_epoch_time_and_base_fee(node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_getBlockByNumber"] = BLOCK
    block = node.block()
    assert block is not None
    assert (block.epoch, block.timestamp, block.base_fee) == (16, 100, 7)
    assert scripted.bodies[-1]["params"] == ["latest", False]


def test_fees_stay_good_while_the_base_fee_doubles(node: Node, scripted: ScriptedNode) -> None:
    scripted.methods |= {"eth_getBlockByNumber": BLOCK, "eth_maxPriorityFeePerGas": "0x2"}
    assert node.fees() == Fees(max_fee=16, max_priority_fee=2)


def test_gas_is_estimated_with_a_fifth_on_top(node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_estimateGas"] = hex(1_000_001)
    assert node.estimate_gas(sender=ADDRESS, to=ADDRESS, data=b"\x01") == 1_200_001


def test_a_read_names_no_sender_unless_told(node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = "0x0102"
    assert node.eth_call(ADDRESS, b"\xff") == b"\x01\x02"
    assert scripted.bodies[-1]["params"] == [{"to": ADDRESS, "data": "0xff"}, "latest"]
    node.eth_call(ADDRESS, b"", sender=ADDRESS, epoch=9)
    assert scripted.bodies[-1]["params"] == [{"to": ADDRESS, "data": "0x", "from": ADDRESS}, "0x9"]


@pytest.mark.parametrize("answer", [None, 5, "", "0xzz", "0x1", {"a": 1}])
def test_a_read_that_gives_no_bytes_is_no_answer(answer: object, node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = answer
    with pytest.raises(NodeUnavailable, match="not with bytes"):
        node.eth_call(ADDRESS, b"")


def test_a_receipt_is_waited_for_without_hurry(node: Node, scripted: ScriptedNode, waits: Waits) -> None:
    scripted.methods["eth_getTransactionReceipt"] = [*[None] * 8, RECEIPT]
    heard: list[float] = []
    receipt = node.wait_for_receipt(HASH, on_wait=heard.append)
    assert (receipt.epoch, receipt.succeeded, receipt.fee) == (16, True, 15)
    assert receipt.logs[0].data == b"\x02"
    assert waits.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0]
    assert len(heard) == 8
    assert heard == sorted(heard)


def test_waiting_ends_and_says_that_the_transaction_may_still_come(
    node: Node, scripted: ScriptedNode
) -> None:
    scripted.methods["eth_getTransactionReceipt"] = None
    with pytest.raises(NodeUnavailable, match=f"{HASH} is not confirmed after") as caught:
        node.wait_for_receipt(HASH, timeout=30)
    assert caught.value.values["tx"] == HASH
    assert "may still be" in str(caught.value.hint)


def test_a_failed_transaction_is_told_from_a_missing_one(node: Node, scripted: ScriptedNode) -> None:
    scripted.methods["eth_getTransactionReceipt"] = {**RECEIPT, "status": "0x0"}
    receipt = node.receipt(HASH)
    assert receipt is not None
    assert not receipt.succeeded


@pytest.mark.parametrize("answer", [{}, "x", {**RECEIPT, "status": None}, {**RECEIPT, "logs": [{}]}])
def test_a_receipt_that_makes_no_sense_is_no_answer(
    answer: object, node: Node, scripted: ScriptedNode
) -> None:
    scripted.methods["eth_getTransactionReceipt"] = answer
    with pytest.raises(NodeUnavailable, match="makes no sense"):
        node.receipt(HASH)
