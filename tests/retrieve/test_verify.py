"""Incremental verification of CARs: right ones in every order, and everything a server can get wrong."""

import hashlib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpin.errors import VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld.car import Block
from fpin.retrieve import Incomplete
from fpin.retrieve.verify import MAX_BLOCK, BlockCache, CarStream, Dups, Order, Repeated, links_of
from tests.retrieve.dags import Dag, as_json, car_of, split


@pytest.fixture
def dag() -> Dag:
    return Dag()


def tree(dag: Dag) -> bytes:
    """A directory with a file of several blocks, the same file again, and a repeated leaf."""
    photo = dag.file(b"one" * 50, b"two" * 50, b"one" * 50)
    return dag.directory({"a.bin": photo, "b.bin": photo, "c.txt": dag.raw(b"hello")})


def walked(
    chunks: Iterable[bytes], root: bytes, *, order: Order = "dfs", dups: Dups = "n"
) -> Iterator[Block]:
    """Every block of the DAG below *root*, under the CID it was linked by, taken from a CAR as it arrives."""
    cache = BlockCache() if order == "unk" else BlockCache(0)
    stream = CarStream(chunks, order=order, dups=dups, cache=cache)
    met: set[bytes] = set()
    stack = [root]
    while stack:
        cid = stack.pop()
        data = cids.identity_data(cid)
        if data is None:
            if cid in met and dups != "y":
                continue
            met.add(cid)
            data = stream.take(cid)
        yield Block(cid, data)
        stack += reversed(links_of(cid, data))


def verified(
    data: bytes, root: bytes, *, order: Order = "dfs", dups: Dups = "n", size: int = 17
) -> list[bytes]:
    return [block.cid for block in walked(split(data, size), root, order=order, dups=dups)]


def test_a_car_in_order_yields_every_block_once_parents_first(dag: Dag) -> None:
    root = tree(dag)
    assert verified(dag.car(root), root) == list(dag.walk(root))
    assert len(dag.blocks) == len(list(dag.walk(root)))


def test_a_car_with_repeats_yields_every_use(dag: Dag) -> None:
    root = tree(dag)
    found = verified(dag.car(root, dups=True), root, dups="y")
    assert found == list(dag.walk(root, dups=True))
    assert len(found) > len(dag.blocks)


@pytest.mark.parametrize("repeats", [True, False])
def test_a_car_that_promises_nothing_about_repeats_is_read_either_way(dag: Dag, repeats: bool) -> None:
    root = tree(dag)
    assert set(verified(dag.car(root, dups=repeats), root, dups="unk")) == set(dag.blocks)


def test_a_car_that_leaves_out_a_promised_repeat_is_read_while_the_block_is_at_hand(dag: Dag) -> None:
    root = tree(dag)
    stream = CarStream([dag.car(root)], order="dfs", dups="y", cache=BlockCache())
    for cid in dag.walk(root, dups=True):
        assert stream.take(cid) == dag.blocks[cid]


def test_leaves_before_parents_are_read_where_no_order_was_promised(dag: Dag) -> None:
    root = tree(dag)
    backwards = dag.car(root, order=list(dag.walk(root))[::-1])
    assert set(verified(backwards, root, order="unk", dups="unk")) == set(dag.blocks)
    with pytest.raises(VerificationFailed, match="belongs"):
        verified(backwards, root)


@settings(max_examples=50)
@given(size=st.integers(1, 400))
def test_chunks_may_be_cut_anywhere(size: int) -> None:
    dag = Dag()
    root = tree(dag)
    assert verified(dag.car(root), root, size=size) == list(dag.walk(root))


def test_the_roots_in_the_header_are_not_believed(dag: Dag) -> None:
    other = dag.raw(b"other")
    root = tree(dag)
    with pytest.raises(VerificationFailed):
        verified(dag.car(root), other)


def test_versions_and_codecs_of_cids_do_not_matter_to_the_hash(dag: Dag) -> None:
    root = dag.directory({})
    data = car_of([(cids.multihash_of(root), dag.blocks[root])])  # sent as CIDv0
    assert verified(data, root) == [root]


def test_identity_cids_are_not_expected_in_the_car(dag: Dag) -> None:
    inline = cids.parse_cid("bafkqaaa")
    root = dag.directory({"empty": inline, "x": dag.raw(b"x")})
    assert verified(dag.car(root), root) == [root, inline, dag.raw(b"x")]


def test_dag_json_links_are_followed(dag: Dag) -> None:
    leaf = dag.raw(b"leaf")
    block = as_json({"a": {"/": cids.format_cid(leaf)}})
    root = cids.sha256_cid(cids.DAG_JSON, hashlib.sha256(block).digest())
    dag.blocks[root] = block
    assert verified(dag.car(root), root) == [root, leaf]


