"""Lookups that do not tell an indexer what is looked for: second hashes, and boxes that the first opens.

Knows the reader privacy of IPNI (spec routing-and-retrieval §1.7) and the extended providers that stand
beside a record, which a plain lookup would bring and this one has to put together itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from fpin.errors import IndexerUnavailable
from fpin.http import Reply
from fpin.ipld import cid as cids
from fpin.ipld import varint
from fpin.ipld.jsonbytes import read_json
from fpin.routing import peer_id
from fpin.routing.indexer import Answer, Indexer, Record, decode_base64, is_ndjson, looked_up, record_of

DBL_SHA2_256 = 0x56
MAX_KEYS = 100  # records of one block that are opened; each takes two more requests

_SALT = 64  # bytes, filled up with zeros
_NONCE = 12


def second_hash(multihash: bytes) -> bytes:
    """Return the multihash by which an indexer is asked for *multihash* without being told it."""
    return bytes((DBL_SHA2_256, 32)) + _salted(b"CR_DOUBLEHASH", multihash)


def opened(box: bytes, passphrase: bytes) -> bytes:
    """Return what is in *box*; ValueError when it was not closed with *passphrase*, or is damaged."""
    # 15 ms to import, and few ever need it
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(box) <= _NONCE:
        raise ValueError("too short for a nonce and a box")
    try:
        cipher = AESGCM(_salted(b"CR_ENCRYPTIONKEY", passphrase))
        return cipher.decrypt(box[:_NONCE], box[_NONCE:], None)
    except InvalidTag as exc:
        raise ValueError("the box does not open") from exc


def split_value_key(key: bytes) -> tuple[bytes, bytes]:
    """Return peer ID and ContextID in a value key; ValueError when it begins with no peer ID."""
    _, at = varint.decode(key)
    size, at = varint.decode(key, at)
    peer = key[: at + size]
    peer_id.parse(peer_id.text_of(peer))
    return peer, key[at + size :]


def _salted(purpose: bytes, data: bytes) -> bytes:
    return hashlib.sha256(purpose.ljust(_SALT, b"\0") + data).digest()


class PrivateIndexer(Indexer):
    """An indexer that is asked by second hash; some offer nothing else."""

    def find(self, cid: bytes) -> Answer:
        multihash = cids.multihash_of(cid)
        path = f"encrypted/multihash/{peer_id.base58(second_hash(multihash))}"
        return looked_up(lambda: self._get(path), lambda reply: self._open_all(_boxes(reply), multihash))

    def _open_all(self, boxes: Sequence[object], multihash: bytes) -> Iterator[Record]:
        keys = []
        for box in boxes[:MAX_KEYS]:
            try:
                keys.append((value_key := opened(decode_base64(box), multihash), *split_value_key(value_key)))
            except ValueError:
                continue  # one bad box hides nothing of the others
        if boxes and not keys:
            raise ValueError("none of the boxes opens")
        for value_key, peer, context_id in keys:
            metadata = self._metadata(value_key)
            if metadata is not None:
                yield from self._with_extended(peer, context_id, metadata)

    def _metadata(self, value_key: bytes) -> bytes | None:
        """Return the metadata that goes with *value_key*; None where it was removed."""
        data = self._fetched(f"metadata/{peer_id.base58(hashlib.sha256(value_key).digest())}")
        return None if data is None else opened(decode_base64(data["EncryptedMetadata"]), value_key)

    def _with_extended(self, peer: bytes, context_id: bytes, metadata: bytes) -> Iterator[Record]:
        """Yield the record of *peer*, and those of the extended providers that it names."""
        data = self._fetched(f"providers/{peer_id.text_of(peer)}")
        if data is None:
            return  # hidden, as it does not answer the indexer
        yield record_of(data["AddrInfo"], context_id, metadata)
        for place, other in _extended(data.get("ExtendedProviders"), context_id):
            record = record_of(place, context_id, other or metadata)
            if record.peer_id != peer or record.metadata != metadata:
                yield record

    def _fetched(self, path: str) -> Mapping[str, object] | None:
        """Return the JSON object at *path*; None where there is none."""
        reply = self._get(path)
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise IndexerUnavailable(f"HTTP {reply.status} for a part of the answer")
        data = reply.json()
        if not isinstance(data, dict):
            raise ValueError("not a JSON object")
        return data


def _boxes(reply: Reply) -> list[object]:
    """Return the closed value keys of an answer, read as what its Content-Type says it is (rule R1)."""
    if is_ndjson(reply):
        return [read_json(line)["EncryptedValueKey"] for line in reply.body.splitlines() if line.strip()]
    results = reply.json().get("EncryptedMultihashResults") or []
    return [box for result in results for box in result["EncryptedValueKeys"]]


def _extended(value: object, context_id: bytes) -> Iterator[tuple[object, bytes]]:
    """Yield address and metadata of each extended provider that stands beside a record of *context_id*.

    Those that an advertisement named for its own context come first, and alone where it says so.
    """
    if not isinstance(value, dict):
        return
    override = False
    for one in value.get("Contextual") or []:
        if _as_go_writes(one["ContextID"]) == _as_go_writes(context_id.decode("utf-8", "replace")):
            override |= one.get("Override") is True
            yield from _places(one)
    if not override:
        yield from _places(value)


def _places(value: Mapping[str, object]) -> Iterator[tuple[object, bytes]]:
    providers, metadata = value.get("Providers") or [], value.get("Metadatas") or []
    if not isinstance(providers, list) or not isinstance(metadata, list):
        raise ValueError("no list of providers")
    for index, provider in enumerate(providers):
        yield provider, decode_base64(metadata[index] if index < len(metadata) else None)


def _as_go_writes(text: str) -> str:
    """A ContextID is bytes, and Go puts it into JSON as text, each byte that is none as U+FFFD.

    Python counts some of them together: so rows of them are compared as one.
    """
    return re.sub("\ufffd+", "\ufffd", text)
