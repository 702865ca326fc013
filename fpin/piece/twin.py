"""The piece commitment in plain Python: what every faster form must equal; knows no files and no CIDs.

Raw bytes are cut into quads of 127; fr32 spreads each over four 32-byte leaves of 254 bits; a parent is
the SHA-256 of its two children with the two highest bits of the last byte cleared. Positions in the tree
are given as heights: 0 is a leaf, 2 a quad, and a node at *height* covers ``127 * 2**(height - 2)`` bytes.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from struct import Struct, iter_unpack

# fr32 works on one integer of 64 quads: a quarter of the interpreter's work of one integer a quad, and small
# enough for the processor's first cache (benchmarks/piece.py).
_GROUP = 64
_GROUP_SIZE = 127 * _GROUP
_QUADS = Struct("127s" * _GROUP)
_EVERY_QUAD = sum(1 << 1024 * quad for quad in range(_GROUP))
_PART_MASKS = tuple(((1 << 254) - 1 << 254 * part) * _EVERY_QUAD for part in range(4))

_CLEAR_TOP_BITS = bytes(byte & 0x3F for byte in range(256))
_SLICE_HEIGHT = 12  # 127 KiB at a time: its digests stay in the second cache
_SLICE_SIZE = 127 << (_SLICE_HEIGHT - 2)


def block_roots(data: bytes | bytearray | memoryview, height: int) -> bytes:
    """Return the roots, 32 bytes each, of the consecutive blocks of *data* that nodes at *height* cover.

    *height* is 2 or more. The last block may be short; it is completed with zeros.
    """
    view = memoryview(data).cast("B")
    low = min(height, _SLICE_HEIGHT)
    roots = []
    for start in range(0, len(view), _SLICE_SIZE):
        part = bytes(view[start : start + _SLICE_SIZE])
        roots.append(fold(fr32(part + bytes(-len(part) % 127)), 0, low))
    return fold(b"".join(roots), low, height)


def fold(nodes: bytes, height: int, to: int) -> bytes:
    """Return the ancestors at height *to* of a row of *nodes* at *height*, which is completed with zeros.

    One node is left when they fit under it; of no nodes nothing is left.
    """
    for level in range(height, to):
        nodes = hash_pairs(nodes + zero_root(level) if len(nodes) % 64 else nodes)
    return nodes


def fr32(data: bytes) -> bytes:
    """Return the leaves of whole quads: 128 bytes for every 127, two zero bits after each 254 of data."""
    first, second, third, fourth = _PART_MASKS
    leaves = []
    for (group,) in iter_unpack(f"{_GROUP_SIZE}s", data + bytes(-len(data) % _GROUP_SIZE)):
        bits = int.from_bytes(b"\0".join(_QUADS.unpack(group)), "little")
        spread = bits & first | (bits & second) << 2 | (bits & third) << 4 | (bits & fourth) << 6
        leaves.append(spread.to_bytes(128 * _GROUP, "little"))
    return b"".join(leaves)[: len(data) // 127 * 128]


def hash_pairs(nodes: bytes) -> bytes:
    """Return the parents of an even number of 32-byte *nodes*, in order."""
    parents = bytearray(b"".join([sha256(pair).digest() for (pair,) in iter_unpack("64s", nodes)]))
    # One call clears the bits of all nodes; a few operations on each would cost half as much as its hash.
    parents[31::32] = parents[31::32].translate(_CLEAR_TOP_BITS)
    return bytes(parents)


@cache
def zero_root(height: int) -> bytes:
    """Return the root of a tree of *height* over nothing but zeros."""
    return hash_pairs(zero_root(height - 1) * 2) if height else bytes(32)
