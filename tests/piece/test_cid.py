import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.ipld import cid, varint
from fpin.piece import MAX_PIECE_SIZE, PieceCid, parse_v1, piece_height, raw_size

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "piece.json").read_text("utf-8"))["cases"]
ROOT = bytes(range(32))

each_vector = pytest.mark.parametrize("case", VECTORS, ids=[case["id"] for case in VECTORS])


@each_vector
def test_a_v2_text_gives_size_padding_height_and_root(case: dict[str, Any]) -> None:
    piece = PieceCid.parse(case["v2"])
    assert (piece.payload_size, piece.padding, piece.height) == (
        case["payload_size"],
        case["padding"],
        case["height"],
    )
    assert piece.padded_size == 32 * 2 ** case["height"]
    assert piece.root == parse_v1(case["v1"])


@each_vector
def test_root_and_size_give_both_texts(case: dict[str, Any]) -> None:
    piece = PieceCid(parse_v1(case["v1"]), case["payload_size"])
    assert str(piece) == case["v2"]
    assert piece.v1() == case["v1"]


def test_the_binary_form_of_the_508_byte_vector() -> None:
    piece = PieceCid.parse("bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi")
    assert piece.to_bytes().hex().startswith("0155912022" + "00" + "04" + "496dae0c")
    assert piece.to_bytes().hex().endswith("d605")


@pytest.mark.parametrize(
    ("size", "padded", "height", "padding"),
    [
        (127, 128, 2, 0),
        (128, 256, 3, 126),
        (254, 256, 3, 0),
        (255, 512, 4, 253),
        (1016, 1024, 5, 0),
        (1017, 2048, 6, 1015),
        (1_048_576, 2_097_152, 16, 1_032_192),
        (MAX_PIECE_SIZE, 1 << 30, 25, 0),
    ],
)
def test_sizes_around_the_borders(size: int, padded: int, height: int, padding: int) -> None:
    piece = PieceCid(ROOT, size)
    assert (piece.padded_size, piece.height, piece.padding) == (padded, height, padding)


@given(st.binary(min_size=32, max_size=32), st.integers(0, raw_size(58)))
def test_text_and_bytes_come_back_as_they_went(root: bytes, size: int) -> None:
    piece = PieceCid(root, size)
    assert PieceCid.parse(str(piece)) == piece
    assert PieceCid.from_bytes(piece.to_bytes()) == piece
    assert parse_v1(piece.v1()) == root


@given(st.integers(0, raw_size(58)))
def test_the_tree_is_the_smallest_that_holds_the_payload(size: int) -> None:
    height = piece_height(size)
    assert size <= raw_size(height)
    assert height == 2 or size > raw_size(height - 1)


def digest(padding: bytes = b"\x00", height: int = 4, root: bytes = ROOT) -> bytes:
    return padding + bytes((height,)) + root


def piece_bytes(content: bytes, *, codec: int = cid.RAW, code: int = 0x1011) -> bytes:
    return cid.cid_v1(codec, varint.encode(code) + varint.encode(len(content)) + content)


BAD = {
    "nothing": b"",
    "codec dag-pb": piece_bytes(digest(), codec=cid.DAG_PB),
    "hash function of v1": piece_bytes(digest(), code=0x1012),
    "plain sha2-256": cid.sha256_cid(cid.RAW, ROOT),
    "version 0": b"\x12\x20" + ROOT,
    "root of 31 bytes": piece_bytes(digest(root=ROOT[1:])),
    "root of 33 bytes": piece_bytes(digest(root=ROOT + b"\x00")),
    "padding varint not minimal": piece_bytes(digest(padding=b"\x80\x00")),
    "padding varint not ended": piece_bytes(b"\x80" * 9 + ROOT),
    "length varint not minimal": b"\x01\x55\x91\x20\xa2\x00" + digest(),
    "digest cut short": piece_bytes(digest())[:-1],
    "bytes after the end": piece_bytes(digest()) + b"\x00",
    "height 1": piece_bytes(digest(height=1)),
    "height 59": piece_bytes(digest(height=59)),
    "half the tree is padding": piece_bytes(digest(padding=varint.encode(254))),
    "more padding than tree": piece_bytes(digest(padding=varint.encode(509))),
    "more padding than one quad": piece_bytes(digest(padding=varint.encode(128), height=2)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_bytes_that_are_no_piece_cid_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        PieceCid.from_bytes(data)


@pytest.mark.parametrize("padding", [0, 253])
def test_padding_below_half_the_tree_is_taken(padding: int) -> None:
    piece = PieceCid.from_bytes(piece_bytes(digest(padding=varint.encode(padding))))
    assert piece.payload_size == 508 - padding


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bafkzcib",
        "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
        "bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mb",
        "afkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi",
        "BAFKzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi",
    ],
    ids=["empty", "prefix", "v1", "cut short", "without base", "mixed case"],
)
def test_text_that_is_no_piece_cid_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        PieceCid.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    ],
    ids=["v2", "ordinary CID"],
)
def test_only_v1_is_parsed_as_v1(text: str) -> None:
    with pytest.raises(ValueError, match="version 1"):
        parse_v1(text)


def test_roots_and_sizes_that_no_cid_can_carry_are_refused() -> None:
    with pytest.raises(ValueError):
        PieceCid(ROOT[1:], 127)
    with pytest.raises(ValueError):
        PieceCid(ROOT, -1)
    with pytest.raises(ValueError):
        PieceCid(ROOT, raw_size(58) + 1)
