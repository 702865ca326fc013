"""The chain's file: reopened, killed, locked, full."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from fpin.devnet.chain import DevChain
from fpin.devnet.chain.blocks import BlockStore
from fpin.errors import LocalError
from tests.devnet.chain.trees import make_piece
from tests.devnet.chain.world import FUNDED, SPONSORED, STRANGER, RpcFailure, World, make_genesis

# Sends transfers of one unit for ever and says after each answer how many the node has confirmed.
_SENDER = """
import sys
from pathlib import Path
from tests.devnet.chain.world import FUNDED, STRANGER, World

world = World(Path(sys.argv[1]))
for count in range(1, 10_000):
    data = "0x" + world.encode("transfer", STRANGER.address, 1).hex()
    assert world.send_raw(world.sign(FUNDED, to=world.at.usdfc, data=data))["status"] == "0x1"
    print(count, flush=True)
"""


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path, piece = tmp_path / "chain.sqlite", make_piece(1)
    world = World(path)
    create = world.create_data(SPONSORED, 12, [("source", "fpin")])
    add = world.add_data(SPONSORED, 12, 34, [piece.cid], [[("ipfsRootCID", "bafy")]])
    receipt = world.create_and_add(create, add, [piece.cid])
    world.chain.mine(10)
    before = _picture(world, receipt["transactionHash"])
    world.close()

    # Another genesis does not matter to a chain that exists.
    world = World(path, make_genesis(chain_id=5, providers=(), proving_period=7))
    assert _picture(world, receipt["transactionHash"]) == before
    assert world.chain.chain_id == 31415926
    world.send(SPONSORED, world.at.usdfc, "transfer", STRANGER.address, 1)
    assert world.chain.epoch == 13
    world.close()


def _picture(world: World, transaction_hash: str) -> dict[str, object]:
    return {
        "epoch": world.chain.epoch,
        "receipt": world.rpc("eth_getTransactionReceipt", transaction_hash),
        "head": world.rpc("eth_getBlockByNumber", "latest", True),
        "account": world.account(SPONSORED.address),
        "set": world.read(world.at.fwss_view, "getDataSet", 1),
        "pieces": world.read(world.at.pdp_verifier, "getActivePieces", 1, 0, 10),
        "metadata": world.read(world.at.fwss_view, "getAllPieceMetadata", 1, 0),
        "prices": world.read(world.at.fwss_view, "getPriceList"),
        "config": world.read(world.at.fwss_view, "getPDPConfig"),
        "randomness": world.read(world.at.pdp_verifier, "getRandomness", 1),
        "providers": world.read(world.at.provider_registry, "getProvidersByProductType", 0, True, 0, 9),
        "past": world.read(world.at.pay, "accounts", world.at.usdfc, SPONSORED.address, at="0x1"),
    }


@pytest.mark.parametrize("confirmed", [1, 4])
def test_what_was_confirmed_survives_a_kill(tmp_path: Path, confirmed: int) -> None:
    path = tmp_path / "chain.sqlite"
    sender = subprocess.Popen(
        [sys.executable, "-c", _SENDER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],  # where the package "tests" is found
    )
    with sender:
        assert sender.stdout is not None
        for _ in range(confirmed):
            sender.stdout.readline()
        sender.send_signal(signal.SIGKILL)
    world = World(path)
    moved = world.read(world.at.usdfc, "balanceOf", STRANGER.address)
    assert moved >= confirmed
    # The parts of a block are on disk together: one transfer is one nonce, one epoch, one receipt.
    assert int(world.rpc("eth_getTransactionCount", FUNDED.address, "latest"), 16) == moved
    assert world.chain.epoch == 1 + moved
    (transaction_hash,) = world.rpc("eth_getBlockByNumber", "latest", False)["transactions"]
    assert world.rpc("eth_getTransactionReceipt", transaction_hash)["status"] == "0x1"
    world.close()


def test_a_second_process_cannot_open_a_chain_in_use(world: World, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"cannot open the devnet's chain .*chain\.sqlite.*locked"):
        DevChain.open(tmp_path / "chain.sqlite", make_genesis())


def test_a_file_that_is_no_chain_is_named(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(LocalError, match=r"chain\.sqlite: file is not a database"):
        DevChain.open(path, make_genesis())
    with pytest.raises(LocalError, match="cannot open"):
        DevChain.open(path / "below" / "a-file", make_genesis())


def test_a_chain_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(LocalError, match="has format 99, this program writes 1"):
        DevChain.open(path, make_genesis())


def test_a_block_that_cannot_be_written_has_not_happened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = world.sign(
        FUNDED, to=world.at.usdfc, data="0x" + world.encode("transfer", STRANGER.address, 1).hex()
    )

    def full(*_: object) -> NoReturn:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(BlockStore, "append", full)
        with pytest.raises(RpcFailure) as caught:
            world.rpc("eth_sendRawTransaction", raw)
    assert caught.value.code == -32603
    assert world.chain.epoch == 1
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 0
    assert world.send_raw(raw)["status"] == "0x1"
