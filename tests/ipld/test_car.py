import io
from typing import Any

import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from fpin.errors import VerificationFailed
from fpin.ipld import car, varint
from fpin.ipld import cid as cids
from fpin.ipld.car import Block, CarTruncated
from tests.ipld.vectors import CAR

HELLO = CAR["hello_world"]
FILE = bytes.fromhex(HELLO["header"] + HELLO["section"])
HELLO_CID = cids.parse_cid(HELLO["root"])


def make_car(blocks: list[bytes], roots: list[bytes] | None = None) -> bytes:
    named = [(cids.cid_of(cids.RAW, data), data) for data in blocks]
    head = car.header([HELLO_CID] if roots is None else roots)
    return head + b"".join(car.section_prefix(cid, len(data)) + data for cid, data in named)


def make_v2(payload: bytes, *, padding: int = 0, index: bytes = b"") -> bytes:
    offset = 51 + padding
    place = bytes(16) + offset.to_bytes(8, "little") + len(payload).to_bytes(8, "little") + bytes(8)
    return bytes.fromhex(CAR["pragma_v2"]) + place + b"\xaa" * padding + payload + index


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_the_published_file_is_written_byte_for_byte() -> None:
    text = HELLO["text"].encode()
    assert car.header([HELLO_CID]).hex() == HELLO["header"]
    assert (car.section_prefix(HELLO_CID, len(text)) + text).hex() == HELLO["section"]
    assert car.section_size(len(HELLO_CID), len(text)) == len(HELLO["section"]) // 2


@pytest.mark.parametrize("case", CAR["header_sizes"], ids=lambda case: case["id"])
def test_a_header_with_one_root_has_a_constant_size(case: dict[str, Any]) -> None:
    assert len(car.header([cids.parse_cid(case["root"])])) == case["size"]


@pytest.mark.parametrize("count", [0, 1, 2, 23, 24, 300])
def test_headers_are_what_dag_cbor_writes(count: int) -> None:
    roots = [cids.cid_of(cids.RAW, bytes((n % 256, n // 256))) for n in range(count)]
    value: Any = {"roots": [CID.decode(root) for root in roots], "version": 1}
    body = dag_cbor.encode(value)
    assert car.header(roots) == varint.encode(len(body)) + body
    assert car.parse_header(body) == (1, tuple(roots))


@pytest.mark.parametrize("size", [1, 2, 59, 60, 1000])
def test_a_file_is_read_whatever_the_size_of_the_chunks_it_comes_in(size: int) -> None:
    reader = car.read_car(pieces(FILE, size))
    assert (reader.version, reader.roots) == (1, (HELLO_CID,))
    assert list(reader) == [Block(HELLO_CID, b"hello world")]
    assert reader.offset == len(FILE)


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 100), st.integers(0, 50))
def test_blocks_come_back_in_order_from_both_versions(blocks: list[bytes], chunk: int, padding: int) -> None:
    expected = [Block(cids.cid_of(cids.RAW, data), data) for data in blocks]
    data = make_car(blocks)
    assert list(car.read_car(pieces(data, chunk))) == expected
    wrapped = car.read_car(pieces(make_v2(data, padding=padding, index=b"\x81\x08anything"), chunk))
    assert (wrapped.version, wrapped.roots) == (2, (HELLO_CID,))
    assert list(wrapped) == expected


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 300))
def test_the_index_points_at_every_block_in_the_file(blocks: list[bytes], padding: int) -> None:
    for data in (
        make_car(blocks) + bytes(padding),
        make_v2(make_car(blocks), padding=padding, index=b"\x01"),
    ):
        sections = list(car.index_car(io.BytesIO(data)))
        assert [data[s.offset : s.offset + s.size] for s in sections] == blocks
        assert [s.cid for s in sections] == [cids.cid_of(cids.RAW, block) for block in blocks]


def test_the_offset_of_a_block_follows_from_the_bytes_consumed() -> None:
    data = make_car([b"one", b"three"])
    reader = car.read_car(io.BytesIO(data))
    for block in reader:
        assert data[reader.offset - len(block.data) : reader.offset] == block.data


def test_zeros_after_the_last_section_are_the_padding_of_a_piece() -> None:
    assert len(list(car.read_car([FILE + bytes(5_000_000)]))) == 1


@pytest.mark.parametrize("chunk", [1, 1000])
def test_anything_but_zeros_after_a_zero_length_section_is_refused(chunk: int) -> None:
    with pytest.raises(VerificationFailed, match="other than zero"):
        list(car.read_car(pieces(FILE + bytes(200) + b"\x01", chunk)))


def test_a_zero_length_section_ends_a_version_2_payload_before_its_index() -> None:
    assert len(list(car.read_car([make_v2(FILE + bytes(9), index=b"\xff\xff")]))) == 1


@pytest.mark.parametrize("length", range(1, len(FILE)))
def test_a_file_cut_anywhere_is_never_taken_for_whole(length: int) -> None:
    if length == 59:  # a header and no sections is a whole CAR
        assert list(car.read_car([FILE[:59]])) == []
        return
    with pytest.raises(CarTruncated):
        list(car.read_car([FILE[:length]]))


@pytest.mark.parametrize("length", range(60, len(FILE)))
def test_the_index_of_a_file_cut_in_a_section_is_refused(length: int) -> None:
    with pytest.raises(VerificationFailed):
        list(car.index_car(io.BytesIO(FILE[:length])))


def test_a_version_2_payload_that_ends_inside_a_section_is_cut_short() -> None:
    damaged = bytearray(make_v2(FILE, index=b"more bytes follow here"))
    damaged[35:43] = (len(FILE) - 1).to_bytes(8, "little")
    with pytest.raises(CarTruncated, match="past the end"):
        list(car.read_car([bytes(damaged)]))
    with pytest.raises(CarTruncated):
        list(car.index_car(io.BytesIO(damaged)))


def test_a_block_that_is_not_what_its_cid_says_is_refused_and_named() -> None:
    damaged = FILE[:-1] + b"!"
    with pytest.raises(VerificationFailed, match=f"{HELLO['root']} at byte 59") as caught:
        list(car.read_car([damaged]))
    assert caught.value.values == {"cid": HELLO["root"], "offset": 59}
    assert list(car.read_car([damaged], verify=False)) == [Block(HELLO_CID, b"hello worl!")]


def test_a_section_over_the_limit_is_refused_before_it_is_read() -> None:
    head = FILE[:59] + varint.encode(8 * 2**20 + 1)
    with pytest.raises(VerificationFailed, match="over 8388608"):
        list(car.read_car([head]))
    with pytest.raises(VerificationFailed, match="over 47"):
        list(car.read_car([FILE[:59] + b"\x30"], max_section=47))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\x01\xf6",
        b"hello world, this is no CAR file at all",
        b"\x0a\xa1\x67version\x03",
        b"\x0a\xa1\x67version\x01" + b"\xff" * 10,
        varint.encode(32 * 2**20 + 1),
        b"\x11\xa2\x65roots\x81\x01\x67version\x01",
        bytes.fromhex(CAR["pragma_v2"]) + bytes(40),
        make_v2(make_v2(FILE)),
        FILE[:59] + b"\x05\x01\x55\x12\x20a",
        FILE[:59] + b"\x80\x00",
    ],
)
def test_what_is_no_car_is_refused_by_both_readers(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        list(car.read_car([data]))
    with pytest.raises(VerificationFailed):
        list(car.index_car(io.BytesIO(data)))


def test_a_root_may_be_absent() -> None:
    assert car.read_car([car.header([])]).roots == ()
