"""boxo, of which kubo and public gateways are made, retrieves from a provider and asks the router there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.world import World
from tests.conftest import Fpin
from tests.interop.conftest import Program

PROGRAM = "boxo"


@pytest.fixture(scope="module")
def world(libraries: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World.start(tmp_path_factory.mktemp("boxo") / "home" / "devnet", mode="up") as running:
        yield running


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("content") / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "large").write_bytes(bytes(range(256)) * 20_000)
    (tree / "folder" / "small").write_text("hello\n")
    (tree / "wide").mkdir()
    for number in range(1200):
        (tree / "wide" / f"{number:0200}").write_text(f"{number}\n")
    return tree


@pytest.fixture(scope="module")
def added(world: World, tree: Path) -> Any:
    outcome = Fpin(world.info_path.parent.parent)("add", tree, "--json")
    assert outcome.code == 0, outcome.stderr
    return outcome.json


def test_its_gateway_gives_files_that_it_has_from_a_provider_alone(
    libraries: Program, world: World, added: Any, tree: Path, tmp_path: Path, record_property: Any
) -> None:
    paths = ["folder/large", "folder/small", f"wide/{7:0200}", f"wide/{1199:0200}"]
    for path in paths:
        out = tmp_path / "out"
        libraries("gateway", world.urls.providers[0], f"/ipfs/{added['root_cid']}/{path}", out)
        assert out.read_bytes() == (tree / path).read_bytes(), path
    record_property("cases", len(paths))


def test_its_gateway_says_that_a_path_is_not_there(libraries: Program, world: World, added: Any) -> None:
    path = f"/ipfs/{added['root_cid']}/wide/nothing"
    assert "HTTP 404" in libraries("gateway", world.urls.providers[0], path, "out", code=1)


def test_its_routing_client_reads_the_providers_that_the_devnet_names(
    libraries: Program, world: World, added: Any
) -> None:
    said = libraries("providers", world.urls.indexer, added["root_cid"])
    found = [json.loads(line) for line in said.splitlines()]
    [piece] = added["pieces"]
    peers = {world.provider(copy["provider_id"]).peer_id for copy in piece["copies"]}
    assert {record["peer"] for record in found} == peers
    assert {tuple(record["protocols"]) for record in found} == {("transport-ipfs-gateway-http",)}


def test_its_routing_client_takes_nothing_there_for_an_empty_list(libraries: Program, world: World) -> None:
    cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    assert libraries("providers", world.urls.indexer, cid) == ""
