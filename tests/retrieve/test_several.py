"""Several sources at once, and sources that are found on the way."""

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fpin.errors import GatewayUnavailable, IndexerUnavailable, NotFound
from fpin.http import Http
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.retrieve import Gateway, fetch
from fpin.retrieve.prefetch import Prefetch
from fpin.retrieve.verify import MAX_BLOCK
from tests.provider.peer import Answer, Peer, Request, answer
from tests.retrieve.dags import Dag
from tests.retrieve.test_files import everything

LEAVES = [bytes([number]) * 2**17 for number in range(24)]  # 3 MiB: a large file


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    with Peer() as first, Peer() as second, Peer() as third:
        yield [first, second, third]


@pytest.fixture
def http(peers: list[Peer]) -> Iterator[Http]:
    with Http() as client:
        yield client


@pytest.fixture
def dag() -> Dag:
    return Dag()


def gateways(peers: Sequence[Peer], http: Http) -> list[Gateway]:
    return [Gateway(peer.url, http, name=f"gateway {number}") for number, peer in enumerate(peers, 1)]


def fetched(root: bytes, sources: Sequence[Gateway]) -> tuple[bytes, tuple[str, ...]]:
    out = io.BytesIO()
    result = fetch(root, (), sources, out, sleep=lambda _seconds: None)
    return out.getvalue(), result.sources


def test_a_large_file_comes_from_two_sources_at_the_same_time(
    peers: list[Peer], http: Http, dag: Dag
) -> None:
    root = dag.file(*LEAVES)
    together = threading.Barrier(2, timeout=20)
    met = threading.Event()

    def leaf(request: Request) -> Answer:
        if not met.is_set():
            together.wait()  # passes only when both are asked for a leaf at once
            met.set()
        return dag.gateway(request)

    for peer in peers[:2]:
        dag.serve(peer)
        for data in LEAVES:
            peer.on("GET", f"/ipfs/{cids.format_cid(dag.raw(data))}", leaf)
    content, sources = fetched(root, gateways(peers[:2], http))
    assert content == b"".join(LEAVES)
    assert set(sources) == {"gateway 1", "gateway 2"}


def test_a_source_that_lacks_half_of_it_and_one_that_lies_do_no_harm(
    peers: list[Peer], http: Http, dag: Dag
) -> None:
    root = dag.file(*LEAVES)
    for peer in peers:
        dag.serve(peer)
    for number, data in enumerate(LEAVES):
        path = f"/ipfs/{cids.format_cid(dag.raw(data))}"
        if number % 2:
            peers[0].on("GET", path, answer(404))
        if number == 7:
            peers[1].on("GET", path, answer(200, b"evil"))
    out = io.BytesIO()
    result = fetch(root, (), gateways(peers, http), out, sleep=lambda _seconds: None)
    assert out.getvalue() == b"".join(LEAVES)
    assert all("gateway 2 cannot be trusted" in warning for warning in result.warnings)


def test_a_leaf_that_nobody_has_ends_it_and_is_named(peers: list[Peer], http: Http, dag: Dag) -> None:
    root = dag.file(*LEAVES)
    missing = dag.raw(LEAVES[11])
    for peer in peers:
        dag.serve(peer)
        peer.on("GET", f"/ipfs/{cids.format_cid(missing)}", answer(404))
    with pytest.raises(NotFound) as caught:
        fetched(root, gateways(peers, http))
    assert caught.value.values["cid"] == cids.format_cid(missing)


def test_sources_that_all_fail_in_the_middle_are_temporary(peers: list[Peer], http: Http, dag: Dag) -> None:
    root = dag.file(*LEAVES)
    for peer in peers:
        dag.serve(peer)
        for data in LEAVES[9:]:
            peer.on("GET", f"/ipfs/{cids.format_cid(dag.raw(data))}", answer(503))
    with pytest.raises(GatewayUnavailable):
        fetched(root, gateways(peers, http))


def test_a_last_resort_is_asked_for_nothing_that_others_have(peers: list[Peer], http: Http, dag: Dag) -> None:
    root = dag.file(*LEAVES)
    for peer in peers:
        dag.serve(peer)
    one, two = gateways(peers[:2], http)
    public = Gateway(peers[2].url, http, name="public", last_resort=True)
    assert fetched(root, [one, two, public])[0] == b"".join(LEAVES)
    assert peers[2].requests == []
    missing = dag.raw(LEAVES[5])
    for peer in peers[:2]:
        peer.on("GET", f"/ipfs/{cids.format_cid(missing)}", answer(404))
    assert fetched(root, [one, two, public])[0] == b"".join(LEAVES)
    assert peers[2].asked()[0] == f"/ipfs/{cids.format_cid(missing)}"


