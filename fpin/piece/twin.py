"""The piece commitment in plain Python: what every faster form must equal; knows no files and no CIDs.

Raw bytes are cut into quads of 127; fr32 spreads each over four 32-byte leaves of 254 bits; a parent is
the SHA-256 of its two children with the two highest bits of the last byte cleared. Positions in the tree
are given as heights: 0 is a leaf, 2 a quad, and a node at *height* covers ``127 * 2**(height - 2)`` bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from struct import Struct, iter_unpack

# fr32 works on one integer of 64 quads: a quarter of the interpreter's work of one integer a quad, and small
# enough for the processor's first cache (benchmarks/piece.py).
_GROUP = 64
_GROUP_SIZE = 127 * _GROUP
_QUADS = Struct("127s" * _GROUP)
_EVERY_QUAD = sum(1 << 1024 * quad for quad in range(_GROUP))
_PARTS = [((1 << 254) - 1 << 254 * part) * _EVERY_QUAD for part in range(4)]
_FIRST_HALF, _SECOND_HALF = _PARTS[0] | _PARTS[1], _PARTS[2] | _PARTS[3]
_EVEN_PARTS, _ODD_PARTS = _PARTS[0] | _PARTS[2] << 4, _PARTS[1] | _PARTS[3] << 4  # the second half moved

_PAIRS = Struct("64s" * 128)  # the leaves of a group: a tuple for each pair would cost a tenth of its hash

_CLEAR_TOP_BITS = bytes(byte & 0x3F for byte in range(256))
_SLICE_HEIGHT = 12  # 127 KiB at a time: its digests stay in the second cache
_SLICE_SIZE = 127 << (_SLICE_HEIGHT - 2)


def block_roots(data: bytes | bytearray | memoryview, height: int) -> bytes:
    """Return the roots, 32 bytes each, of the consecutive blocks of *data* that nodes at *height* cover.

    *height* is 2 or more. The last block may be short; it is completed with zeros.
    """
    view = memoryview(data).cast("B")
    low = min(height, _SLICE_HEIGHT)
    slices = (view[start : start + _SLICE_SIZE] for start in range(0, len(view), _SLICE_SIZE))
    roots = b"".join([fold(_parents(fr32(part)), 1, low) for part in slices])
    return fold(roots, low, height)


def fold(nodes: bytes, height: int, to: int) -> bytes:
    """Return the ancestors at height *to* of a row of *nodes* at *height*, which is completed with zeros.

    One node is left when they fit under it; of no nodes nothing is left.
    """
    for level in range(height, to):
        nodes = hash_pairs(nodes + zero_root(level) if len(nodes) % 64 else nodes)
    return nodes


def fr32(data: bytes | memoryview) -> Iterator[bytes]:
    """Yield the leaves of *data*, which is completed with zeros to whole quads, of some quads at a time.

    They are 128 bytes for every 127: two zero bits come after each 254 of the data.
    """
    for start in range(0, len(data), _GROUP_SIZE):
        group = bytes(data[start : start + _GROUP_SIZE])
        quads = _QUADS.unpack(group.ljust(_GROUP_SIZE, b"\0"))
        bits = int.from_bytes(b"\0".join(quads), "little")
        # Both parts of a half move by four bits at once, then every other part by two more.
        bits = bits & _FIRST_HALF | (bits & _SECOND_HALF) << 4
        bits = bits & _EVEN_PARTS | (bits & _ODD_PARTS) << 2
        yield bits.to_bytes(128 * _GROUP, "little")[: -(-len(group) // 127) * 128]


def hash_pairs(nodes: bytes) -> bytes:
    """Return the parents of an even number of 32-byte *nodes*, in order."""
    return _parents([nodes])


def _parents(rows: Iterable[bytes]) -> bytes:
    """Return the parents of all nodes in *rows*, an even number in each."""
    parents = bytearray(
        b"".join([sha256(pair).digest() for row in rows for some in _pairs(row) for pair in some])
    )
    # One call clears the bits of all nodes; a few operations on each would cost half as much as its hash.
    parents[31::32] = parents[31::32].translate(_CLEAR_TOP_BITS)
    return bytes(parents)


def _pairs(row: bytes) -> Iterator[tuple[bytes, ...]]:
    return iter_unpack("64s", row) if len(row) % _PAIRS.size else _PAIRS.iter_unpack(row)


@cache
def zero_root(height: int) -> bytes:
    """Return the root of a tree of *height* over nothing but zeros."""
    return hash_pairs(zero_root(height - 1) * 2) if height else bytes(32)
