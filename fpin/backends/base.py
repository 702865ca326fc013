"""A place pins live, as the flows see it: the contract that every backend keeps.

Knows pins and pieces. Knows nothing of any one place's protocol, nor of printing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import TYPE_CHECKING, Literal, Protocol

from fpin.backends.source import PieceSource
from fpin.settings import JOBS
from fpin.values import dataclass

if TYPE_CHECKING:  # 50 ms to import, and `fpin cid` needs none of it
    from fpin import routing
    from fpin.errors import FpinError
    from fpin.events import OnEvent
    from fpin.routing import Gate, Peers
    from fpin.store import Copy, Payment, Pin

DataSetState = Literal["live", "terminated", "deleted"]
ProofState = Literal["not started", "waiting", "window open", "overdue"]
RailKind = Literal["storage", "CDN", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asks of the places where copies will be."""

    copies: int = 2
    provider_ids: tuple[int, ...] = ()  # empty: any
    exclude_provider_ids: tuple[int, ...] = ()
    data_set_ids: tuple[int, ...] = ()  # empty: any that fits, or a new one
    runway: int = 0  # epochs that the account is to last afterwards
    countries: tuple[str, ...] = ()  # where providers must be, as they say; empty: anywhere
    regions: tuple[str, ...] = ()
    spread: str | None = None  # no two copies in the same "country" or "region"
    seed: str | None = None  # orders providers that are as good as each other; None: the wallet decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What storing takes, as decimal numbers of *token*; nothing of it has been paid."""

    per_month: str
    flat_per_month: str  # the part of it that does not grow with size
    per_epoch: str  # what the account will spend in addition each epoch, exactly
    fees: str  # once; they are taken out of what is locked
    earlier_fees: str  # of earlier removals, which become due with this
    locked: (
        str  # no longer free; stays ours but for the fees, and cannot be withdrawn while the data is stored
    )
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One provider that will hold a copy, why it was chosen, and what is still to be paid for there."""

    provider_id: int
    provider_url: str
    data_set_id: int | None  # None: a new one will be made, and paid for
    reason: str
    cost: Cost = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """What the account lacks for an offer, in base units of its token; zeros where nothing is missing.

    *ticket* goes with a deposit: it is good for one, and for none when another deposit was made since.
    """

    required: int  # with less the first transaction is refused
    deposit: int  # that, a little to spare, and what the runway wished for takes
    approve: bool  # the storage service must be allowed to use the account first
    limited: bool  # it is allowed to, within limits that somebody set and that this goes beyond
    funds: int  # what is deposited now
    wallet: int  # what could be
    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a wish costs and where it would go. Nothing was paid, signed or sent.

    *shortfalls* says in sentences what keeps the account from affording it; empty when nothing does.
    *remedy* is what to do about them.
    """

    wish: Wish
    seed: str  # by which the places were chosen
    places: tuple[Place, ...]
    cost: Cost
    new_data_sets: int
    shortfalls: tuple[str, ...]
    remedy: str | None
    missing: str  # decimal amount of the token to deposit; "0" when there is enough
    funding: Funding
    runway: (
        int | None
    )  # epochs that the account lasts once it is done, without a deposit; None: nothing spends


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A place that was not served, and why.

    *replaceable*: another place may be served instead. Not where an add may still be carried out: then there
    would be, and be paid for, one copy more than asked for.
    """

    provider_id: int
    error: FpinError
    replaceable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Why a copy that the chain holds cannot be counted on.

    *sure*: it is gone for good, as far as anybody can tell. Else its provider only does not answer now.
    """

    reason: str
    sure: bool


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
    locked: str  # of these, not free
    withdrawable: str  # what is free and will still be when a transaction sent now is executed
    per_epoch: str  # spent at the present rate
    per_month: str
    debt: str
    runway: int | None  # epochs until a top-up is needed; None: nothing is spending
    runs_dry: int | None  # when that is, in Unix seconds of chain time
    epoch: int  # of all this
    approved: bool  # the storage service may use the account


