"""The announcement a publisher PUTs to an indexer: "my newest advertisement is this one, fetch it there".

Knows both encodings and who is announced; sends and fetches nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from fpin.devnet.dag import Link, Value, decode_cbor, encode_cbor
from fpin.devnet.ipni import multiaddr
from fpin.ipld.cid import parse_cid
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A head and the addresses, each ending in ``/p2p/<publisher>``, where its chain is served."""

    head: bytes  # CID
    addresses: tuple[str, ...]

    @property
    def publisher(self) -> str:
        """The one peer id all addresses end with; ValueError where there is none, or several."""
        peers = {multiaddr.peer_of(address) for address in self.addresses}
        peer = peers.pop() if len(peers) == 1 else None
        if peer is None:
            raise ValueError("every address must end with the same /p2p/ peer id")
        return peer


def encode(announcement: Announcement) -> bytes:
    """CBOR: [CID, [binary multiaddr…], extra data]."""
    addresses: list[Value] = [multiaddr.to_bytes(address) for address in announcement.addresses]
    return encode_cbor([Link(announcement.head), addresses, b""])


def decode(body: bytes, content_type: str) -> Announcement:
    """Read an announcement: JSON where the type says ``application/json``, else CBOR; or ValueError."""
    if content_type == "application/json":
        head, addresses = _read_json(body)
    else:
        head, addresses = _read_cbor(body)
    texts = tuple(multiaddr.from_bytes(address) for address in addresses)
    if not texts:
        raise ValueError("must specify location to fetch on direct announcements")
    return Announcement(head=head, addresses=texts)


def _read_cbor(body: bytes) -> tuple[bytes, list[bytes]]:
    value = decode_cbor(body)
    if not isinstance(value, list) or len(value) not in (3, 4):
        raise ValueError("an announcement is a CBOR array of 3 or 4")
    head, addresses = value[0], value[1]
    if not isinstance(head, Link) or not isinstance(addresses, list):
        raise ValueError("an announcement starts with a link and a list of addresses")
    return head.cid, _all_bytes(addresses)


def _all_bytes(items: Sequence[Value]) -> list[bytes]:
    found = [item for item in items if isinstance(item, bytes)]
    if len(found) != len(items):
        raise ValueError("an address of an announcement is a byte string")
    return found


def _read_json(body: bytes) -> tuple[bytes, list[bytes]]:
    try:
        value = json.loads(body)
        head = parse_cid(value["Cid"]["/"])
        return head, [base64.b64decode(text, validate=True) for text in value["Addrs"] or ()]
    except (KeyError, TypeError, AttributeError, binascii.Error, RecursionError) as exc:
        raise ValueError(f"the announcement cannot be read: {exc!r}") from exc
