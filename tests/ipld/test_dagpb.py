from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.ipld import cid as cids
from fpin.ipld import dagpb
from fpin.ipld.dagpb import Link, Node
from tests.ipld.vectors import UNIXFS

CID = cids.cid_of(cids.RAW, b"a")
LINK = dagpb.encode_link(CID, b"a", 1)

cid_bytes = st.one_of(
    st.binary(min_size=32, max_size=32).map(lambda digest: cids.sha256_cid(cids.RAW, digest)),
    st.binary(min_size=32, max_size=32).map(lambda digest: b"\x12\x20" + digest),
)
links = st.builds(Link, cid_bytes, st.text(max_size=200), st.integers(0, 2**64 - 1))


@pytest.mark.parametrize("case", UNIXFS["nodes"], ids=lambda case: case["id"])
def test_known_blocks_decode_and_encode_to_the_same_bytes(case: dict[str, Any]) -> None:
    block = bytes.fromhex(case["block"])
    assert cids.format_cid(cids.cid_of(cids.DAG_PB, block)) == case["cid"]
    node = dagpb.decode(block)
    assert [link.name for link in node.links] == case["names"]
    assert [link.tsize for link in node.links] == case["tsizes"]
    assert dagpb.encode(node) == block


@given(st.lists(links, max_size=5), st.none() | st.binary(max_size=200))
def test_a_node_comes_back_from_its_block(links: list[Link], data: bytes | None) -> None:
    node = Node(tuple(links), data)
    assert dagpb.decode(dagpb.encode(node)) == node


@pytest.mark.parametrize("length", [80, 81, 82, 127, 128, 255])
def test_a_link_whose_length_takes_two_bytes_is_written_like_any_other(length: int) -> None:
    node = dagpb.decode(dagpb.encode_link(CID, b"n" * length, 2**40))
    assert node.links == (Link(CID, "n" * length, 2**40),)


def test_a_name_that_is_not_utf_8_survives_reading_and_writing() -> None:
    block = dagpb.encode_link(CID, b"\xff\xfe", 1)
    assert dagpb.encode(dagpb.decode(block)) == block


def test_data_may_stand_before_the_links() -> None:
    assert dagpb.decode(b"\x0a\x02\x08\x01" + LINK) == Node((Link(CID, "a", 1),), b"\x08\x01")


def test_name_and_size_of_a_link_may_be_missing() -> None:
    block = b"\x12\x26\x0a\x24" + CID
    assert dagpb.decode(block).links == (Link(CID, "", 0),)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (LINK + b"\x0a\x00" + LINK, "both sides"),
        (b"\x0a\x00\x0a\x00", "two data"),
        (b"\x18\x01", "field 3"),
        (b"\x08\x01", "field 1"),
        (b"\x0d\x00\x00\x00\x00", "field 1"),
        (b"\x12\x02\x12\x00", "no CID"),
        (b"\x12\x03\x0a\x01\x01", "varint"),
        (b"\x12\x28\x12\x00\x0a\x24" + CID, "order"),
        (b"\x12\x27\x0a\x25" + CID + b"\x00", "after its CID"),
        (b"\x12\x28\x0a\x24" + CID + b"\x20\x00", "field 4"),
        (LINK[:-1], "short"),
        (b"\x0b\x01", "wire type 3"),
    ],
)
def test_blocks_that_are_not_strictly_dag_pb_are_refused(block: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dagpb.decode(block)
