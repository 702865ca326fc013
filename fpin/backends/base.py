"""A place pins live, as the flows see it: the contract that every backend keeps.

Knows pins and pieces. Knows nothing of any one place's protocol, nor of printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fpin.events import OnEvent
from fpin.piece import PieceCid
from fpin.routing import Expectation
from fpin.store import Copy, Pin


class PieceSource(Protocol):
    """A piece whose bytes can be produced again, from any offset, as often as needed."""

    @property
    def piece_cid(self) -> PieceCid: ...

    @property
    def size(self) -> int: ...

    def open(self, offset: int = 0) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asks of the places where copies will be."""

    copies: int = 2
    provider_ids: tuple[int, ...] = ()  # empty: any
    exclude_provider_ids: tuple[int, ...] = ()
    data_set_ids: tuple[int, ...] = ()  # empty: any that fits, or a new one
    metadata: tuple[tuple[str, str], ...] = ()  # of the data set, beside fpin's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One provider that will hold a copy, and why it was chosen."""

    provider_id: int
    provider_url: str
    data_set_id: int | None  # None: a new one will be made, and paid for
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What storing costs and where it would go. Nothing was paid, signed or sent.

    Amounts are decimal numbers of *token*. *shortfalls* says in sentences what keeps the account from
    affording it; empty when nothing does.
    """

    places: tuple[Place, ...]
    per_month: str
    fees: str
    locked: str
    token: str
    new_data_sets: int
    shortfalls: tuple[str, ...]
    remedy: str | None  # what to do about the shortfalls


class Backend(Protocol):
    """A place pins live.

    Every call may be repeated after a crash: each step is in the store before and after it is taken, and
    a second `put` of what is already there moves no bytes and pays nothing.
    """

    @property
    def network(self) -> str: ...

    @property
    def chain_id(self) -> int: ...

    def offer(self, sizes: Sequence[int], wish: Wish) -> Offer:
        """Return what *wish* would cost for pieces of at most *sizes* bytes.

        Raises ProviderError when no place fits the wish, `UsageError` when a limit is broken by it.
        """

    def put(
        self, pin: Pin, sources: Sequence[PieceSource], offer: Offer, *, until: str, on_event: OnEvent
    ) -> None:
        """Bring every piece of *pin* to every place of *offer*; the store says how far it came.

        *until* is ``parked`` or ``confirmed``. A place that fails does not keep the others from being
        served. Raises `SourceChanged` when a source is no longer what was hashed.
        """

    def refresh(self, pin: Pin, *, on_event: OnEvent) -> None:
        """Ask the world what became of each unfinished or leaving copy and write the answers down."""

    def remove(self, copies: Sequence[Copy], *, on_event: OnEvent) -> None:
        """Ask for *copies* to be removed. Returns when the chain has each removal in its queue."""

    def expectations(self, pin: Pin, copies: Sequence[Copy]) -> list[Expectation]:
        """Return what routing should show for *copies*."""
