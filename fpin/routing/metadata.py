"""Metadata of an IPNI record: by which protocols the content can be had; knows no records or addresses.

Never raises: what cannot be read is kept as bytes, because a record with odd metadata is still a record
(spec routing-and-retrieval §1.5).
"""

from __future__ import annotations

from collections.abc import Iterable

from fpin.ipld import varint
from fpin.values import dataclass

BITSWAP = 0x0900
GRAPHSYNC = 0x0910
IPFS_GATEWAY_HTTP = 0x0920
PIECE_HTTP = 0x0930

IPFS_GATEWAY_METADATA = bytes.fromhex("a01200")  # all that Curio advertises

_NAMES = {
    BITSWAP: "transport-bitswap",
    GRAPHSYNC: "transport-graphsync-filecoinv1",
    IPFS_GATEWAY_HTTP: "transport-ipfs-gateway-http",
    PIECE_HTTP: "transport-filecoin-piece-http",
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way to retrieve; *payload* is undecoded."""

    code: int
    payload: bytes = b""

    @property
    def name(self) -> str:
        return _NAMES.get(self.code, f"0x{self.code:04x}")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What could be read, and the bytes from the first that could not."""

    protocols: tuple[Protocol, ...]
    rest: bytes = b""

    @property
    def http_retrievable(self) -> bool:
        """Half of rule R4; the other half is an HTTP address."""
        return any(protocol.code == IPFS_GATEWAY_HTTP for protocol in self.protocols)


def encode(names: Iterable[str]) -> bytes:
    """Return the metadata that lists the protocols called *names*, of those that have no payload.

    >>> encode(["transport-ipfs-gateway-http", "transport-unheard-of"]).hex()
    'a01200'
    """
    out, wanted = b"", {name.lower() for name in names}
    for code in sorted(code for code, name in _NAMES.items() if name in wanted and code != GRAPHSYNC):
        out += varint.encode(code) + (b"" if code == BITSWAP else b"\0")
    return out


def decode(data: bytes) -> Metadata:
    """Return the protocols in *data*.

    >>> [protocol.name for protocol in decode(bytes.fromhex("8012a01200")).protocols]
    ['transport-bitswap', 'transport-ipfs-gateway-http']
    """
    protocols: list[Protocol] = []
    offset = 0
    while offset < len(data):
        try:
            code, start = varint.decode(data, offset)
            payload, end = _payload(code, data, start)
        except (ValueError, IndexError):
            return Metadata(tuple(protocols), data[offset:])
        protocols.append(Protocol(code, payload))
        offset = end
    return Metadata(tuple(protocols))


def _payload(code: int, data: bytes, start: int) -> tuple[bytes, int]:
    if code == BITSWAP:
        return b"", start
    if code == GRAPHSYNC:
        end = _end_of_cbor(data, start, depth=0)
        return data[start:end], end
    if code in (IPFS_GATEWAY_HTTP, PIECE_HTTP) and start == len(data):
        return b"", start  # IPNI.md says no payload, the Go library writes a zero length: take both
    size, start = varint.decode(data, start)
    if start + size > len(data) or (size and code in (IPFS_GATEWAY_HTTP, PIECE_HTTP)):
        raise ValueError("payload does not fit")
    return data[start : start + size], start + size


def _end_of_cbor(data: bytes, offset: int, depth: int) -> int:
    """Return where the CBOR item at *offset* ends: all that is needed to step over it."""
    if depth > 8:
        raise ValueError("nested too deep")
    major, info = data[offset] >> 5, data[offset] & 31
    offset += 1
    value = info
    if info >= 24:
        width = 1 << (info - 24)
        if info > 27 or offset + width > len(data):
            raise ValueError("indefinite or cut short")
        value = int.from_bytes(data[offset : offset + width], "big")
        offset += width
    if major in (2, 3):
        offset += value
    elif major in (4, 5, 6):
        items = 1 if major == 6 else value * (major - 3)
        for _ in range(items):
            offset = _end_of_cbor(data, offset, depth + 1)
    if offset > len(data):
        raise ValueError("cut short")
    return offset
