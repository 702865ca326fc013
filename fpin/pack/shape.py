"""The balanced tree over one file, as arithmetic: where each block stands and how large it is.

Nothing here is proportional to the file: any block of a tebibyte is found by its number in microseconds.
Blocks are numbered in the order they are made: a node directly after its last child, the root last.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from fpin.ipld import car, protobuf, varint
from fpin.pack.profiles import Profile


def link_size(cid_size: int, name_size: int, tsize: int) -> int:
    """Return the bytes a link takes in a dag-pb block."""
    body = 4 + cid_size + varint.size(name_size) + name_size + varint.size(tsize)
    return 1 + varint.size(body) + body


def leaf_frame(profile: Profile, size: int) -> tuple[bytes, bytes]:
    """Return what stands before and after *size* bytes of content in the block of a leaf."""
    if profile.raw_leaves:
        return b"", b""
    length = protobuf.uvarint(size)
    content = b"\x12" + length if size else b""
    end = b"\x18" + length
    return b"\x0a" + protobuf.uvarint(2 + len(content) + size + len(end)) + b"\x08\x02" + content, end


def leaf_size(profile: Profile, size: int) -> int:
    """Return the size of the block of a leaf that holds *size* bytes."""
    if profile.raw_leaves:
        return size
    start, end = leaf_frame(profile, size)
    return len(start) + size + len(end)


class _Node(NamedTuple):
    """What is known of a node; *tsize*, *blocks* and *sections* are of all blocks from it down."""

    content: int  # bytes of the file
    size: int  # bytes of its own block
    section: int  # bytes that its own block takes in a CAR
    tsize: int  # bytes
    blocks: int  # how many
    sections: int  # bytes that they take in a CAR


class _Row(NamedTuple):
    """A level of the tree: its last node may be smaller than the others, which are full."""

    nodes: int
    span: int  # leaves below a full node
    full: _Node
    last: _Node


class FileShape:
    """The tree of a file of *size* bytes; level 0 are the leaves, the last level is the root alone."""

    def __init__(self, size: int, profile: Profile) -> None:
        self.profile = profile
        self.size = size
        self.leaves = max(1, -(-size // profile.chunk_size))
        full = self._leaf(profile.chunk_size)
        last = self._leaf(size - (self.leaves - 1) * profile.chunk_size)
        self.rows = [_Row(self.leaves, 1, full, last)]
        while self.rows[-1].nodes > 1:
            self.rows.append(self._row_above(self.rows[-1]))
        root = self.rows[-1].last
        self.tsize = root.tsize  # of a link to the root
        self.block_count = root.blocks
        self.sections_size = root.sections  # bytes that all blocks take in a CAR

    def content_size(self, level: int, index: int) -> int:
        """Return how many bytes of the file are below a node."""
        return self._node(level, index).content

    def tree_size(self, level: int, index: int) -> int:
        """Return the Tsize of a link to a node."""
        return self._node(level, index).tsize

    def number(self, level: int, index: int) -> int:
        """Return the number of the block of a node."""
        last_leaf = min((index + 1) * self.rows[level].span, self.leaves) - 1
        return sum(last_leaf // row.span for row in self.rows) + level

    def locate(self, number: int) -> tuple[int, int]:
        """Return ``(level, index)`` of the block with that number, 0 <= *number* < `block_count`."""
        level, index, _ = self._find(number)
        return level, index

    def number_at(self, offset: int) -> int:
        """Return the number of the last block that begins in a CAR at or before *offset* of the first."""
        level, index, before = len(self.rows) - 1, 0, 0
        while offset < (node := self._node(level, index)).sections - node.section:  # it is below this one
            level -= 1
            child, offset = divmod(offset, self.rows[level].full.sections)
            index = index * self.profile.width + child
            before += child * self.rows[level].full.blocks
        return before + node.blocks - 1

    def offset(self, number: int) -> int:
        """Return the bytes that the blocks before that number take in a CAR."""
        if number == self.block_count:
            return self.sections_size
        level, index, before = self._find(number)
        node = self._node(level, index)
        return before + node.sections - node.section

    def leaf_at_or_after(self, number: int) -> int:
        """Return the first leaf whose block has that number or a higher one; `leaves` if there is none."""
        if number >= self.block_count:
            return self.leaves
        level, index = self.locate(number)
        return index if level == 0 else min((index + 1) * self.rows[level].span, self.leaves)

    def nodes(self, start: int, stop: int) -> Iterator[int]:
        """Yield those of the blocks *start* to *stop* that are no leaves."""
        number = start
        while number < stop:
            level, index = self.locate(number)
            if level:
                yield number
                number += 1
            else:  # the next node stands after the last leaf of this group
                width = self.profile.width
                number = self.number(0, min((index // width + 1) * width, self.leaves) - 1) + 1

    def _find(self, number: int) -> tuple[int, int, int]:
        """Return level and index of a block, and the bytes of what stands before all blocks below it."""
        level, index, before = len(self.rows) - 1, 0, 0
        while number < self._node(level, index).blocks - 1:  # it is below this node
            level -= 1
            child, number = divmod(number, self.rows[level].full.blocks)
            index = index * self.profile.width + child
            before += child * self.rows[level].full.sections
        return level, index, before

    def _node(self, level: int, index: int) -> _Node:
        row = self.rows[level]
        return row.full if index < row.nodes - 1 else row.last

    def _leaf(self, content: int) -> _Node:
        size = leaf_size(self.profile, content)
        section = car.section_size(self.profile.cid_size, size)
        return _Node(content, size, section, size, 1, section)

    def _row_above(self, below: _Row) -> _Row:
        width = self.profile.width
        count = -(-below.nodes // width)
        full = self._above([(width, below.full)])
        last = self._above([(below.nodes - (count - 1) * width - 1, below.full), (1, below.last)])
        return _Row(count, below.span * width, full, last)

    def _above(self, children: list[tuple[int, _Node]]) -> _Node:
        """Return the node above some runs of equal *children*, each with their number."""
        cid_size = self.profile.cid_size
        content = sum(count * child.content for count, child in children)
        links = sum(count * link_size(cid_size, 0, child.tsize) for count, child in children)
        sizes = sum(count * (1 + varint.size(child.content)) for count, child in children)
        message = 3 + varint.size(content) + sizes
        size = links + 1 + varint.size(message) + message
        section = car.section_size(cid_size, size)
        return _Node(
            content=content,
            size=size,
            section=section,
            tsize=size + sum(count * child.tsize for count, child in children),
            blocks=1 + sum(count * child.blocks for count, child in children),
            sections=section + sum(count * child.sections for count, child in children),
        )


@lru_cache(maxsize=64)
def file_shape(size: int, profile: Profile) -> FileShape:
    """Return the shape of a file of *size* bytes, made once for the sizes in use."""
    return FileShape(size, profile)
