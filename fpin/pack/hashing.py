"""From a layout to CIDs: one read of every file, leaves and piece commitments in the same pass, on all cores.

Reading and hashing run in a pool, batch by batch; the thread that called takes the batches back in order,
drops blocks that the piece already has, and makes directories and file nodes. The pool guesses that nothing
will be dropped and computes a batch's share of the piece commitment too, while the bytes are at hand; where
the guess was wrong, that share is computed again. So the result does not depend on the number of threads,
and at most a few batches are in memory.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fpin.pack.layout import Layout, PieceSpan
from fpin.pack.nodes import DIGEST, make_block, section
from fpin.pack.reading import Room, Sections, check_symlink, read_sections, room
from fpin.pack.seals import Seals
from fpin.pack.source import PackedPiece, batches, filler, header
from fpin.pack.stream import Data, Guess, Part, PieceStream, guess_roots
from fpin.pack.tree import SYMLINK
from fpin.piece import MIN_PIECE_SIZE, HeldPiece, hashing_threads
from fpin.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

# Sixteen leaves of 1 MiB can be hashed side by side, faster than one by one (fpin.piece.leaves), but the
# batches of all threads have to stay small: `add` takes 50 MB besides, and 100 in all at most.
_MAX_BATCH = 16 * (2**20 + 40)  # bytes of sections
_MAX_IN_FLIGHT = 2 * _MAX_BATCH
_MAX_PARTS = 16  # of a batch, before they are joined: many small parts cost more than a copy

Sink = Callable[[int, Data], None]


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
    spare: int = 1,
    sink: Sink | None = None,
    sealed: bool = False,
) -> Packed:
    """Read and hash everything; return the root CID and the pieces, the same for any number of *jobs*.

    *jobs* is the number of threads, all cores by default. *spare* batches, of up to 16 MiB, are under way
    besides one for each thread; without one, threads wait for each other at times, which costs up to a tenth
    of the speed. *progress* is told the bytes of content done so far. *sink* is given every piece's bytes in
    order as they are made, with the number of the piece; of its header, which needs the root CID, only
    `Layout.header_size` zero bytes. With *sealed* the pieces take less work to be opened, and to be made a
    little more.

    Raises SourceChanged, naming the file, for one that is not what the layout was made from, and
    SourceError for one that cannot be read.
    """
    jobs = jobs or available_cores()
    with hashing_threads(jobs, "fpin-digest") as pool:
        return _Digest(layout, pool, jobs, jobs + spare, progress, sink, sealed).run()


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Batch(NamedTuple):
    """A run of blocks, read; *guesses* has a row for each of its runs of leaves."""

    start: int
    stop: int
    sections: Sections
    guesses: list[Guess | None]
    buffer: Room


def _read(
    layout: Layout, start: int, stop: int, position: int | None, buffer: Room, seals: Seals | None
) -> _Batch:
    """Read, hash and seal a batch, and guess its roots if it may stand at *position* of its piece."""
    sections = read_sections(layout, start, stop, buffer, seals)
    runs = list(layout.leaf_runs(start, stop))
    if position is None:
        return _Batch(start, stop, sections, [None] * len(runs), buffer)
    shift = position - layout.offset(start)
    guesses, read = [], 0
    for first, end in runs:
        offset, size = layout.offset(first), layout.offset(end) - layout.offset(first)
        guesses.append(guess_roots(sections.data[read : read + size], shift + offset))
        read += size
    return _Batch(start, stop, sections, guesses, buffer)


class _Digest:
    def __init__(
        self,
        layout: Layout,
        pool: Executor,
        jobs: int,
        ahead: int,
        progress: Callable[[int], None] | None,
        sink: Sink | None,
        sealed: bool,
    ) -> None:
        self.layout, self.pool, self.jobs, self.ahead = layout, pool, jobs, ahead
        self.progress, self.sink = progress, sink
        self.digests = bytearray(layout.block_count * DIGEST)
        self.seals = Seals(layout.block_count) if sealed else None
        self.piece: _Piece | None = None  # being made
        self.buffers: list[Room] = []  # free: used again, as fresh memory costs a tenth of the hashing
        self.batch_size = min(_MAX_BATCH, _MAX_IN_FLIGHT // jobs)
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
                seals=self.seals,
                root_cid=root_cid,
                piece_cid=piece.piece_cid(head),
            )
            for span, (piece, dropped) in zip(layout.pieces, held, strict=True)
        )
        return Packed(layout=layout, root_cid=root_cid, pieces=pieces)

    def _reads(self) -> Iterator[_Batch]:
        """Yield batches in order, while the pool reads and hashes those that follow."""
        waiting: deque[Future[_Batch]] = deque()
        for span in self.layout.pieces:
            for start, stop in batches(self.layout, span.first_block, span.end_block, self.batch_size):
                position = self._expected_position(span, start)
                buffer = self._buffer(self.layout.offset(stop) - self.layout.offset(start))
                waiting.append(
                    self.pool.submit(_read, self.layout, start, stop, position, buffer, self.seals)
                )
                if len(waiting) >= self.ahead:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _buffer(self, size: int) -> Room:
        """Return a free buffer, or a new one with room to spare: the next batch may be a little larger."""
        buffer = self.buffers.pop() if self.buffers else room(0)
        return buffer if len(buffer) >= size else room(max(size, min(2 * size, self.batch_size)))

    def _expected_position(self, span: PieceSpan, block: int) -> int | None:
        """Return where in its piece a block stands if nothing more is dropped; None if that is unlikely."""
        position = self.layout.header_size + self.layout.offset(block) - self.layout.offset(span.first_block)
        if self.piece is None or self.piece.span is not span:
            return position
        return None if self.piece.dropping else position - self.piece.dropped_size

    def _piece(self, span: PieceSpan, reads: Iterator[_Batch]) -> tuple[HeldPiece, array[int]]:
        sink = partial(self.sink, span.index) if self.sink else None
        stream = PieceStream(self.pool, self.jobs, sink)
        stream.append([Part(bytes(self.layout.header_size))])
        piece = self.piece = _Piece(self.layout, span, self.digests)
        stop = span.first_block
        while stop < span.end_block:
            batch = next(reads)
            stop = batch.stop
            stream.append(piece.place(batch))
            self.buffers.append(batch.buffer)
            self.done += batch.sections.content
            if self.progress and batch.sections.content:
                self.progress(self.done)
        if stream.size < MIN_PIECE_SIZE:
            stream.append([Part(filler(piece.cid(span.first_block)))])
        return stream.finish(self.layout.header_size), piece.dropped


class _Piece:
    """What a piece has already, and which blocks it therefore drops."""

    def __init__(self, layout: Layout, span: PieceSpan, digests: bytearray) -> None:
        self.layout, self.span, self.digests = layout, span, digests
        profile = layout.profile
        self.leaves: set[bytes] = set()  # digests; blocks of another codec are other blocks
        self.nodes = self.leaves if profile.leaf_prefix == profile.node_prefix else set[bytes]()
        self.dropped = array("Q")
        self.dropped_size = 0  # bytes of sections
        self.dropping = False  # the last batch had something to drop: the next is likely to have too

    def cid(self, block: int) -> bytes:
        return self.layout.block_prefix(block) + bytes(self.digests[block * DIGEST : (block + 1) * DIGEST])

    def place(self, batch: _Batch) -> list[Part]:
        """Note the digests of a batch and return its bytes: every block once, directories included."""
        dropped = len(self.dropped)
        parts: list[Part] = []
        read = hashed = 0
        runs = self.layout.leaf_runs(batch.start, batch.stop)
        for (start, end), guess in zip(runs, batch.guesses, strict=True):
            size, count = self.layout.offset(end) - self.layout.offset(start), (end - start) * DIGEST
            if count:
                data = batch.sections.data[read : read + size]
                names = batch.sections.digests[hashed : hashed + count]
                parts += self._leaves(start, data, names, guess)
            if end < batch.stop:
                parts += self._made(end)
            read, hashed = read + size, hashed + count
        self.dropping = len(self.dropped) > dropped
        return [Part(b"".join(part.data for part in parts))] if len(parts) > _MAX_PARTS else parts

    def _leaves(self, start: int, data: memoryview, digests: bytes, guess: Guess | None) -> list[Part]:
        self.digests[start * DIGEST : start * DIGEST + len(digests)] = digests
        names = [digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST)]
        fresh = set(names)
        if len(fresh) == len(names) and self.leaves.isdisjoint(fresh):  # nearly always
            self.leaves |= fresh
            return [Part(data, guess)]
        parts, base = [], self.layout.offset(start)
        for block, name in enumerate(names, start):
            if name in self.leaves:
                self._drop(block)
                continue
            self.leaves.add(name)
            parts.append(Part(data[self.layout.offset(block) - base : self.layout.offset(block + 1) - base]))
        return parts

    def _made(self, block: int) -> list[Part]:
        entry = self.layout.entry_at(block)
        if self.layout.tree.kinds[entry] == SYMLINK:
            check_symlink(self.layout, entry)
        data = make_block(self.layout, self.digests, block)
        name = hashlib.sha256(data).digest()
        self.digests[block * DIGEST : (block + 1) * DIGEST] = name
        if name in self.nodes:
            self._drop(block)
            return []
        self.nodes.add(name)
        return [Part(section(self.layout.profile.node_prefix, name, data))]

    def _drop(self, block: int) -> None:
        self.dropped.append(block)
        self.dropped_size += self.layout.offset(block + 1) - self.layout.offset(block)
