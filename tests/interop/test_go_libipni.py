"""go-libipni, of which the public indexers are made, reads chains and indexer of the devnet as fpin does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet import ipni
from fpin.devnet.world import World
from tests.conftest import Fpin
from tests.interop.conftest import Program

PROGRAM = "go-libipni"
VECTORS = Path(__file__).parents[1] / "vectors" / "ipni_private.json"


def lines(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture(scope="module")
def world(libraries: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World.start(tmp_path_factory.mktemp("ipni") / "home" / "devnet", mode="up") as running:
        for provider in running.providers:
            provider.publisher._chunk_size = 10  # so that an advertisement has several chunks of entries
        yield running


@pytest.fixture(scope="module")
def added(world: World, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `fpin add --json` said of a small tree with two copies."""
    tree = tmp_path_factory.mktemp("tree") / "tree"
    tree.mkdir()
    (tree / "large").write_bytes(bytes(range(256)) * 20_000)
    for number in range(30):
        (tree / f"{number}").write_text(f"file {number}\n")
    outcome = Fpin(world.info_path.parent.parent)("add", tree, "--json")
    assert outcome.code == 0, outcome.stderr
    return outcome.json


def peers_of(world: World, added: Any) -> set[str]:
    [piece] = added["pieces"]
    return {world.provider(copy["provider_id"]).peer_id for copy in piece["copies"]}


def test_it_accepts_every_signature_and_hash_of_a_providers_chain(
    libraries: Program, world: World, added: Any, record_property: Any
) -> None:
    fpin = Fpin(world.info_path.parent.parent)
    assert fpin("rm", added["root_cid"], "--wait").code == 0
    again = fpin("import", _car(fpin, world), "--json")
    assert again.code == 0, again.stderr
    count = 0
    for provider, url in zip(world.providers, world.urls.providers, strict=True):
        if provider.publisher.head is None:
            continue
        base = f"{url}/ipni-provider/{provider.peer_id}"
        chain = lines(libraries("chain", base))
        assert {ad["signer"] for ad in chain} == {provider.peer_id}
        assert any(ad["is_rm"] for ad in chain)
        assert max(ad["entries"] for ad in chain) >= 30
        count += len(chain)
    assert count > 4
    record_property("cases", count)


def _car(fpin: Fpin, world: World) -> Path:
    path = Path(world.info_path.parent.parent, "again")
    path.write_text("what comes after a removal\n")
    car = path.with_suffix(".car")
    assert fpin("pack", path, "-o", car).code == 0
    return car


@pytest.mark.parametrize("command", ["find", "find-hidden"])
def test_its_clients_find_at_the_devnets_indexer_what_was_advertised(
    libraries: Program, world: World, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "note"
    path.write_text(f"to be found by {command}\n")
    outcome = Fpin(world.info_path.parent.parent)("add", path, "--json")
    assert outcome.code == 0, outcome.stderr
    found = lines(libraries(command, world.urls.indexer, outcome.json["root_cid"]))
    assert {record["peer"] for record in found} == peers_of(world, outcome.json)
    assert {record["metadata"] for record in found} == {"a01200"}
    assert {tuple(record["protocols"]) for record in found} == {("transport-ipfs-gateway-http",)}
    [context] = {record["context_id"] for record in found}
    assert context.startswith("01")


def test_an_advertisement_with_extended_providers_holds_and_they_are_found(
    libraries: Program, world: World
) -> None:
    publisher = world.providers[2].publisher
    other = "/dns/other.example.com/tcp/443/https"
    seed = b"\x31" * 32
    block = b"\x12\x20" + bytes(range(32))
    publisher.publish(b"of our own", [block], beside=[(seed, [other])])
    base = f"{world.urls.providers[2]}/ipni-provider/{publisher.peer_id}"
    newest = lines(libraries("chain", base))[0]
    assert newest["extended"] == [publisher.peer_id, ipni.peer_id_of_seed(seed)]
    assert publisher.announce([f"{world.urls.indexer}/announce"])
    world.indexer.work()
    cid = "bafkreiaaaebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4"
    for command in ("find", "find-hidden"):
        found = lines(libraries(command, world.urls.indexer, cid))
        assert [record["peer"] for record in found] == newest["extended"]
        assert found[1]["addresses"] == [other]


def test_it_makes_the_vectors_that_the_tests_have(libraries: Program) -> None:
    kept = json.loads(VECTORS.read_bytes())
    kept.pop("source")
    assert json.loads(libraries("vectors")) == kept
