"""The production indexer reads a devnet provider's chain; fpin asks it, and it alone, who has what."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fpin.devnet.world import World
from tests.conftest import Fpin
from tests.interop import indexer
from tests.interop.conftest import Program

PROGRAM = "storetheindex"


@dataclass(frozen=True)
class Routing:
    """A devnet whose clients know the real indexer only; the devnet's own is told nothing by them."""

    world: World
    url: str
    fpin: Fpin

    def done(self, *args: str | Path) -> Any:
        outcome = self.fpin(*args, "--json")
        assert outcome.code == 0, outcome.stderr
        return outcome.json

    def providers_of(self, cid: str) -> dict[str, tuple[bytes, bytes]]:
        """Who has *cid*, by peer: context id and metadata."""
        answer = httpx.get(f"{self.url}/cid/{cid}", headers={"Accept": "application/json"}, trust_env=False)
        if answer.status_code == 404:
            return {}
        assert answer.status_code == 200, answer.text
        [result] = answer.json()["MultihashResults"]
        return {
            record["Provider"]["ID"]: (
                base64.b64decode(record["ContextID"]),
                base64.b64decode(record["Metadata"]),
            )
            for record in result["ProviderResults"]
        }


@pytest.fixture
def routing(storetheindex: Program, tmp_path: Path) -> Iterator[Routing]:
    home = tmp_path / "home"
    with (
        indexer.running(storetheindex, tmp_path / "storetheindex") as url,
        World.start(home / "devnet", mode="up", announce_to=[url]) as world,
    ):
        info = json.loads(world.info_path.read_bytes())
        info["info"]["indexer_url"] = url
        told = tmp_path / "devnet-info.json"
        told.write_text(json.dumps(info))
        yield Routing(world, url, Fpin(home, {"DEVNET_INFO_PATH": str(told)}))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "large").write_bytes(bytes(range(256)) * 20_000)
    for number in range(50):
        (folder / f"{number}").write_text(f"file {number}\n")
    return folder


def cids_of(routing: Routing, tree: Path) -> list[str]:
    car = tree.with_suffix(".car")
    routing.done("pack", tree, "-o", car)
    return sorted({block["cid"] for block in routing.done("car", "ls", car)["blocks"]})


def test_fpin_add_finds_there_what_the_providers_advertised(routing: Routing, tree: Path) -> None:
    added = routing.done("add", tree)
    assert added["complete"]
    assert (added["routing"]["state"], added["routing"]["indexer"]) == ("found", routing.url)
    assert added["routing"]["strength"] == "exact"
    assert {finding["evidence"] for finding in added["routing"]["findings"]} == {"record"}


def test_every_block_is_listed_at_both_providers_with_piece_and_protocol(
    routing: Routing, tree: Path, record_property: Any
) -> None:
    for provider in routing.world.providers:
        provider.publisher._chunk_size = 10  # so that an advertisement has several chunks of entries
    added = routing.done("add", tree)
    assert {finding["evidence"] for finding in added["routing"]["findings"]} == {"record"}
    [piece] = added["pieces"]
    peers = {routing.world.provider(copy["provider_id"]).peer_id for copy in piece["copies"]}
    assert len(peers) == 2
    cids = cids_of(routing, tree)
    for cid in cids:
        found = routing.providers_of(cid)
        assert found.keys() == peers
        assert {metadata.hex() for _, metadata in found.values()} == {"a01200"}
        assert len({context for context, _ in found.values()}) == 1
    record_property("cases", len(cids))


def test_fpin_check_says_found_and_fpin_get_finds_the_providers_there(
    routing: Routing, tree: Path, tmp_path: Path
) -> None:
    root = routing.done("add", tree)["root_cid"]
    checked = routing.done("check", root, "--confirm")
    assert (checked["routing"]["state"], checked["routing"]["indexer"]) == ("found", routing.url)
    # Without the store nothing but this indexer says where the content is.
    stranger = Fpin(tmp_path / "stranger", routing.fpin.env | {"FPIN_HOME": str(tmp_path / "stranger")})
    got = stranger("get", root, "-o", tmp_path / "back", "--json")
    assert got.code == 0, got.stderr
    assert (tmp_path / "back" / "large").read_bytes() == (tree / "large").read_bytes()


def test_everything_is_forgotten_after_the_removal_advertisement(
    routing: Routing, tree: Path, record_property: Any
) -> None:
    kept = tree / "0"
    keeps = routing.done("add", kept)["root_cid"]
    routing.done("add", tree)
    cids = cids_of(routing, tree)
    removed = routing.done("rm", tree, "--wait")
    assert {piece["state"] for piece in removed["pieces"]} <= {"gone", "gone_other_holders"}
    for cid in cids:
        assert bool(routing.providers_of(cid)) == (cid == keeps)  # another piece has that one
    record_property("cases", len(cids))
