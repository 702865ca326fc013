"""Advertisements and signed heads against spec routing-and-retrieval §3.11, and against tampering."""

import base64
import json
from pathlib import Path
from typing import Any

import dag_cbor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID

from fpin.errors import VerificationFailed
from fpin.ipld.cid import cid_of, format_cid, parse_cid
from fpin.routing import advertisement, peer_id
from tests.routing.chain import Chain

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ipni.json").read_text("utf-8"))
ADS = VECTORS["ads"]
PEER = peer_id.parse(VECTORS["peer_id"])
DAG_JSON, DAG_CBOR = 0x0129, 0x71


@pytest.mark.parametrize("case", ADS, ids=lambda case: case["id"])
def test_an_advertisement_is_read_and_its_signature_holds(case: dict[str, Any]) -> None:
    ad = advertisement.decode(parse_cid(case["cid"]), case["block"].encode())
    assert ad.verify() == PEER
    assert (format_cid(ad.previous) if ad.previous else None) == case["previous"]
    assert format_cid(ad.entries) == case["entries"]
    assert ad.context_id.hex() == case["context_id"]
    assert ad.metadata.hex() == case["metadata"]
    assert list(ad.addresses) == case["addresses"]
    assert ad.is_rm is case["is_rm"]
    assert (ad.entries == advertisement.NO_ENTRIES) is case["is_rm"]


def test_the_envelope_is_the_published_one() -> None:
    ad = advertisement.decode(parse_cid(ADS[0]["cid"]), ADS[0]["block"].encode())
    assert ad.signature.hex() == ADS[0]["envelope"]


def test_the_same_advertisement_in_dag_cbor_is_read_too() -> None:
    def value(item: Any) -> Any:
        if isinstance(item, dict) and set(item) == {"/"}:
            inner = item["/"]
            if isinstance(inner, str):
                return CID.decode(inner)
            return base64.b64decode(inner["bytes"] + "=" * (-len(inner["bytes"]) % 4))
        return item

    fields = {name: value(item) for name, item in json.loads(ADS[0]["block"]).items()}
    ad = advertisement.decode(parse_cid(ADS[0]["dag_cbor_cid"]), dag_cbor.encode(fields))
    assert ad.verify() == PEER
    assert ad.context_id == b"ctx-1"


def test_bytes_of_another_hash_are_refused() -> None:
    with pytest.raises(VerificationFailed, match="another hash"):
        advertisement.decode(parse_cid(ADS[0]["cid"]), ADS[1]["block"].encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Addresses", ["/dns/evil.example.com/tcp/443/https"]),
        ("Entries", {"/": "bafkreehdwdcefgh4dqkjv67uzcmw7oje"}),
        ("IsRm", True),
        ("Metadata", {"/": {"bytes": "gBI"}}),
        ("PreviousID", {"/": ADS[0]["cid"]}),
        ("Provider", "12D3KooWJ8WeTKXPRxUoJVzkLbqTVzXKuHwcCNUnHgWwZCKX6uoT"),
    ],
)
def test_a_change_to_any_signed_field_is_noticed(name: str, value: object) -> None:
    block = json.dumps(json.loads(ADS[0]["block"]) | {name: value}).encode()
    ad = advertisement.decode(cid_of(DAG_JSON, block), block)
    with pytest.raises(VerificationFailed, match="other fields"):
        ad.verify()


def test_a_signature_by_somebody_else_names_somebody_else() -> None:
    chain = Chain(seed=b"\x07" * 32)
    cid = chain.publish(b"ctx-1")
    ad = advertisement.decode(parse_cid(cid), chain.blocks[cid])
    assert ad.verify() == chain.peer_id != PEER


@settings(max_examples=60)
@given(st.integers(0, 168), st.integers(1, 255))
def test_any_flipped_bits_of_the_envelope_are_noticed(position: int, flip: int) -> None:
    envelope = bytearray.fromhex(ADS[0]["envelope"])
    envelope[position] ^= flip
    text = base64.b64encode(envelope).decode().rstrip("=")
    block = json.dumps(json.loads(ADS[0]["block"]) | {"Signature": {"/": {"bytes": text}}}).encode()
    ad = advertisement.decode(cid_of(DAG_JSON, block), block)
    with pytest.raises(VerificationFailed):
        ad.verify()


@pytest.mark.parametrize(
    "block",
    [b"", b"{}", b"[]", b"null", b"<html>", b'{"Addresses":[]}', b"[" * 50_000, b"\xff",
     json.dumps(json.loads(ADS[0]["block"]) | {"IsRm": 1}).encode(),
     json.dumps(json.loads(ADS[0]["block"]) | {"Entries": {"/": "hello"}}).encode(),
     json.dumps(json.loads(ADS[0]["block"]) | {"ContextID": {"/": {"bytes": "A" * 100}}}).encode()],
)  # fmt: skip
def test_nonsense_with_the_right_hash_is_a_verification_failure(block: bytes) -> None:
    with pytest.raises(VerificationFailed):
        advertisement.decode(cid_of(DAG_JSON, block), block)


@pytest.mark.parametrize("case", VECTORS["heads"], ids=lambda case: case["id"])
def test_a_signed_head_is_read(case: dict[str, Any]) -> None:
    head = advertisement.decode_head(case["body"].encode())
    assert format_cid(head.head) == ADS[1]["cid"]
    assert head.signer == PEER


def test_a_head_that_points_elsewhere_than_signed_is_refused() -> None:
    body = json.loads(VECTORS["heads"][0]["body"])
    body["head"] = {"/": ADS[0]["cid"]}
    with pytest.raises(VerificationFailed, match="wrong signature"):
        advertisement.decode_head(json.dumps(body).encode())


def test_a_topic_is_part_of_what_is_signed() -> None:
    body = json.loads(VECTORS["heads"][1]["body"]) | {"topic": "/indexer/ingest/testnet"}
    with pytest.raises(VerificationFailed, match="wrong signature"):
        advertisement.decode_head(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"head":{"/":"x"},"pubkey":1,"sig":2}'])
def test_a_head_that_makes_no_sense_is_a_verification_failure(body: bytes) -> None:
    with pytest.raises(VerificationFailed):
        advertisement.decode_head(body)
