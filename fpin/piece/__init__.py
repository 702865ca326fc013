"""Piece CIDs and the commitment they carry: bytes in, piece CID out; knows no files, CARs or chain.

PieceCid, parse_v1       a piece's CID, versions 2 and 1
PieceHasher              a piece from a stream of bytes
PieceTree, BLOCK_SIZE    a piece from blocks, in any order, from any thread
HeldPiece                a piece that waits for its first bytes
block_roots              the bulk primitive below all of them
hashing_threads          a pool of threads in which it uses all cores
implementation, warning  what runs on this machine, and whether it is slow
"""

from fpin.piece.cid import MAX_PIECE_SIZE, MIN_PIECE_SIZE, PieceCid, parse_v1, piece_height, raw_size
from fpin.piece.core import block_roots, implementation, warning
from fpin.piece.hasher import BLOCK_HEIGHT, BLOCK_SIZE, HeldPiece, PieceHasher, PieceTree
from fpin.piece.leaves import sha256_many
from fpin.piece.processes import hashing_threads

__all__ = [
    "BLOCK_HEIGHT",
    "BLOCK_SIZE",
    "MAX_PIECE_SIZE",
    "MIN_PIECE_SIZE",
    "HeldPiece",
    "PieceCid",
    "PieceHasher",
    "PieceTree",
    "block_roots",
    "hashing_threads",
    "implementation",
    "parse_v1",
    "piece_height",
    "raw_size",
    "sha256_many",
    "warning",
]