@dataclass(frozen=True, slots=True, kw_only=True)
class RailReport:
    """A stream of payments to one payee. *kind* is other where it belongs to no data set."""

    rail_id: int
    kind: RailKind
    data_set_id: int | None
    provider_id: int | None
    payee: str
    per_epoch: str
    per_month: str
    locked: (
        str  # held back for it: what fees are taken from, and the time ahead that is guaranteed to be paid
    )
    settled_up_to: int  # epoch up to which the payee has been paid
    ended: int | None  # the epoch with which it ends or ended; None: it goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReport:
    """What the storage service charges, as decimal numbers of the token."""

    storage_per_tib_month: str
    data_set_per_month: str  # flat, while it holds anything
    create_data_set: str
    add_pieces: str  # a call …
    add_piece: str  # … and each piece in it
    schedule_removals: str
    terminate: str
    reserve: str  # locked for each data set; fees are taken from it
    lockup_days: int  # days of rent that are locked


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceReport:
    """What the storage service may do with the account; None where there is no limit."""

    approved: bool
    unlimited: bool
    per_epoch: str | None
    per_epoch_used: str
    lockup: str | None
    lockup_used: str
    lockup_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlookReport:
    """Where the account will stand after *days* at the rate that the forecast is about."""

    days: int
    spent: str
    available: str  # what is left free, if nothing is deposited
    missing: str  # what to deposit so that it lasts that long


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementReport:
    """Where the account's money is bound and what it is for, in decimal numbers of its token."""

    unsettled: str  # spent and not yet paid out to the payees
    rails: tuple[RailReport, ...]
    prices: PriceReport
    allowance: AllowanceReport
    outlook: tuple[OutlookReport, ...]
    adding: Cost | None  # what the outlook counts in addition


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A transaction of the wallet that was executed. *gas* is what it burned of the chain's own coin."""

    tx: str
    gas: str | None  # None where the node does not say


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
class ProviderDetail:
    """All that the registry knows of a provider."""

    provider: ProviderReport
    description: str
    sends_from: str  # the address that sends its transactions
    payee: str
    smallest_piece: int  # bytes, padded
    largest_piece: int
    advertises_ipfs: bool
    peer_id: str | None  # that signs its advertisements
    capabilities: dict[str, str]  # as registered; hexadecimal digits where it is no text
    data_sets: tuple[int, ...]  # that the account has there


