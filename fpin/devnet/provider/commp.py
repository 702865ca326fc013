"""The piece commitment, plainly: fr32, a binary sha256 tree, piece CIDs of both versions, Merkle proofs.

Standard library only, and on purpose not the client's implementation: when both agree on a piece, two
independent readings of the specification agree. Knows nothing of HTTP, chains or databases.

Sources: FRC-0069 (piece multihash, piece CID v2), go-fil-commp-hashhash (v1 vectors).
"""

from __future__ import annotations

import base64
import hashlib
from struct import iter_unpack
from typing import BinaryIO

from fpin.values import dataclass

MIN_PIECE_SIZE = 127
MAX_PIECE_SIZE = 1_065_353_216  # 127 * 2**23: a padded piece of 1 GiB

# One tree node is kept for every MiB of padded piece, so that a proof rehashes one MiB, not the piece.
NODE_HEIGHT = 15
BLOCK_SIZE = 127 << (NODE_HEIGHT - 2)  # raw bytes under one kept node

_V1_PREFIX = bytes.fromhex("0181e203922020")  # CIDv1, fil-commitment-unsealed, sha2-256-trunc254-padded, 32
_V2_PREFIX = bytes.fromhex("01559120")  # CIDv1, raw, fr32-sha256-trunc254-padbintree

_CLEAR_TOP_BITS = bytes(byte & 0x3F for byte in range(256))
_LOW_HALF = (1 << 508) - 1
_HIGH_HALF = _LOW_HALF << 508
_EVEN = ((1 << 254) - 1) | (((1 << 254) - 1) << 512)
_ODD = _EVEN << 254


def _parents(layer: bytes) -> bytes:
    """One tree level up: the sha256 of each 64 bytes, with the two top bits of its last byte cleared."""
    sha256 = hashlib.sha256
    hashes = bytearray(b"".join([sha256(pair).digest() for (pair,) in iter_unpack("64s", layer)]))
    hashes[31::32] = hashes[31::32].translate(_CLEAR_TOP_BITS)
    return bytes(hashes)


def _zero_nodes(levels: int) -> list[bytes]:
    nodes = [bytes(32)]
    for _ in range(levels):
        nodes.append(_parents(nodes[-1] * 2))
    return nodes


ZERO_NODES = _zero_nodes(51)
_ZERO_BLOCK = bytes(BLOCK_SIZE)


def fr32(raw: bytes) -> bytes:
    """Spread each 127 bytes over 128: four 254-bit little-endian numbers, each in 32 bytes.

    Whole groups are moved as integers, halves first (508 bits, 4 apart), then quarters (254 bits, 2 apart).
    *raw* must be a multiple of 127 bytes long.
    """
    number = int.from_bytes
    out = []
    for (group,) in iter_unpack("127s", raw):
        x = number(group, "little")
        x = (x & _LOW_HALF) | ((x & _HIGH_HALF) << 4)
        out.append(((x & _EVEN) | ((x & _ODD) << 2)).to_bytes(128, "little"))
    return b"".join(out)


