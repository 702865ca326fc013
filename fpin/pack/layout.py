"""From a tree to a plan of blocks and pieces, by names and sizes alone; reads nothing, hashes no content.

A CID is as long whatever it names, so every block's size follows from names and sizes, and with it the
order of blocks, the Tsizes, the directories that become HAMTs, and where the CAR is cut into pieces. What
is not known before hashing is which blocks are equal: within a piece a block is written once, so a piece
may turn out smaller than planned, never larger.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

from fpin.errors import UsageError
from fpin.ipld import car, varint
from fpin.ipld import cid as cids
from fpin.pack.profiles import DEFAULT_PROFILE, Profile
from fpin.pack.shape import FileShape, file_shape, leaf_size, link_size
from fpin.pack.sharding import Sharding
from fpin.pack.tree import DIRECTORY, FILE, Tree
from fpin.piece import MAX_PIECE_SIZE, MIN_PIECE_SIZE
from fpin.values import dataclass

EMPTY_DIRECTORY = b"\x0a\x02\x08\x01"

# A piece under 127 bytes gets one more block, so that providers take it and it is still a CAR: the empty
# raw block, or, where that is the content itself, the empty directory.
FILLERS = (
    (cids.cid_of(cids.RAW, b""), b""),
    (cids.cid_of(cids.DAG_PB, EMPTY_DIRECTORY), EMPTY_DIRECTORY),
)
_MAX_FILLED = MIN_PIECE_SIZE - 1 + max(car.section_size(len(cid), len(data)) for cid, data in FILLERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceSpan:
    """The blocks that a piece holds, ``first_block`` up to but without ``end_block``."""

    index: int
    first_block: int
    end_block: int
    max_size: int  # bytes of the CAR if no two of its blocks are equal


class Layout:
    """Where every block of a tree goes. Blocks are numbered in the order they are made, over all pieces.

    Columns with a row for each entry: *tsizes*, of its whole subtree; *first_blocks* and *offsets*, number
    and CAR offset (headers not counted) of its own first block, with one row more for the end.
    """

    def __init__(self, tree: Tree, profile: Profile, piece_limit: int) -> None:
        self.tree = tree
        self.profile = profile
        self.header_size = len(car.header([profile.node_prefix + bytes(32)]))  # of each piece
        self.tsizes = array("Q")
        self.first_blocks = array("Q", [0])
        self.offsets = array("Q", [0])
        self.shardings: dict[int, Sharding] = {}
        self._composite = bytearray()  # 1 for all entries but files of a single leaf
        self._fill()
        self.pieces = self._cut(piece_limit)

    @property
    def block_count(self) -> int:
        return self.first_blocks[-1]

    @cached_property
    def files(self) -> int:
        return self.tree.files

    @cached_property
    def size(self) -> int:
        """Bytes of content."""
        return self.tree.size

    @property
    def car_size(self) -> int:
        """Bytes of all pieces together, at most."""
        return sum(piece.max_size for piece in self.pieces)

    def entry_at(self, block: int) -> int:
        """Return the entry that the block with that number belongs to."""
        return bisect_right(self.first_blocks, block) - 1

    def shape(self, entry: int) -> FileShape:
        """Return the tree over the content of a file."""
        return file_shape(self.tree.sizes[entry], self.profile)

    def is_leaf_root(self, entry: int) -> bool:
        """Tell whether the entry is a file of a single leaf."""
        return self.tree.kinds[entry] == FILE and self.tree.sizes[entry] <= self.profile.chunk_size

    def root_prefix(self, entry: int) -> bytes:
        """Return what stands before the digest in the CID of the entry's root block."""
        return self.profile.leaf_prefix if self.is_leaf_root(entry) else self.profile.node_prefix

    def block_prefix(self, block: int) -> bytes:
        """Return what stands before the digest in the CID of a block."""
        entry = self.entry_at(block)
        if (
            self.tree.kinds[entry] == FILE
            and self.shape(entry).locate(block - self.first_blocks[entry])[0] == 0
        ):
            return self.profile.leaf_prefix
        return self.profile.node_prefix

    def offset(self, block: int) -> int:
        """Return the bytes that the sections of all blocks before that number take."""
        if block == self.block_count:
            return self.offsets[-1]
        entry = self.entry_at(block)
        inside = block - self.first_blocks[entry]
        if inside == 0:
            return self.offsets[entry]
        if entry in self.shardings:
            return self.offsets[entry] + self.shardings[entry].offsets[inside]
        return self.offsets[entry] + self.shape(entry).offset(inside)

    def block_before(self, offset: int) -> int:
        """Return the last block that begins at or before *offset*; `block_count` at the very end."""
        if offset >= self.offsets[-1]:
            return self.block_count
        entry = bisect_right(self.offsets, offset) - 1
        first, inside = self.first_blocks[entry], offset - self.offsets[entry]
        if self.first_blocks[entry + 1] - first == 1:
            return first
        if entry in self.shardings:
            return first + bisect_right(self.shardings[entry].offsets, inside) - 1
        return first + self.shape(entry).number_at(inside)

    def made_blocks(self, start: int, stop: int) -> Iterator[int]:
        """Yield those of the blocks *start* to *stop* that are no leaves of files, ascending."""
        entry, last = self.entry_at(start), self.entry_at(stop - 1)
        while (entry := self._composite.find(1, entry, last + 1)) >= 0:
            first, end = self.first_blocks[entry], self.first_blocks[entry + 1]
            low, high = max(start, first), min(stop, end)
            if self.tree.kinds[entry] == FILE:
                yield from (first + node for node in self.shape(entry).nodes(low - first, high - first))
            else:
                yield from range(low, high)
            entry += 1

    def leaf_runs(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the runs of leaves among the blocks *start* to *stop*; one, maybe empty, before any other."""
        for made in self.made_blocks(start, stop):
            yield start, made
            start = made + 1
        yield start, stop

    def _fill(self) -> None:
        cid_size, chunk = self.profile.cid_size, self.profile.chunk_size
        raw, framed = self.profile.raw_leaves, self.profile
        tree = self.tree
        block = offset = 0
        for entry, (kind, size) in enumerate(zip(tree.kinds, tree.sizes, strict=True)):
            count = 1
            if kind == FILE and size <= chunk:
                tsize = size if raw else leaf_size(framed, size)
                offset += varint.size(cid_size + tsize) + cid_size + tsize
            elif kind == FILE:
                shape = file_shape(size, self.profile)
                count, tsize = shape.block_count, shape.tsize
                offset += shape.sections_size
            elif kind == DIRECTORY:
                count, tsize, sections = self._directory(entry)
                offset += sections
            else:
                tsize = symlink_size(size)
                offset += car.section_size(cid_size, tsize)
            block += count
            self._composite.append(kind != FILE or count > 1)
            self.tsizes.append(tsize)
            self.first_blocks.append(block)
            self.offsets.append(offset)

    def _directory(self, entry: int) -> tuple[int, int, int]:
        """Plan a directory; return the number of its blocks, its Tsize, and the size of its sections."""
        children = self.tree.children(entry)
        names = [self.tree.names[child] for child in children]
        tsizes = [self.tsizes[child] for child in children]
        cid_size = self.profile.cid_size
        block = len(EMPTY_DIRECTORY)
        for name, tsize in zip(names, tsizes, strict=True):
            block += link_size(cid_size, len(name), tsize)
        if self.profile.hamt_estimate == "block-bytes":
            estimate = block
        else:
            estimate = sum(map(len, names)) + cid_size * len(names)
        if estimate <= self.profile.hamt_threshold:
            return 1, sum(tsizes) + block, car.section_size(cid_size, block)
        sharding = self.shardings[entry] = Sharding(children, self.tree.names, self.tsizes, cid_size)
        return len(sharding), sharding.tsizes[-1], sharding.offsets[-1]

    def _cut(self, limit: int) -> tuple[PieceSpan, ...]:
        room = limit - self.header_size
        pieces: list[PieceSpan] = []
        first = start = 0
        while first < self.block_count:
            end = self.block_before(start + room)
            if end == first:
                size = self.offset(first + 1) - start
                raise UsageError(f"a piece of {limit} bytes has no room for a block of {size} bytes")
            stop = self.offset(end)
            size = self._filled_size(stop - start, end - first)
            pieces.append(PieceSpan(index=len(pieces), first_block=first, end_block=end, max_size=size))
            first, start = end, stop
        return tuple(pieces)

    def _filled_size(self, sections: int, blocks: int) -> int:
        """Return the largest size that a piece planned with *sections* bytes of sections can end up with."""
        size = self.header_size + sections
        if (
            blocks > 1
        ):  # fewer bytes may be left when equal blocks are dropped, and a filler come on top of those
            return max(size, _MAX_FILLED)
        if size >= MIN_PIECE_SIZE:
            return size
        fillers = [car.section_size(len(cid), len(data)) for cid, data in FILLERS]
        return size + (fillers[1] if sections == fillers[0] else fillers[0])


def symlink_size(target_size: int) -> int:
    """Return the size of the block of a symbolic link."""
    message = 2 + 1 + varint.size(target_size) + target_size
    return 1 + varint.size(message) + message


def plan(tree: Tree, *, profile: Profile = DEFAULT_PROFILE, piece_limit: int = MAX_PIECE_SIZE) -> Layout:
    """Return the layout of *tree*: a pure function of names, sizes and kinds.

    Each piece has at most *piece_limit* bytes. Raises UsageError when a block does not fit into one, and
    SourceError for a directory that no HAMT can hold (two names with one 64-bit hash).
    """
    return Layout(tree, profile, piece_limit)
