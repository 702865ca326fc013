"""Peer IDs: many texts, one identity."""

import base64
import json
from pathlib import Path

import pytest

from fpin.routing import peer_id

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ipni.json").read_text("utf-8"))
KEY = bytes.fromhex("08011220" + VECTORS["public_key"])
TEXT = VECTORS["peer_id"]


def test_an_ed25519_key_is_inlined() -> None:
    assert peer_id.of_public_key(KEY) == b"\x00\x24" + KEY
    assert peer_id.text_of(peer_id.of_public_key(KEY)) == TEXT


def test_a_long_key_is_hashed() -> None:
    rsa = bytes.fromhex("080012" + "ff") + bytes(290)
    assert peer_id.text_of(peer_id.of_public_key(rsa)).startswith("Qm")


def test_every_way_of_writing_it_gives_the_same_bytes() -> None:
    as_cid = "b" + base64.b32encode(b"\x01\x72\x00\x24" + KEY).decode().rstrip("=").lower()
    for text in (TEXT, "z" + TEXT, as_cid):
        assert peer_id.parse(text) == b"\x00\x24" + KEY


def test_the_capability_holds_raw_bytes_or_text() -> None:
    raw = b"\x00\x24" + KEY
    assert peer_id.from_capability(raw) == raw
    assert peer_id.from_capability(TEXT.encode()) == raw
    assert peer_id.from_capability(b"") is None
    assert peer_id.from_capability(b"\xff\xfe") is None


@pytest.mark.parametrize(
    "text", ["", "z", "1", "Qm0", "hello", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        peer_id.parse(text)
