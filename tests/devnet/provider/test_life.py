"""A piece from upload to removal, against the emulated chain and a real indexer, over real sockets."""

from __future__ import annotations

import httpx
import pytest

from fpin.devnet.provider.commp import BLOCK_SIZE
from fpin.ipld.cid import format_cid, multihash_of
from tests.devnet.provider.conftest import Site, World, entry, random_car

PROVEN = "PossessionProven(uint256,(uint256,uint256)[])"
FAULTED = "FaultRecord(uint256,uint256,uint256)"
PERIOD = "NextProvingPeriod(uint256,uint256,uint256)"
REMOVED = "PiecesRemoved(uint256,uint256[])"


def found(world: World, cid: bytes) -> bool:
    url = world.sites[0].options["indexer_urls"][0]
    return httpx.get(f"{url}/cid/{format_cid(cid)}", trust_env=False).status_code == 200


def remove_and_wait(world: World, site: Site, data_set: int, piece_ids: list[int]) -> None:
    assert site.remove(data_set, piece_ids).status_code == 200
    site.idle()
    assert site.provider.hurry()
    for _ in range(60):
        world.pass_epochs(1)
        world.settle()
        if not site.provider.hurry():
            return
    raise AssertionError("the removal did not end within two proving periods")


def test_a_piece_in_an_indexed_set_is_found_through_the_indexer_and_served_block_by_block(
    world: World,
) -> None:
    site = world.sites[0]
    data, cids = random_car(1)
    piece = site.park(data)
    site.new_set([piece])
    world.settle()

    assert all(found(world, cid) for cid in cids)
    block = site.get(f"/ipfs/{format_cid(cids[2])}?format=raw")
    assert block.content in data
    assert len(block.content) == 4000
    status = site.status(piece)
    assert (status["status"], status["synced"], status["retrieved"]) == ("retrieved", True, True)
    assert status["adCid"] == site.provider.publisher.head


def test_a_set_without_the_indexing_key_is_never_advertised(world: World) -> None:
    site = world.sites[0]
    data, cids = random_car(2)
    piece = site.park(data)
    site.new_set([piece], indexing=False)
    world.settle()
    assert site.status(piece)["status"] == "pending"
    assert site.provider.publisher.head is None
    assert not found(world, cids[0])


def test_a_piece_that_is_no_car_is_stored_and_stays_at_indexing(world: World, some_bytes: bytes) -> None:
    site = world.sites[0]
    piece = site.park(some_bytes)
    site.new_set([piece])
    world.settle()
    assert site.status(piece)["status"] == "indexing"
    assert site.provider.publisher.head is None
    assert site.get(f"/piece/{piece.v2}").content == some_bytes


@pytest.mark.parametrize("size", [127, 40_000, BLOCK_SIZE + 5], ids=["least", "small", "two-blocks"])
def test_possession_is_proven_every_period_and_no_fault_is_recorded(world: World, size: int) -> None:
    site = world.sites[0]
    pieces = [site.park(bytes([seed]) * size) for seed in (1, 2, 3)]
    site.new_set(pieces, indexing=False)
    for periods in range(1, 5):
        world.pass_epochs(31)
        assert world.count(PERIOD) in (periods, periods + 1)
        assert world.count(PROVEN) in (world.count(PERIOD) - 1, world.count(PERIOD))
    assert world.count(FAULTED) == 0


def test_a_provider_that_lost_the_bytes_cannot_prove_them(world: World) -> None:
    site = world.sites[0]
    piece = site.park(b"\x05" * 40_000)
    site.new_set([piece], indexing=False)
    (site.options["folder"] / "pieces" / piece.v1).write_bytes(b"\x06" * 40_000)
    world.pass_epochs(3 * 30 + 20)
    assert world.count(PROVEN) == 0
    assert world.count(FAULTED) > 0


def test_a_removed_piece_is_gone_from_chain_disk_index_gateway_and_indexer(world: World) -> None:
    site = world.sites[0]
    (data, cids), (other, other_cids) = random_car(3), random_car(4)
    piece, kept = site.park(data), site.park(other)
    data_set = site.new_set([piece, kept])
    world.settle()
    world.pass_epochs(40)
    listed = site.get(f"/pdp/data-sets/{data_set}").json()
    assert [each["pieceCid"] for each in listed["pieces"]] == [piece.v2, kept.v2]
    assert listed["nextChallengeEpoch"] > 0

    remove_and_wait(world, site, data_set, [0])

    assert world.count(REMOVED) == 1
    listed = site.get(f"/pdp/data-sets/{data_set}").json()
    assert [each["pieceId"] for each in listed["pieces"]] == [1]
    assert site.find(piece).status_code == 404
    assert site.get(f"/pdp/piece/{piece.v2}/status").status_code == 404
    assert site.http.head(f"{site.url}/piece/{piece.v2}").status_code == 404
    assert [file.name for file in (site.options["folder"] / "pieces").iterdir()] == [kept.v1]
    assert site.get(f"/ipfs/{format_cid(cids[0])}?format=raw").status_code == 404
    assert not found(world, cids[0])
    assert found(world, other_cids[0])


