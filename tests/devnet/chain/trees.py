"""Pieces small enough to build in a test: their CIDs and inclusion proofs, from the definition."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def node(left: bytes, right: bytes) -> bytes:
    digest = bytearray(hashlib.sha256(left + right).digest())
    digest[-1] &= 0b0011_1111
    return bytes(digest)


@dataclass(frozen=True)
class Piece:
    """A full tree over *leaves* (a power of two of them), without padding."""

    leaves: tuple[bytes, ...]

    @property
    def height(self) -> int:
        return len(self.leaves).bit_length() - 1

    def levels(self) -> list[list[bytes]]:
        levels = [list(self.leaves)]
        while len(levels[-1]) > 1:
            below = levels[-1]
            levels.append([node(below[i], below[i + 1]) for i in range(0, len(below), 2)])
        return levels

    @property
    def cid(self) -> bytes:
        return bytes.fromhex("01559120") + bytes([34, 0, self.height]) + self.levels()[-1][0]

    def prove(self, offset: int) -> tuple[bytes, list[bytes]]:
        siblings = [level[offset >> depth ^ 1] for depth, level in enumerate(self.levels()[:-1])]
        return self.leaves[offset], siblings


def make_piece(seed: int, height: int = 3) -> Piece:
    """A piece of 2**height leaves that differs for every seed."""
    return Piece(tuple(bytes([seed, i, 7]) + bytes(29) for i in range(1 << height)))


def cid_of_size(padding: int, height: int) -> bytes:
    """A piece CID that claims that shape; nobody can prove it."""
    coded = bytearray()
    value = padding
    while value >= 0x80:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return (
        bytes.fromhex("01559120") + bytes([len(coded) + 33]) + bytes(coded) + bytes([height]) + b"\x11" * 32
    )
