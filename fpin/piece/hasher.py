"""The commitment to a whole piece: from a stream, or from blocks in any order; its first bytes may come last.

A CAR begins with its root CID, which is known only when everything else has been read. A piece can
therefore be held: complete but for its head, in about a kilobyte, until the head is there.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future

from fpin.piece import core, twin
from fpin.piece.cid import PieceCid, piece_height, raw_size
from fpin.values import dataclass

BLOCK_HEIGHT = 12
BLOCK_SIZE = raw_size(BLOCK_HEIGHT)  # 130,048 raw bytes, 128 KiB after fr32: fits the second cache
_BATCH_BLOCKS = 8  # about 1 MiB: a call to the pool costs 50 µs, hashing this 1 ms
_BATCH_SIZE = BLOCK_SIZE * _BATCH_BLOCKS
_MAX_PENDING = 8  # batches, about 8 MiB, that wait for the pool before `update` does


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPiece:
    """A piece complete but for its first bytes: enough to finish it with any head, in O(log size).

    It is plain data and may be pickled, stored, or kept by the thousand.
    """

    payload_size: int
    start: bytes  # the raw bytes of the smallest subtree that the head lies in
    siblings: tuple[bytes, ...]  # the nodes on the right of the path from that subtree up to the root

    def piece_cid(self, head: bytes = b"") -> PieceCid:
        """Return the CID of the piece with its first ``len(head)`` bytes replaced by *head*."""
        if len(head) > len(self.start):
            raise ValueError(f"a head of {len(head)} bytes, but only {len(self.start)} were held back")
        node = _subtree(head + self.start[len(head) :], piece_height(len(self.start)))
        for sibling in self.siblings:
            node = twin.hash_pairs(node + sibling)
        return PieceCid(node, self.payload_size)


class PieceTree:
    """One piece, filled by whole blocks of `BLOCK_SIZE` bytes in any order, from any thread."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int, bytes]] = {}  # first block -> size of the data, roots
        self._start = b""  # the first block

    def fill(self, block: int, data: bytes | bytearray | memoryview) -> None:
        """Hash *data*, whole blocks from number *block* on; only the last one of the piece may be short."""
        self.put(block, data, core.block_roots(data, BLOCK_HEIGHT))

    def put(self, block: int, data: bytes | bytearray | memoryview, roots: bytes) -> None:
        """Fill in *data* whose block *roots* were computed elsewhere; *data* is not kept."""
        if block == 0:
            self._start = bytes(data[:BLOCK_SIZE])
        self._runs[block] = (len(data), roots)

    def roots(self) -> bytes:
        """Return the roots of all blocks, 32 bytes each: what `fpin.piece.block_roots` says of the bytes."""
        return self._joined()[1]

    def hold(self, head_size: int = 0) -> HeldPiece:
        """Return the piece with its first *head_size* bytes, `BLOCK_SIZE` at most, left open.

        Raises ValueError when a block is missing, or the piece is shorter than its head.
        """
        size, roots = self._joined()
        if head_size > min(size, BLOCK_SIZE):
            raise ValueError(f"no head of {head_size} bytes in a piece of {size}")
        low, top = piece_height(head_size), piece_height(size)
        siblings = [
            _subtree(self._start[raw_size(height) : raw_size(height + 1)], height)
            for height in range(low, min(top, BLOCK_HEIGHT))
        ]
        for height in range(BLOCK_HEIGHT, top):
            first = 32 << (
                height - BLOCK_HEIGHT
            )  # where the right sibling's blocks begin, as wide as they are
            row = roots[first : 2 * first]
            siblings.append(twin.fold(row, BLOCK_HEIGHT, height) or twin.zero_root(height))
        start = self._start[: raw_size(low)].ljust(raw_size(low), b"\0")
        return HeldPiece(payload_size=size, start=start, siblings=tuple(siblings))

    def finish(self, head: bytes = b"") -> PieceCid:
        """Return the piece's CID, with its first ``len(head)`` bytes replaced by *head*."""
        return self.hold(len(head)).piece_cid(head)

    def _joined(self) -> tuple[int, bytes]:
        """Return the size of the payload and the roots of all its blocks."""
        size, roots = 0, []
        for block, (run_size, run_roots) in sorted(self._runs.items()):
            if block * BLOCK_SIZE != size:
                raise ValueError(f"the piece has a gap or an overlap at byte {size}")
            size += run_size
            roots.append(run_roots)
        return size, b"".join(roots)


class PieceHasher:
    """One piece as a stream of bytes, cut anywhere.

    With a *pool* (see `hashing_threads`), hashing runs there while the caller produces more; without one it
    runs within `update`.
    """

    def __init__(self, pool: Executor | None = None) -> None:
        self._tree = PieceTree()
        self._pool = pool
        self._block = 0  # where the buffer begins
        self._filled = 0
        self._buffer = bytearray(BLOCK_SIZE if pool is None else _BATCH_SIZE)
        self._spare: list[bytearray] = []
        self._pending: deque[tuple[int, bytearray, Future[bytes]]] = deque()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Append *data*, which is not kept: the caller may use its buffer again."""
        view = memoryview(data).cast("B")
        while len(view):
            if self._pool is None and self._filled == 0 and len(view) >= BLOCK_SIZE:
                taken = len(view) // BLOCK_SIZE * BLOCK_SIZE
                self._tree.fill(self._block, view[:taken])
                self._block += taken // BLOCK_SIZE
            else:
                taken = min(len(view), len(self._buffer) - self._filled)
                memoryview(self._buffer)[self._filled : self._filled + taken] = view[:taken]
                self._filled += taken
                if self._filled == len(self._buffer):
                    self._flush()
            view = view[taken:]

    def hold(self, head_size: int = 0) -> HeldPiece:
        """End the stream and return the piece with its first *head_size* bytes open, as `PieceTree.hold`."""
        if self._filled:
            del self._buffer[self._filled :]
            self._flush()
        while self._pending:
            self._collect()
        return self._tree.hold(head_size)

    def finish(self, head: bytes = b"") -> PieceCid:
        """End the stream and return the CID, with the first ``len(head)`` bytes replaced by *head*."""
        return self.hold(len(head)).piece_cid(head)

    def _flush(self) -> None:
        block, self._block = self._block, self._block + -(-self._filled // BLOCK_SIZE)
        self._filled = 0
        if self._pool is None:
            self._tree.fill(block, self._buffer)
            return
        while len(self._pending) >= _MAX_PENDING:
            self._collect()
        self._pending.append(
            (block, self._buffer, self._pool.submit(core.block_roots, self._buffer, BLOCK_HEIGHT))
        )
        # A buffer used again spares the system the work of giving out, and clearing, its pages.
        self._buffer = self._spare.pop() if self._spare else bytearray(_BATCH_SIZE)

    def _collect(self) -> None:
        block, data, roots = self._pending.popleft()
        self._tree.put(block, data, roots.result())
        self._spare.append(data)


def _subtree(data: bytes, height: int) -> bytes:
    """Return the root of the tree of *height* over *data*, which may be short or empty."""
    return core.block_roots(data, height) or twin.zero_root(height)
