"""Index records as peers of the Delegated Routing API, and that API's two filters (IPIP-484).

Knows the names of retrieval protocols in metadata; knows nothing of HTTP.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace

from fpin.devnet.ipni.index import Record
from fpin.ipld import varint
from fpin.values import dataclass

_PROTOCOLS = {
    0x0900: "transport-bitswap",
    0x0910: "transport-graphsync-filecoinv1",
    0x0920: "transport-ipfs-gateway-http",
    0x0930: "transport-filecoin-piece-http",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Somebody who has the content, and how it is fetched from there."""

    peer: str
    addresses: tuple[str, ...]
    metadata: bytes

    @property
    def protocols(self) -> list[str]:
        return _protocol_names(self.metadata)

    def to_json(self) -> dict[str, object]:
        """As indexstar writes it: the metadata once more under each protocol's name."""
        metadata = base64.b64encode(self.metadata).decode()
        record: dict[str, object] = {"Schema": "peer", "ID": self.peer, "Addrs": [*self.addresses]}
        return {**record, "Protocols": self.protocols, **dict.fromkeys(self.protocols, metadata)}


def peers(records: Iterable[Record]) -> list[Peer]:
    """One peer per provider and metadata, however many context ids it has the content under."""
    found = (Peer(peer=r.provider, addresses=r.addresses, metadata=r.metadata) for r in records)
    return [*dict.fromkeys(found)]


def keep(found: Iterable[Peer], addresses: str | None, protocols: str | None) -> list[Peer]:
    """What is left after ``filter-addrs`` and ``filter-protocols``; None or empty: not asked for."""
    kept = [*found]
    if protocols:
        wanted = _names(protocols)
        kept = [peer for peer in kept if wanted & ({*peer.protocols} or {"unknown"})]
    if addresses:
        kept = [trimmed for peer in kept if (trimmed := _trim(peer, _names(addresses))) is not None]
    return kept


def _trim(peer: Peer, wanted: set[str]) -> Peer | None:
    """*peer* with the addresses that pass, or None where none is left."""
    if not peer.addresses:
        return peer if "unknown" in wanted else None
    unwanted = {name[1:] for name in wanted if name.startswith("!")}
    positive = {name for name in wanted if not name.startswith("!")} - {"unknown"}
    left = []
    for address in peer.addresses:
        names = {*address.split("/")}  # protocols and values alike; no devnet host is called "tcp"
        if not names & unwanted and (not positive or names & positive):
            left.append(address)
    return replace(peer, addresses=tuple(left)) if left else None


def _names(filter_text: str) -> set[str]:
    return {name.strip().lower() for name in filter_text.split(",")}


def _protocol_names(metadata: bytes) -> list[str]:
    """The protocols that *metadata* lists, as far as it can be read."""
    names: list[str] = []
    at = 0
    try:
        while at < len(metadata):
            code, at = varint.decode(metadata, at)
            names += [_PROTOCOLS[code]] if code in _PROTOCOLS else []
            if code == 0x0910:
                break  # its payload is a CBOR map without a length; nothing on the devnet follows one
            if code != 0x0900 and at < len(metadata):
                size, at = varint.decode(metadata, at)
                at += size
    except ValueError:
        pass
    return names
