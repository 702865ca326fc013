"""The twin on all cores: each thread of a pool has a process of its own, as Python runs one thread at a time.

Compiled code needs none, as it releases the GIL. Knows how such a process is started, fed and ended; what is
hashed it does not know.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from typing import TYPE_CHECKING

from fpin.piece import core, twin
from fpin.piece.cid import raw_size

if TYPE_CHECKING:
    import subprocess
    from concurrent.futures import Executor

_REQUEST = Struct("<IB")  # size of the data that follow, height
_HEIGHT = 12
_PART_SIZE = raw_size(_HEIGHT)  # read at once: while one part is hashed, the next is sent
_SLICE_SIZE = 8 * _PART_SIZE  # asked for at once: 20 ms of hashing
_WORTH = 4 * _SLICE_SIZE  # takes as long to hash as a process to start


@contextmanager
def hashing_threads(count: int, name: str) -> Iterator[Executor]:
    """Give a pool of *count* threads, called *name*, in which `block_roots` uses as many cores.

    When it ends, what has not begun is cancelled, and what has is waited for.
    """
    from concurrent.futures import ThreadPoolExecutor  # 14 ms to import

    processes: list[_Process] = []

    def begin() -> None:
        processes.append(_Process())
        core.compute_in_this_thread(processes[-1].block_roots)

    gains = count > 1 and core.implementation() == core.PYTHON
    pool = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=begin if gains else None)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        for process in processes:
            process.end()


class _Process:
    """A process that computes for one thread, once there is enough to do; without it the thread does."""

    def __init__(self) -> None:
        self._seen = 0  # bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._failed = not sys.executable or hasattr(sys, "frozen")  # no interpreter to start

    def block_roots(self, data: bytes | bytearray | memoryview, height: int) -> bytes:
        """Return what `twin.block_roots` does."""
        view = memoryview(data).cast("B")
        self._seen += len(view)
        if self._failed or self._seen < _WORTH:
            return twin.block_roots(view, height)
        low = min(height, _HEIGHT)
        parts = (view[start : start + _SLICE_SIZE] for start in range(0, len(view), _SLICE_SIZE))
        return twin.fold(b"".join([self._slice_roots(part, low) for part in parts]), low, height)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()  # it keeps nothing
            with suppress(OSError), self._process:
                pass

    def _slice_roots(self, part: memoryview, height: int) -> bytes:
        roots = None if self._failed else self._ask(part, height)
        if roots is None:
            self._failed = True
            return twin.block_roots(part, height)
        return roots

    def _ask(self, part: memoryview, height: int) -> bytes | None:
        """Return the roots of *part*; None if the process cannot be started, or has died."""
        try:
            self._process = self._process or _start()
            to, answer = self._process.stdin, self._process.stdout
            assert to is not None
            assert answer is not None
            to.write(_REQUEST.pack(len(part), height))
            to.write(part)
            to.flush()
            size = -(-len(part) // raw_size(height)) * 32
            roots = answer.read(size)
        except OSError:
            return None
        return roots if len(roots) == size else None


def _start() -> subprocess.Popen[bytes]:
    import subprocess  # 10 ms to import

    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from fpin.piece.processes import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def serve() -> None:
    """Answer requests until there are no more: the life of such a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's, who ends this process
    try:
        while request := sys.stdin.buffer.read(_REQUEST.size):
            size, height = _REQUEST.unpack(request)
            roots = []
            while size > 0:
                part = sys.stdin.buffer.read(min(size, _PART_SIZE))
                if not part:
                    return
                roots.append(twin.block_roots(part, height))
                size -= len(part)
            # Not before the caller has sent everything: until then nobody reads.
            sys.stdout.buffer.write(b"".join(roots))
            sys.stdout.buffer.flush()
    except OSError:  # the caller was killed: nobody is left to tell, and an answer is not to be sent at exit
        os._exit(1)
