"""What happens during a flow, as small frozen values; printers turn them into bars, lines or JSON.

Flows and backends emit them, only the command line turns them into words; so they stand below all three.

Order during `add`::

    (Spooling)* Walked Planned Quoted (Hashing)* Packed
      (ProviderChosen ((Uploading)* | Pulling Parked)* Submitted Confirmed | CopyFailed (Quoted Replaced)?)*
      (RoutingAsked)* RoutingEnded

and during `rm`: ``RemovalScheduled (RemovalSeen)*``. A payment is ``PaymentSent PaymentEnded``;
in `add` it comes before the first upload. `Confirming`, `Waiting` and `Noted` may come
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fpin.values import dataclass

Doing = Literal["setup", "deposit", "approve", "withdraw", "authorize", "revoke", "terminate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooling(Event):
    """Input that can be read only once is being kept in a file."""

    done: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked(Event):
    files: int
    size: int  # bytes of content


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    pieces: int
    car_size: int  # bytes at most; blocks that occur twice in a piece are found while hashing


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted(Event):
    copies: int
    per_month: str  # decimal amounts of `token`
    flat_per_month: str  # the part of it that does not grow with size
    earlier_fees: str  # of earlier removals, which become due with this
    fees: str
    locked: str
    token: str
    new_data_sets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashing(Event):
    done: int  # bytes
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed(Event):
    root_cid: str
    piece_cids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver(Event):
    """A provider that was not considered for a copy."""

    provider_id: int
    reason: str  # goes on where "provider 1" ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChosen(Event):
    provider_id: int
    provider_url: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploading(Event):
    provider_id: int
    piece_cid: str
    done: int  # bytes
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulling(Event):
    """A provider fetches pieces from others that hold them; nothing is sent by us."""

    provider_id: int
    source_ids: tuple[int, ...]
    pieces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked(Event):
    provider_id: int
    piece_cid: str
    uploaded: bool  # False: the provider had it already, or got it from another one
    pulled_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(Event):
    provider_id: int
    data_set_id: int | None  # None: the transaction creates the data set
    tx: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(Event):
    provider_id: int
    data_set_id: int
    piece_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFailed(Event):
    provider_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced(Event):
    """Provider *provider_id* gets the copy that *failed_id* did not take, for *reason*."""

    provider_id: int
    failed_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingAsked(Event):
    attempt: int
    found: int  # copies seen so far
    expected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingEnded(Event):
    state: Literal["found", "partial", "timeout", "unreachable", "skipped"]
    indexer: str | None
    evidence: Literal["record", "processed", "synced"] | None  # the weakest for a copy that was found


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalScheduled(Event):
    provider_id: int
    data_set_id: int
    piece_id: int
    tx: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalSeen(Event):
    provider_id: int
    piece_id: int
    state: Literal["removed", "unadvertised", "gone"]
    removal_ad_cid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching(Event):
    source: str
    done: int  # bytes of verified content
    total: int | None = None  # None: it is not known beforehand


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSent(Event):
    """The wallet's own transaction is written down and about to be sent."""

    doing: Doing
    amount: str  # decimal amount of `token`; "0" where nothing moves
    token: str
    wallet: str
    tx: str
    subject: str = ""  # the session key or the data set it is about; "" where the account is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEnded(Event):
    """It was executed. *gas* is what it burned of the chain's own coin; None where the node does not say."""

    doing: Doing
    tx: str
    gas: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirming(Event):
    """The chain has not executed a transaction yet; once for each epoch that passes meanwhile."""

    what: str  # it is for
    tx: str | None  # None where its hash is not known
    epoch: int  # the chain is at
    waited: int  # epochs since it was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """Nothing is wrong; fpin waits for *what*."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something the user should know that is not a failure."""

    text: str


OnEvent = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """An `OnEvent` for callers that only want the result."""
