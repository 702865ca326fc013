"""A chain that is told to misbehave: forks, lost transactions, null rounds, a node that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.devnet.chain.trees import make_piece
from tests.devnet.chain.world import FUNDED, SPONSORED, STRANGER, RpcFailure, World


def transfer(world: World, amount: int = 1) -> str:
    data = "0x" + world.encode("transfer", STRANGER.address, amount).hex()
    tx: str = world.rpc("eth_sendRawTransaction", world.sign(FUNDED, to=world.at.usdfc, data=data))
    return tx


def held(world: World) -> int:
    balance: int = world.read(world.at.usdfc, "balanceOf", STRANGER.address)
    return balance


def test_a_fork_runs_the_transactions_of_the_blocks_it_replaces_again(world: World) -> None:
    kept, moved = transfer(world, 5), transfer(world, 7)
    fork, height = int(world.rpc("eth_getTransactionReceipt", kept)["blockNumber"], 16), world.chain.epoch
    before = {tx: world.rpc("eth_getTransactionReceipt", tx) for tx in (kept, moved)}
    world.chain.reorganise(fork)
    assert world.rpc("eth_getTransactionReceipt", kept) == before[kept]
    again = world.rpc("eth_getTransactionReceipt", moved)
    assert again["status"] == "0x1"
    assert int(again["blockNumber"], 16) > int(before[moved]["blockNumber"], 16)
    assert world.rpc("eth_getBlockByHash", before[moved]["blockHash"], False) is None
    assert held(world) == 12
    assert world.chain.epoch >= height


def test_a_fork_can_lose_a_transaction_with_all_it_did(world: World, tmp_path: Path) -> None:
    kept = transfer(world, 5)
    fork = world.chain.epoch
    piece = make_piece(1)
    add = world.add_data(SPONSORED, 12, 34, [piece.cid])
    lost = world.create_and_add(world.create_data(SPONSORED, 12), add, [piece.cid])["transactionHash"]
    account = world.account(SPONSORED.address)[:3]  # without the epoch it was settled at
    world.chain.reorganise(fork, lose=True)
    assert world.rpc("eth_getTransactionReceipt", lost) is None
    assert world.rpc("eth_getTransactionReceipt", kept)["status"] == "0x1"
    assert world.account(SPONSORED.address)[:3] != account
    assert world.read(world.at.fwss_view, "clientNonces", SPONSORED.address, 34) == 0
    assert world.rpc("eth_getLogs", {"fromBlock": hex(fork + 1), "toBlock": "latest"}) == []
    # The same may be done again, and what is on disk is what is in memory.
    world.create_and_add(world.create_data(SPONSORED, 12), add, [piece.cid])
    assert world.account(SPONSORED.address)[:3] == account
    world.close()
    reopened = World(tmp_path / "chain.sqlite")
    assert reopened.account(SPONSORED.address)[:3] == account
    reopened.close()


def test_a_dropped_transaction_has_a_hash_and_no_receipt_and_can_be_sent_again(world: World) -> None:
    world.chain.faults.drop = 1
    data = "0x" + world.encode("transfer", STRANGER.address, 1).hex()
    raw = world.sign(FUNDED, to=world.at.usdfc, data=data)
    tx = world.rpc("eth_sendRawTransaction", raw)
    assert world.rpc("eth_getTransactionReceipt", tx) is None
    assert world.rpc("eth_getTransactionByHash", tx) is None
    assert world.send_raw(raw)["transactionHash"] == tx


def test_only_transactions_that_begin_as_said_go_wrong(world: World) -> None:
    world.chain.faults.selector = world.encode("transfer", STRANGER.address, 1)[:4]
    world.chain.faults.starve = 1
    world.send(SPONSORED, world.at.usdfc, "approve", STRANGER.address, 1)
    starved = world.rpc("eth_getTransactionReceipt", transfer(world))
    assert (starved["status"], starved["gasUsed"]) == ("0x0", hex(20_000_000))
    assert held(world) == 0
    assert world.rpc("eth_getTransactionReceipt", transfer(world))["status"] == "0x1"


def test_null_rounds_come_before_a_transaction_and_are_refused_as_lotus_does(world: World) -> None:
    world.chain.faults.null_rounds = 2
    before = world.chain.epoch
    receipt = world.rpc("eth_getTransactionReceipt", transfer(world))
    assert int(receipt["blockNumber"], 16) == before + 3
    with pytest.raises(RpcFailure) as caught:
        world.rpc("eth_getBlockByNumber", hex(before + 1), False)
    assert caught.value.code == 12


def test_what_is_final_can_be_behind_the_head(world: World) -> None:
    world.chain.faults.finality = 3
    transfer(world, 4)
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address, at="finalized") == 0
    world.chain.mine(3)
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address, at="finalized") == 4


def test_a_node_that_fails_fails_clients_only(world: World) -> None:
    world.chain.faults.status_for["eth_chainId"] = (503, 1)
    asked = b'{"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}'
    assert world.post(asked, "/").status_code == 200
    assert [world.post(asked).status_code for _ in range(2)] == [503, 200]
    world.chain.faults.flaps = 2
    assert sorted(world.post(asked).status_code for _ in range(4)) == [200, 200, 503, 503]
