"""Advertisements of IPNI: from bytes to fields, with hash and signature checked.

Knows dag-json and dag-cbor advertisements, signed heads and libp2p envelopes (spec routing-and-retrieval
§3.1–§3.5). Refuses to know where they are fetched from.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from fpin.errors import VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dagcbor, protobuf, varint
from fpin.ipld.jsonbytes import read_json
from fpin.routing import peer_id
from fpin.values import dataclass

NO_ENTRIES = cids.parse_cid("bafkreehdwdcefgh4dqkjv67uzcmw7oje")
MAX_CONTEXT_ID = 64  # bytes

_DOMAIN = b"indexer"
_PAYLOAD_TYPE = b"/indexer/ingest/adSignature"
_EXTENDED_TYPE = b"/indexer/ingest/extendedProviderSignature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """Another peer that has what an advertisement is about, and signed for saying so."""

    peer: str  # the text that is signed
    addresses: tuple[str, ...]
    metadata: bytes  # empty: that of the advertisement
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """One link of a publisher's chain. Nothing here is checked until `verify` returned."""

    cid: bytes
    previous: bytes | None  # None: the first one
    provider: str  # the text that is signed; not always the usual form
    addresses: tuple[str, ...]
    entries: bytes
    context_id: bytes
    metadata: bytes
    is_rm: bool
    signature: bytes
    extended: tuple[Extended, ...] = ()
    override: bool = False  # the extended providers of the whole chain do not count for this context

    def verify(self) -> bytes:
        """Return the peer ID of the signer.

        Raises VerificationFailed when the envelope is damaged, is over other fields, or has a wrong
        signature, or when an extended provider's is so: indexers refuse it then. The ContextID is not
        covered: only the hash that the head or a later advertisement names vouches for it.
        """
        key, payload = _open_envelope(self.signature, cids.format_cid(self.cid))
        if payload != _signed_payload(self):
            raise _failed(self.cid, "is signed over other fields than it has")
        for one in self.extended:
            _, payload = _open_envelope(one.signature, cids.format_cid(self.cid), _EXTENDED_TYPE)
            if self.is_rm or payload != _extended_payload(self, one):
                raise _failed(self.cid, f"has extended provider {one.peer}, who signed something else")
        if self.extended and self.provider not in [one.peer for one in self.extended]:
            raise _failed(self.cid, "has extended providers without its own provider among them")
        return peer_id.of_public_key(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The newest advertisement of a chain, as its publisher signed it."""

    head: bytes
    signer: bytes


def decode(cid: bytes, block: bytes) -> Advertisement:
    """Return the advertisement in *block*; VerificationFailed when it is not *cid*'s, or makes no sense."""
    if not cids.hash_matches(cid, block):
        raise _failed(cid, "has another hash than its CID")
    try:
        return _advertisement(cid, _load(cids.codec_of(cid), block))
    except (ValueError, KeyError, TypeError) as exc:
        raise _failed(cid, f"cannot be read: {exc}") from exc


def decode_head(body: bytes) -> SignedHead:
    """Return the signed head in *body* (dag-json), its signature checked.

    Whether its signer is the publisher that was asked is for the caller to compare. Raises
    VerificationFailed.
    """
    try:
        fields = _load(cids.DAG_JSON, body)
        head, key, signature = _link(fields["head"]), _bytes(fields["pubkey"]), _bytes(fields["sig"])
        topic = fields.get("topic", "")
        if not isinstance(topic, str):
            raise ValueError("topic is not a text")
    except (ValueError, KeyError, TypeError) as exc:
        raise VerificationFailed(f"the head of an advertisement chain cannot be read: {exc}") from exc
    _check_signature(key, signature, head + topic.encode(), "the head of an advertisement chain")
    return SignedHead(head=head, signer=peer_id.of_public_key(key))


def _advertisement(cid: bytes, fields: Mapping[str, object]) -> Advertisement:
    addresses, is_rm = fields["Addresses"], fields["IsRm"]
    if not isinstance(addresses, list) or not isinstance(is_rm, bool):
        raise ValueError("Addresses or IsRm has a wrong type")
    context_id = _bytes(fields["ContextID"])
    if len(context_id) > MAX_CONTEXT_ID:
        raise ValueError(f"ContextID of {len(context_id)} bytes")
    extended, override = _extension(fields.get("ExtendedProvider"))
    return Advertisement(
        cid=cid,
        previous=_link(fields["PreviousID"]) if "PreviousID" in fields else None,
        provider=_text(fields["Provider"]),
        addresses=tuple(_text(address) for address in addresses),
        entries=_link(fields["Entries"]),
        context_id=context_id,
        metadata=_bytes(fields["Metadata"]),
        is_rm=is_rm,
        signature=_bytes(fields["Signature"]),
        extended=extended,
        override=override,
    )


def _extension(value: object) -> tuple[tuple[Extended, ...], bool]:
    if value is None:
        return (), False
    if not isinstance(value, dict) or not isinstance(value["Providers"], list):
        raise ValueError("ExtendedProvider has a wrong type")
    found = [
        Extended(
            peer=_text(one["ID"]),
            addresses=tuple(_text(address) for address in one["Addresses"]),
            metadata=_bytes(one["Metadata"]),
            signature=_bytes(one["Signature"]),
        )
        for one in value["Providers"]
    ]
    return tuple(found), value["Override"] is True


def _extended_payload(ad: Advertisement, one: Extended) -> bytes:
    parts = [ad.previous or b"", ad.entries, ad.provider.encode(), ad.context_id, one.peer.encode()]
    parts += [address.encode() for address in one.addresses]
    parts += [one.metadata, bytes((ad.override,))]
    return b"\x12\x20" + hashlib.sha256(b"".join(parts)).digest()


def _signed_payload(ad: Advertisement) -> bytes:
    parts = [ad.previous or b"", ad.entries, ad.provider.encode()]
    parts += [address.encode() for address in ad.addresses]
    parts += [ad.metadata, bytes((ad.is_rm,))]
    return b"\x12\x20" + hashlib.sha256(b"".join(parts)).digest()


def _open_envelope(envelope: bytes, name: str, of_type: bytes = _PAYLOAD_TYPE) -> tuple[bytes, bytes]:
    """Return ``(public key message, payload)`` of a libp2p envelope whose signature is right."""
    try:
        fields = {field: value for field, _, value in protobuf.fields(envelope)}
        key, kind, payload, signature = (fields.get(number) for number in (1, 2, 3, 5))
        if not (isinstance(key, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
            raise ValueError("fields are missing")
        if kind != of_type:
            raise ValueError(f"payload type {kind!r}")
    except ValueError as exc:
        raise VerificationFailed(f"advertisement {name} has a damaged signature envelope: {exc}") from exc
    signed = b"".join(varint.encode(len(part)) + part for part in (_DOMAIN, of_type, payload))
    _check_signature(key, signature, signed, f"advertisement {name}")
    return key, payload


def _check_signature(key_message: bytes, signature: bytes, signed: bytes, what: str) -> None:
    # 24 ms to import, and only reading an advertisement chain needs it
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        kind, key = peer_id.public_key(key_message)
        if kind != peer_id.ED25519:
            raise VerificationFailed(f"{what} is signed with a kind of key that fpin cannot check ({kind})")
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError) as exc:
        raise VerificationFailed(f"{what} has a wrong signature") from exc


def _load(codec: int, block: bytes) -> Mapping[str, object]:
    """Return the map in *block*, links and bytes in the form that `_link` and `_bytes` take apart."""
    if codec == cids.DAG_JSON:
        value: object = read_json(block)
    elif codec == cids.DAG_CBOR:
        value = dagcbor.decode(block)
    else:
        raise ValueError(f"codec 0x{codec:x}")
    if not isinstance(value, dict):
        raise ValueError("not a map")
    return value


def _link(value: object) -> bytes:
    if isinstance(value, dagcbor.CidLink):
        return bytes(value)
    if not isinstance(value, dict):
        raise ValueError("link expected")
    return cids.parse_cid(_text(value["/"]))


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes) and not isinstance(value, dagcbor.CidLink):
        return value
    if not isinstance(value, dict):
        raise ValueError("bytes expected")
    text = _text(value["/"]["bytes"])
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("text expected")
    return value


def _failed(cid: bytes, words: str) -> VerificationFailed:
    text = cids.format_cid(cid)
    return VerificationFailed(f"advertisement {text} {words}", ad_cid=text)
