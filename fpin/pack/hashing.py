"""From a layout to CIDs: one read of every file, leaves and piece commitments in the same pass, on all cores.

Reading and hashing run in a pool, batch by batch; the thread that called takes the batches back in order,
drops blocks that the piece already has, makes directories and file nodes, and hands what is left to the
pool again, cut at the borders of the commitment's own blocks, for the piece's tree. So the result does not
depend on the number of threads, and at most a few batches are in memory.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fpin.pack.layout import HEADER_SIZE, Layout, PieceSpan
from fpin.pack.nodes import DIGEST, make_block, section
from fpin.pack.reading import Sections, check_symlink, read_sections
from fpin.pack.source import PackedPiece, batches, filler, header
from fpin.pack.tree import SYMLINK
from fpin.piece import BLOCK_SIZE, MIN_PIECE_SIZE, HeldPiece, PieceTree

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_BATCH = 4 * 2**20  # bytes of sections: large against the cost of a task (50 µs), small against memory
_MAX_BLOCKS = 2048
_MAX_PARTS = 16  # of one batch, before they are joined: many small updates cost more than a copy

Sink = Callable[[int, bytes | memoryview], None]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A tree with all its CIDs: the root, and every piece, ready to be sent."""

    layout: Layout = field(repr=False)
    root_cid: bytes
    pieces: tuple[PackedPiece, ...]

    @property
    def car_size(self) -> int:
        """Bytes of all pieces together."""
        return sum(piece.size for piece in self.pieces)


def digest(
    layout: Layout,
    *,
    progress: Callable[[int], None] | None = None,
    jobs: int | None = None,
    sink: Sink | None = None,
) -> Packed:
    """Read and hash everything; return the root CID and the pieces, the same for any number of *jobs*.

    *jobs* is the number of threads, all cores by default. *progress* is told the bytes of content done
    so far. *sink* is given every piece's bytes in order as they are made, with the number
    of the piece; of its header, which needs the root CID, only `HEADER_SIZE` zero bytes.

    Raises SourceChanged, naming the file, for one that is not what the layout was made from, and
    SourceError for one that cannot be read.
    """
    from concurrent.futures import ThreadPoolExecutor  # 14 ms to import

    jobs = jobs or available_cores()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="fpin-digest")
    try:
        return _Digest(layout, pool, jobs, progress, sink).run()
    finally:
        pool.shutdown(cancel_futures=True)


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Digest:
    def __init__(
        self,
        layout: Layout,
        pool: Executor,
        jobs: int,
        progress: Callable[[int], None] | None,
        sink: Sink | None,
    ) -> None:
        self.layout, self.pool, self.jobs = layout, pool, jobs
        self.progress, self.sink = progress, sink
        self.digests = bytearray(layout.block_count * DIGEST)
        self.done = 0  # bytes of content

    def run(self) -> Packed:
        layout, reads = self.layout, self._reads()
        held = [self._piece(span, reads) for span in layout.pieces]
        root_cid = layout.root_prefix(layout.tree.root) + bytes(self.digests[-DIGEST:])
        head = header(root_cid)
        pieces = tuple(
            PackedPiece(
                layout=layout,
                span=span,
                digests=self.digests,
                dropped=dropped,
                root_cid=root_cid,
                piece_cid=piece.piece_cid(head),
            )
            for span, (piece, dropped) in zip(layout.pieces, held, strict=True)
        )
        return Packed(layout=layout, root_cid=root_cid, pieces=pieces)

    def _reads(self) -> Iterator[tuple[int, int, Sections]]:
        """Yield batches in order, while the pool reads and hashes those that follow."""
        waiting: deque[tuple[int, int, Future[Sections]]] = deque()
        for span in self.layout.pieces:
            for start, stop in batches(self.layout, span.first_block, span.end_block, _BATCH, _MAX_BLOCKS):
                waiting.append((start, stop, self.pool.submit(read_sections, self.layout, start, stop)))
                if len(waiting) > self.jobs:
                    start, stop, future = waiting.popleft()
                    yield start, stop, future.result()
        while waiting:
            start, stop, future = waiting.popleft()
            yield start, stop, future.result()

    def _piece(
        self, span: PieceSpan, reads: Iterator[tuple[int, int, Sections]]
    ) -> tuple[HeldPiece, array[int]]:
        piece = _Piece(self, span)
        piece.append([bytes(HEADER_SIZE)])
        stop = span.first_block
        while stop < span.end_block:
            start, stop, sections = next(reads)
            piece.append(piece.place(start, stop, sections))
            self.done += sections.content
            if self.progress and sections.content:
                self.progress(self.done)
        return piece.finish(), piece.dropped


