"""Fetching published fixtures from the devnet's gateway, which shares no walking code with the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.devnet.gateway import Gateway as GatewayApp
from fpin.devnet.server import Server, bind, url_of
from fpin.errors import NotFound
from fpin.http import Http
from fpin.ipld.car import read_car
from fpin.ipld.cid import multihash_of, parse_cid
from fpin.retrieve import Gateway, fetch
from tests.retrieve.test_files import everything

FIXTURES = Path(__file__).parents[1] / "devnet" / "fixtures" / "gateway"  # described in its README


class Memory:
    def __init__(self, blocks: dict[bytes, bytes]) -> None:
        self.blocks = blocks

    def get(self, multihash: bytes) -> bytes | None:
        return self.blocks.get(multihash)

    def has(self, multihash: bytes) -> bool:
        return multihash in self.blocks


def blocks_of(name: str) -> dict[bytes, bytes]:
    with (FIXTURES / name).open("rb") as file:
        return {multihash_of(block.cid): block.data for block in read_car(file)}


def roots_of(name: str) -> tuple[bytes, ...]:
    with (FIXTURES / name).open("rb") as file:
        return read_car(file).roots


NAMES = [path.name for path in sorted(FIXTURES.glob("*.car"))]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    blocks: dict[bytes, bytes] = {}
    for name in NAMES:
        blocks |= blocks_of(name)
    bound = bind()
    server = Server({bound: GatewayApp(Memory(blocks))})
    server.start()
    with Http() as http:
        yield Gateway(url_of(bound), http)
    server.stop()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("single-layer-hamt-with-multi-block-files.car", 1000),
        ("subdir-with-two-single-block-files.car", 2),
        ("dir-with-duplicate-files.car", 4),
    ],
)
def test_a_directory_of_gateway_conformance_is_fetched_whole(
    tmp_path: Path, gateway: Gateway, name: str, files: int
) -> None:
    (root,) = roots_of(name)
    result = fetch(root, (), [gateway], tmp_path / "out")
    assert result.files == files
    assert len([path for path in everything(tmp_path / "out").values() if path is not None]) == files


def test_a_file_of_five_leaves_has_its_published_size(tmp_path: Path, gateway: Gateway) -> None:
    # spec routing-and-retrieval §6.7: 4 x 256 + 2 bytes
    root = parse_cid("bafybeigcisqd7m5nf3qmuvjdbakl5bdnh4ocrmacaqkpuh77qjvggmt2sa")
    assert fetch(root, (), [gateway], tmp_path / "out").bytes == 1026


def test_one_file_of_a_sharded_directory_is_found_by_its_path(tmp_path: Path, gateway: Gateway) -> None:
    (root,) = roots_of("single-layer-hamt-with-multi-block-files.car")
    fetch(root, ("1.txt",), [gateway], tmp_path / "one")
    fetch(root, (), [gateway], tmp_path / "all")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "all" / "1.txt").read_bytes()
    with pytest.raises(NotFound, match="there is no"):
        fetch(root, ("1001.txt",), [gateway], tmp_path / "none")


def test_a_file_with_a_missing_block_ends_cleanly_at_the_gateway_and_is_not_taken_for_whole(
    tmp_path: Path, gateway: Gateway
) -> None:
    root = parse_cid("QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk")
    with pytest.raises(NotFound) as caught:
        fetch(root, (), [gateway], tmp_path / "out")
    assert caught.value.values["cid"]
    assert everything(tmp_path) == {}
