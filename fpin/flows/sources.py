"""What can be stored, as `add` sees it: laid out first, then hashed, then sent; whatever it is made from.

Knows neither files nor CARs: `packing` and `imports` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from fpin.backends.source import PieceSource
from fpin.events import OnEvent
from fpin.values import dataclass

if TYPE_CHECKING:
    from fpin.store import Packing


class SampledPiece(PieceSource, Protocol):
    """A piece that can name some of its blocks."""

    def sample(self, count: int, seed: int) -> list[bytes]:
        """Return the CIDs of up to *count* different blocks, decided by *seed*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """Content with all its CIDs. Of *pieces* the last one holds the root."""

    root_cid: bytes
    size: int  # bytes of content
    files: int
    pieces: Sequence[SampledPiece]


class LaidOut(Protocol):
    """Content of which the sizes are known, but no CID."""

    @property
    def size(self) -> int:
        """Bytes of content."""

    @property
    def files(self) -> int: ...

    @property
    def piece_sizes(self) -> Sequence[int]:
        """Bytes of each piece, at most."""

    def hash(self, *, on_event: OnEvent) -> Hashed:
        """Read everything once. Raises SourceError for what cannot be read or stored."""


class Source(Protocol):
    """Something to store."""

    @property
    def stored_path(self) -> str | None:
        """The absolute path that the store remembers it by; None where it came from no one path."""

    @property
    def default_name(self) -> str | None:
        """What a pin is called that was given no name."""

    @property
    def profile(self) -> str:
        """What decided its CIDs, in one word for the store."""

    @property
    def packing(self) -> Packing:
        """What else decided them."""

    def lay_out(self, *, on_event: OnEvent) -> LaidOut:
        """Find out how much it is. Raises UsageError and SourceError for what cannot be stored."""
