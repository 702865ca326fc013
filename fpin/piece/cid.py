"""Piece CIDs: the commitment to a piece and its exact size, as CID v2 (FRC-0069) and as the older v1.

Knows how they are written and what a valid one is; computes no commitment.
"""

from __future__ import annotations

from fpin.ipld import cid, varint
from fpin.values import dataclass

QUAD = 127  # raw bytes that fr32 spreads over four 32-byte leaves
MIN_HEIGHT = 2  # one quad
# 127 * 2**56 < 2**63: above it neither size nor padding fits the varints of the CID.
MAX_HEIGHT = 58

MIN_PIECE_SIZE = 127  # raw bytes; providers refuse less (spec storage-provider §9.2)
MAX_PIECE_SIZE = 1_065_353_216  # raw bytes, 127 * 2**23: what providers take in one upload (§5.3)

_FIL_COMMITMENT_UNSEALED = 0xF101
_SHA2_256_TRUNC254_PADDED = 0x1012
_FR32_SHA256_TRUNC254_PADBINTREE = 0x1011
_V1_PREFIX = (
    b"\x01" + varint.encode(_FIL_COMMITMENT_UNSEALED) + varint.encode(_SHA2_256_TRUNC254_PADDED) + b"\x20"
)


def piece_height(payload_size: int) -> int:
    """Return the height of the smallest piece that holds *payload_size* raw bytes.

    The height counts the levels above the 32-byte leaves: the piece has ``2**height`` of them.

    >>> piece_height(0), piece_height(127), piece_height(128), piece_height(512)
    (2, 2, 3, 5)

    Source: FRC-0069, "Piece Multihash and v2 Piece CID".
    """
    quads = -(-payload_size // QUAD) or 1
    return MIN_HEIGHT + (quads - 1).bit_length()


def raw_size(height: int) -> int:
    """Return how many raw bytes a full tree of *height* >= 2 covers: ``127 * 2**(height - 2)``."""
    return QUAD << (height - MIN_HEIGHT)


@dataclass(frozen=True, slots=True)
class PieceCid:
    """A piece: the 32-byte *root* of its tree and the bytes of payload before any padding.

    ``str()`` gives the v2 text (``bafkzcib…``). Raises ValueError for a root of another length and for a
    size that no CID can carry.
    """

    root: bytes
    payload_size: int

    def __post_init__(self) -> None:
        if len(self.root) != 32:
            raise ValueError(f"a piece root has 32 bytes, not {len(self.root)}")
        if not 0 <= self.payload_size <= raw_size(MAX_HEIGHT):
            raise ValueError(f"no piece has {self.payload_size} bytes")

    @property
    def height(self) -> int:
        return piece_height(self.payload_size)

    @property
    def padding(self) -> int:
        """Zero bytes appended to the payload, before fr32, to fill the tree."""
        return raw_size(self.height) - self.payload_size

    @property
    def padded_size(self) -> int:
        """Bytes of the piece after fr32: a power of two, what the chain counts."""
        return 32 << self.height

    def to_bytes(self) -> bytes:
        """Return the binary v2 CID: codec raw, multihash of padding, height and root."""
        digest = varint.encode(self.padding) + bytes((self.height,)) + self.root
        multihash = varint.encode(_FR32_SHA256_TRUNC254_PADBINTREE) + varint.encode(len(digest)) + digest
        return cid.cid_v1(cid.RAW, multihash)

    def v1_bytes(self) -> bytes:
        """Return the binary v1 CID, which has the same root and does not tell the size."""
        return _V1_PREFIX + self.root

    def v1(self) -> str:
        """Return the text of the v1 CID (``baga6ea4seaq…``)."""
        return cid.format_cid(self.v1_bytes())

    def __str__(self) -> str:
        return cid.format_cid(self.to_bytes())

    @classmethod
    def parse(cls, text: str) -> PieceCid:
        """Return the piece that a v2 CID in any base names; ValueError for anything else, v1 included."""
        try:
            return cls.from_bytes(cid.parse_cid(text))
        except ValueError as exc:
            raise ValueError(f"not a piece CID: {text!r}: {exc}") from exc

    @classmethod
    def from_bytes(cls, data: bytes) -> PieceCid:
        """Return the piece that a binary v2 CID names.

        Raises ValueError unless *data* is exactly what `to_bytes` writes: codec raw, minimal varints, and
        the smallest tree that holds the payload. go-fil-commcid does not look at the codec, but the
        contract does (FilOzone/pdp src/Cids.sol, COMMP_V2_PREFIX).
        """
        whole, end = cid.read_cid(data)
        if end != len(data) or cid.is_v0(whole) or cid.codec_of(whole) != cid.RAW:
            raise ValueError("not one CID with codec raw")
        code, digest = cid.split_multihash(cid.multihash_of(whole))
        if code != _FR32_SHA256_TRUNC254_PADBINTREE:
            raise ValueError(f"hash function 0x{code:x} instead of 0x{_FR32_SHA256_TRUNC254_PADBINTREE:x}")
        padding, offset = varint.decode(digest)
        if len(digest) - offset != 33:
            raise ValueError(f"{len(digest) - offset} bytes of height and root instead of 33")
        return cls._from_parts(padding, digest[offset], digest[offset + 1 :])

    @classmethod
    def _from_parts(cls, padding: int, height: int, root: bytes) -> PieceCid:
        if not MIN_HEIGHT <= height <= MAX_HEIGHT:
            raise ValueError(f"height {height} is not within {MIN_HEIGHT}..{MAX_HEIGHT}")
        payload_size = raw_size(height) - padding
        if payload_size < 0 or piece_height(payload_size) != height:
            raise ValueError(f"{padding} bytes of padding are too many for a tree of height {height}")
        return cls(root, payload_size)


def parse_v1(text: str) -> bytes:
    """Return the 32-byte root of a v1 piece CID; ValueError for anything else.

    Only together with the size of the payload does it become a `PieceCid`.
    """
    data = cid.parse_cid(text)
    if not data.startswith(_V1_PREFIX) or len(data) != len(_V1_PREFIX) + 32:
        raise ValueError(f"not a piece CID of version 1: {text!r}")
    return data[len(_V1_PREFIX) :]
