"""The bytes of one piece on their way into its commitment, in order, cut at the commitment's own blocks.

Knows nothing of files or CIDs. Whole blocks are hashed where they lie, in a pool or before they got here;
only what straddles two parts is copied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from fpin.piece import BLOCK_HEIGHT, BLOCK_SIZE, HeldPiece, PieceTree, block_roots

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

Data = bytes | bytearray | memoryview


class Guess(NamedTuple):
    """The roots of the whole blocks that some bytes fill if they stand at *position* of their piece."""

    position: int
    roots: bytes


class Part(NamedTuple):
    """The next bytes of a piece; a *guess* is used if it turns out right, and is computed again if not."""

    data: Data
    guess: Guess | None = None


def guess_roots(data: memoryview, position: int) -> Guess | None:
    """Hash *data* for the case that it will stand at *position*; None if it would fill no whole block."""
    start = -position % BLOCK_SIZE
    end = len(data) - (len(data) - start) % BLOCK_SIZE
    return Guess(position, block_roots(data[start:end], BLOCK_HEIGHT)) if start < end else None


class PieceStream:
    """A piece that is written once, from front to back; `size` counts its bytes."""

    def __init__(self, pool: Executor, pending: int, sink: Callable[[Data], None] | None) -> None:
        """Hash in *pool*, at most *pending* calls of `append` at a time; *sink* is given all bytes too."""
        self.size = 0
        self._pool, self._max_pending, self._sink = pool, pending, sink
        self._tree = PieceTree()
        self._block = 0  # of the tree
        self._border = bytearray()  # what does not fill a block yet
        self._pending: deque[Future[None]] = deque()

    def append(self, parts: list[Part]) -> None:
        """Take the next bytes; views may change when it returns, `bytes` are kept until they are hashed."""
        whole: list[tuple[int, Data]] = []
        lent = False  # what is to be hashed stands in a buffer of the caller
        for data, guess in parts:
            known = guess.roots if guess and guess.position == self.size else None
            self.size += len(data)
            if self._sink:
                self._sink(data)
            count = len(whole)
            self._cut(memoryview(data), known, whole)
            lent |= len(whole) > count and known is None and isinstance(data, memoryview)
        if whole:
            self._pending.append(self._pool.submit(_fill, self._tree, whole))
        # Such buffers are large: better to wait for one than to let another be made.
        self._collect(0 if lent else self._max_pending)

    def finish(self, head_size: int) -> HeldPiece:
        """End the piece; its first *head_size* bytes stay open."""
        self._collect(0)
        if self._border:
            self._tree.fill(self._block, self._border)
        return self._tree.hold(head_size)

    def roots(self) -> bytes:
        """Return the roots of the commitment's blocks of a piece that is ended, 32 bytes each."""
        return self._tree.roots()

    def _cut(self, view: memoryview, known: bytes | None, whole: list[tuple[int, Data]]) -> None:
        if self._border:
            missing = BLOCK_SIZE - len(self._border)
            self._border += view[:missing]
            view = view[missing:]
            if len(self._border) == BLOCK_SIZE:
                whole.append((self._next(BLOCK_SIZE), self._border))
                self._border = bytearray()
        end = len(view) - len(view) % BLOCK_SIZE
        if end and known is not None:
            self._tree.put(self._next(end), view[:end], known)
        elif end:
            whole.append((self._next(end), view[:end]))
        self._border += view[end:]

    def _next(self, size: int) -> int:
        block = self._block
        self._block += size // BLOCK_SIZE
        return block

    def _collect(self, left: int) -> None:
        while len(self._pending) > left:
            self._pending.popleft().result()


def _fill(tree: PieceTree, runs: list[tuple[int, Data]]) -> None:
    for block, data in runs:
        tree.fill(block, data)
