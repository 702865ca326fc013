"""A directory too large for one block, as a plan: which HAMT shards it has, their order and their sizes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from fpin.errors import SourceError
from fpin.ipld import car, hamt, varint
from fpin.pack.shape import link_size

_SHARD_OVERHEAD = (
    9  # bytes of a shard's message besides the bitfield: type 2, its tag and length 2, hash 2, fanout 3
)


class Sharding:
    """The shards of one directory in the order they are made: below first, then by bucket, the root last.

    Columns, a row for each shard: it holds the names ``order[starts[i]:stops[i]]`` from level ``levels[i]``
    down; *below* counts the shards in its subtree, itself included. *hashes* and *order* have a row for each
    entry of the directory, sorted by hash; *order* gives its index in the tree.
    """

    def __init__(
        self, entries: Sequence[int], names: Sequence[bytes], tsizes: Sequence[int], cid_size: int
    ) -> None:
        """Plan the directory that holds *entries*; *names* and *tsizes* are columns of the whole tree."""
        keys = sorted(hamt.name_hash(names[entry]) << 32 | entry for entry in entries)
        self.hashes = array("Q", (key >> 32 for key in keys))
        self.order = array("I", (key & 0xFFFFFFFF for key in keys))
        self.levels = bytearray()
        self.starts = array("I")
        self.stops = array("I")
        self.below = array("I")
        self.tsizes = array("Q")
        self.offsets = array("Q", [0])  # in the CAR, from the first shard's section on
        self._names, self._entry_tsizes, self._cid_size = names, tsizes, cid_size
        try:
            self._plan(0, len(entries), 0)
        except ValueError as exc:
            raise SourceError(f"the directory cannot be stored: {exc}") from exc
        del self._names, self._entry_tsizes

    def __len__(self) -> int:
        return len(self.levels)

    def buckets(self, number: int) -> Iterator[tuple[int, int, int]]:
        """Yield ``(bucket, start, stop)`` of a shard, as `fpin.ipld.hamt.children` does."""
        return hamt.children(self.hashes, self.starts[number], self.stops[number], self.levels[number])

    def shards_below(self, number: int) -> list[int]:
        """Return the shards that a shard links to, by bucket."""
        found, child, first = [], number - 1, number - self.below[number] + 1
        while child >= first:
            found.append(child)
            child -= self.below[child]
        found.reverse()
        return found

    def _plan(self, start: int, stop: int, level: int) -> int:
        """Append the shard of a range of entries, after those below it; return its number."""
        first, links, tree, highest = len(self), 0, 0, 0
        for bucket, low, high in hamt.children(self.hashes, start, stop, level):
            if high - low == 1:
                entry = self.order[low]
                tsize, name_size = self._entry_tsizes[entry], 2 + len(self._names[entry])
            else:
                tsize, name_size = self.tsizes[self._plan(low, high, level + 1)], 2
            links += link_size(self._cid_size, name_size, tsize)
            highest = bucket
            tree += tsize
        message = _SHARD_OVERHEAD + highest // 8 + 1  # the highest bucket gives the bitfield's length
        block = links + 1 + varint.size(message) + message
        self.levels.append(level)
        self.starts.append(start)
        self.stops.append(stop)
        self.below.append(len(self) - first)
        self.tsizes.append(tree + block)
        self.offsets.append(self.offsets[-1] + car.section_size(self._cid_size, block))
        return len(self) - 1
