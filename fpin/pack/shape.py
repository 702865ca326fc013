"""The balanced tree over one file, as arithmetic: where each block stands and how large it is.

Nothing here is proportional to the file: any block of a tebibyte is found by its number in microseconds.
Blocks are numbered in the order they are made: a node directly after its last child, the root last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

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


class _Row:
    """A level of the tree: how many nodes, and the three sizes of a full one and of the last one."""

    __slots__ = ("content", "count", "last_content", "last_size", "last_tsize", "size", "span", "tsize")

    def __init__(self, count: int, span: int) -> None:
        self.count = count
        self.span = span  # leaves below a full node
        self.content = self.size = self.tsize = 0  # bytes of the file, of the block, of the whole subtree
        self.last_content = self.last_size = self.last_tsize = 0


class FileShape:
    """The tree of a file of *size* bytes; level 0 are the leaves, the last level is the root alone."""

    def __init__(self, size: int, profile: Profile) -> None:
        self.profile = profile
        self.size = size
        chunk, width = profile.chunk_size, profile.width
        leaves = _Row(max(1, -(-size // chunk)), 1)
        leaves.content, leaves.last_content = chunk, size - (leaves.count - 1) * chunk
        leaves.size = leaves.tsize = leaf_size(profile, leaves.content)
        leaves.last_size = leaves.last_tsize = leaf_size(profile, leaves.last_content)
        self.rows = [leaves]
        while self.rows[-1].count > 1:
            self.rows.append(self._row_above(self.rows[-1], width))
        self.block_count = sum(row.count for row in self.rows)
        self.sections_size = self.offset(self.block_count)  # bytes that all blocks take in a CAR

    @property
    def leaves(self) -> int:
        return self.rows[0].count

    @property
    def tsize(self) -> int:
        """Size of all blocks together, repeats counted: the Tsize of a link to the root."""
        return self.rows[-1].last_tsize

    def content_size(self, level: int, index: int) -> int:
        """Return how many bytes of the file are below a node."""
        row = self.rows[level]
        return row.content if index < row.count - 1 else row.last_content

    def tree_size(self, level: int, index: int) -> int:
        """Return the Tsize of a link to a node."""
        row = self.rows[level]
        return row.tsize if index < row.count - 1 else row.last_tsize

    def number(self, level: int, index: int) -> int:
        """Return the number of the block of a node."""
        last_leaf = min((index + 1) * self.rows[level].span, self.leaves) - 1
        return sum(last_leaf // row.span for row in self.rows) + level

    def locate(self, number: int) -> tuple[int, int]:
        """Return ``(level, index)`` of the block with that number, 0 <= *number* < `block_count`."""
        leaf = bisect_right(range(self.leaves), number, key=lambda leaf: self.number(0, leaf)) - 1
        level = number - self.number(0, leaf)
        return level, leaf // self.rows[level].span

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

    def offset(self, number: int) -> int:
        """Return the bytes that the blocks before that number take in a CAR."""
        if number == self.block_count:
            return self.offset(number - 1) + self._section(len(self.rows) - 1, 0)
        level, index = self.locate(number)
        leaf = min((index + 1) * self.rows[level].span, self.leaves) - 1
        before = sum(leaf // row.span * self._full_section(row) for row in self.rows)
        return before + sum(self._section(below, leaf // self.rows[below].span) for below in range(level))

    def _section(self, level: int, index: int) -> int:
        row = self.rows[level]
        size = row.size if index < row.count - 1 else row.last_size
        return car.section_size(self.profile.cid_size, size)

    def _full_section(self, row: _Row) -> int:
        return car.section_size(self.profile.cid_size, row.size)

    def _row_above(self, below: _Row, width: int) -> _Row:
        row = _Row(-(-below.count // width), below.span * width)
        row.content, row.size, row.tsize = self._node(below, width, last=False)
        rest = below.count - (row.count - 1) * width
        row.last_content, row.last_size, row.last_tsize = self._node(below, rest, last=True)
        return row

    def _node(self, below: _Row, count: int, *, last: bool) -> tuple[int, int, int]:
        """Return content, block and tree size of a node with *count* children, the last of its row or not."""
        full = count - 1 if last else count
        content, tree = full * below.content, full * below.tsize
        cid_size = self.profile.cid_size
        links = full * link_size(cid_size, 0, below.tsize)
        sizes = full * (1 + varint.size(below.content))
        if last:
            content += below.last_content
            tree += below.last_tsize
            links += link_size(cid_size, 0, below.last_tsize)
            sizes += 1 + varint.size(below.last_content)
        message = 3 + varint.size(content) + sizes
        block = links + 1 + varint.size(message) + message
        return content, block, tree + block


@lru_cache(maxsize=64)
def file_shape(size: int, profile: Profile) -> FileShape:
    """Return the shape of a file of *size* bytes, made once for the sizes in use."""
    return FileShape(size, profile)