def tree_height(payload_size: int) -> int:
    """Levels above the 32-byte leaves of the smallest piece that holds *payload_size* bytes; at least 2."""
    groups = max(1, -(-payload_size // 127))
    return 2 + (groups - 1).bit_length()


def _layers(raw: bytes, height: int) -> list[bytes]:
    """All layers of the tree over *raw* (zero-padded to *height*), leaves first."""
    layers = [fr32(raw.ljust(127 << (height - 2), b"\0"))]
    while len(layers[-1]) > 32:
        layers.append(_parents(layers[-1]))
    return layers


def _subtree(raw: bytes, height: int) -> bytes:
    """Root of the tree of *height* over *raw*; what is zero to the right of the data is not hashed again."""
    own = tree_height(len(raw))
    layer = fr32(raw.ljust(127 << (own - 2), b"\0"))
    while len(layer) > 32:
        layer = _parents(layer)
    return _climb(layer, own, height)


def _climb(node: bytes, height: int, top: int) -> bytes:
    for level in range(height, top):
        node = _parents(node + ZERO_NODES[level])
    return node


def _upper_layers(nodes: bytes, height: int) -> list[bytes]:
    """Layers from the kept nodes up to the root. Unpaired nodes have a zero tree on their right."""
    layers = [nodes]
    for level in range(NODE_HEIGHT, height):
        layer = layers[-1]
        if len(layer) // 32 % 2:
            layer += ZERO_NODES[level]
        layers.append(_parents(layer))
    return layers


@dataclass(frozen=True, slots=True)
class Piece:
    """A commitment together with the size of the data under it; what a version 2 piece CID says."""

    root: bytes
    payload_size: int  # bytes before padding

    @property
    def height(self) -> int:
        return tree_height(self.payload_size)

    @property
    def padded_size(self) -> int:
        return 32 << self.height

    @property
    def padding(self) -> int:
        return (127 << (self.height - 2)) - self.payload_size

    @property
    def binary(self) -> bytes:
        digest = _uvarint(self.padding) + bytes([self.height]) + self.root
        return _V2_PREFIX + bytes([len(digest)]) + digest

    @property
    def v2(self) -> str:
        return _multibase(self.binary)

    @property
    def v1(self) -> str:
        return piece_cid_v1(self.root)


def piece_cid_v1(root: bytes) -> str:
    return _multibase(_V1_PREFIX + root)


def parse_v2(text: str) -> Piece:
    """Return the piece that a version 2 piece CID names; ValueError for anything else."""
    cid = _unbase(text)
    if cid[:2] + cid[2:4] != _V2_PREFIX:
        raise ValueError("piece CID must be PieceCIDv2 format")
    return piece_from_digest(cid[4:])


def piece_from_digest(multihash: bytes) -> Piece:
    """Return the piece of a v2 multihash without its code: length, padding, height, root."""
    digest = multihash[1:]
    if not 34 <= len(digest) <= 42 or multihash[0] != len(digest):
        raise ValueError("piece CID has a digest of the wrong length")
    padding, used = _read_uvarint(digest)
    if len(digest) - used != 33:
        raise ValueError("piece CID has a digest of the wrong length")
    height = digest[used]
    whole = 127 << (height - 2) if height >= 2 else 0
    if not whole or (padding >= whole // 2 and height > 2) or padding > whole:
        raise ValueError(f"piece CID has padding {padding}, which does not fit height {height}")
    return Piece(digest[used + 1 :], whole - padding)


def parse_any(text: str) -> tuple[bytes, Piece | None]:
    """Return ``(root, piece)`` of a piece CID; *piece* is None for version 1, which knows no size."""
    cid = _unbase(text)
    if cid.startswith(_V1_PREFIX) and len(cid) == len(_V1_PREFIX) + 32:
        return cid[len(_V1_PREFIX) :], None
    piece = parse_v2(text)
    return piece.root, piece


def _multibase(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()


def _unbase(text: str) -> bytes:
    if not text.startswith("b") or text != text.lower():
        raise ValueError("selected encoding not supported: a piece CID is written in base32")
    try:
        return base64.b32decode(text[1:].upper() + "=" * (-(len(text) - 1) % 8))
    except ValueError as exc:
        raise ValueError(f"invalid cid: {exc}") from exc


def _uvarint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_uvarint(data: bytes) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[:9]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index:
                break
            return number, index + 1
    raise ValueError("piece CID has a damaged padding number")


@dataclass(frozen=True, slots=True)
class Committed:
    """A finished commitment and the kept tree nodes (32 bytes per MiB of padded piece) for proofs."""

    piece: Piece
    nodes: bytes


class CommitmentHasher:
    """Computes a commitment from a stream; remembers one node a MiB and less than two blocks of data."""

    def __init__(self) -> None:
        self.size = 0
        self._pending = bytearray()
        self._nodes = bytearray()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._pending += data
        self.size += len(data)
        while len(self._pending) >= BLOCK_SIZE:
            block = bytes(memoryview(self._pending)[:BLOCK_SIZE])
            del self._pending[:BLOCK_SIZE]
            # A sparse upload is mostly this: comparing a block costs a thousandth of hashing it.
            self._nodes += ZERO_NODES[NODE_HEIGHT] if block == _ZERO_BLOCK else _subtree(block, NODE_HEIGHT)

    def finish(self) -> Committed:
        height = tree_height(self.size)
        if height < NODE_HEIGHT:
            root = _subtree(bytes(self._pending), height)
            return Committed(Piece(root, self.size), b"")
        if self._pending:
            self._nodes += _subtree(bytes(self._pending), NODE_HEIGHT)
            self._pending.clear()
        nodes = bytes(self._nodes)
        root = _upper_layers(nodes, height)[-1]
        return Committed(Piece(root, self.size), nodes)


def commit(data: bytes) -> Piece:
    """Return the piece that *data* makes."""
    hasher = CommitmentHasher()
    hasher.update(data)
    return hasher.finish().piece


def prove(stored: BinaryIO, piece: Piece, nodes: bytes, leaf: int) -> tuple[bytes, list[bytes]]:
    """Return leaf number *leaf* of the tree and its siblings from the bottom up (as many as the height).

    *stored* is the piece's data, *nodes* what `CommitmentHasher` kept; only one block is read and hashed.
    """
    low = min(piece.height, NODE_HEIGHT)
    block, index = divmod(leaf, 1 << low)
    stored.seek(block * BLOCK_SIZE)
    raw = stored.read(BLOCK_SIZE)
    layers = _layers(raw, low)
    path = [_sibling(layer, index >> level, level) for level, layer in enumerate(layers[:-1])]
    if piece.height > NODE_HEIGHT:
        upper = _upper_layers(nodes, piece.height)
        path += [_sibling(layer, block >> step, NODE_HEIGHT + step) for step, layer in enumerate(upper[:-1])]
    return layers[0][index * 32 : index * 32 + 32], path


def _sibling(layer: bytes, index: int, level: int) -> bytes:
    start = (index ^ 1) * 32
    return layer[start : start + 32] or ZERO_NODES[level]
