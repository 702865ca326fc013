"""Blocks that are replaced after an add or a removal was seen in them: noticed, told, and made good."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fpin.backends.base import Wish
from fpin.chain.contracts import Chain
from fpin.chain.networks import load_network
from fpin.chain.rpc import JsonRpc
from fpin.devnet.accounts import USERS, DevAccount
from fpin.devnet.chain import Genesis, GenesisUser
from fpin.devnet.chain.transactions import parse
from fpin.devnet.world import World
from fpin.events import Event, RoutingEnded
from fpin.flows import add as flow
from fpin.flows.packing import Content
from fpin.flows.services import connect
from fpin.http import Http
from fpin.piece import PieceCid
from fpin.settings import folders
from fpin.store import Store, Submission
from tests.conftest import Fpin

FAR = 900  # epochs: nothing that a test does here is final


@pytest.fixture
def neighbour() -> DevAccount:
    return DevAccount("NEIGHBOUR")


@pytest.fixture
def world(home: Path, neighbour: DevAccount) -> Iterator[World]:
    """A devnet that no other test uses: a fork takes everybody's blocks."""

    def with_neighbour(genesis: Genesis) -> Genesis:
        return dataclasses.replace(genesis, users=(*genesis.users, GenesisUser.ready(neighbour.address)))

    with World.start(home / "devnet", mode="up", epoch_ms=0, tune=with_neighbour) as world:
        world.chain.faults.finality = FAR
        yield world


@pytest.fixture
def chain(world: World) -> Iterator[Chain]:
    network = load_network("devnet", devnet_info=world.info_path)
    with Http() as http:
        yield Chain(network, JsonRpc(network.rpc_url, http))


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("what a fork takes back")
    return path


def add(fpin: Fpin, note: Path) -> Any:
    outcome = fpin("add", note, "--copies", "1", "--json")
    assert (outcome.code, outcome.json["complete"]) == (0, True), outcome.stderr
    return outcome.json


def submissions(fpin: Fpin) -> list[Submission]:
    with Store(folders(fpin.env).store) as store:
        copies = [copy for pin in store.pins(31415926) for copy in pin.copies]
        return [store.submission(copy.submission) for copy in copies if copy.submission is not None]


def unsettled(fpin: Fpin) -> int:
    with Store(folders(fpin.env).store) as store:
        return sum(len(store.unsettled(pin.pin)) for pin in store.pins(31415926))


def live(chain: Chain, piece_cid: str) -> list[tuple[int, int]]:
    return [
        (data_set.data_set_id, piece_id)
        for data_set in chain.client_data_sets(USERS[0].address)
        for piece_id in chain.find_piece_ids(data_set.data_set_id, PieceCid.parse(piece_cid).to_bytes())
    ]


def test_an_add_that_a_fork_takes_back_is_told_and_sent_again_under_the_same_number(
    fpin: Fpin, world: World, chain: Chain, note: Path
) -> None:
    before = world.chain.epoch
    piece_cid = add(fpin, note)["pieces"][0]["piece_cid"]
    [first] = submissions(fpin)
    world.chain.reorganise(before, lose=True)
    assert live(chain, piece_cid) == []

    told = fpin("status", note, "--refresh", "--json")
    assert told.code == 0, told.stderr
    assert first.tx is not None
    assert first.tx in told.stderr
    [pin] = told.json["pins"]
    assert (pin["state"], pin["pieces"][0]["copies"][0]["state"]) == ("pending", "signed")
    assert pin["pieces"][0]["copies"][0]["data_set_id"] is None

    add(fpin, note)
    assert len(live(chain, piece_cid)) == 1
    assert [one.nonce for one in submissions(fpin)] == [first.nonce]
    assert len(chain.client_data_sets(USERS[0].address)) == 1


def test_a_fork_while_routing_is_asked_is_seen_by_the_same_run(
    fpin: Fpin, world: World, chain: Chain, note: Path
) -> None:
    before = world.chain.epoch

    def fork(event: Event) -> None:
        if isinstance(event, RoutingEnded):
            world.chain.reorganise(before, lose=True)

    with connect(
        network="devnet", rpc_url=None, folders=folders(fpin.env), key=None, devnet_info=world.info_path
    ) as services:
        request = flow.AddRequest(content=Content(paths=(note,)), wish=Wish(copies=1))
        result = flow.add(services, request, on_event=fork)
    assert (result.complete, result.routing.state) == (False, "found")
    assert [copy.state for copy in result.pieces[0].copies] == ["signed"]
    add(fpin, note)
    assert len(live(chain, result.pieces[0].piece_cid)) == 1


