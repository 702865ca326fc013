"""UnixFS profiles: every choice that decides which CID a file or directory gets, as data.

The same profile gives the same CID in every implementation (IPIP-499); fpin has no other knobs.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from fpin.errors import UsageError
from fpin.ipld import cid as cids
from fpin.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One row of choices. Both published profiles use sha2-256, balanced trees, and HAMT fanout 256."""

    name: str
    cid_version: Literal[0, 1]
    chunk_size: int  # bytes of content in a leaf
    width: int  # links of a node inside a file
    raw_leaves: bool  # leaves are raw blocks; otherwise dag-pb nodes of type File
    hamt_threshold: int  # a directory whose estimate is over this becomes a HAMT
    hamt_estimate: Literal["block-bytes", "links-bytes"]

    @property
    def cid_size(self) -> int:
        """Bytes of every CID in such a DAG, whatever it names."""
        return 36 if self.cid_version else 34

    @cached_property
    def node_prefix(self) -> bytes:
        """What stands before the digest in the CID of a dag-pb node."""
        return cids.sha256_cid(cids.DAG_PB, b"") if self.cid_version else b"\x12\x20"

    @cached_property
    def leaf_prefix(self) -> bytes:
        """What stands before the digest in the CID of a leaf."""
        return cids.sha256_cid(cids.RAW, b"") if self.raw_leaves else self.node_prefix


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="unixfs-v1-2025",
            cid_version=1,
            chunk_size=2**20,
            width=1024,
            raw_leaves=True,
            hamt_threshold=2**18,
            hamt_estimate="block-bytes",
        ),
        Profile(
            name="unixfs-v0-2015",
            cid_version=0,
            chunk_size=2**18,
            width=174,
            raw_leaves=False,
            hamt_threshold=2**18,
            hamt_estimate="links-bytes",
        ),
    )
}
DEFAULT_PROFILE = PROFILES["unixfs-v1-2025"]


def find_profile(name: str) -> Profile:
    """Return the profile called *name*; UsageError lists those there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(f"no profile {name!r}", hint=f"choose one of {', '.join(PROFILES)}") from None
