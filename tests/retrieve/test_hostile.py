"""Content and servers that are made to hurt: each costs bounded memory and ends in a VerificationFailed."""

from __future__ import annotations

import io
import itertools
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from fpin.errors import FpinError, VerificationFailed
from fpin.ipld import car, dagpb, hamt, unixfs, varint
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.retrieve import Content, Incomplete, Limits
from fpin.retrieve.files import Tree, write_stream, write_tree
from fpin.retrieve.verify import BlockCache, CarStream, Order, SeenBlocks
from tests.retrieve.dags import Dag
from tests.retrieve.test_files import everything

MIB = 2**20


@pytest.fixture
def dag() -> Dag:
    return Dag()


def peak(action: Callable[[], object]) -> int:
    """Return the most memory that Python objects took during *action*, in bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def stream(chunks: Iterable[bytes], order: Order = "dfs", *, cache: BlockCache | None = None) -> CarStream:
    return CarStream(chunks, order=order, dups="n" if order == "dfs" else "unk", cache=cache or BlockCache())


def sections(blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield car.header([])
    for data in blocks:
        yield car.section_prefix(cids.cid_of(cids.RAW, data), len(data)) + data


def write(dag: Dag, root: bytes, out: Path, limits: Limits | None = None) -> None:
    content = Content(root, dag.blocks.__getitem__, limits)
    with Tree(out) as tree:
        for _ in write_tree(content.parts(root), tree):
            pass


# -- a stream that never ends ----------------------------------------------------------------------


def endless_zeros() -> Iterator[bytes]:
    yield car.header([])
    yield from itertools.repeat(bytes(2**16))


def endless_header() -> Iterator[bytes]:
    yield varint.encode(2**40)
    yield from itertools.repeat(bytes(2**16))


def endless_repeats() -> Iterator[bytes]:
    block = bytes(2**16)
    yield from sections(itertools.repeat(block))


@pytest.mark.parametrize("chunks", [endless_zeros, endless_header, endless_repeats])
def test_a_stream_without_end_is_left_in_bounded_memory(
    chunks: Callable[[], Iterator[bytes]], dag: Dag
) -> None:
    def read() -> None:
        with pytest.raises(VerificationFailed):
            stream(chunks()).take(dag.raw(b"never comes"))

    assert peak(read) < 100 * MIB


def test_blocks_without_end_that_nobody_asked_for_are_left_where_no_order_was_promised(dag: Dag) -> None:
    blocks = (number.to_bytes(4, "big") * 2**14 for number in itertools.count())

    def read() -> None:
        with pytest.raises(Incomplete):  # which is no proof of bad faith: the block is asked for singly
            stream(sections(blocks), "unk").take(dag.raw(b"never comes"))

    assert peak(read) < 200 * MIB


def test_tiny_blocks_take_no_more_memory_than_the_cache_may(dag: Dag) -> None:
    blocks = [number.to_bytes(4, "big") for number in range(60_000)]
    cache = BlockCache(MIB // 2)
    whole = stream(sections(blocks), cache=cache)

    def read() -> None:
        for data in blocks:
            assert whole.take(cids.cid_of(cids.RAW, data)) == data

    # Without a limit it would be 12 MiB. The filter was made before; other threads of the process count too.
    assert peak(read) < 6 * MIB


def test_a_header_with_a_hundred_thousand_roots_is_refused(dag: Dag) -> None:
    root = dag.raw(b"x")
    with pytest.raises(VerificationFailed, match="header"):
        stream([car.header([root] * 100_000)]).take(root)


def test_the_filter_of_seen_blocks_never_forgets_and_seldom_errs() -> None:
    seen = SeenBlocks()
    digests = [cids.multihash_of(cids.cid_of(cids.RAW, number.to_bytes(4, "big"))) for number in range(4000)]
    for digest in digests[:2000]:
        seen.add(digest)
    assert all(digest in seen for digest in digests[:2000])
    assert sum(digest in seen for digest in digests[2000:]) <= 2


# -- a DAG that is a bomb --------------------------------------------------------------------------


def test_thirty_folders_that_hold_each_other_twice_are_a_bomb(dag: Dag) -> None:
    cid = dag.raw(b"bottom")
    for _ in range(30):
        cid = dag.directory([("l", cid), ("r", cid)])  # 2**30 files
    with pytest.raises(VerificationFailed, match="made to fill disks"):
        for _ in Content(cid, dag.blocks.__getitem__, Limits(repeats=3000)).parts(cid):
            pass


def test_the_same_file_many_times_is_no_bomb_below_the_limit(tmp_path: Path, dag: Dag) -> None:
    one = dag.raw(b"same")
    root = dag.directory({f"{number}": one for number in range(500)})
    write(dag, root, tmp_path / "out", Limits(repeats=501))
    assert len(everything(tmp_path / "out")) == 500


def test_a_file_that_says_it_is_larger_than_any_disk_is_not_begun(tmp_path: Path, dag: Dag) -> None:
    cid, size = dag.raw(bytes(1000)), 1000
    for _ in range(13):
        fs = UnixFs(kind=Kind.FILE, filesize=size * 8, blocksizes=(size,) * 8)
        cid, size = dag.node(fs, [("", cid)] * 8), size * 8
    with pytest.raises(FpinError, match="not enough space"):
        write(dag, cid, tmp_path / "out")
    with pytest.raises(VerificationFailed, match="larger than 5000 bytes"):
        for _ in write_stream(
            Content(cid, dag.blocks.__getitem__, Limits(content=5000)).parts(cid), io.BytesIO()
        ):
            pass
    assert everything(tmp_path) == {}


def test_wide_folders_in_wide_folders_take_bounded_memory(tmp_path: Path, dag: Dag) -> None:
    leaf = dag.raw(b"")
    cid = dag.directory({})
    for _ in range(40):
        cid = dag.directory([("0", cid), *((f"{number}", leaf) for number in range(1, 2000))])
    with pytest.raises(VerificationFailed, match="links at once"):
        write(dag, cid, tmp_path / "out", Limits(pending=20_000))
    assert everything(tmp_path) == {}


def test_wide_file_nodes_in_wide_file_nodes_take_bounded_memory(tmp_path: Path, dag: Dag) -> None:
    leaf, cid, size = dag.raw(b"x"), dag.raw(b"y"), 1
    for _ in range(40):
        fs = UnixFs(kind=Kind.FILE, filesize=size + 1999, blocksizes=(size, *(1,) * 1999))
        cid, size = dag.node(fs, [("", cid), *[("", leaf)] * 1999]), size + 1999
    with pytest.raises(VerificationFailed, match="links at once"):
        write(dag, cid, tmp_path / "out", Limits(pending=20_000))


def test_a_link_with_an_enormous_target_is_not_remembered_whole(tmp_path: Path, dag: Dag) -> None:
    links = {f"{number}": dag.symlink("/" + "x" * 10_000 + str(number)) for number in range(300)}
    content = Content(dag.directory(links), dag.blocks.__getitem__)
    with Tree(tmp_path / "out") as tree:
        for _ in write_tree(content.parts(content.root_cid), tree):
            pass
        skipped = tree.written.skipped
    assert len(skipped) == 100
    assert max(map(len, skipped)) < 1100


def test_a_chain_of_identity_cids_is_as_deep_as_any_other(tmp_path: Path, dag: Dag) -> None:
    cid = dag.raw(b"")
    for _ in range(200):
        block = dagpb.encode(
            dagpb.Node((dagpb.Link(cid, "d", 0),), unixfs.encode(UnixFs(kind=Kind.DIRECTORY)))
        )
        inline = cids.cid_v1(cids.DAG_PB, bytes((0, len(block))) + block)
        cid = inline if len(block) < 100 else dag._keep(cids.DAG_PB, block)
    with pytest.raises(VerificationFailed, match="deep"):
        write(dag, cid, tmp_path / "out")
    assert everything(tmp_path) == {}


# -- a HAMT that lies ------------------------------------------------------------------------------


def shard(dag: Dag, links: list[tuple[str, bytes]]) -> bytes:
    fs = UnixFs(kind=Kind.HAMT, data=b"\xff", hash_type=hamt.HASH_TYPE, fanout=256)
    return dag.node(fs, links)


def test_a_name_in_a_bucket_that_is_not_its_own_is_refused(tmp_path: Path, dag: Dag) -> None:
    bucket = hamt.name_hash(b"name") >> 56
    right, wrong = f"{bucket:02X}name", f"{bucket ^ 1:02X}name"
    write(dag, shard(dag, [(right, dag.raw(b"x"))]), tmp_path / "right")
    with pytest.raises(VerificationFailed, match="not its own"):
        write(dag, shard(dag, [(wrong, dag.raw(b"x"))]), tmp_path / "wrong")
    inner = shard(dag, [(right, dag.raw(b"x"))])
    with pytest.raises(VerificationFailed, match="not its own"):
        write(dag, shard(dag, [(f"{bucket:02X}", inner)]), tmp_path / "inner")


def test_a_bucket_that_is_used_twice_is_refused(tmp_path: Path, dag: Dag) -> None:
    name = f"{hamt.name_hash(b'name') >> 56:02X}name"
    with pytest.raises(VerificationFailed, match="used twice"):
        write(dag, shard(dag, [(name, dag.raw(b"x")), (name, dag.raw(b"y"))]), tmp_path / "out")
    assert everything(tmp_path) == {}
