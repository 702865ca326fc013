from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.ipld import cid as cids
from fpin.ipld import dagpb, unixfs
from fpin.ipld.unixfs import Kind, UnixFs
from tests.ipld.vectors import UNIXFS

numbers = st.none() | st.integers(0, 2**64 - 1)
times = st.none() | st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999))
messages = st.builds(
    UnixFs,
    kind=st.sampled_from(Kind),
    data=st.binary(max_size=50),
    filesize=numbers,
    blocksizes=st.lists(st.integers(0, 2**64 - 1), max_size=4).map(tuple),
    hash_type=numbers,
    fanout=numbers,
    mode=numbers,
    mtime=times,
)


@pytest.mark.parametrize("case", UNIXFS["messages"], ids=lambda case: case["id"])
def test_known_messages_and_their_blocks(case: dict[str, Any]) -> None:
    message = UnixFs(
        kind=Kind[case["kind"]],
        data=case.get("content", "").encode(),
        filesize=case.get("filesize"),
        mode=case.get("mode"),
        mtime=tuple(case["mtime"]) if "mtime" in case else None,
    )
    data = unixfs.encode(message)
    block = dagpb.encode(dagpb.Node(data=data))
    assert unixfs.decode(data) == message
    if "data" in case:
        assert data.hex() == case["data"]
    if "block" in case:
        assert block.hex() == case["block"]
    if "cid" in case:
        assert cids.format_cid(cids.cid_of(cids.DAG_PB, block)) == case["cid"]


@given(messages)
def test_a_message_comes_back_from_its_bytes(message: UnixFs) -> None:
    assert unixfs.decode(unixfs.encode(message)) == message


def test_packed_block_sizes_are_read_too() -> None:
    assert unixfs.decode(bytes.fromhex("0802 22 03 05 8001")).blocksizes == (5, 128)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "no type"),
        ("1800", "no type"),
        ("0809", "9 is not a valid Kind"),
        ("080148 01", "field 9"),
        ("0a0101", "field 1"),
        ("0802 12 05 00", "short"),
        ("0802 42 02 1000", "field 2"),
    ],
)
def test_what_is_no_unixfs_message_is_refused(data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unixfs.decode(bytes.fromhex(data))
