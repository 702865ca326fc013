"""A piece as a backend takes it. Stands alone because who only packs needs nothing else of a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fpin.piece import PieceCid


class PieceSource(Protocol):
    """A piece whose bytes can be produced again, from any offset, as often as needed."""

    @property
    def piece_cid(self) -> PieceCid: ...

    @property
    def size(self) -> int: ...

    def open(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes from *offset* on."""
