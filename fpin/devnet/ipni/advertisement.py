"""Advertisements, entry chunks and signed heads of IPNI: values to the exact bytes, bytes to checked values.

Knows nothing of storage or HTTP. Codecs are DAG-JSON and DAG-CBOR.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from fpin.devnet.dag import Link, Value, decode_cbor, decode_json, encode_cbor, encode_json
from fpin.devnet.ipni.extended import Extended, Extension
from fpin.devnet.ipni.identity import BadSignature, Identity, check_signature, open_envelope, peer_id_of_key
from fpin.ipld import varint
from fpin.ipld.cid import DAG_CBOR, DAG_JSON, codec_of, parse_cid, sha256_cid
from fpin.values import dataclass

NO_ENTRIES = parse_cid("bafkreehdwdcefgh4dqkjv67uzcmw7oje")
"""Stands in `Entries` of an advertisement that brings no multihashes: a removal, a new address."""
GATEWAY_METADATA = bytes.fromhex("a01200")
"""The protocol ``transport-ipfs-gateway-http`` (0x0920) and its empty payload."""
CHUNK_SIZE = 16384
MAX_CONTEXT_ID, MAX_METADATA = 64, 1024

_T = TypeVar("_T")
_DOMAIN = b"indexer"
_AD_TYPE = b"/indexer/ingest/adSignature"


class Malformed(ValueError):
    """A block is not the advertisement, chunk or head it is supposed to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """One link of a publisher's chain, newest to oldest."""

    previous: bytes | None  # CID; None: this is the first
    provider: str  # peer id text, exactly as written: it is signed
    addresses: tuple[str, ...]
    entries: bytes  # CID of the last chunk, or NO_ENTRIES
    context_id: bytes
    metadata: bytes
    is_rm: bool
    signature: bytes = b""
    extension: Extension | None = None

    def extended(
        self, identities: Sequence[tuple[Identity, Sequence[str]]], *, override: bool = False
    ) -> Advertisement:
        """This one with extended providers, each signing for itself; its own is to be among them."""
        providers = tuple(
            Extended(peer=identity.peer_id, addresses=tuple(addresses)).signed(
                identity, self._extension_covers(), override=override
            )
            for identity, addresses in identities
        )
        extension = Extension(context_id=self.context_id, override=override, providers=providers)
        return replace(self, extension=extension)

    def signed(self, identity: Identity) -> Advertisement:
        payload = self.signature_payload()
        return replace(self, signature=identity.seal(domain=_DOMAIN, payload_type=_AD_TYPE, payload=payload))

    def signature_payload(self) -> bytes:
        """The multihash that the envelope carries. ContextID is not covered: that is IPNI's rule."""
        covered = (self.previous or b"") + self.entries + self.provider.encode()
        covered += "".join(self.addresses).encode() + self.metadata + bytes([self.is_rm])
        return b"\x12\x20" + hashlib.sha256(covered).digest()

    def signer(self) -> str:
        """The peer id whose key signed this; BadSignature where the signature or what it covers is wrong."""
        envelope = open_envelope(self.signature, domain=_DOMAIN)
        if envelope.payload_type != _AD_TYPE:
            raise BadSignature(f"the envelope is of type {envelope.payload_type[:80]!r}")
        if envelope.payload != self.signature_payload():
            raise BadSignature("the signature covers another advertisement")
        if self.extension is not None:
            self._check_extension(self.extension)
        return envelope.signer

    def _check_extension(self, extension: Extension) -> None:
        if self.is_rm:
            raise BadSignature("a removal has no extended providers")
        for one in extension.providers:
            one.check(self._extension_covers(), override=extension.override)
        if extension.providers and self.provider not in [one.peer for one in extension.providers]:
            raise BadSignature("the provider itself is not among its extended providers")

    def _extension_covers(self) -> bytes:
        return (self.previous or b"") + self.entries + self.provider.encode() + self.context_id

    def to_value(self) -> Value:
        fields: dict[str, Value] = {
            "Addresses": list(self.addresses),
            "ContextID": self.context_id,
            "Entries": Link(self.entries),
            "IsRm": self.is_rm,
            "Metadata": self.metadata,
            "Provider": self.provider,
            "Signature": self.signature,
        }
        if self.previous is not None:
            fields["PreviousID"] = Link(self.previous)
        if self.extension is not None:
            fields["ExtendedProvider"] = {
                "Override": self.extension.override,
                "Providers": [one.to_value() for one in self.extension.providers],
            }
        return fields

    def to_json(self) -> tuple[bytes, bytes]:
        """(CID, block) in DAG-JSON, the form that storage providers publish."""
        block = encode_json(self.to_value())
        return block_cid(DAG_JSON, block), block