def test_an_add_into_a_data_set_that_a_fork_takes_back_goes_there_again(
    fpin: Fpin, world: World, chain: Chain, note: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier.txt"
    earlier.write_text("what stays")
    kept = add(fpin, earlier)["pieces"][0]["piece_cid"]
    before = world.chain.epoch
    piece_cid = add(fpin, note)["pieces"][0]["piece_cid"]
    world.chain.reorganise(before, lose=True)
    add(fpin, note)
    assert (len(live(chain, kept)), len(live(chain, piece_cid))) == (1, 1)
    assert len(chain.client_data_sets(USERS[0].address)) == 1


def test_a_node_that_lags_behind_says_nothing_of_what_it_has_not_reached(
    fpin: Fpin, world: World, chain: Chain, note: Path
) -> None:
    before = world.chain.epoch
    added = add(fpin, note)
    with Store(folders(fpin.env).store) as store:  # as if another node had been far ahead
        [copy] = store.pins(31415926)[0].copies
        assert copy.submission is not None
        store.mark_confirmed(
            copy.submission,
            data_set_id=copy.data_set_id or 0,
            first_piece_id=copy.piece_id or 0,
            epoch=world.chain.epoch + 9,
        )
    world.chain.reorganise(before, lose=True)
    told = fpin("status", note, "--refresh", "--json")
    assert [c["state"] for c in told.json["pins"][0]["pieces"][0]["copies"]] == ["advertised"]
    world.chain.mine(9)
    assert fpin("status", note, "--refresh", "--json").json["pins"][0]["state"] == "pending"
    add(fpin, note)
    assert len(live(chain, added["pieces"][0]["piece_cid"])) == 1


def test_a_fork_that_runs_the_add_again_changes_nothing(
    fpin: Fpin, world: World, chain: Chain, note: Path
) -> None:
    before = world.chain.epoch
    copy = add(fpin, note)["pieces"][0]["copies"][0]
    world.chain.reorganise(before)
    told = fpin("status", note, "--refresh", "--json")
    assert "note" not in told.stderr
    assert told.json["pins"][0]["pieces"][0]["copies"][0]["state"] == "advertised"
    assert add(fpin, note)["pieces"][0]["copies"][0]["piece_id"] == copy["piece_id"]


def test_ids_are_those_of_the_block_that_stays(
    fpin: Fpin, world: World, chain: Chain, note: Path, neighbour: DevAccount, tmp_path: Path
) -> None:
    before = world.chain.epoch
    added = add(fpin, note)
    [first] = submissions(fpin)
    assert first.tx is not None
    with world.chain.reading() as store:
        receipt = store.receipt(bytes.fromhex(first.tx[2:]))
    assert receipt is not None
    world.chain.reorganise(before, lose=True)
    # In the other fork somebody else comes first, so that the same transaction makes another data set.
    env = {"FPIN_PRIVATE_KEY": "0x" + neighbour.key.hex(), "DEVNET_INFO_PATH": str(world.info_path)}
    other = tmp_path / "other.txt"
    other.write_text("what the neighbour keeps")
    theirs = Fpin(tmp_path / "neighbour", env)("add", other, "--copies", "1", "--provider", "2", "--json")
    assert theirs.code == 0, theirs.stderr
    world.chain.submit(parse(receipt.raw))

    told = fpin("status", note, "--refresh", "--json")
    [copy] = told.json["pins"][0]["pieces"][0]["copies"]
    assert (copy["data_set_id"], copy["piece_id"]) == live(chain, added["pieces"][0]["piece_cid"])[0]
    assert copy["data_set_id"] != added["pieces"][0]["copies"][0]["data_set_id"]


def test_what_is_final_is_not_asked_for_again(fpin: Fpin, world: World, note: Path) -> None:
    add(fpin, note)
    assert unsettled(fpin) == 1
    world.chain.mine(FAR)
    assert fpin("status", "--refresh").code == 0
    assert unsettled(fpin) == 0


def test_a_removal_that_a_fork_takes_back_is_told_and_asked_for_again(
    fpin: Fpin, world: World, chain: Chain, note: Path
) -> None:
    copy = add(fpin, note)["pieces"][0]["copies"][0]
    before = world.chain.epoch
    assert fpin("rm", note).code == 0
    world.chain.reorganise(before, lose=True)
    told = fpin("status", note, "--refresh", "--json")
    assert "fpin rm asks for it again" in told.stderr
    assert fpin("rm", note).code == 0
    assert copy["piece_id"] in chain.scheduled_removals(copy["data_set_id"])
