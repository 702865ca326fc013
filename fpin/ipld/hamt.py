"""HAMT directories: which name stands in which shard; knows nothing of block stores.

Names are hashed with murmur3 (x64, 128 bits, seed 0); the first 64 bits, read as eight big-endian bytes,
give one bucket of 256 for each level. A bucket with one name holds the entry itself, one with more a
shard of the next level.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fpin.ipld import dagpb, protobuf, unixfs

HASH_TYPE = 0x22  # murmur3-x64-64
FANOUT = 256
MAX_LEVELS = 8
MAX_READ_FANOUT = 1024

PREFIXES = tuple(b"%02X" % bucket for bucket in range(FANOUT))

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def name_hash(name: bytes) -> int:
    """Return the 64 bits that place *name*; the bucket at level d is byte d, counted from the top.

    >>> f"{name_hash(b'hello'):016x}"
    'cbd8a7b341bd9b02'
    """
    h1 = h2 = 0
    length = len(name)
    for offset in range(0, length - 15, 16):
        k1 = int.from_bytes(name[offset : offset + 8], "little") * _C1 & _MASK
        k2 = int.from_bytes(name[offset + 8 : offset + 16], "little") * _C2 & _MASK
        h1 ^= ((k1 << 31 | k1 >> 33) & _MASK) * _C2 & _MASK
        h1 = ((((h1 << 27 | h1 >> 37) & _MASK) + h2) * 5 + 0x52DCE729) & _MASK
        h2 ^= ((k2 << 33 | k2 >> 31) & _MASK) * _C1 & _MASK
        h2 = ((((h2 << 31 | h2 >> 33) & _MASK) + h1) * 5 + 0x38495AB5) & _MASK
    tail = name[length & ~15 :]
    if len(tail) > 8:
        k2 = int.from_bytes(tail[8:], "little") * _C2 & _MASK
        h2 ^= ((k2 << 33 | k2 >> 31) & _MASK) * _C1 & _MASK
    if tail:
        k1 = int.from_bytes(tail[:8], "little") * _C1 & _MASK
        h1 ^= ((k1 << 31 | k1 >> 33) & _MASK) * _C2 & _MASK
    h1 ^= length
    h2 ^= length
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return (_mix(h1) + _mix(h2)) & _MASK


def _mix(k: int) -> int:
    k = (k ^ k >> 33) * 0xFF51AFD7ED558CCD & _MASK
    k = (k ^ k >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return k ^ k >> 33


def bitfield(buckets: Iterable[int]) -> bytes:
    """Return the set of *buckets* as a big-endian number, bit i for bucket i, without leading zero bytes.

    >>> bitfield([0, 9]).hex()
    '0201'
    """
    number = 0
    for bucket in buckets:
        number |= 1 << bucket
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def shard_data(buckets: Sequence[int]) -> bytes:
    """Return the dag-pb Data field of a shard that has *buckets* (ascending), as it stands in the block."""
    message = unixfs.UnixFs(kind=unixfs.Kind.HAMT, data=bitfield(buckets), hash_type=HASH_TYPE, fanout=FANOUT)
    return protobuf.bytes_field(1, unixfs.encode(message))


def children(hashes: Sequence[int], start: int, stop: int, level: int) -> Iterator[tuple[int, int, int]]:
    """Yield ``(bucket, start, stop)`` for each used bucket of one shard.

    *hashes* are sorted; ``hashes[start:stop]`` are the names below the shard, which stands at *level*
    (the root at 0). A range of one is the entry itself, a longer one a shard at the next level. Raises
    ValueError when two names share all 64 bits.
    """
    if level >= MAX_LEVELS:
        raise ValueError("two names have the same 64-bit hash, which no HAMT can hold")
    shift = 56 - 8 * level
    while start < stop:
        bucket = hashes[start] >> shift & 255
        end = start + 1
        while end < stop and hashes[end] >> shift & 255 == bucket:
            end += 1
        yield bucket, start, end
        start = end


def prefix_width(fanout: int) -> int:
    """Return how many hex digits stand before each name of a shard with *fanout* buckets."""
    if not 8 <= fanout <= MAX_READ_FANOUT or fanout & (fanout - 1):
        raise ValueError(f"HAMT fanout {fanout} is not a power of two from 8 to {MAX_READ_FANOUT}")
    return len(f"{fanout - 1:X}")


def entries(node: dagpb.Node, shard: unixfs.UnixFs) -> Iterator[tuple[str | None, dagpb.Link]]:
    """Yield ``(name, link)`` of a shard; the name is None where the link leads to a shard below.

    Buckets are read from the links, not from the bitfield, which is written in more than one way.
    """
    width = prefix_width(shard.fanout or 0)
    for link in node.links:
        if len(link.name) < width:
            raise ValueError(f"HAMT link {link.name!r} has no bucket")
        yield link.name[width:] or None, link


def placed_entries(
    node: dagpb.Node, shard: unixfs.UnixFs, above: tuple[int, int] = (0, 0)
) -> Iterator[tuple[str | None, dagpb.Link, tuple[int, int]]]:
    """Yield what `entries` does, and the place of each: ``(leading bits of the hash, how many)``.

    *above* is the place of the shard itself. Raises ValueError for a name that its hash puts elsewhere and
    for a bucket that is used twice: so no name occurs twice in a HAMT, however large it is.
    """
    if shard.hash_type != HASH_TYPE:
        raise ValueError(f"HAMT hash function 0x{shard.hash_type or 0:x} is not murmur3-x64-64")
    width, bits = prefix_width(shard.fanout or 0), (shard.fanout or 0).bit_length() - 1
    count = above[1] + bits
    if count > 64:
        raise ValueError("HAMT is deeper than its hash is long")
    used: set[int] = set()
    for name, link in entries(node, shard):
        bucket = int(link.name[:width], 16)
        if bucket in used or not 0 <= bucket < 1 << bits:
            raise ValueError(f"HAMT bucket {bucket} is used twice, or is none")
        used.add(bucket)
        place = above[0] << bits | bucket
        if name is not None and name_hash(name.encode("utf-8", "surrogateescape")) >> 64 - count != place:
            raise ValueError(f"HAMT name {name!r} stands in a bucket that is not its own")
        yield name, link, (place, count)


def find(node: dagpb.Node, shard: unixfs.UnixFs, name: str, level: int) -> tuple[bool, dagpb.Link] | None:
    """Return where *name* is to be looked for: ``(True, its link)``, ``(False, the shard below)``, or None.

    *level* is the shard's own, 0 for the root.
    """
    if shard.hash_type != HASH_TYPE:
        raise ValueError(f"HAMT hash function 0x{shard.hash_type or 0:x} is not murmur3-x64-64")
    fanout = shard.fanout or 0
    width, bits = prefix_width(fanout), fanout.bit_length() - 1
    if bits * (level + 1) > 64:
        raise ValueError("HAMT is deeper than its hash is long")
    hashed = name_hash(name.encode("utf-8", "surrogateescape"))
    prefix = f"{hashed >> (64 - bits * (level + 1)) & (fanout - 1):0{width}X}"
    for link in node.links:
        if link.name == prefix + name:
            return True, link
        if link.name == prefix:
            return False, link
    return None
