"""Files to pieces: walk a path, lay out its blocks, hash them, make a piece's bytes again; knows no network.

walk, wrap, file_tree    paths to a Tree: names, sizes, kinds
plan                     a Tree to a Layout: every block and piece, nothing read
digest                   a Layout to CIDs: one read of the data
PackedPiece.open         the bytes of a piece, from any offset
write_cars               the pieces as files, in the same pass as `digest`

Beside it stand `fpin.pack.imported`, the same for a CAR file that exists already, and `fpin.pack.carset`, CAR
files read back; who packs paths, as most do, need not wait for their import.
"""

from fpin.pack.export import write_cars
from fpin.pack.hashing import Packed, digest
from fpin.pack.layout import Layout, PieceSpan, plan
from fpin.pack.profiles import DEFAULT_PROFILE, PROFILES, Profile, find_profile
from fpin.pack.source import PackedPiece
from fpin.pack.tree import EntryKind, Tree, file_tree, wrap
from fpin.pack.walking import walk

__all__ = [
    "DEFAULT_PROFILE",
    "PROFILES",
    "EntryKind",
    "Layout",
    "Packed",
    "PackedPiece",
    "PieceSpan",
    "Profile",
    "Tree",
    "digest",
    "file_tree",
    "find_profile",
    "plan",
    "walk",
    "wrap",
    "write_cars",
]