def test_leaves_that_repeat_are_fetched_once(peers: list[Peer], http: Http, dag: Dag) -> None:
    zeros = bytes(2**17)
    root = dag.file(*[zeros] * 40)
    for peer in peers[:2]:
        dag.serve(peer)
    content, _ = fetched(root, gateways(peers[:2], http))
    assert content == zeros * 40
    assert sum(len(peer.requests) for peer in peers) <= 4
    assert len(content) > MAX_BLOCK


def test_a_block_that_no_source_has_is_looked_for_and_got_from_who_has_it(
    tmp_path: Path, peers: list[Peer], http: Http, dag: Dag
) -> None:
    inner = dag.directory({"x.txt": dag.raw(b"x"), "y.txt": dag.raw(b"y")})
    root = dag.directory({"a.txt": dag.raw(b"a"), "inner": inner, "z.txt": dag.raw(b"z")})
    here, there = Dag(), Dag()
    for cid, data in dag.blocks.items():
        (there if cid in set(dag.walk(inner)) else here).blocks[cid] = data
    here.serve(peers[0])
    there.serve(peers[1])
    first, second, _ = gateways(peers, http)
    asked: list[bytes] = []

    def more(cid: bytes) -> list[Gateway]:
        asked.append(cid)
        return [first, second]

    result = fetch(root, (), [first], tmp_path / "out", more=more)
    assert everything(tmp_path / "out") == {
        "a.txt": b"a", "inner": None, "inner/x.txt": b"x", "inner/y.txt": b"y", "z.txt": b"z",
    }  # fmt: skip
    assert asked == [inner]
    assert result.sources == ("gateway 1", "gateway 2")


def test_without_any_source_the_root_itself_is_looked_for(
    tmp_path: Path, peers: list[Peer], http: Http, dag: Dag
) -> None:
    root = dag.file(b"abc", b"def")
    dag.serve(peers[0])
    fetch(root, (), [], tmp_path / "out", more=lambda _cid: gateways(peers[:1], http))
    assert (tmp_path / "out").read_bytes() == b"abcdef"


def test_not_to_be_told_who_has_a_block_is_not_the_same_as_nobody(
    tmp_path: Path, peers: list[Peer], http: Http, dag: Dag
) -> None:
    root = dag.raw(b"x")

    def more(_cid: bytes) -> list[Gateway]:
        raise IndexerUnavailable("the indexer does not answer")

    with pytest.raises(IndexerUnavailable):
        fetch(root, (), gateways(peers[:1], http), tmp_path / "out", more=more)
    with pytest.raises(NotFound):
        fetch(root, (), gateways(peers[:1], http), tmp_path / "out", more=lambda _cid: [])


def test_leaves_that_carry_their_own_bytes_are_asked_of_nobody(
    peers: list[Peer], http: Http, dag: Dag
) -> None:
    inline = [cids.cid_v1(cids.RAW, bytes((0, 100)) + bytes([number]) * 100) for number in range(3)]
    links = [("", cid) for cid in [*inline, *map(dag.raw, LEAVES)]]
    fs = UnixFs(kind=Kind.FILE, filesize=300 + 24 * 2**17, blocksizes=(100,) * 3 + (2**17,) * 24)
    root = dag.node(fs, links)
    for peer in peers[:2]:
        dag.serve(peer)
    content, _ = fetched(root, gateways(peers[:2], http))
    assert content == b"".join(bytes([number]) * 100 for number in range(3)) + b"".join(LEAVES)
    asked = {path for peer in peers for path in peer.asked()}
    assert not asked & {f"/ipfs/{cids.format_cid(cid)}" for cid in inline}


def test_a_mistake_of_ours_in_a_thread_is_raised_where_the_block_is_needed() -> None:
    def broken(_source: int, _cid: bytes) -> bytes:
        raise ZeroDivisionError

    prefetch = Prefetch([0, 1], broken)
    prefetch.want([b"cid"])
    with pytest.raises(ZeroDivisionError):
        prefetch.take(b"cid")
    prefetch.close()
