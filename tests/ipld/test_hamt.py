from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.ipld import cid as cids
from fpin.ipld import dagpb, hamt, unixfs
from tests.ipld.vectors import UNIXFS

CID = cids.cid_of(cids.RAW, b"x")


@pytest.mark.parametrize("case", UNIXFS["hashes"], ids=lambda case: repr(case["name"]))
def test_names_hash_as_the_specification_says(case: dict[str, Any]) -> None:
    assert f"{hamt.name_hash(case['name'].encode()):016x}" == case["hash"]


@pytest.mark.parametrize(
    ("buckets", "field"), [([0], "01"), ([7, 8], "0180"), ([255], "80" + "00" * 31), ([], "")]
)
def test_a_bitfield_is_a_number_without_leading_zeros(buckets: list[int], field: str) -> None:
    assert hamt.bitfield(buckets).hex() == field


def test_a_shard_says_hash_function_and_fanout_after_its_bitfield() -> None:
    assert hamt.shard_data([0, 9]).hex() == "0a0b" + "0805" + "12020201" + "2822" + "308002"


def test_children_of_a_shard_are_ranges_of_the_sorted_hashes() -> None:
    hashes = [0x0011 << 48, 0x0012 << 48, 0x0700 << 48, 0xFF00 << 48]
    assert list(hamt.children(hashes, 0, 4, 0)) == [(0, 0, 2), (7, 2, 3), (255, 3, 4)]
    assert list(hamt.children(hashes, 0, 2, 1)) == [(0x11, 0, 1), (0x12, 1, 2)]


def test_two_names_with_one_hash_are_an_error_at_the_ninth_level() -> None:
    assert list(hamt.children([5, 5], 0, 2, 7)) == [(5, 0, 2)]
    with pytest.raises(ValueError, match="same 64-bit hash"):
        list(hamt.children([5, 5], 0, 2, 8))


def shard(names: list[str], fanout: int = 256) -> tuple[dagpb.Node, unixfs.UnixFs]:
    node = dagpb.Node(tuple(dagpb.Link(CID, name, 1) for name in names))
    return node, unixfs.UnixFs(kind=unixfs.Kind.HAMT, hash_type=hamt.HASH_TYPE, fanout=fanout)


def test_a_name_is_found_in_its_bucket_or_below_it_or_proven_absent() -> None:
    node, message = shard(["00", "CBhello"])
    assert hamt.find(node, message, "hello", 0) == (True, node.links[1])
    assert hamt.find(node, message, "470.txt", 0) == (False, node.links[0])
    assert hamt.find(node, message, "absent", 0) is None
    assert list(hamt.entries(node, message)) == [(None, node.links[0]), ("hello", node.links[1])]


def test_other_fanouts_are_read_with_as_many_digits_as_they_need() -> None:
    # hello hashes to cbd8…: the first four bits are C, the first ten 32F.
    node, message = shard(["Chello"], fanout=16)
    assert hamt.find(node, message, "hello", 0) == (True, node.links[0])
    node, message = shard(["32Fhello"], fanout=1024)
    assert hamt.find(node, message, "hello", 0) == (True, node.links[0])


@pytest.mark.parametrize("fanout", [0, 4, 12, 2048])
def test_fanouts_no_one_writes_are_refused(fanout: int) -> None:
    with pytest.raises(ValueError, match="fanout"):
        list(hamt.entries(*shard(["00a"], fanout=fanout)))


def test_other_hash_functions_are_refused() -> None:
    node, _ = shard(["00a"])
    with pytest.raises(ValueError, match="murmur3"):
        hamt.find(node, unixfs.UnixFs(kind=unixfs.Kind.HAMT, hash_type=0x12, fanout=256), "a", 0)


@given(st.sets(st.integers(0, 2**24 - 1), min_size=1, max_size=60))
def test_every_hash_is_in_exactly_one_leaf_of_its_tree(prefixes: set[int]) -> None:
    hashes = sorted(prefix << 40 for prefix in prefixes)
    leaves: list[int] = []

    def visit(start: int, stop: int, level: int) -> None:
        for bucket, low, high in hamt.children(hashes, start, stop, level):
            assert all(value >> (56 - 8 * level) & 255 == bucket for value in hashes[low:high])
            if high - low == 1:
                leaves.append(hashes[low])
            else:
                visit(low, high, level + 1)

    visit(0, len(hashes), 0)
    assert leaves == hashes
