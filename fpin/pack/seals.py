"""Seals: what tells, at the speed of memory, that bytes read a second time are those of the first time.

A seal is a GMAC (NIST SP 800-38D) of 96 bits, under a key that is drawn for this run and shown to nobody.
Whatever a block of n bytes is changed to by who does not know the key, its seal stays the same with a chance
of (n + 32) / 2**100 at most: of a leaf of 1 MiB, one in 10**24.
Outside this process a seal means nothing.
"""

from __future__ import annotations

import os

_SIZE = 12  # bytes of a seal: they stay in memory for every leaf
# One nonce for all is no weakness as long as seals stay here: they are compared, never shown.
_NONCE = bytes(12)


class Seals:
    """A seal for each of some numbered blocks; put and looked up from any thread."""

    def __init__(self, blocks: int) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # only who sends needs it

        self._cipher = AESGCM(os.urandom(16))
        self._seals = bytearray(blocks * _SIZE)

    def put(self, number: int, block: memoryview) -> None:
        self._seals[number * _SIZE : (number + 1) * _SIZE] = self._seal(block)

    def fits(self, number: int, block: memoryview) -> bool:
        """Tell whether *block* is the one that was put under that number."""
        return self._seals[number * _SIZE : (number + 1) * _SIZE] == self._seal(block)

    def _seal(self, block: memoryview) -> bytes:
        return self._cipher.encrypt(_NONCE, b"", block)[:_SIZE]
