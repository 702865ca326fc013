"""SHA-256 of many messages: side by side where this processor gains by it, else one by one with hashlib.

Stands here because it runs on the kernels of the commitment; what the messages are it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from hashlib import sha256
from itertools import groupby

from fpin.piece import core

_Messages = Sequence[bytes | bytearray | memoryview]
_Lanes = tuple[int, int, Callable[[_Messages], bytes]]  # how many at once, how many at least, the function

# The fewest messages for which a kernel beats hashlib, which uses the SHA instructions too, one message at a
# time (benchmarks/piece.py). AVX2 gains only where there are no such instructions.
_LEAST = {"avx512": 10, "shani": 2, "shani_plain": 2, "arm": 2, "avx2": 5}
_SHA_INSTRUCTIONS = {"shani", "shani_plain", "arm"}


def sha256_many(messages: _Messages) -> bytes:
    """Return the SHA-256 digests of *messages*, 32 bytes each, in order; the GIL is released meanwhile.

    Sixteen neighbours of equal length, as the chunks of a file are, are hashed fastest.
    """
    return b"".join(_digests(messages))


def _digests(messages: _Messages) -> Iterator[bytes]:
    for _, neighbours in groupby(messages, key=len):
        group, start = list(neighbours), 0
        for lanes, least, hash_lanes in _side_by_side():
            while len(group) - start >= least:
                yield hash_lanes(group[start : start + lanes])
                start += lanes
        for message in group[start:]:
            yield sha256(message).digest()


@cache
def _side_by_side() -> list[_Lanes]:
    """Return what pays here, the widest first."""
    native = core.native
    if native is None:
        return []
    names = list(core.implementations())
    found: list[_Lanes] = []
    for name in names[names.index(core.implementation()) :]:  # a forced kernel rules out the faster ones
        if name in _LEAST:
            found.append((native.kernels()[name], _LEAST[name], partial(native.sha256_many, name)))
        if name in _SHA_INSTRUCTIONS:
            break
    return found