# -- wrong -----------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(position=st.integers(60, 1000), flip=st.integers(1, 255))
def test_no_flipped_byte_passes(position: int, flip: int) -> None:
    dag = Dag()
    root = tree(dag)
    data = bytearray(dag.car(root))
    data[position % len(data)] ^= flip
    try:
        blocks = list(walked([bytes(data)], root))
    except (VerificationFailed, Incomplete):
        return
    # header bytes may change without harm; blocks never do
    assert {block.cid: block.data for block in blocks} == dag.blocks


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_car_that_ends_early_is_incomplete_wherever_it_is_cut(dag: Dag, cut: int) -> None:
    root = tree(dag)
    with pytest.raises(Incomplete):
        verified(dag.car(root)[:-cut], root)


def test_a_car_that_ends_between_blocks_names_the_first_missing_one(dag: Dag) -> None:
    root = tree(dag)
    order = list(dag.walk(root))
    with pytest.raises(Incomplete) as caught:
        verified(dag.car(root, order=order[:2]), root)
    assert caught.value.values["cid"] == cids.format_cid(order[2])


def test_an_empty_answer_is_incomplete_or_no_car(dag: Dag) -> None:
    root = tree(dag)
    with pytest.raises(Incomplete):
        verified(b"", root)
    with pytest.raises(VerificationFailed):
        verified(b"<!DOCTYPE html><html>" + b"sorry" * 40 + b"</html>", root)


def test_a_block_that_was_not_asked_for_is_refused_and_named(dag: Dag) -> None:
    root = tree(dag)
    stray = dag.raw(b"stray")
    order = list(dag.walk(root))
    with pytest.raises(VerificationFailed) as caught:
        verified(dag.car(root, order=[order[0], stray, *order[1:]]), root)
    assert caught.value.values["cid"] == cids.format_cid(order[1])


def test_a_block_of_other_content_is_refused(dag: Dag) -> None:
    root = tree(dag)
    order = list(dag.walk(root))
    sections = [(cid, dag.blocks[cid]) for cid in order]
    sections[2] = (order[2], b"x" * len(dag.blocks[order[2]]))
    with pytest.raises(VerificationFailed, match="content its CID names"):
        verified(car_of(sections), root)


def test_a_block_over_two_mebibytes_is_refused(dag: Dag) -> None:
    root = dag.raw(bytes(MAX_BLOCK + 1))
    with pytest.raises(VerificationFailed, match="over"):
        verified(dag.car(root), root, size=2**16)


def test_a_section_that_claims_to_be_huge_is_refused_before_it_is_read(dag: Dag) -> None:
    root = tree(dag)
    header = car_of([])
    with pytest.raises(VerificationFailed, match="section"):
        list(walked([header + b"\xff\xff\xff\xff\x7f"], root))


def test_a_hash_function_that_fpin_cannot_check_is_refused() -> None:
    murmur = cids.cid_v1(cids.RAW, b"\x22\x08" + bytes(8))
    with pytest.raises(VerificationFailed, match="hash function"):
        verified(car_of([(murmur, b"data")]), murmur)


def test_a_node_that_does_not_decode_is_refused(dag: Dag) -> None:
    block = b"\x99not dag-pb"
    root = cids.sha256_cid(cids.DAG_PB, hashlib.sha256(block).digest())
    with pytest.raises(VerificationFailed, match="does not decode"):
        verified(car_of([(root, block)]), root)


# -- limits ----------------------------------------------------------------------------------------


def test_a_dag_of_few_blocks_and_endless_paths_is_walked_once(dag: Dag) -> None:
    cid = dag.raw(b"bottom")
    for _ in range(100):
        cid = dag.directory([("left", cid), ("right", cid)])  # 2**100 paths
    assert len(verified(dag.car(cid), cid)) == 101


def test_a_cache_keeps_what_was_used_last_within_its_capacity() -> None:
    cache = BlockCache(2000)
    for index in range(3):
        cache.put(b"%d" % index, bytes(700))
    assert [cache.get(b"%d" % index) is not None for index in range(3)] == [False, True, True]


def test_a_repeat_that_is_not_at_hand_any_more_is_to_be_asked_for(dag: Dag) -> None:
    root = tree(dag)
    stream = CarStream([dag.car(root)], order="dfs", dups="n", cache=BlockCache(0))
    order = list(dag.walk(root))
    stream.take(order[0])
    stream.take(order[1])
    with pytest.raises(Repeated):
        stream.take(order[0])
    assert stream.take(order[2]) == dag.blocks[order[2]]
