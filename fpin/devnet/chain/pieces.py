"""Piece CIDs and Merkle proofs as PDPVerifier reads them, with its own words for what is wrong.

Follows FilOzone/pdp v3.4.0, Cids.sol and Proofs.sol. Shares no code with the piece room on purpose.
"""

from __future__ import annotations

import hashlib

from fpin.devnet.chain.machine import PANIC_INDEX, Revert
from fpin.values import dataclass

_PREFIX = bytes.fromhex("01559120")  # CIDv1, raw, fr32-sha2-256-trunc254-padded-binary-tree
MAX_HEIGHT = 50


@dataclass(frozen=True, kw_only=True)
class PieceShape:
    """What a PieceCIDv2 says beside the root."""

    padding: int
    height: int

    @property
    def padding_excessive(self) -> bool:
        return 128 * self.padding // 127 >= 1 << (self.height + 5)

    @property
    def leaf_count(self) -> int:
        """32-byte leaves that hold any data."""
        return (1 << self.height) - (128 * self.padding // 127 >> 5)


def parse_piece_cid(cid: bytes) -> PieceShape:
    """Return the shape of a binary PieceCIDv2; reverts in the contract's words."""
    for index, byte in enumerate(_PREFIX):
        if index >= len(cid):
            raise Revert.panic(PANIC_INDEX)
        if cid[index] != byte:
            raise Revert.text("Cid must be CommPv2")
    length, offset = _read_uvarint(cid, 4)
    if length < 34:
        raise Revert.text("CommPv2 multihash length must be at least 34")
    if length + offset != len(cid):
        raise Revert.text("CommPv2 multihash length does not match data length")
    padding, offset = _read_uvarint(cid, offset)
    if offset >= len(cid):
        raise Revert.panic(PANIC_INDEX)
    return PieceShape(padding=padding, height=cid[offset])


def _read_uvarint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if offset >= len(data):
            raise Revert.panic(PANIC_INDEX)
        value |= (data[offset] & 0x7F) << shift
        if data[offset] < 0x80:
            return value % 2**256, offset + 1
        offset, shift = offset + 1, shift + 7


def raw_size(leaf_count: int) -> int:
    """Return about how many raw bytes *leaf_count* leaves hold: what the storage rate is charged for."""
    return leaf_count * 32 * 127 // 128


def verify_proof(cid: bytes, leaf: bytes, siblings: tuple[bytes, ...], offset: int) -> bool:
    """Tell whether *leaf* is number *offset* of the piece's tree; reverts on a proof of the wrong length."""
    if len(siblings) != cid[-33]:  # the height byte stands before the root
        raise Revert.text("proof length does not match tree height")
    node = leaf
    for sibling in siblings:
        pair = sibling + node if offset & 1 else node + sibling
        digest = bytearray(hashlib.sha256(pair).digest())
        digest[31] &= 0x3F  # 254 bits, as in all of Filecoin's commitments
        node, offset = bytes(digest), offset >> 1
    return node == cid[-32:]
