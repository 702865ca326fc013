"""FilecoinPayV1: payment rails, their lockup, rate changes, one-time payments, settlement, termination.

Follows FilOzone/filecoin-pay 04ded6af, FilecoinPayV1.sol, in the order of its checks; accounts are in
`pay_ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Protocol, runtime_checkable

from fpin.devnet.chain.machine import ZERO, Machine, Revert, external
from fpin.devnet.chain.pay_ledger import (
    COMMISSION_MAX_BPS,
    FEE_DENOMINATOR,
    FEE_NUMERATOR,
    Account,
    Approval,
    Ledger,
)
from fpin.devnet.chain.storage import Field, Record
from fpin.values import dataclass

Settlement = tuple[int, int, int, int, int, str]
RailView = tuple[str, str, str, str, str, int, int, int, int, int, int, str]
RailInfo = tuple[int, bool, int]


@runtime_checkable
class Validator(Protocol):
    """A contract that has a say in a rail's settlement."""

    def validate_payment(
        self, rail_id: int, proposed: int, from_epoch: int, to_epoch: int, rate: int, /
    ) -> tuple[int, int, str]:
        """Return (amount to pay, settled up to, note)."""

    def rail_terminated(self, rail_id: int, terminator: str, end_epoch: int, /) -> None: ...


class Rail(Record):
    token = Field(ZERO)
    payer = Field(ZERO)
    payee = Field(ZERO)
    operator = Field(ZERO)
    validator = Field(ZERO)
    rate = Field(0)
    lockup_period = Field(0)
    lockup_fixed = Field(0)
    settled_up_to = Field(0)
    end_epoch = Field(0)  # 0: not terminated
    commission_bps = Field(0)
    fee_recipient = Field(ZERO)
    rate_changes = Field[tuple[tuple[int, int], ...]](())  # (rate, until epoch), oldest first

    @property
    def terminated(self) -> bool:
        return self.end_epoch > 0

    @property
    def lockup(self) -> int:
        return self.lockup_fixed + self.rate * self.lockup_period


class Counter(Record):
    rails = Field(0)


@dataclass
class Progress:
    """What a settlement has done so far."""

    amount: int = 0
    notes: list[str] = field(default_factory=list)


