"""Which implementation of the commitment runs here: a compiled kernel, or the twin in plain Python.

The environment variable ``FPIN_PIECE_KERNEL`` forces one of them by name.
"""

from __future__ import annotations

import os
import threading
from functools import cache, partial
from types import ModuleType
from typing import Protocol

from fpin.errors import UsageError
from fpin.piece import twin

native: ModuleType | None
try:
    from fpin.piece import _native as native
except ImportError:  # installed without a C compiler
    native = None

PYTHON = "python"
_VARIABLE = "FPIN_PIECE_KERNEL"


class BlockRoots(Protocol):
    """`twin.block_roots`, or a compiled function that equals it."""

    def __call__(self, data: bytes | bytearray | memoryview, height: int, /) -> bytes: ...


@cache
def implementations() -> dict[str, BlockRoots]:
    """Return what this machine can run, by name, fastest first; the last one is the Python twin."""
    compiled = {name: partial(native.block_roots, name) for name in native.kernels()} if native else {}
    return {**compiled, PYTHON: twin.block_roots}


@cache
def implementation() -> str:
    """Return the name of what computes commitments here: a kernel's, or ``python``.

    Raises UsageError when ``FPIN_PIECE_KERNEL`` names one that this machine cannot run.
    """
    name = os.environ.get(_VARIABLE) or next(iter(implementations()))
    if name not in implementations():
        raise UsageError(
            f"{_VARIABLE}={name}: this machine has no such kernel",
            hint=f"choose one of {', '.join(implementations())}, or unset it",
        )
    return name


def block_roots(data: bytes | bytearray | memoryview, height: int) -> bytes:
    """Return the roots, 32 bytes each, of the consecutive blocks of *data* that nodes at *height* cover.

    A block has ``127 * 2**(height - 2)`` bytes, *height* is 2 or more; the last block may be short and is
    completed with zeros. Compiled code releases the GIL; see `hashing_threads` for the twin.
    """
    compute = _THREAD.compute or implementations()[implementation()]
    return compute(data, height)


class _Thread(threading.local):
    compute: BlockRoots | None = None


_THREAD = _Thread()


def compute_in_this_thread(compute: BlockRoots) -> None:
    """Have *compute*, which equals the twin, do the work of `block_roots` in the thread that calls this."""
    _THREAD.compute = compute


def warning() -> str | None:
    """Return one sentence for the user when commitments are slow here, None when they are not."""
    if implementation() != PYTHON:
        return None
    return (
        "piece commitments are computed in plain Python, at about 50 MB/s a core; "
        "the compiled form, ten to twenty times as fast, was not built or not chosen"
    )
