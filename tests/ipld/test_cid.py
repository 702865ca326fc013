import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from fpin.errors import VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import varint
from tests.ipld.vectors import UNIXFS, content

HELLO_V1 = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
HELLO_V0 = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"


def test_a_raw_block_has_the_cid_kubo_gives_it() -> None:
    cid = cids.cid_of(cids.RAW, b"hello world")
    assert cids.format_cid(cid) == HELLO_V1
    assert cid == b"\x01\x55\x12\x20" + hashlib.sha256(b"hello world").digest()
    assert cids.codec_of(cid) == cids.RAW


def test_version_0_is_a_bare_multihash_and_means_dag_pb() -> None:
    cid = cids.parse_cid(HELLO_V0)
    assert len(cid) == 34
    assert cids.is_v0(cid)
    assert cids.codec_of(cid) == cids.DAG_PB
    assert cids.multihash_of(cid) == cid
    assert cids.multihash_of(cids.to_v1(cid)) == cid
    assert cids.format_cid(cid) == HELLO_V0


@given(
    st.sampled_from([cids.RAW, cids.DAG_PB, cids.DAG_CBOR, cids.DAG_JSON]),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(
        ["base32", "base32upper", "base58btc", "base36", "base16", "base64url", "base32hex", "base2"]
    ),
)
def test_every_base_that_multiformats_writes_is_read(codec: int, digest: bytes, base: str) -> None:
    cid = cids.sha256_cid(codec, digest)
    other = CID.decode(cid)
    assert cids.parse_cid(other.encode(base)) == cid
    assert cids.format_cid(cid) == other.encode("base32")


@given(st.binary(min_size=32, max_size=32))
def test_version_0_text_is_what_multiformats_writes(digest: bytes) -> None:
    cid = b"\x12\x20" + digest
    assert cids.format_cid(cid) == str(CID("base58btc", 0, "dag-pb", ("sha2-256", digest)))
    assert cids.parse_cid(cids.format_cid(cid)) == cid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "hello",
        HELLO_V1[:-1],
        HELLO_V1 + "a",
        HELLO_V1 + "aa",
        HELLO_V1.replace("a", "A", 1),
        HELLO_V1 + "=",
        " " + HELLO_V1,
        HELLO_V0[:-1],
        HELLO_V0[:-1] + "0",
        "z" + HELLO_V0,
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5f",  # bits left over at the end
        "/ipfs/" + HELLO_V1,
    ],
)
def test_text_that_is_no_cid_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="not a CID"):
        cids.parse_cid(text)


@pytest.mark.parametrize("case", UNIXFS["inline"], ids=lambda case: case["cid"])
def test_an_identity_cid_carries_its_block(case: dict[str, Any]) -> None:
    cid = cids.parse_cid(case["cid"])
    data = content(case) if "text" in case else bytes.fromhex(case["data"])
    assert cids.identity_data(cid) == data
    assert cids.codec_of(cid) == case["codec"]
    assert cids.hash_matches(cid, data)
    assert not cids.hash_matches(cid, data + b"\0")


@pytest.mark.parametrize(
    ("code", "digest"),
    [
        (cids.SHA2_256, hashlib.sha256(b"data").digest()),
        (cids.SHA2_512, hashlib.sha512(b"data").digest()),
        (cids.BLAKE2B_256, hashlib.blake2b(b"data", digest_size=32).digest()),
    ],
)
def test_a_block_is_held_against_every_hash_function_fpin_knows(code: int, digest: bytes) -> None:
    cid = cids.cid_v1(cids.RAW, varint.encode(code) + varint.encode(len(digest)) + digest)
    assert cids.hash_matches(cid, b"data")
    assert not cids.hash_matches(cid, b"date")
    assert cids.read_cid(b"x" + cid + b"y", 1) == (cid, 1 + len(cid))


def test_an_unknown_hash_function_is_an_error_not_an_answer() -> None:
    cid = cids.cid_v1(cids.RAW, b"\x1e\x20" + bytes(32))  # blake3
    with pytest.raises(VerificationFailed, match="0x1e"):
        cids.hash_matches(cid, b"data")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x02\x55\x12\x20" + bytes(32),
        b"\x01\x55\x12\x20" + bytes(31),
        b"\x12\x20" + bytes(31),
        b"\x01\x55\x12\x81\x01" + bytes(129),
    ],
)
def test_binary_that_is_no_cid_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"CID|varint"):
        cids.read_cid(raw)