class _Piece:
    """A piece being made: what it has already, and its stream on the way into the tree."""

    def __init__(self, digest: _Digest, span: PieceSpan) -> None:
        self.digest, self.layout, self.span = digest, digest.layout, span
        profile = digest.layout.profile
        self.leaves: set[bytes] = set()  # digests; blocks of another codec are other blocks
        self.nodes = self.leaves if profile.leaf_prefix == profile.node_prefix else set[bytes]()
        self.dropped = array("Q")
        self.size = 0
        self._tree = PieceTree()
        self._block = 0  # of the tree
        self._border = bytearray()  # what does not fill a block of the tree yet
        self._hashing: deque[Future[None]] = deque()

    def place(self, start: int, stop: int, sections: Sections) -> list[bytes | memoryview]:
        """Note the digests of a batch and return its bytes: every block once, directories included."""
        parts: list[bytes | memoryview] = []
        position = hashed = 0
        for made in [*self.layout.made_blocks(start, stop), stop]:
            if made > start:
                size = self.layout.offset(made) - self.layout.offset(start)
                count = (made - start) * DIGEST
                data, digests = (
                    sections.data[position : position + size],
                    sections.digests[hashed : hashed + count],
                )
                self._place_leaves(start, data, digests, parts)
                position, hashed = position + size, hashed + count
            if made < stop:
                self._place_made(made, parts)
            start = made + 1
        return [b"".join(parts)] if len(parts) > _MAX_PARTS else parts

    def _place_leaves(
        self, start: int, data: memoryview, digests: bytes, parts: list[bytes | memoryview]
    ) -> None:
        self.digest.digests[start * DIGEST : start * DIGEST + len(digests)] = digests
        names = [digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST)]
        fresh = set(names)
        if len(fresh) == len(names) and self.leaves.isdisjoint(fresh):  # nearly always
            self.leaves |= fresh
            parts.append(data)
            return
        base = self.layout.offset(start)
        for block, name in enumerate(names, start):
            if name in self.leaves:
                self.dropped.append(block)
                continue
            self.leaves.add(name)
            parts.append(data[self.layout.offset(block) - base : self.layout.offset(block + 1) - base])

    def _place_made(self, block: int, parts: list[bytes | memoryview]) -> None:
        entry = self.layout.entry_at(block)
        if self.layout.tree.kinds[entry] == SYMLINK:
            check_symlink(self.layout, entry)
        data = make_block(self.layout, self.digest.digests, block)
        name = hashlib.sha256(data).digest()
        self.digest.digests[block * DIGEST : (block + 1) * DIGEST] = name
        if name in self.nodes:
            self.dropped.append(block)
            return
        self.nodes.add(name)
        parts.append(section(self.layout.profile.node_prefix, name, data))

    def append(self, parts: list[bytes | memoryview]) -> None:
        """Take the next bytes of the piece: to the sink, and to the tree as whole blocks of it."""
        whole: list[tuple[int, bytearray | memoryview]] = []
        for part in parts:
            self.size += len(part)
            if self.digest.sink:
                self.digest.sink(self.span.index, part)
            view = memoryview(part)
            if self._border:
                missing = BLOCK_SIZE - len(self._border)
                self._border += view[:missing]
                view = view[missing:]
                if len(self._border) == BLOCK_SIZE:
                    whole.append(self._next_blocks(self._border))
                    self._border = bytearray()
            rest = len(view) - len(view) % BLOCK_SIZE
            if rest:
                whole.append(self._next_blocks(view[:rest]))
            self._border += view[rest:]
        if whole:
            self._hashing.append(self.digest.pool.submit(_fill, self._tree, whole))
        while len(self._hashing) > self.digest.jobs:
            self._hashing.popleft().result()

    def finish(self) -> HeldPiece:
        """End the piece, with one more block if it is smaller than a piece may be; its header stays open."""
        if self.size < MIN_PIECE_SIZE:
            first = self.span.first_block
            digest = bytes(self.digest.digests[first * DIGEST : (first + 1) * DIGEST])
            self.append([filler(self.layout.block_prefix(first) + digest)])
        while self._hashing:
            self._hashing.popleft().result()
        if self._border:
            self._tree.fill(self._block, self._border)
        return self._tree.hold(HEADER_SIZE)

    def _next_blocks(self, data: bytearray | memoryview) -> tuple[int, bytearray | memoryview]:
        block = self._block
        self._block += len(data) // BLOCK_SIZE
        return block, data


def _fill(tree: PieceTree, runs: list[tuple[int, bytearray | memoryview]]) -> None:
    for block, data in runs:
        tree.fill(block, data)
