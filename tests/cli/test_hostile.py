"""`fpin get` from a provider that means harm: exit code 6, nothing written, and a sentence that names it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fpin.ipld import car, varint
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.routing.multiaddr import of_url
from tests.cli.conftest import Tenant
from tests.provider.peer import Peer, Request, answer
from tests.retrieve.dags import CAR_TYPE, Dag

MIB = 2**20


class Rogue(Peer):
    """An indexer that lists itself for every CID, and the provider that is listed."""

    def lists(self, root: bytes) -> None:
        multihash = cids.multihash_of(root)
        provider = {
            "ID": "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB",
            "Addrs": [str(of_url(self.url))],
        }
        record = {"ContextID": "Y3R4", "Metadata": "oBIA", "Provider": provider}
        results = [
            {"Multihash": base64.b64encode(multihash).decode(), "ProviderResults": [record]},
        ]
        self.on("GET", f"/cid/{cids.format_cid(root)}", answer(200, {"MultihashResults": results}))

    def sends(self, root: bytes, body: bytes) -> None:
        def react(request: Request) -> object:
            whole = request.query["format"] == "car"
            return answer(200, body, Content_Type=CAR_TYPE) if whole else answer(404)

        self.on("GET", f"/ipfs/{cids.format_cid(root)}", react)  # type: ignore[arg-type]


@pytest.fixture
def rogue() -> Iterator[Rogue]:
    rogue = Rogue()
    with rogue:
        yield rogue


def section(data: bytes, cid: bytes | None = None) -> bytes:
    cid = cid or cids.cid_of(cids.RAW, data)
    return car.section_prefix(cid, len(data)) + data


def wrong_hash(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.raw(b"what was asked for")
    return root, car.header([root]) + section(b"something else", root)


def traversal(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.directory({"../../evil": dag.raw(b"evil")})
    return root, dag.car(root)


def through_a_link(dag: Dag) -> tuple[bytes, bytes]:
    inside = dag.directory({"..": dag.raw(b"evil")})
    root = dag.directory([("d", dag.symlink("..")), ("d2", inside)])
    return root, dag.car(root)


def absurd_section(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.raw(b"x")
    return root, car.header([root]) + varint.encode(2**50) + bytes(100)


def absurd_header(dag: Dag) -> tuple[bytes, bytes]:
    return dag.raw(b"x"), varint.encode(2**50) + bytes(100)


def absurd_sizes(dag: Dag) -> tuple[bytes, bytes]:
    fs = UnixFs(kind=Kind.FILE, filesize=2**40, blocksizes=(2**39,) * 3)
    root = dag.node(fs, [("", dag.raw(b"x"))] * 3)
    return root, dag.car(root)


def padding(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.raw(b"x")
    return root, car.header([root]) + bytes(80 * MIB)


def repeats(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.raw(b"x")
    return root, car.header([root]) + section(bytes(MIB)) * 80


def a_million_tiny(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.directory({"x": dag.raw(b"x")})
    return root, car.header([root]) + section(dag.blocks[root], root) + section(b"y") * 10**6


def deep(dag: Dag) -> tuple[bytes, bytes]:
    root = dag.raw(b"bottom")
    for _ in range(200):
        root = dag.directory({"d": root})
    return root, dag.car(root)


@pytest.mark.parametrize(
    "make",
    [
        wrong_hash,
        traversal,
        through_a_link,
        absurd_section,
        absurd_header,
        absurd_sizes,
        padding,
        repeats,
        a_million_tiny,
        deep,
    ],
)
def test_a_hostile_car_ends_in_code_6_and_writes_nothing(
    tenant: Tenant, rogue: Rogue, tmp_path: Path, make: Callable[[Dag], tuple[bytes, bytes]]
) -> None:
    root, body = make(Dag())
    rogue.lists(root)
    rogue.sends(root, body)
    place = tmp_path / "place"
    place.mkdir()
    got = tenant.here(
        "get",
        cids.format_cid(root),
        "-o",
        place / "out",
        "--json",
        env={"FPIN_INDEXERS": f"{rogue.url}=poll"},
    )
    assert (got.code, got.json["error"]["kind"]) == (6, "VerificationFailed"), got.stderr
    assert list(place.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if "evil" in path.name] == []
