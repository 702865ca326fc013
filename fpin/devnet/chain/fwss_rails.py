"""The warm storage service's use of payment rails: opening, fees, reserve, rates, teardown.

Follows filecoin-services a16aea49, Rails.sol; what a data set is and who may act is in `fwss`.
"""

from __future__ import annotations

import contextlib

from fpin.devnet.chain.fwss_state import DataSetInfo, State
from fpin.devnet.chain.machine import ZERO, Contract, Machine, Revert
from fpin.devnet.chain.pay import FilecoinPay
from fpin.devnet.chain.prices import COMMISSION_BPS, PriceList
from fpin.values import dataclass


@dataclass(frozen=True, kw_only=True)
class _RailState:
    lockup_fixed: int
    end_epoch: int


class ServiceRails(Contract):
    """The part of FilecoinWarmStorageService that is the operator of its rails."""

    name = "fwss"
    groups = ("FilecoinWarmStorageService",)

    def __init__(
        self, machine: Machine, address: str, *, pay: FilecoinPay, token: str, prices: PriceList
    ) -> None:
        super().__init__(machine, address)
        self.pay = pay
        self.token = token
        self.prices = prices
        self.state = State(self.storage)

    def open_rails(
        self, data_set_id: int, payer: str, payee: str, cdn_beneficiary: str
    ) -> tuple[int, int, int]:
        """Return (storage, cache-miss, CDN) rail ids; the last two are 0 when *cdn_beneficiary* is zero."""
        prices = self.prices
        cdn = cdn_beneficiary != ZERO
        self._check_payer(payer, cdn=cdn)
        storage_rail = self.call(
            self.pay.create_rail, self.token, payer, payee, self.address, COMMISSION_BPS, self.address
        )
        self._lock(storage_rail, prices.default_lockup_period, prices.lifecycle_reserve_target)
        if not cdn:
            return storage_rail, 0, 0
        miss_rail = self.call(self.pay.create_rail, self.token, payer, payee, ZERO, 0, self.address)
        self._lock(miss_rail, prices.cdn_lockup_period, prices.cache_miss_lockup_amount)
        cdn_rail = self.call(self.pay.create_rail, self.token, payer, cdn_beneficiary, ZERO, 0, self.address)
        self._lock(cdn_rail, prices.cdn_lockup_period, prices.cdn_lockup_amount)
        cdn_lockup, miss_lockup = prices.cdn_lockup_amount, prices.cache_miss_lockup_amount
        amounts = cdn_lockup, cdn_lockup, miss_lockup, miss_lockup
        self.emit("CDNPaymentRailsToppedUp", data_set_id, *amounts)
        return storage_rail, miss_rail, cdn_rail

    def _lock(self, rail_id: int, period: int, fixed: int) -> None:
        self.call(self.pay.modify_rail_lockup, rail_id, period, fixed)

    def _check_payer(self, payer: str, *, cdn: bool) -> None:
        """Refuse a payer who could not also add pieces: funds first, then the approval, limit by limit."""
        prices = self.prices
        required = prices.required_lockup
        if cdn:
            required += prices.cache_miss_lockup_amount + prices.cdn_lockup_amount
        _, _, available, _ = self.pay.get_account_info_if_settled(self.token, payer)
        if available < required:
            raise self.error("InsufficientLockupFunds", payer, required, available)
        approved, rate_allowance, lockup_allowance, rate_usage, lockup_usage, max_period = (
            self.pay.operator_approvals(self.token, payer, self.address)
        )
        who, rate = (payer, self.address), prices.data_set_fee_per_epoch
        if not approved:
            raise self.error("OperatorNotApproved", *who)
        if rate_allowance < rate_usage + rate:
            raise self.error("InsufficientRateAllowance", *who, rate_allowance, rate_usage, rate)
        if lockup_allowance < lockup_usage + required:
            name = "InsufficientLockupAllowance"
            raise self.error(name, *who, lockup_allowance, lockup_usage, required)
        if max_period < prices.default_lockup_period:
            name = "InsufficientMaxLockupPeriod"
            raise self.error(name, *who, max_period, prices.default_lockup_period)

    def update_rate(
        self, data_set_id: int, info: DataSetInfo, leaf_count: int, pending: int, *, at_once: bool = False
    ) -> None:
        """Pay *pending* fees out of the reserve and set the rate for *leaf_count*.

        *at_once*: the payer agreed to end the service now, so the lockup period and the reserve go first.
        """
        rail_id = info.pdp_rail_id
        if rail_id == 0:
            raise self.error("NoPDPPaymentRail", data_set_id)
        rate = self.prices.rate_per_epoch(leaf_count)
        if at_once:
            self._lock(rail_id, 0, pending)
            reserve = 0
        else:
            reserve = self.replenish(info, pending)
            pending = min(pending, reserve)
            reserve -= pending
        self.call(self.pay.modify_rail_payment, rail_id, rate, pending)
        self.emit("RailRateUpdated", data_set_id, rail_id, rate)
        info.reserve, info.pending_payments = reserve, 0

    def replenish(self, info: DataSetInfo, pending: int) -> int:
        """Raise the rail's reserve to its target when *pending* fees would leave too little in it.

        Return the reserve. Never raised on a terminated rail, whose lockup may only shrink.
        """
        reserve = info.reserve
        if info.pdp_end_epoch == 0 and reserve < pending + self.prices.replenish_threshold:
            reserve = self.prices.lifecycle_reserve_target + pending
            self._lock(info.pdp_rail_id, self.prices.default_lockup_period, reserve)
        return reserve

    def end_cdn_rails(self, data_set_id: int, info: DataSetInfo) -> None:
        for rail_id in (info.cache_miss_rail_id, info.cdn_rail_id):
            with contextlib.suppress(Revert):  # it may have been terminated by other ways
                self.call(self.pay.terminate_rail, rail_id)
        self.emit("CDNServiceTerminated", self.sender, data_set_id, info.cache_miss_rail_id, info.cdn_rail_id)

    def abandon_rails(self, data_set_id: int, info: DataSetInfo) -> None:
        """Tear down the rails of a data set nobody proves any more; the payer gets the reserve back."""
        rail_id = info.pdp_rail_id
        self.call(self.pay.settle_rail, rail_id, self.epoch)
        reserve_left = False
        try:
            self._lock(rail_id, 0, 0)
        except Revert:  # an account in deficit cannot shorten the period
            reserve_left = True
        if info.cdn_rail_id:
            self._tear_down(info.cache_miss_rail_id)
            self._tear_down(info.cdn_rail_id)
            rails = info.cache_miss_rail_id, info.cdn_rail_id
            self.emit("CDNServiceTerminated", self.sender, data_set_id, *rails)
        del self.state.activation[data_set_id]  # what is left settles with zero payment
        self.call(self.pay.terminate_rail, rail_id)
        if reserve_left:
            self._lock(rail_id, self.prices.default_lockup_period, 0)
        self.call(self.pay.settle_rail, rail_id, self.epoch)
        self.emit("DataSetAbandoned", data_set_id, rail_id, info.cache_miss_rail_id, info.cdn_rail_id)

    def _tear_down(self, rail_id: int) -> None:
        with contextlib.suppress(Revert):
            self._lock(rail_id, 0, 0)
        with contextlib.suppress(Revert):
            self.call(self.pay.terminate_rail, rail_id)
        with contextlib.suppress(Revert):
            self.call(self.pay.settle_rail, rail_id, self.epoch)

    def top_up_cdn(self, data_set_id: int, info: DataSetInfo, cdn_amount: int, miss_amount: int) -> None:
        cdn_rail = self._view_rail(info.cdn_rail_id)
        miss_rail = self._view_rail(info.cache_miss_rail_id)
        if cdn_rail.end_epoch:
            raise self.error("CDNPaymentAlreadyTerminated", data_set_id)
        if miss_rail.end_epoch:
            raise self.error("CacheMissPaymentAlreadyTerminated", data_set_id)
        if cdn_amount == 0 and miss_amount == 0:
            raise self.error("InvalidTopUpAmount", data_set_id)
        cdn_total, miss_total = cdn_rail.lockup_fixed + cdn_amount, miss_rail.lockup_fixed + miss_amount
        self._lock(info.cdn_rail_id, self.prices.cdn_lockup_period, cdn_total)
        self._lock(info.cache_miss_rail_id, self.prices.cdn_lockup_period, miss_total)
        amounts = cdn_amount, cdn_total, miss_amount, miss_total
        self.emit("CDNPaymentRailsToppedUp", data_set_id, *amounts)

    def _view_rail(self, rail_id: int) -> _RailState:
        view = self.call(self.pay.get_rail, rail_id)  # reverts when the rail is finalized
        return _RailState(lockup_fixed=view[7], end_epoch=view[9])
