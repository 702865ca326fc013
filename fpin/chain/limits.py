"""Limits: what the contracts refuse, checked before anything is uploaded or signed.

Pure. Lengths are counted in UTF-8 bytes, as the contract counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fpin.chain.typed_data import Metadata
from fpin.errors import UsageError

# 40, not 41: a call with more than 41 pieces exceeds the chain's limit on the size of an event (8 KiB), and
# the reference client keeps one in hand (synapse-core src/utils/constants.ts).
MAX_PIECES_PER_ADD = 40
MAX_PIECES_PER_REMOVAL = 35  # what providers take in one request
MAX_CREATE_EXTRA_DATA = 4096
MAX_KEYS_PER_DATA_SET = 10
MAX_KEYS_PER_PIECE = 3
MAX_KEY_BYTES = 32
MAX_VALUE_BYTES = 96

_T = TypeVar("_T")


def check_data_set_metadata(metadata: Metadata) -> None:
    """Raise UsageError, naming the key, when the contract would refuse a data set's metadata."""
    _check(metadata, MAX_KEYS_PER_DATA_SET, "a data set")


def check_piece_metadata(metadata: Metadata) -> None:
    """Raise UsageError, naming the key, when the contract would refuse a piece's metadata."""
    _check(metadata, MAX_KEYS_PER_PIECE, "a piece")


def _check(metadata: Metadata, max_keys: int, owner: str) -> None:
    if len(metadata) > max_keys:
        raise UsageError(f"{len(metadata)} metadata entries are too many: {owner} can have {max_keys}")
    seen: set[str] = set()
    for key, value in metadata:
        if key in seen:
            raise UsageError(f"the metadata key {key!r} is there twice", key=key)
        seen.add(key)
        _check_length("metadata key", key, key, MAX_KEY_BYTES)
        _check_length(f"value of metadata key {key!r}:", value, key, MAX_VALUE_BYTES)


def _check_length(what: str, text: str, key: str, limit: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise UsageError(f"{what} {text!r} is not valid UTF-8 text", key=ascii(key)) from exc
    if size > limit:
        raise UsageError(
            f"{what} {text!r} has {size} bytes, at most {limit} are allowed", key=key, size=size, limit=limit
        )


def in_batches(items: Sequence[_T], size: int = MAX_PIECES_PER_ADD) -> list[Sequence[_T]]:
    """Return *items* cut into runs of at most *size*.

    >>> in_batches([1, 2, 3], 2)
    [[1, 2], [3]]
    """
    return [items[start : start + size] for start in range(0, len(items), size)]