@dataclass(frozen=True, slots=True, kw_only=True)
class PingReport:
    """Whether a provider says that it is well. *problem* says why it cannot be used; None when it can."""

    provider_id: int
    url: str
    milliseconds: int | None  # how long the answer took
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetReport:
    """A data set that the account pays for."""

    data_set_id: int
    provider_id: int
    state: DataSetState
    size: int  # raw bytes, as they are billed
    metadata: tuple[tuple[str, str], ...]
    ends: int | None  # epoch up to which it is stored; None: it goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofDetail:
    """Where a data set stands between two proofs, in epochs; None while there is no such point yet."""

    state: ProofState
    last_proven: int | None
    next_challenge: int | None  # the window in which the next proof may come opens
    due: int | None  # … and closes
    proven_this_period: bool
    period: int  # epochs from one proof to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceInSet:
    """A piece on chain. *leaving*: it goes at the next proving period."""

    piece_id: int
    piece_cid: str
    size: int  # bytes
    leaving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetDetail:
    """All about a data set, and a page of its pieces. Amounts are decimal numbers of *token*."""

    data_set_id: int
    client_data_set_id: str  # the number that is signed; it has up to 78 digits
    provider_id: int
    provider_url: str
    payer: str
    state: DataSetState
    size: int  # raw bytes, as they are billed
    metadata: dict[str, str]
    epoch: int  # of all this
    timestamp: int  # its Unix time
    proof: ProofDetail | None  # None: there is nothing to prove
    rails: tuple[RailReport, ...]
    token: str
    per_month: str
    runway: int | None  # epochs that the account which pays lasts; None: nothing is spending
    paid_until: int | None  # epoch up to which it is paid for if nothing is deposited; None: for ever
    pieces: tuple[PieceInSet, ...]
    next_piece_id: int | None  # where the next page begins; None: these were the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What terminating a data set means. Amounts are decimal numbers of *token*."""

    data_set_id: int
    provider_id: int
    size: int  # raw bytes, as they are billed
    token: str
    per_month: str  # what is no longer spent then
    to_be_paid: str  # until then, at the present rate
    locked: str  # for it now; what is not paid of it comes free afterwards
    ends: int  # epoch up to which it is stored and paid for
    ends_at: int  # about when that is, in Unix seconds
    terminated: bool  # that has happened already


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeReport:
    """One thing that a session key may sign. *expires* is in Unix seconds of chain time."""

    scope: str  # create-data-set, add, remove, terminate
    expires: int
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """A key that a wallet allowed to sign some things for it. *scopes* are all that it was ever allowed."""

    address: str
    wallet: str
    live: bool  # it may sign something
    scopes: tuple[ScopeReport, ...]


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

    def check_rights(self, *, new_data_sets: bool) -> None:
        """Raise PermissionMissing, or NoKey, unless what an add takes can be signed."""

    def check_owner(self) -> None:
        """Raise NoKey unless the wallet's own key is at hand: nothing else moves its money."""

    @property
    def wallet(self) -> str:
        """The address of the wallet whose account this is; raises NoKey where nobody says."""

    @property
    def known_wallet(self) -> str | None:
        """That address as far as it is known without asking anybody; None where it is not."""

    @property
    def session(self) -> str | None:
        """The address of the session key that signs here; None where there is none."""

    def sessions(self, addresses: Sequence[str]) -> tuple[SessionReport, ...]:
        """Return what the keys at *addresses* may sign for the wallet."""

    def allow_session(self, address: str, scopes: Sequence[str], seconds: int, *, on_event: OnEvent) -> Paid:
        """Let the key at *address* sign *scopes* for *seconds* from now; other scopes stay as they are."""

    def revoke_session(self, address: str, *, on_event: OnEvent) -> Paid | None:
        """Let the key at *address* sign nothing any more; None where it could not anyway."""

    def check_metadata(self, metadata: Sequence[tuple[str, str]]) -> None:
        """Raise UsageError for metadata of a piece that this place would refuse."""

    def offer(self, sizes: Sequence[int], wish: Wish, *, on_event: OnEvent) -> Offer:
        """Return what *wish* would cost for pieces of at most *sizes* bytes, none of them stored yet.

        Raises ProviderError when no place fits the wish, UsageError when a limit is broken by it.
        """

    def offer_rest(
        self,
        pin: Pin,
        sizes: Mapping[str, int],
        wish: Wish,
        *,
        on_event: OnEvent,
        keep: Collection[int] = (),
    ) -> Offer:
        """Return what is still to be done for *pin*, and its price: nothing for what is on chain already.

        *sizes* are the bytes of the pieces wanted, by piece CID. Its places are all that will hold the pin,
        those first that hold or are adding it now, or are among *keep*.
        """

    def put(
        self,
        pin: Pin,
        sources: Mapping[str, PieceSource | None],
        places: Sequence[Place],
        *,
        park_only: bool,
        on_event: OnEvent,
        jobs: int = JOBS,
        aside: Collection[int] = (),
        replaced: Mapping[int, str] | None = None,
    ) -> tuple[Failed, ...]:
        """Bring every piece of *pin* to every one of *places*; return those that could not be served.

        *sources* are by piece CID; None where only other places can give the bytes. Of the bytes that are
        here the first place gets its own, *jobs* pieces at a time; the others fetch theirs from there, and
        all of them add at the same time. The store says how far it came. Copies at places that are not asked
        any more are given up, with what *replaced* says as the reason; those at providers *aside* are left as
        they are. A failure that is ours is raised at once: `SourceError`, `PermissionMissing`, `LocalError`.
        """

    def settle(self, pin: Pin, *, on_event: OnEvent) -> None:
        """Ask the world what became of each copy under way or leaving and write the answers down."""

    def losses(self, pin: Pin) -> dict[int, Loss]:
        """Return by copy row what is wrong with copies of *pin* that are on chain or under way."""

    def remove(self, copies: Sequence[Copy], *, on_event: OnEvent) -> None:
        """Ask for *copies* to be removed. Returns when the chain has each removal in its queue."""

    def is_live(self, copy: Copy) -> bool:
        """Tell whether the chain still holds *copy*."""

    def held_beside(self, copy: Copy, piece_cid: str) -> bool:
        """Tell whether another data set of the account holds the same piece at the same provider."""

    def account(self) -> AccountReport | None:
        """Return what pays; None without a key."""

    def providers(self) -> tuple[ProviderReport, ...]:
        """Return the active providers in registry order."""

    def provider(self, provider_id: int) -> ProviderDetail:
        """Return one provider, active or not; raises NotFound."""

    def ping(self, provider_ids: Sequence[int]) -> tuple[PingReport, ...]:
        """Ask providers, or all active ones where none is named, whether they are well."""

    def data_set(self, data_set_id: int, *, start: int, limit: int) -> DataSetDetail:
        """Return a data set of anybody's, and up to *limit* of its pieces from id *start* on."""

    def ending(self, data_set_id: int) -> Ending:
        """Return what terminating a data set of the account's means; raises NoKey for another's."""

    def terminate(self, data_set_id: int, *, on_event: OnEvent) -> Paid | None:
        """End a data set; None where that has happened. Call it within `paying`."""

    def data_sets(self) -> tuple[DataSetReport, ...]:
        """Return the data sets of the account, oldest first."""

    def statement(
        self, offer: Offer | None, *, days: Sequence[int] = ()
    ) -> tuple[AccountReport, StatementReport] | None:
        """Return all about the account's money, and how it will stand in *days*; None without a wallet.

        With *offer* the outlook is that of an account which takes it.
        """

    def lacking(self, *, runway: int) -> Funding:
        """Return what it takes for the account to last *runway* epochs at its present rate."""

    def paying(self, *, on_event: OnEvent) -> AbstractContextManager[tuple[Payment, ...]]:
        """Be the only one of this user's runs that moves the wallet's money, for as long as the block lasts.

        First it is asked what became of payments of earlier runs, and told; those that were executed are
        handed back, until `acknowledge` says that the user knows of them. Raises Unavailable while one may
        still be executed and nothing can be said.
        """

    def deposit(
        self, amount: int, *, approve: bool, ticket: int | None = None, on_event: OnEvent
    ) -> Paid | None:
        """Move *amount* base units into the account, and with *approve* let it be used for storing.

        Returns None when nothing had to be sent. Raises Unavailable when *ticket* is used up.
        """

    def acknowledge(self, tx: str) -> None:
        """Write down that the user was told of the payment *tx*: the same asked for again is another one."""

    def withdraw(self, amount: int, *, on_event: OnEvent) -> Paid:
        """Move *amount* base units of what is free back to the wallet; raises Unaffordable for more."""

    def proofs(self, pins: Sequence[Pin]) -> dict[int, Proof]:
        """Return the proofs of the copies of *pins* that are on chain, by copy row, asked for together."""

    def routed(self, copy: Copy, piece_cid: str) -> routing.Copy:
        """Return what routing should show for *copy*."""

    def peers(self, gate: Gate) -> Peers:
        """Return whom routing may ask about this place's copies."""

    def checkup(self) -> Iterator[Finding]:
        """Yield what is well and what is not with this place and the way there; asks, changes nothing."""
