"""What the store holds, as values: pins made of pieces made of copies, and the submissions that add them.

States of a copy, in order::

    planned      a provider was chosen; nothing was sent
    pulling      the nonce of the add is written down, and the provider was shown the signed add, as it asks
                 for before it fetches the bytes from another one; no add was asked for
    parked       the provider holds the bytes (find-piece said so); not paid for, kept for 2 h
    signed       the nonce of the add is written down; the request may or may not have been sent
    submitted    the provider answered with a transaction hash
    confirmed    the chain holds the piece: data set and piece id are known; back to `signed` if its block is
                 replaced by one without it
    advertised   an indexer has it, or has processed the provider's advertisement of it
    failed       given up at this provider; `reason` says why

and on the way out::

    removing             the removal is about to be, or was, asked for; the piece is still live
    scheduled            the removal transaction is known; the piece goes at the proving boundary, or with its
                         data set, which was terminated: then `reason` says when
    removed              no longer live on chain
    unadvertised         the provider's removal advertisement was seen
    gone                 … and the indexer has forgotten the record

States of a payment, a transaction that the wallet itself sends::

    signed       its hash is written down; it may or may not have been sent
    executed     on chain, and the user may not know yet: asked for again, it is this one
    done         … and the user was told: asked for again, it is another one
    failed       executed and refused by the contract; `reason` says why
    lost         no node knew it and its number was free; it may still be executed
    replaced     another transaction was executed under its number; it never will be
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from fpin.values import dataclass


class CopyState(StrEnum):
    PLANNED = "planned"
    PULLING = "pulling"
    PARKED = "parked"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    ADVERTISED = "advertised"
    FAILED = "failed"
    REMOVING = "removing"
    SCHEDULED = "scheduled"
    REMOVED = "removed"
    UNADVERTISED = "unadvertised"
    GONE = "gone"


ON_CHAIN = frozenset({CopyState.CONFIRMED, CopyState.ADVERTISED})
# no add was asked for
WAITING = frozenset({CopyState.PLANNED, CopyState.PULLING, CopyState.PARKED})
UNDER_WAY = frozenset({CopyState.SIGNED, CopyState.SUBMITTED})  # may be on chain any moment
UNFINISHED = WAITING | UNDER_WAY
THERE = ON_CHAIN | {CopyState.REMOVING, CopyState.SCHEDULED}  # at the provider until the chain lets it go
LEAVING = frozenset({CopyState.REMOVING, CopyState.SCHEDULED, CopyState.REMOVED, CopyState.UNADVERTISED})


PinState = Literal["pinned", "degraded", "pending", "failed", "removing", "removed"]


class PaymentState(StrEnum):
    SIGNED = "signed"
    EXECUTED = "executed"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    REPLACED = "replaced"


OPEN = frozenset({PaymentState.SIGNED, PaymentState.LOST})  # may be executed any moment
UNTOLD = OPEN | {PaymentState.EXECUTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A transaction by which a wallet moves its own money, or says who may."""

    payment: int  # row
    wallet: str
    doing: str  # what for: setup, deposit, approve, withdraw, authorize, revoke, terminate
    subject: str  # the session key's address or the data set's number; "" where the account is meant
    amount: int  # base units; 0 where nothing moves
    nonce: int  # the transaction's number in its wallet
    tx: str
    state: PaymentState
    reason: str | None  # why it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """A key that a wallet allowed, by its address; the chain knows what for and until when."""

    address: str
    kept: str  # where the key itself was put; "" where fpin never had it
    created: int  # unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One piece at one provider."""

    copy: int  # row
    provider_id: int
    provider_url: str
    state: CopyState
    reason: str | None  # why it failed, or leaves unasked
    uploaded: bool  # False: the provider already had the bytes
    submission: int | None
    data_set_id: int | None  # known from `confirmed` on
    piece_id: int | None
    tx: str | None  # the transaction that added it
    ad_cid: str | None
    removal_tx: str | None
    removal_ad_cid: str | None
    changed: int  # unix seconds of the last transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A CAR of a pin, and where it is."""

    piece: int  # row
    position: int
    piece_cid: str
    size: int  # bytes of CAR
    sample: tuple[str, ...]  # CIDs of some of its blocks, to ask routing for
    copies: tuple[Copy, ...]

    @property
    def held(self) -> tuple[Copy, ...]:
        """The copies that the chain holds and that nobody asked to remove."""
        return tuple(copy for copy in self.copies if copy.state in ON_CHAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How what lies at a path was made into a DAG, besides its profile: another way gives another root."""

    wrap: bool = False
    hidden: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Content that a wallet was asked to keep, by its root CID: another wallet's copies are another pin's."""

    pin: int  # row
    chain_id: int
    wallet: str  # who pays; "" where nothing says yet
    root_cid: bytes
    name: str | None
    path: str | None  # absolute; None when it did not come from a path
    profile: str
    packing: Packing
    size: int  # bytes of content
    files: int
    car_size: int  # bytes of all pieces together
    copies_wanted: int
    seed: str  # by which its providers were chosen; "" where it was written down by an fpin without
    metadata: tuple[tuple[str, str], ...]  # what is written beside each piece on chain
    created: int  # unix seconds
    pieces: tuple[Piece, ...]  # the last one holds the root

    @property
    def copies(self) -> tuple[Copy, ...]:
        return tuple(copy for piece in self.pieces for copy in piece.copies)

    @property
    def held(self) -> int:
        """How many copies of all of it the chain holds that nobody asked to remove."""
        return min((len(piece.held) for piece in self.pieces), default=0)

    @property
    def state(self) -> PinState:
        """How the pin stands, by its copies."""
        states = {copy.state for copy in self.copies}
        if states and states <= {CopyState.GONE, CopyState.FAILED} and CopyState.GONE in states:
            return "removed"
        held = [len(piece.held) for piece in self.pieces]
        if held and min(held) >= self.copies_wanted:
            return "pinned"
        if states & LEAVING and not any(held):
            return "removing"
        if held and min(held) > 0:
            return "degraded"
        if states and states <= {CopyState.FAILED}:
            return "failed"
        return "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One add (or create-and-add) call: the pieces it carries, in order, under one nonce."""

    submission: int  # row
    provider_id: int
    payer: str
    data_set_id: int | None  # None: the call creates the data set
    client_data_set_id: int
    nonce: int
    tx: str | None
    epoch: int | None  # height of the chain when it was seen there
    copies: tuple[int, ...]  # rows, in the order of the call
