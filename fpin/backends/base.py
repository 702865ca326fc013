"""A place pins live, as the flows see it: the contract that every backend keeps.

Knows pins and pieces. Knows nothing of any one place's protocol, nor of printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # 50 ms to import, and `fpin cid` needs none of it
    from fpin import routing
    from fpin.events import OnEvent
    from fpin.piece import PieceCid
    from fpin.routing import Gate, Peers
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One provider that will hold a copy, and why it was chosen."""

    provider_id: int
    provider_url: str
    data_set_id: int | None  # None: a new one will be made, and paid for
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What storing takes, as decimal numbers of *token*; nothing of it has been paid."""

    per_month: str
    fees: str  # once
    locked: str  # stays ours, and cannot be withdrawn while the data is stored
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a wish costs and where it would go. Nothing was paid, signed or sent.

    *shortfalls* says in sentences what keeps the account from affording it; empty when nothing does.
    *remedy* is what to do about them.
    """

    wish: Wish
    places: tuple[Place, ...]
    cost: Cost
    new_data_sets: int
    shortfalls: tuple[str, ...]
    remedy: str | None
    missing: str  # decimal amount of the token to deposit; "0" when there is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """When a copy's possession was last proved and is to be proved next, as epochs; None: not yet."""

    last_proven: int | None
    next_proof_due: int | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """What pays for the pins. Amounts are decimal numbers of *token* (*gas*: of the chain's own coin)."""

    address: str
    token: str
    wallet: str  # not deposited
    gas: str
    funds: str  # deposited
    available: str  # of these, free to spend or withdraw
    per_month: str  # spent at the present rate
    debt: str
    runway: int | None  # epochs until a top-up is needed; None: nothing is spending
    approved: bool  # the storage service may use the account


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """A provider as registered. *problem* says why it cannot be used; None when it can."""

    provider_id: int
    name: str
    url: str
    location: str
    approved: bool  # by the storage service
    endorsed: bool  # good enough for the first copy
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetReport:
    """A data set that the account pays for. *state* is live, terminated or deleted."""

    data_set_id: int
    provider_id: int
    state: str
    size: int  # raw bytes, as they are billed
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that `doctor` looked at. *remedy* is what to do about it; None where nothing is."""

    name: str
    state: Literal["ok", "warning", "bad"]
    says: str
    remedy: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)  # what was measured, for programs


class Backend(Protocol):
    """A place pins live.

    Every call may be repeated after a crash: each step is in the store before and after it is taken, and
    a second `put` of what is already there moves no bytes and pays nothing.
    """

    @property
    def network(self) -> str: ...

    @property
    def chain_id(self) -> int: ...

    def check_metadata(self, metadata: Sequence[tuple[str, str]]) -> None:
        """Raise UsageError for metadata of a piece that this place would refuse."""

    def offer(self, sizes: Sequence[int], wish: Wish, *, on_event: OnEvent) -> Offer:
        """Return what *wish* would cost for pieces of at most *sizes* bytes, none of them stored yet.

        Raises ProviderError when no place fits the wish, UsageError when a limit is broken by it.
        """

    def offer_rest(self, pin: Pin, sizes: Mapping[str, int], wish: Wish, *, on_event: OnEvent) -> Offer:
        """Return what is still to be done for *pin*, and its price: nothing for what is on chain already.

        *sizes* are the bytes of the pieces wanted, by piece CID. Its places are all that will hold the pin,
        those first that hold or are adding it now.
        """

    def put(
        self,
        pin: Pin,
        sources: Mapping[str, PieceSource],
        places: Sequence[Place],
        *,
        park_only: bool,
        on_event: OnEvent,
    ) -> None:
        """Bring every piece of *pin* to every one of *places*; the store says how far it came.

        *sources* are by piece CID. A place that fails does not keep the others from being served, unless
        the reason is ours: `SourceError`, `PermissionMissing` and `LocalError` are raised at once. Raises
        the first failure when no place was served.
        """

    def settle(self, pin: Pin, *, on_event: OnEvent) -> None:
        """Ask the world what became of each copy under way or leaving and write the answers down."""

    def remove(self, copies: Sequence[Copy], *, on_event: OnEvent) -> None:
        """Ask for *copies* to be removed. Returns when the chain has each removal in its queue."""

    def is_live(self, copy: Copy) -> bool:
        """Tell whether the chain still holds *copy*."""

    def account(self) -> AccountReport | None:
        """Return what pays; None without a key."""

    def providers(self) -> tuple[ProviderReport, ...]:
        """Return the active providers in registry order."""

    def data_sets(self) -> tuple[DataSetReport, ...]:
        """Return the data sets of the account, oldest first."""

    def deposit(self, amount: int, *, approve: bool) -> str | None:
        """Move *amount* base units into the account, and with *approve* let it be used for storing.

        Returns the transaction; None when nothing had to be sent.
        """

    def proofs(self, pin: Pin) -> dict[int, Proof]:
        """Return the proofs of the copies of *pin* that are on chain, by copy row."""

    def routed(self, copy: Copy, piece_cid: str) -> routing.Copy:
        """Return what routing should show for *copy*."""

    def peers(self, gate: Gate) -> Peers:
        """Return whom routing may ask about this place's copies."""

    def checkup(self) -> Iterator[Finding]:
        """Yield what is well and what is not with this place and the way there; asks, changes nothing."""
