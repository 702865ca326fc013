"""A piece as a stream: its bytes made again from the source files, from any offset, and checked again.

Nothing is spooled. What comes out is what was hashed, or `SourceChanged` names the file that is no longer
the same.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import field
from functools import cached_property

from fpin.ipld import car
from fpin.pack.layout import FILLERS, Layout, PieceSpan
from fpin.pack.nodes import DIGEST, make_block, section
from fpin.pack.reading import Room, check_symlink, read_again, room
from fpin.pack.seals import Seals
from fpin.pack.tree import SYMLINK
from fpin.piece import PieceCid
from fpin.values import dataclass

_CHUNK = 2**20 + 2**10  # bytes given out at a time: a leaf of 1 MiB, or four smaller ones, with their heads
_BATCH = 4 * _CHUNK  # of sections, read and checked at a time
_MAX_BLOCKS = 2048  # of a batch
_MAX_PARTS = 16  # of a batch, before they are joined: many small chunks cost more than a copy


def batches(layout: Layout, start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut the blocks *start* to *stop* into runs of about *size* bytes and at most `_MAX_BLOCKS`."""
    while start < stop:
        end = layout.block_before(layout.offset(start) + size)
        end = max(start + 1, min(end, stop, start + _MAX_BLOCKS))
        yield start, end
        start = end


def header(root_cid: bytes) -> bytes:
    """Return the header of every piece of a DAG, `Layout.header_size` bytes."""
    return car.header([root_cid])


@dataclass(frozen=True, kw_only=True)
class PackedPiece:
    """One piece of a packed tree: a CAR whose bytes are known, though they are written down nowhere."""

    layout: Layout = field(repr=False)
    span: PieceSpan
    digests: bytes | bytearray = field(repr=False)  # of all blocks of the layout
    dropped: array[int] = field(repr=False)  # blocks equal to one before them in this piece
    seals: Seals | None = field(repr=False)  # of leaves, with which checking them again costs little
    root_cid: bytes
    piece_cid: PieceCid

    @property
    def index(self) -> int:
        return self.span.index

    @property
    def size(self) -> int:
        """Bytes of the CAR."""
        return self.piece_cid.payload_size

    def open(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of the CAR from *offset* on, in chunks of about 1 MiB at most.

        Raises SourceChanged or SourceError, naming the file, before anything is yielded that is not what was
        hashed.
        """
        if offset < self.layout.header_size:
            yield header(self.root_cid)[offset:]
            offset = self.layout.header_size
        block = self._block_at(offset)
        skip = offset - self._position(block)
        buffer = room(min(_BATCH, self.size))
        for start, stop in self._kept_runs(block):
            for low, high in batches(self.layout, start, stop, _BATCH):
                for part in self._sections(low, high, buffer):
                    for position in range(skip, len(part), _CHUNK):
                        yield bytes(part[position : position + _CHUNK])
                    skip = max(0, skip - len(part))
        filler = self._filler()[skip:]
        if filler:
            yield filler

    def sample(self, count: int, seed: int) -> list[bytes]:
        """Return the CIDs of up to *count* different blocks of the piece, decided by *seed*."""
        blocks = range(self.span.first_block, self.span.end_block)
        import random

        chosen = random.Random(seed).sample(blocks, min(count, len(blocks)))
        return list(dict.fromkeys(self.block_cid(block) for block in chosen))

    def block_cid(self, block: int) -> bytes:
        """Return the CID of the block with that number in the layout."""
        return self.layout.block_prefix(block) + bytes(self.digests[block * DIGEST : (block + 1) * DIGEST])

    @cached_property
    def _dropped_before(self) -> array[int]:
        """Bytes of the dropped sections before each row of `dropped`, with one row more for the end."""
        total, sums = 0, array("Q", [0])
        for block in self.dropped:
            total += self.layout.offset(block + 1) - self.layout.offset(block)
            sums.append(total)
        return sums

    def _position(self, block: int) -> int:
        """Return where in the CAR the block stands; for a dropped one, what follows it."""
        dropped = self._dropped_before[bisect_left(self.dropped, block)]
        start = self.layout.offset(self.span.first_block)
        return self.layout.header_size + self.layout.offset(block) - start - dropped

    def _block_at(self, offset: int) -> int:
        """Return the block that the byte at *offset* belongs to; ``span.end_block`` after the last."""
        blocks = range(self.span.first_block, self.span.end_block + 1)
        return blocks[bisect_right(blocks, offset, key=self._position) - 1]

    def _kept_runs(self, block: int) -> Iterator[tuple[int, int]]:
        """Yield the runs of blocks, from *block* on, that are written."""
        for gap in self.dropped[bisect_left(self.dropped, block) :]:
            if block < gap:
                yield block, gap
            block = gap + 1
        if block < self.span.end_block:
            yield block, self.span.end_block

    def _sections(self, start: int, stop: int, buffer: Room) -> list[bytes | memoryview]:
        """Make the sections of some blocks in *buffer* and return them, all of them as they were hashed."""
        layout = self.layout
        data = read_again(layout, start, stop, buffer, self.digests, self.seals)
        parts: list[bytes | memoryview] = []
        position = 0
        for first, end in layout.leaf_runs(start, stop):
            size = layout.offset(end) - layout.offset(first)
            parts.append(data[position : position + size])
            if end < stop:
                parts.append(self._made_section(end))
            position += size
        return parts if len(parts) <= _MAX_PARTS else [b"".join(parts)]

    def _made_section(self, block: int) -> bytes:
        entry = self.layout.entry_at(block)
        if self.layout.tree.kinds[entry] == SYMLINK:
            check_symlink(self.layout, entry)
        digest = bytes(self.digests[block * DIGEST : (block + 1) * DIGEST])
        return section(self.layout.profile.node_prefix, digest, make_block(self.layout, self.digests, block))

    def _filler(self) -> bytes:
        end = self._position(self.span.end_block)
        return filler(self.block_cid(self.span.first_block)) if end < self.size else b""


def filler(only_cid: bytes) -> bytes:
    """Return the section that makes a CAR large enough for a piece, when its one block is *only_cid*.

    With two blocks it is large enough already: 57 bytes of header and 39 or more for each.
    """
    cid, data = FILLERS[0] if only_cid != FILLERS[0][0] else FILLERS[1]
    return car.section_prefix(cid, len(data)) + data
