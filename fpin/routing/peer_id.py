"""Peer identities of libp2p: their bytes, their texts, and the public key inside; knows no addresses.

Inside fpin a peer ID is its multihash as `bytes`. Texts differ (base58, CID, with or without a ``z``), so
only bytes are compared.
"""

from __future__ import annotations

import hashlib

from fpin.ipld import cid as cids
from fpin.ipld import protobuf

LIBP2P_KEY = 0x72  # multicodec of peer IDs written as CIDs
ED25519 = 1  # key type in libp2p's PublicKey message
LONGEST_INLINE_KEY = 42  # bytes; longer key messages are hashed (libp2p peer-ids specification)

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def parse(text: str) -> bytes:
    """Return the peer ID written as *text*: ``12D3…``, ``Qm…``, with a leading ``z``, or as a CID.

    Raises ValueError for anything else.
    """
    try:
        if text.startswith(("1", "Qm")):
            return _checked(from_base58(text))
        if text.startswith("z") and text[1:3] in ("12", "Qm"):  # how synapse-sdk prints the capability
            return _checked(from_base58(text[1:]))
        cid = cids.parse_cid(text)
        if cids.codec_of(cid) != LIBP2P_KEY:
            raise ValueError("not the CID of a key")
        return _checked(cids.multihash_of(cid))
    except (ValueError, IndexError) as exc:
        raise ValueError(f"not a peer ID: {text[:80]!r}") from exc


def from_capability(value: bytes) -> bytes | None:
    """Return the peer ID in a provider's ``ipniPeerId`` capability: raw bytes, or text; None when neither."""
    try:
        return _checked(value)
    except ValueError:
        pass
    try:
        return parse(value.decode("ascii"))
    except ValueError:
        return None


def text_of(peer_id: bytes) -> str:
    """Return the usual text: base58, without a multibase prefix."""
    return base58(peer_id)


def base58(data: bytes) -> str:
    """Return *data* as base58btc text, without a multibase prefix."""
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        out = _BASE58[digit] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


def of_public_key(message: bytes) -> bytes:
    """Return the peer ID of a public key in its protobuf *message*."""
    if len(message) <= LONGEST_INLINE_KEY:
        return bytes((cids.IDENTITY, len(message))) + message
    return bytes((cids.SHA2_256, 32)) + hashlib.sha256(message).digest()


def public_key(message: bytes) -> tuple[int, bytes]:
    """Return ``(key type, key)`` of a PublicKey message; ValueError when it is damaged."""
    fields = {field: value for field, _, value in protobuf.fields(message)}
    kind, key = fields.get(1), fields.get(2)
    if not isinstance(kind, int) or not isinstance(key, bytes):
        raise ValueError("not a public key message")
    return kind, key


def _checked(multihash: bytes) -> bytes:
    code, digest = cids.split_multihash(multihash)
    if (code != cids.IDENTITY and code != cids.SHA2_256) or not digest:
        raise ValueError("not the multihash of a key")
    return multihash


def from_base58(text: str) -> bytes:
    """Return the bytes of base58btc *text*; ValueError for other characters."""
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
