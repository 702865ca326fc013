"""An Ed25519 libp2p identity: peer id, signed envelope, and the check of somebody else's envelope.

Knows nothing of what is signed. Other key types are refused: no devnet peer has one.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fpin.ipld import varint
from fpin.ipld.cid import multihash_of, parse_cid
from fpin.values import dataclass

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# Protobuf PublicKey {1: type, 2: data}: type 1 is Ed25519, data has 32 bytes.
_KEY_PREFIX = bytes.fromhex("08011220")


class BadSignature(ValueError):
    """A signature, or the envelope around it, does not hold."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an envelope with a valid signature says."""

    signer: str  # peer id text
    payload_type: bytes
    payload: bytes


class Identity:
    """The private key behind one peer id."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = _KEY_PREFIX + self._key.public_key().public_bytes_raw()
        self.peer_id = peer_id_of_key(self.public_key)

    def __repr__(self) -> str:
        return f"Identity({self.peer_id})"

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def seal(self, *, domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
        """A libp2p signed envelope (protobuf fields 1, 2, 3 and 5)."""
        signature = self.sign(_signed_bytes(domain, payload_type, payload))
        fields = ((1, self.public_key), (2, payload_type), (3, payload), (5, signature))
        return b"".join(varint.encode(number << 3 | 2) + _sized(data) for number, data in fields)


def peer_id_of_seed(seed: bytes) -> str:
    """The peer id text of the Ed25519 key made from a 32-byte *seed*."""
    return Identity(seed).peer_id


def peer_id_of_key(public_key: bytes) -> str:
    """The peer id text of a protobuf PublicKey: the key itself where it is short, else its hash."""
    if len(public_key) <= 42:
        return base58_encode(b"\x00" + varint.encode(len(public_key)) + public_key)
    return base58_encode(b"\x12\x20" + hashlib.sha256(public_key).digest())


def parse_peer_id(text: str) -> str:
    """The base58 form of a peer id written in base58 or as a CID; ValueError for anything else."""
    if text.startswith(("1", "Qm")):
        raw = base58_decode(text)
    else:
        raw = multihash_of(parse_cid(text))
    if raw[:2] not in (b"\x00\x24", b"\x12\x20") or len(raw) != 2 + raw[1]:
        raise ValueError(f"{text[:80]!r} is not a peer id")
    return base58_encode(raw)


def open_envelope(data: bytes, *, domain: bytes) -> Envelope:
    """Check the signature of a signed envelope; BadSignature where it does not hold."""
    fields = _read_fields(data)
    try:
        public_key, payload_type, payload, signature = (fields[number] for number in (1, 2, 3, 5))
    except KeyError as missing:
        raise BadSignature(f"the envelope has no field {missing}") from None
    check_signature(public_key, _signed_bytes(domain, payload_type, payload), signature)
    return Envelope(signer=peer_id_of_key(public_key), payload_type=payload_type, payload=payload)


def check_signature(public_key: bytes, data: bytes, signature: bytes) -> None:
    """BadSignature unless *signature* over *data* was made with the key of *public_key* (protobuf)."""
    if not public_key.startswith(_KEY_PREFIX) or len(public_key) != len(_KEY_PREFIX) + 32:
        raise BadSignature("the signer's key is not an Ed25519 key")
    try:
        Ed25519PublicKey.from_public_bytes(public_key[len(_KEY_PREFIX) :]).verify(signature, data)
    except InvalidSignature:
        raise BadSignature("the signature does not match") from None


def base58_encode(data: bytes) -> str:
    """Base58btc without a multibase prefix."""
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + text


def base58_decode(text: str) -> bytes:
    """The bytes of base58btc *text*; ValueError for a character outside the alphabet."""
    number = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise ValueError(f"{character!r} is not a base58 character")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _sized(data: bytes) -> bytes:
    return varint.encode(len(data)) + data


def _signed_bytes(domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
    return _sized(domain) + _sized(payload_type) + _sized(payload)


def _read_fields(data: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a protobuf message."""
    fields, at = {}, 0
    try:
        while at < len(data):
            key, at = varint.decode(data, at)
            size, at = varint.decode(data, at)
            if key & 7 != 2 or at + size > len(data):
                raise ValueError("not a length-delimited field")
            fields[key >> 3] = data[at : at + size]
            at += size
    except ValueError as exc:
        raise BadSignature(f"the envelope cannot be read: {exc}") from exc
    return fields