def decode_advertisement(cid: bytes, block: bytes) -> Advertisement:
    """Read an advertisement by the codec of its CID, or Malformed; the signature is not checked."""
    fields = _Fields(decode_block(cid, block))
    ad = Advertisement(
        previous=fields.optional_link("PreviousID"),
        provider=fields.text("Provider"),
        addresses=fields.texts("Addresses"),
        entries=fields.link("Entries"),
        context_id=fields.data("ContextID"),
        metadata=fields.data("Metadata"),
        is_rm=fields.flag("IsRm"),
        signature=fields.data("Signature"),
        extension=_extension(fields.value("ExtendedProvider"), fields.data("ContextID")),
    )
    if len(ad.context_id) > MAX_CONTEXT_ID or len(ad.metadata) > MAX_METADATA:
        raise Malformed("ContextID or Metadata is too long")
    return ad


def _extension(value: Value, context_id: bytes) -> Extension | None:
    if value is None:
        return None
    fields = _Fields(value)
    found = []
    for entry in map(_Fields, fields.values("Providers")):
        found.append(
            Extended(
                peer=entry.text("ID"),
                addresses=entry.texts("Addresses"),
                metadata=entry.data("Metadata"),
                signature=entry.data("Signature"),
            )
        )
    return Extension(context_id=context_id, override=fields.flag("Override"), providers=tuple(found))


def entry_chunks(multihashes: Iterable[bytes], size: int = CHUNK_SIZE) -> Iterator[tuple[bytes, bytes]]:
    """(CID, DAG-CBOR block) of each chunk: sorted, no repeats, each linking to the one before."""
    ordered = sorted(set(multihashes))
    previous: bytes | None = None
    for start in range(0, len(ordered), size):
        fields: dict[str, Value] = {"Entries": list(ordered[start : start + size])}
        if previous is not None:
            fields["Next"] = Link(previous)
        block = encode_cbor(fields)
        previous = block_cid(DAG_CBOR, block)
        yield previous, block


def decode_chunk(cid: bytes, block: bytes) -> tuple[list[bytes], bytes | None]:
    """(well-formed multihashes, next chunk's CID or None); Malformed where the block is no chunk."""
    fields = _Fields(decode_block(cid, block))
    entries = fields.value("Entries")
    if not isinstance(entries, list):
        raise Malformed("an entry chunk has a list of Entries")
    # IPNI drops malformed multihashes one by one; the rest of the chunk counts.
    found = [entry for entry in entries if isinstance(entry, bytes) and is_multihash(entry)]
    return found, fields.optional_link("Next")


def signed_head(head: bytes, identity: Identity) -> bytes:
    """The DAG-JSON answer to ``ad/head``: head, pubkey, sig; no topic, as storage providers send it."""
    return encode_json({"head": Link(head), "pubkey": identity.public_key, "sig": identity.sign(head)})


def open_head(block: bytes) -> tuple[bytes, str]:
    """(head CID, signer's peer id) of a signed head; Malformed or BadSignature."""
    try:
        fields = _Fields(decode_json(block))
    except ValueError as exc:
        raise Malformed(f"the signed head cannot be read: {exc}") from exc
    head, public_key = fields.link("head"), fields.data("pubkey")
    topic = fields.value("topic")
    covered = head + (topic.encode() if isinstance(topic, str) else b"")
    check_signature(public_key, covered, fields.data("sig"))
    return head, peer_id_of_key(public_key)


def block_cid(codec: int, block: bytes) -> bytes:
    return sha256_cid(codec, hashlib.sha256(block).digest())


def decode_block(cid: bytes, block: bytes) -> Value:
    """The value in *block*, by the codec of *cid*; Malformed for other codecs and bad bytes."""
    codec = codec_of(cid)
    if codec not in (DAG_JSON, DAG_CBOR):
        raise Malformed(f"codec 0x{codec:x} is neither DAG-JSON nor DAG-CBOR")
    try:
        return decode_json(block) if codec == DAG_JSON else decode_cbor(block)
    except ValueError as exc:
        raise Malformed(f"the block cannot be decoded: {exc}") from exc


def is_multihash(data: bytes) -> bool:
    """Whether *data* is a hash code, a length and that many bytes of digest."""
    try:
        _, at = varint.decode(data)
        size, at = varint.decode(data, at)
    except ValueError:
        return False
    return 0 < size == len(data) - at


class _Fields:
    """A decoded map whose members are asked for by type."""

    def __init__(self, value: Value) -> None:
        if not isinstance(value, dict):
            raise Malformed("the block is not a map")
        self._map = value

    def value(self, name: str) -> Value:
        return self._map.get(name)

    def text(self, name: str) -> str:
        return self._typed(name, str)

    def data(self, name: str) -> bytes:
        return self._typed(name, bytes)

    def flag(self, name: str) -> bool:
        return self._typed(name, bool)

    def link(self, name: str) -> bytes:
        return self._typed(name, Link).cid

    def optional_link(self, name: str) -> bytes | None:
        return self.link(name) if name in self._map else None

    def values(self, name: str) -> Sequence[Value]:
        items: Sequence[Value] = self._typed(name, list)
        return items

    def texts(self, name: str) -> tuple[str, ...]:
        items = self.values(name)
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) != len(items):
            raise Malformed(f"{name} holds something that is not text")
        return texts

    def _typed(self, name: str, kind: type[_T]) -> _T:
        value = self._map.get(name)
        if not isinstance(value, kind):
            raise Malformed(f"{name} is missing or of the wrong kind")
        return value