class FilecoinPay(Ledger):
    def __init__(self, machine: Machine, address: str) -> None:
        super().__init__(machine, address)
        self.counter = Counter(self.storage, self.name)

    def rail(self, rail_id: int) -> Rail:
        return Rail(self.storage, self.name, "rail", rail_id)

    def _active(self, rail_id: int) -> Rail:
        rail = self.rail(rail_id)
        if rail.payer == ZERO:
            raise self.error("RailInactiveOrSettled", rail_id)
        return rail

    def _operated(self, rail_id: int) -> Rail:
        rail = self._active(rail_id)
        if rail.operator != self.sender:
            raise self.error("OnlyRailOperatorAllowed", rail.operator, self.sender)
        return rail

    def _approval_of(self, rail: Rail) -> Approval:
        return self.approval(rail.token, rail.payer, rail.operator)

    @contextmanager
    def _settled_for(self, rail_id: int, rail: Rail, one_time: int = 0) -> Iterator[Account]:
        if rail.lockup_fixed < one_time:
            raise self.error("OneTimePaymentExceedsLockup", rail_id, rail.lockup_fixed, one_time)
        # A rail may be finalized, and so wiped, in the body: keep whose account it was.
        with self.settled(rail.token, rail.payer) as payer:
            yield payer

    # Creation and changes

    @external("createRail")
    def create_rail(
        self, token: str, payer: str, payee: str, validator: str, commission_bps: int, fee_recipient: str
    ) -> int:
        self.not_zero(payer, "from")
        self.not_zero(payee, "to")
        if not self.approval(token, payer, self.sender).approved:
            raise self.error("OperatorNotApproved", payer, self.sender)
        if commission_bps > COMMISSION_MAX_BPS:
            raise self.error("CommissionRateTooHigh", COMMISSION_MAX_BPS, commission_bps)
        if commission_bps and fee_recipient == ZERO:
            raise self.error("MissingServiceFeeRecipient")
        self.counter.rails += 1
        rail_id = self.counter.rails
        rail = self.rail(rail_id)
        rail.token, rail.payer, rail.payee = token, payer, payee
        rail.operator, rail.validator = self.sender, validator
        rail.settled_up_to = self.epoch
        rail.commission_bps, rail.fee_recipient = commission_bps, fee_recipient
        self.payee_rails[token, payee] = (*self.payee_rails[token, payee], rail_id)
        self.payer_rails[token, payer] = (*self.payer_rails[token, payer], rail_id)
        parties = token, self.sender, validator, fee_recipient
        self.emit("RailCreated", rail_id, payer, payee, *parties, commission_bps)
        return rail_id

    @external("modifyRailLockup")
    def modify_rail_lockup(self, rail_id: int, period: int, fixed: int) -> None:
        rail = self._operated(rail_id)
        with self._settled_for(rail_id, rail) as payer:
            old_period, old_fixed = rail.lockup_period, rail.lockup_fixed
            if rail.terminated:
                self._lower_terminated_lockup(rail, payer, period, fixed)
            else:
                self._change_lockup(rail, payer, period, fixed)
            self.emit("RailLockupModified", rail_id, old_period, period, old_fixed, fixed)

    def _lower_terminated_lockup(self, rail: Rail, payer: Account, period: int, fixed: int) -> None:
        if period != rail.lockup_period or fixed > rail.lockup_fixed:
            have = rail.lockup_period, rail.lockup_fixed
            raise self.error("InvalidTerminatedRailModification", *have, period, fixed)
        reduction = rail.lockup_fixed - fixed
        if payer.lockup_current < reduction:
            owner = rail.token, rail.payer
            raise self.error("InsufficientCurrentLockup", *owner, payer.lockup_current, reduction)
        payer.lockup_current -= reduction
        self._use_lockup(self._approval_of(rail), rail.lockup_fixed, fixed)
        rail.lockup_fixed = fixed

    def _change_lockup(self, rail: Rail, payer: Account, period: int, fixed: int) -> None:
        owner = rail.token, rail.payer
        if not self.fully_settled(payer):
            if period != rail.lockup_period:
                name = "LockupPeriodChangeNotAllowedDueToInsufficientFunds"
                raise self.error(name, *owner, rail.lockup_period, period)
            if fixed > rail.lockup_fixed:
                name = "LockupFixedIncreaseNotAllowedDueToInsufficientFunds"
                raise self.error(name, *owner, rail.lockup_fixed, fixed)
        approval = self._approval_of(rail)
        if period > rail.lockup_period and period > approval.max_lockup_period:
            allowed = approval.max_lockup_period
            raise self.error("LockupPeriodExceedsOperatorMaximum", rail.token, rail.operator, allowed, period)
        old, new = rail.lockup, fixed + rail.rate * period
        if payer.lockup_current < old:
            raise self.error("CurrentLockupLessThanOldLockup", *owner, old, payer.lockup_current)
        # Funds are checked when the account is settled once more, after the call.
        payer.lockup_current = payer.lockup_current - old + new
        self._use_lockup(approval, old, new)
        rail.lockup_period, rail.lockup_fixed = period, fixed

    @external("modifyRailPayment")
    def modify_rail_payment(self, rail_id: int, new_rate: int, one_time: int) -> None:
        rail = self._operated(rail_id)
        with self._settled_for(rail_id, rail, one_time) as payer:
            old_rate = rail.rate
            self._check_rate_change(rail_id, rail, payer, new_rate)
            self._queue_rate_change(rail, old_rate, new_rate)
            period = rail.lockup_period
            if rail.terminated:
                period = max(rail.end_epoch - self.epoch, 0)
            rail.lockup_fixed -= one_time
            rail.rate = new_rate
            approval = self._approval_of(rail)
            if not rail.terminated:  # else termination has taken the rate out already
                if payer.lockup_rate < old_rate:
                    who = rail_id, rail.payer
                    raise self.error("LockupRateLessThanOldRate", *who, old_rate, payer.lockup_rate)
                payer.lockup_rate = payer.lockup_rate - old_rate + new_rate
                self._use_rate(approval, old_rate, new_rate)
            payer.lockup_current += (new_rate - old_rate) * period - one_time
            self._use_lockup(approval, old_rate * period, new_rate * period)
            approval.lockup_usage -= one_time
            approval.lockup_allowance = max(approval.lockup_allowance - one_time, 0)
            self.emit("RailRateModified", rail_id, old_rate, new_rate)
            self._pay_once(rail_id, rail, payer, one_time)

    def _check_rate_change(self, rail_id: int, rail: Rail, payer: Account, new_rate: int) -> None:
        if rail.terminated:
            if self.epoch >= rail.end_epoch:
                name = "CannotModifyTerminatedRailBeyondEndEpoch"
                raise self.error(name, rail_id, rail.end_epoch, self.epoch)
            if new_rate > rail.rate:
                raise self.error("RateChangeNotAllowedOnTerminatedRail", rail_id)
        elif not self.fully_settled(payer) and new_rate != rail.rate:
            name = "LockupNotSettledRateChangeNotAllowed"
            raise self.error(name, rail_id, rail.payer, False, rail.rate, new_rate)

    def _queue_rate_change(self, rail: Rail, old_rate: int, new_rate: int) -> None:
        """Remember that *old_rate* holds up to and including this epoch."""
        if new_rate == old_rate or rail.settled_up_to == self.epoch:
            return
        queue = rail.rate_changes
        if old_rate == 0 and not queue:
            rail.settled_up_to = self.epoch
        elif not queue or queue[-1][1] != self.epoch:
            rail.rate_changes = (*queue, (old_rate, self.epoch))

    def _pay_once(self, rail_id: int, rail: Rail, payer: Account, amount: int) -> None:
        if amount == 0:
            return
        if payer.funds < amount:
            who = rail.token, rail.payer
            raise self.error("InsufficientFundsForOneTimePayment", *who, amount, payer.funds)
        payer.funds -= amount
        net, commission, fee = self.charge_fees(amount, rail.token, rail.fee_recipient, rail.commission_bps)
        self.account(rail.token, rail.payee).funds += net
        self.emit("RailOneTimePaymentProcessed", rail_id, net, commission, fee)

    def _use_rate(self, approval: Approval, old: int, new: int) -> None:
        usage = approval.rate_usage + new - old
        if new > old and usage > approval.rate_allowance:
            raise self.error("OperatorRateAllowanceExceeded", approval.rate_allowance, usage)
        approval.rate_usage = max(usage, 0)

    def _use_lockup(self, approval: Approval, old: int, new: int) -> None:
        usage = approval.lockup_usage + new - old
        if new > old and usage > approval.lockup_allowance:
            raise self.error("OperatorLockupAllowanceExceeded", approval.lockup_allowance, usage)
        approval.lockup_usage = max(usage, 0)

    @external("terminateRail")
    def terminate_rail(self, rail_id: int) -> None:
        rail = self._active(rail_id)
        if rail.terminated:
            raise self.error("RailAlreadyTerminated", rail_id)
        with self._settled_for(rail_id, rail) as payer:
            by_client = self.sender == rail.payer and self.fully_settled(payer)
            if not by_client and self.sender != rail.operator:
                allowed = rail.payer, rail.operator
                raise self.error("NotAuthorizedToTerminateRail", rail_id, *allowed, self.sender)
            rail.end_epoch = payer.lockup_last_settled_at + rail.lockup_period
            self.emit("RailTerminated", rail_id, self.sender, rail.end_epoch)
            if rail.validator != ZERO:
                self.call(self._validator(rail).rail_terminated, rail_id, self.sender, rail.end_epoch)
            if payer.lockup_rate < rail.rate:
                who = rail_id, rail.payer
                raise self.error("LockupRateInconsistent", *who, rail.rate, payer.lockup_rate)
            # The rail keeps its rate for settlement; only the account stops locking for it.
            payer.lockup_rate -= rail.rate
            self._use_rate(self._approval_of(rail), rail.rate, 0)

    def _validator(self, rail: Rail) -> Validator:
        contract: object = self.machine.contracts.get(rail.validator)
        if not isinstance(contract, Validator):
            raise Revert  # Solidity refuses to call an address without that code
        return contract

    # Settlement

    @external("settleRail")
    def settle_rail(self, rail_id: int, until: int) -> Settlement:
        rail = self._active(rail_id)
        with self._settled_for(rail_id, rail) as payer:
            return self._settle(rail_id, rail, payer, until, validate=True)

    @external("settleTerminatedRailWithoutValidation")
    def settle_terminated_rail_without_validation(self, rail_id: int) -> Settlement:
        rail = self._active(rail_id)
        if not rail.terminated:
            raise self.error("RailNotTerminated", rail_id)
        if rail.payer != self.sender:
            raise self.error("OnlyRailClientAllowed", rail.payer, self.sender)
        with self._settled_for(rail_id, rail) as payer:
            end = rail.end_epoch
            if self.epoch <= end:
                name = "CannotSettleTerminatedRailBeforeMaxEpoch"
                raise self.error(name, rail_id, end + 1, self.epoch)
            return self._settle(rail_id, rail, payer, end, validate=False)

    def _settle(self, rail_id: int, rail: Rail, payer: Account, until: int, *, validate: bool) -> Settlement:
        if until > self.epoch:
            raise self.error("CannotSettleFutureEpochs", rail_id, until, self.epoch)
        if rail.terminated and rail.settled_up_to >= rail.end_epoch:
            settled_up_to = rail.settled_up_to
            self._finalize(rail_id, rail, payer)
            return 0, 0, 0, 0, settled_up_to, "rail fully settled and finalized"
        limit = rail.end_epoch if rail.terminated else payer.lockup_last_settled_at
        target, start = min(until, limit), rail.settled_up_to
        if start >= target:
            return 0, 0, 0, 0, start, f"already settled up to epoch {target}"
        if rail.rate_changes:
            gross, note = self._settle_segments(rail_id, rail, payer, target, validate)
        else:
            gross, note = self._settle_segment(rail_id, rail, payer, target, rail.rate, validate)
            if rail.settled_up_to <= start:
                name = "NoProgressInSettlement"
                raise self.error(name, rail_id, start + 1, rail.settled_up_to)
        net = commission = fee = 0
        if gross:
            net, commission, fee = self.charge_fees(
                gross, rail.token, rail.fee_recipient, rail.commission_bps
            )
            self.account(rail.token, rail.payee).funds += net
        settled_up_to = rail.settled_up_to
        if rail.terminated and settled_up_to >= rail.end_epoch:
            self._finalize(rail_id, rail, payer)
            note += "terminated rail fully settled and finalized."
        self.emit("RailSettled", rail_id, gross, net, commission, fee, settled_up_to)
        return gross, net, commission, fee, settled_up_to, note

    def _settle_segments(
        self, rail_id: int, rail: Rail, payer: Account, target: int, validate: bool
    ) -> tuple[int, str]:
        """Settle up to *target*, one stretch of constant rate after the other."""
        progress = Progress()
        while rail.settled_up_to < target:
            start, end, rate = rail.settled_up_to, target, rail.rate
            if rail.rate_changes:
                rate, change = rail.rate_changes[0]
                if change < start:
                    raise self.error("InvalidRateChangeQueueState", change, start)
                end = min(target, change)
            if rate == 0:
                rail.settled_up_to = end
            else:
                gross, note = self._settle_segment(rail_id, rail, payer, end, rate, validate)
                if rail.settled_up_to <= start:
                    break
                progress.amount += gross
                progress.notes += [note] if note else []
                if rail.settled_up_to < end:
                    break
            if rail.rate_changes and end >= rail.rate_changes[0][1]:
                rail.rate_changes = rail.rate_changes[1:]
        return progress.amount, "; ".join(progress.notes)

    def _settle_segment(
        self, rail_id: int, rail: Rail, payer: Account, end: int, rate: int, validate: bool
    ) -> tuple[int, str]:
        """Settle from where the rail stands up to *end* at *rate*; return (gross amount, note)."""
        if rate == 0:
            rail.settled_up_to = end
            return 0, "Zero rate payment rail"
        start = rail.settled_up_to
        amount, until, note = rate * (end - start), end, ""
        if validate and rail.validator != ZERO:
            validator = self._validator(rail)
            amount, until, note = self.call(validator.validate_payment, rail_id, amount, start, end, rate)
            self._check_validated(rail_id, rate, start, end, amount, until)
        who, locked = (rail.token, rail.payer), rate * (until - start)
        if payer.funds < amount:
            raise self.error("InsufficientFundsForSettlement", *who, amount, payer.funds)
        if payer.lockup_current < locked:
            raise self.error("InsufficientLockupForSettlement", *who, payer.lockup_current, locked)
        payer.funds -= amount
        payer.lockup_current -= locked
        rail.settled_up_to = until
        if payer.lockup_current > payer.funds:
            raise self.error("LockupExceedsFundsInvariant", *who, payer.lockup_current, payer.funds)
        return amount, note

    def _check_validated(
        self, rail_id: int, rate: int, start: int, end: int, amount: int, until: int
    ) -> None:
        if until > end:
            raise self.error("ValidatorSettledBeyondSegmentEnd", rail_id, end, until)
        if until < start:
            raise self.error("ValidatorSettledBeforeSegmentStart", rail_id, start, until)
        most = rate * (until - start)
        if amount > most:
            raise self.error("ValidatorModifiedAmountExceedsMaximum", rail_id, most, amount)

    def _finalize(self, rail_id: int, rail: Rail, payer: Account) -> None:
        if payer.lockup_current < rail.lockup_fixed:
            who, have = (rail.token, rail.payer), payer.lockup_current
            name = "LockupInconsistencyDuringRailFinalization"
            raise self.error(name, rail_id, *who, rail.lockup_fixed, have)
        payer.lockup_current -= rail.lockup_fixed
        self._use_lockup(self._approval_of(rail), rail.lockup, 0)
        if rail.rate_changes:
            raise self.error("RateChangeQueueNotEmpty", rail.rate_changes[-1][1])
        rail.clear()
        self.emit("RailFinalized", rail_id)

    # Reading

    @external("getRail")
    def get_rail(self, rail_id: int) -> RailView:
        rail = self._active(rail_id)
        parties = rail.token, rail.payer, rail.payee, rail.operator, rail.validator
        lockup = rail.rate, rail.lockup_period, rail.lockup_fixed
        return *parties, *lockup, rail.settled_up_to, rail.end_epoch, rail.commission_bps, rail.fee_recipient

    @external("getRailsForPayerAndToken")
    def get_rails_for_payer_and_token(
        self, payer: str, token: str, offset: int, limit: int
    ) -> tuple[list[RailInfo], int, int]:
        return self._page(self.payer_rails[token, payer], offset, limit)

    @external("getRailsForPayeeAndToken")
    def get_rails_for_payee_and_token(
        self, payee: str, token: str, offset: int, limit: int
    ) -> tuple[list[RailInfo], int, int]:
        return self._page(self.payee_rails[token, payee], offset, limit)

    def _page(self, rail_ids: tuple[int, ...], offset: int, limit: int) -> tuple[list[RailInfo], int, int]:
        """Return (infos, next offset, total); finalized rails are skipped but counted."""
        total = len(rail_ids)
        end = min(offset + (limit or total), total) if offset < total else total
        page = [(rail_id, self.rail(rail_id)) for rail_id in rail_ids[offset:end]]
        infos = [(n, rail.terminated, rail.end_epoch) for n, rail in page if rail.payer != ZERO]
        return infos, end, total

    @external("getRateChangeQueueSize")
    def get_rate_change_queue_size(self, rail_id: int) -> int:
        return len(self.rail(rail_id).rate_changes)

    @external("COMMISSION_MAX_BPS")
    def commission_max_bps(self) -> int:
        return COMMISSION_MAX_BPS

    @external("NETWORK_FEE_NUMERATOR")
    def network_fee_numerator(self) -> int:
        return FEE_NUMERATOR

    @external("NETWORK_FEE_DENOMINATOR")
    def network_fee_denominator(self) -> int:
        return FEE_DENOMINATOR