def test_a_piece_that_another_set_still_holds_keeps_its_bytes_and_its_advertisement(world: World) -> None:
    site = world.sites[0]
    data, cids = random_car(5)
    piece = site.park(data)
    first = site.new_set([piece], set_nonce=1, nonce=2)
    site.new_set([piece], set_nonce=3, nonce=4)
    world.settle()
    head = site.provider.publisher.head
    remove_and_wait(world, site, first, [0])
    assert site.get(f"/piece/{piece.v2}").content == data
    assert site.provider.publisher.head == head
    assert found(world, cids[0])


def test_a_piece_that_comes_back_after_its_removal_is_advertised_again(world: World) -> None:
    site = world.sites[0]
    data, cids = random_car(6)
    piece = site.park(data)
    data_set = site.new_set([piece])
    world.settle()
    remove_and_wait(world, site, data_set, [0])
    assert not found(world, cids[0])
    site.park(data)
    site.new_set([piece], set_nonce=7, nonce=8)
    world.settle()
    assert found(world, cids[0])


def test_an_emptied_set_is_proven_again_once_it_has_a_piece(world: World) -> None:
    site = world.sites[0]
    data_set = site.new_set([site.park(b"\x01" * 500)], indexing=False)
    remove_and_wait(world, site, data_set, [0])
    world.pass_epochs(40)
    assert site.get(f"/pdp/data-sets/{data_set}").json()["nextChallengeEpoch"] == 0
    before = world.count(PROVEN)

    piece = site.park(b"\x02" * 500)
    body = {"pieces": [entry(piece)], "extraData": "0x" + site.wallet.add(1, 99, [piece]).hex()}
    assert site.post(f"/pdp/data-sets/{data_set}/pieces", body).status_code == 201
    site.idle()
    world.pass_epochs(45)
    assert world.count(PROVEN) == before + 1
    assert world.count(FAULTED) == 0


def test_the_only_piece_of_a_new_set_can_be_removed_at_once(world: World) -> None:
    site = world.sites[0]
    piece = site.park(b"\x01" * 500)
    answer = site.create_and_add([piece], 1, 2, indexing=False)
    begin, site.provider._proving.begin_new = site.provider._proving.begin_new, lambda: False  # type: ignore[method-assign]
    site.idle()
    site.provider._proving.begin_new = begin  # type: ignore[method-assign]
    data_set = site.get(answer.headers["Location"]).json()["dataSetId"]
    remove_and_wait(world, site, data_set, [0])
    assert site.find(piece).status_code == 404


def test_nobody_hurries_for_a_boundary_that_does_not_come(world: World) -> None:
    site = world.sites[0]
    data_set = site.new_set([site.park(b"\x01" * 500)], indexing=False)
    assert site.remove(data_set, [0]).status_code == 200
    site.idle()
    assert site.provider.hurry()
    site.provider._proving.run = lambda epoch: False  # type: ignore[method-assign]
    world.pass_epochs(60)
    assert not site.provider.hurry()


def test_a_terminated_set_is_deleted_and_its_pieces_are_collected(world: World) -> None:
    site = world.sites[0]
    data, cids = random_car(7)
    piece = site.park(data)
    data_set = site.new_set([piece])
    world.settle()
    path = f"/pdp/data-sets/{data_set}/terminate"
    assert site.get(path).status_code == 404
    assert site.post(path, {}).status_code == 400
    body = {"extraData": site.wallet.terminate(data_set)}
    assert site.post(path, body).status_code == 202
    assert site.get(path).json() == {
        "terminationTxHash": "",
        "fwssTerminated": None,
        "serviceTerminationEpoch": None,
    }
    assert site.post(path, body).json()["code"] == 1
    site.idle()
    done = site.get(path).json()
    assert done["fwssTerminated"] is True
    assert done["terminationTxHash"] == done["confirmedTxHash"]
    again = site.post(path, body)
    assert again.status_code == 409
    assert again.json() == {
        "code": 0,
        "message": "already terminated",
        "serviceTerminationEpoch": done["serviceTerminationEpoch"],
    }
    for _ in range(3):
        world.pass_epochs(21)
        world.settle()
    assert site.get(f"/pdp/data-sets/{data_set}").status_code == 404
    assert site.find(piece).status_code == 404
    assert not found(world, cids[0])


def test_the_registry_is_told_where_the_provider_serves_and_who_it_is(world: World) -> None:
    site = world.sites[0]
    site.idle()
    product = site.provider._chain.own_product()
    assert product is not None
    assert product["serviceURL"] == site.url.encode()
    assert product["ipniPeerId"].hex().startswith("002408011220")
    assert product["location"].startswith(b"C=")
    nonce = world.chain.epoch
    world.restart(site)
    site.idle()
    assert world.chain.epoch == nonce, "nothing had changed, so nothing is sent"


def test_blocks_are_found_by_multihash(world: World) -> None:
    site = world.sites[0]
    data, cids = random_car(8)
    site.new_set([site.park(data)])
    site.idle()
    blocks = site.provider.blocks
    assert blocks.has(multihash_of(cids[1]))
    assert blocks.size(multihash_of(cids[1])) == 4000
    assert blocks.get(b"\x12\x20" + bytes(32)) is None
