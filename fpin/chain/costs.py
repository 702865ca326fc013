"""Costs: what storing bytes will take from a payment account, before anything is paid or signed.

Pure integer arithmetic over values read from the chain; every formula is the storage service's own (1.3),
rounding included. Where an amount is a forecast, it is an upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence

from fpin.chain.account import Standing, standing
from fpin.chain.limits import MAX_PIECES_PER_ADD, in_batches
from fpin.chain.records import Approval, DataSet, PayerState, PriceList
from fpin.units import EPOCHS_PER_MONTH, TIB, Epochs, UsdfcUnits
from fpin.values import dataclass

BUFFER_EPOCHS = Epochs(5)  # between reading the account and the transaction; the reference client's number


def rate_per_epoch(size: int, prices: PriceList) -> UsdfcUnits:
    """Return what a data set of *size* raw bytes costs each epoch; nothing while it is empty.

    Both terms are truncated, so rates do not add up: subtract the rates of two sizes instead.
    """
    if size == 0:
        return UsdfcUnits(0)
    storage = size * prices.storage_per_tib_month // (TIB * EPOCHS_PER_MONTH)
    return UsdfcUnits(storage + prices.data_set_fee_month // EPOCHS_PER_MONTH)


def rate_per_month(size: int, prices: PriceList) -> UsdfcUnits:
    """Return the same for 30 days, for people: from the monthly prices, not from truncated epochs."""
    if size == 0:
        return UsdfcUnits(0)
    return UsdfcUnits(size * prices.storage_per_tib_month // TIB + prices.data_set_fee_month)


def leaf_count(payload_size: int) -> int:
    """Return the 32-byte leaves of a piece that hold any of its *payload_size* bytes.

    >>> leaf_count(127), leaf_count(128), leaf_count(254)
    (4, 5, 8)

    Source: FilOzone/pdp `src/Cids.sol`, `leafCount`.
    """
    height = 2
    while 127 << (height - 2) < payload_size:
        height += 1
    padding = (127 << (height - 2)) - payload_size
    return (1 << height) - (128 * padding // 127 >> 5)


def billed_size(leaves: int) -> int:
    """Return the raw bytes that *leaves* are charged as."""
    return leaves * 32 * 127 // 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Bytes that go into one data set: *size* more in *pieces* pieces, where *current_size* already is."""

    size: int
    pieces: int = 1
    current_size: int = 0
    new: bool = True
    cdn: bool = False

    def rate_delta(self, prices: PriceList) -> int:
        if self.new or self.current_size == 0:
            return rate_per_epoch(self.size, prices)
        grown = rate_per_epoch(self.current_size + self.size, prices)
        return max(0, grown - rate_per_epoch(self.current_size, prices))

    def fees(self, prices: PriceList) -> int:
        calls = -(-self.pieces // MAX_PIECES_PER_ADD)
        create = prices.create_data_set_fee if self.new else 0
        return create + calls * prices.add_pieces_fee + self.pieces * prices.add_piece_fee

    def lockup(self, prices: PriceList) -> int:
        fixed = prices.reserve_target if self.new else 0
        cdn = prices.cdn_lockup + prices.cache_miss_lockup if self.new and self.cdn else 0
        return self.rate_delta(prices) * prices.lockup_period + fixed + cdn


def recommended_deposit(
    loads: Sequence[Load],
    prices: PriceList,
    now: Standing,
    *,
    extra_runway: int = 0,
    buffer_epochs: int = BUFFER_EPOCHS,
) -> UsdfcUnits:
    """Return what to deposit so that *loads* can be stored and the account lasts *extra_runway* epochs more.

    The reference client's formula (synapse-sdk warm-storage `calculateDepositNeeded`): it counts the fees on
    top of the reserve they are really taken from, so it is never too little.
    """
    rate = now.lockup_rate + sum(load.rate_delta(prices) for load in loads)
    fixed = sum(load.lockup(prices) + load.fees(prices) for load in loads)
    raw = fixed + rate * extra_runway + now.debt - now.available
    return UsdfcUnits(max(raw, 0) + _buffer(loads, raw, rate, now, buffer_epochs))


def _buffer(loads: Sequence[Load], raw: int, rate: int, now: Standing, epochs: int) -> int:
    if now.lockup_rate == 0 and all(load.new for load in loads):
        return 0  # nothing is spending before the first piece is there
    if raw > 0:
        return rate * epochs
    if now.runway is not None and now.runway <= epochs:
        return max(0, rate * epochs - now.available)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """One copy: pieces of these payload sizes into *data_set*, or into a new one when it is None."""

    pieces: tuple[int, ...]
    provider_id: int | None = None
    data_set: DataSet | None = None
    cdn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyQuote:
    """What one copy costs. *flat_per_month* is the part of *per_month* that does not depend on size."""

    provider_id: int | None
    data_set_id: int | None  # None: a new one is made
    pieces: int
    size: int  # raw bytes added, as they are billed
    fees: UsdfcUnits  # once; taken from the reserve, which is part of *locked*
    earlier_fees: UsdfcUnits  # of removals before this, which the add has paid out of the reserve as well
    per_month: UsdfcUnits
    flat_per_month: UsdfcUnits
    rate: UsdfcUnits  # per epoch, added
    locked: UsdfcUnits  # moves from free to locked; stays ours apart from fees and rent
    required: UsdfcUnits  # must be free when the first transaction executes; at least *locked*


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a whole request costs an account; nothing here has been paid or signed.

    Once it is done *fees* and *earlier_fees* have left the account's funds, *rate* is spent each epoch, and
    *locked* is no longer free (the fees were part of it). *required* must be free (a debt included),
    *shortfall* is what is missing for that; *deposit* is what to put in so that nothing is missing, with a
    little to spare, and the runway asked for is kept: 0 where both are so already. Runways are None while
    nothing is spending.
    *approval_problems* are codes out of: not-approved, rate-allowance, lockup-allowance, lockup-period.
    """

    copies: tuple[CopyQuote, ...]
    fees: UsdfcUnits
    earlier_fees: UsdfcUnits
    rate: UsdfcUnits  # per epoch, added
    per_month: UsdfcUnits
    flat_per_month: UsdfcUnits
    locked: UsdfcUnits
    required: UsdfcUnits
    available: UsdfcUnits
    debt: UsdfcUnits
    shortfall: UsdfcUnits
    deposit: UsdfcUnits
    wallet: UsdfcUnits  # what could be deposited
    runway_before: Epochs | None
    runway_after: Epochs | None  # without any deposit
    approval_problems: tuple[str, ...]
    maximal_approval: bool

    @property
    def affordable(self) -> bool:
        return self.shortfall == 0 and not self.approval_problems

    @property
    def new_data_sets(self) -> int:
        return sum(copy.data_set_id is None for copy in self.copies)


def quote(copies: Sequence[CopyPlan], payer: PayerState, *, extra_runway: int = 0) -> Quote:
    """Return what *copies* cost in the account of *payer*, bought one after the other.

    With *extra_runway* the deposit also makes the account last for as many epochs afterwards; without copies
    it is what that alone takes.
    """
    prices, now = payer.prices, standing(payer.account, payer.epoch)
    quoted = tuple(_quote_copy(plan, prices) for plan in copies)
    locked, added = sum(copy.locked for copy in quoted), sum(copy.rate for copy in quoted)
    # In debt the rest of an epoch may still be free; the debt was reckoned without it, so it covers nothing.
    free = 0 if now.debt else now.available
    required = _required(quoted) + now.debt
    shortfall = max(0, required - free)
    rate = now.lockup_rate + added
    free_after = free - locked - now.debt
    runway_after = Epochs(max(0, free_after) // rate) if rate else None
    deposit = 0
    if shortfall or (runway_after is not None and runway_after < extra_runway):
        loads = [_load(plan) for plan in copies]
        advised = recommended_deposit(loads, prices, now, extra_runway=extra_runway)
        # The reference client does not know that a used-up reserve is refilled, hence the larger of the two.
        spare = rate * BUFFER_EPOCHS if now.lockup_rate else 0
        deposit = max(advised, spare + max(shortfall, rate * extra_runway - free_after))
    return Quote(
        copies=quoted,
        fees=UsdfcUnits(sum(copy.fees for copy in quoted)),
        earlier_fees=UsdfcUnits(sum(copy.earlier_fees for copy in quoted)),
        rate=UsdfcUnits(added),
        per_month=UsdfcUnits(sum(copy.per_month for copy in quoted)),
        flat_per_month=UsdfcUnits(sum(copy.flat_per_month for copy in quoted)),
        locked=UsdfcUnits(locked),
        required=UsdfcUnits(required),
        available=now.available,
        debt=now.debt,
        shortfall=UsdfcUnits(shortfall),
        deposit=UsdfcUnits(deposit),
        wallet=payer.balances.usdfc,
        runway_before=now.runway,
        runway_after=runway_after,
        approval_problems=_approval_problems(payer.approval, prices, added, required - now.debt),
        maximal_approval=payer.approval.is_maximal(prices.lockup_period),
    )


def _quote_copy(plan: CopyPlan, prices: PriceList) -> CopyQuote:
    before = plan.data_set.leaf_count if plan.data_set else 0
    after = before + sum(map(leaf_count, plan.pieces))
    old, new = billed_size(before), billed_size(after)
    locked, required = _lockups(plan, prices)
    flat = prices.data_set_fee_month if before == 0 and after else 0
    return CopyQuote(
        provider_id=plan.provider_id,
        data_set_id=plan.data_set.data_set_id if plan.data_set else None,
        pieces=len(plan.pieces),
        size=new - old,
        fees=UsdfcUnits(_load(plan).fees(prices)),
        earlier_fees=UsdfcUnits((plan.data_set.pending_fees or 0) if plan.data_set and plan.pieces else 0),
        per_month=UsdfcUnits(rate_per_month(new, prices) - rate_per_month(old, prices)),
        flat_per_month=UsdfcUnits(flat),
        rate=UsdfcUnits(rate_per_epoch(new, prices) - rate_per_epoch(old, prices)),
        locked=UsdfcUnits(locked),
        required=UsdfcUnits(required),
    )


def _lockups(plan: CopyPlan, prices: PriceList) -> tuple[int, int]:
    """Follow the contract through the creation and each add: ``(locked in the end, free funds needed)``."""
    locked = required = reserve = pending = leaves = 0
    if plan.data_set is None:
        cdn = prices.cdn_lockup + prices.cache_miss_lockup if plan.cdn else 0
        first_month = prices.data_set_fee_month * prices.lockup_period // EPOCHS_PER_MONTH
        required = first_month + prices.reserve_target + cdn  # asked for before anything is locked
        locked, reserve, pending = (
            prices.reserve_target + cdn,
            prices.reserve_target,
            prices.create_data_set_fee,
        )
    else:
        leaves = plan.data_set.leaf_count
        reserve, pending = plan.data_set.reserve or 0, plan.data_set.pending_fees or 0
    rate = rate_per_epoch(billed_size(leaves), prices)
    for batch in in_batches(plan.pieces):
        pending += prices.add_pieces_fee + len(batch) * prices.add_piece_fee
        if reserve < pending + prices.replenish_threshold:
            locked += prices.reserve_target + pending - reserve
            reserve = prices.reserve_target + pending
        leaves += sum(map(leaf_count, batch))
        grown = rate_per_epoch(billed_size(leaves), prices)
        locked += (grown - rate) * prices.lockup_period
        reserve, pending, rate = reserve - pending, 0, grown
    return locked, max(locked, required)


def _required(copies: Sequence[CopyQuote]) -> int:
    """Return the free funds with which every copy passes, each finding less than the one before."""
    spent = required = 0
    for copy in copies:
        required = max(required, spent + copy.required)
        spent += copy.locked
    return required


def _load(plan: CopyPlan) -> Load:
    before = plan.data_set.leaf_count if plan.data_set else 0
    return Load(
        size=billed_size(before + sum(map(leaf_count, plan.pieces))) - billed_size(before),
        pieces=len(plan.pieces),
        current_size=billed_size(before),
        new=plan.data_set is None,
        cdn=plan.cdn,
    )


def _approval_problems(approval: Approval, prices: PriceList, rate: int, lockup: int) -> tuple[str, ...]:
    checks = {
        "not-approved": approval.approved,
        "rate-allowance": approval.rate_usage + rate <= approval.rate_allowance,
        "lockup-allowance": approval.lockup_usage + lockup <= approval.lockup_allowance,
        "lockup-period": approval.max_lockup_period >= prices.lockup_period,
    }
    return tuple(code for code, passed in checks.items() if not passed)
