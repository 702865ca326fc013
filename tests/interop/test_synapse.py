"""The published Synapse SDK on a devnet, beside fpin: the same pieces, the same data sets, the same funds.

Its contracts are older than the devnet's, so it misreads data sets that exist already: what it lists and
removes is tried with newer sources by hand, see docs/reference/compatibility.md.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.world import World
from tests.conftest import Fpin
from tests.interop.conftest import Node

PROGRAM = "synapse-sdk"


class Synapse:
    """The SDK as the devnet's first user, who is also fpin's."""

    def __init__(self, node: Node, world: World) -> None:
        self._node, self._world = node, world

    def __call__(self, *args: str | Path) -> Any:
        return json.loads(self._node("synapse.mjs", self._world.info_path, *args))


@pytest.fixture
def synapse(node: Node, world: World) -> Synapse:
    return Synapse(node, world)


def done(fpin: Fpin, *args: str | Path) -> Any:
    outcome = fpin(*args, "--json")
    assert outcome.code == 0, outcome.stderr
    return outcome.json


def packed(fpin: Fpin, content: bytes, to: Path) -> tuple[Path, Any]:
    """A CAR in the folder *to* with one file of *content*, and what `fpin pack` says of it."""
    (to / "file").write_bytes(content)
    path = to / "file.car"
    return path, done(fpin, "pack", to / "file", "-o", path)


def test_both_compute_the_same_piece_cid(
    synapse: Synapse, fpin: Fpin, tmp_path: Path, record_property: Any
) -> None:
    sizes = (0, 1, 100, 127 * 8 - 80, 5000, 2**20, 3_000_000)
    for size in sizes:
        path, said = packed(fpin, bytes(range(1, 251)) * (size // 250) + bytes(size % 250), tmp_path)
        assert synapse("piece", path)["pieceCid"] == said["cars"][0]["piece_cid"], size
    record_property("cases", len(sizes))


def test_what_the_sdk_uploads_is_adopted_by_fpin_without_paying_again(
    synapse: Synapse, fpin: Fpin, tmp_path: Path
) -> None:
    path, said = packed(fpin, b"stored by the other one\n" * 1000, tmp_path)
    uploaded = synapse("upload", path, said["root_cid"])
    assert uploaded["complete"]
    assert uploaded["pieceCid"]["/"] == said["cars"][0]["piece_cid"]
    funds = synapse("funds")["funds"]
    added = done(fpin, "add", tmp_path / "file")
    assert synapse("funds")["funds"] == funds
    [piece] = added["pieces"]
    theirs = {
        (int(copy["providerId"]), int(copy["dataSetId"]), int(copy["pieceId"])) for copy in uploaded["copies"]
    }
    ours = {(copy["provider_id"], copy["data_set_id"], copy["piece_id"]) for copy in piece["copies"]}
    assert ours == theirs
    assert added["routing"]["state"] == "found"


def test_fpin_adds_to_the_data_sets_that_the_sdk_made(synapse: Synapse, fpin: Fpin, tmp_path: Path) -> None:
    path, said = packed(fpin, b"first\n" * 1000, tmp_path)
    uploaded = synapse("upload", path, said["root_cid"])
    other = tmp_path / "other"
    other.write_text("second\n" * 1000)
    [piece] = done(fpin, "add", other)["pieces"]
    assert {copy["data_set_id"] for copy in piece["copies"]} == {
        int(copy["dataSetId"]) for copy in uploaded["copies"]
    }
    assert {copy["piece_id"] for copy in piece["copies"]} == {1}


def test_fpin_gives_back_and_removes_what_the_sdk_uploaded(
    synapse: Synapse, fpin: Fpin, tmp_path: Path
) -> None:
    path, said = packed(fpin, b"to be removed\n" * 1000, tmp_path)
    synapse("upload", path, said["root_cid"])
    done(fpin, "add", tmp_path / "file")
    done(fpin, "get", said["root_cid"], "-o", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    removed = done(fpin, "rm", said["root_cid"], "--wait")
    assert {piece["state"] for piece in removed["pieces"]} == {"gone"}


def test_both_see_the_same_funds(synapse: Synapse, fpin: Fpin) -> None:
    synapse("deposit", str(3 * 10**18))
    ours = done(fpin, "payments", "status")["account"]
    assert Decimal(ours["funds"]) * 10**18 == Decimal(synapse("funds")["funds"]) == 103 * 10**18
