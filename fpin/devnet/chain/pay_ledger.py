"""FilecoinPayV1, the accounts: deposits, withdrawals, operator approvals, lockup over time, fees.

Follows FilOzone/filecoin-pay 04ded6af, FilecoinPayV1.sol; rails are in `pay`. Left out: deposits with
ERC-3009 authorizations (the mock token has none) and the reentrancy guard (nothing here calls back).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal, localcontext

from fpin.devnet.chain.machine import BURN, ZERO, Contract, Machine, Revert, external
from fpin.devnet.chain.storage import Field, Mapping, Record
from fpin.devnet.chain.token import Token

NATIVE = ZERO  # FIL, where a token address is asked for
COMMISSION_MAX_BPS = 10_000
FEE_NUMERATOR, FEE_DENOMINATOR = 1, 200
FIRST_AUCTION_PRICE = 21 * 10**14  # 0.0021 FIL
MAX_AUCTION_PRICE = 2**88 - 1
AUCTION_RESET_FACTOR = 4
AUCTION_HALVING_SECONDS = 302_400  # 3.5 days
UNLIMITED = 2**256 - 1

_UNCOVERED = "invariant failure: insufficient funds to cover lockup {} function execution"
_UNSETTLED = "payers's full account lockup was not met as a {}condition of the requested operation"


class Account(Record):
    funds = Field(0)
    lockup_current = Field(0)
    lockup_rate = Field(0)
    lockup_last_settled_at = Field(0)


class Approval(Record):
    approved = Field(False)
    rate_allowance = Field(0)
    lockup_allowance = Field(0)
    rate_usage = Field(0)
    lockup_usage = Field(0)
    max_lockup_period = Field(0)


class Auction(Record):
    start_price = Field(0, bits=88)
    start_time = Field(0, bits=168)


class Ledger(Contract):
    """The half of FilecoinPayV1 that knows accounts and no rails."""

    name = "pay"
    groups = ("FilecoinPayV1",)

    def __init__(self, machine: Machine, address: str) -> None:
        super().__init__(machine, address)
        # rail ids in the order of creation, finalized ones included
        self.payer_rails: Mapping[tuple[int, ...]] = Mapping(self.storage, (self.name, "payer"), ())
        self.payee_rails: Mapping[tuple[int, ...]] = Mapping(self.storage, (self.name, "payee"), ())

    def account(self, token: str, owner: str) -> Account:
        return Account(self.storage, self.name, "account", token, owner)

    def approval(self, token: str, client: str, operator: str) -> Approval:
        return Approval(self.storage, self.name, "approval", token, client, operator)

    def auction(self, token: str) -> Auction:
        return Auction(self.storage, self.name, "auction", token)

    # Lockup over time

    def fully_settled(self, account: Account) -> bool:
        return account.lockup_last_settled_at == self.epoch

    @contextlib.contextmanager
    def settled(self, token: str, owner: str, *, full: bool = False) -> Iterator[Account]:
        """Settle the account's lockup before and after the body; *full*: up to this very epoch, or revert."""
        account = self.account(token, owner)
        self._check_settled(account, token, owner, full, "before", "pre")
        yield account
        self._check_settled(account, token, owner, full, "after", "post")

    def _check_settled(
        self, account: Account, token: str, owner: str, full: bool, when: str, side: str
    ) -> None:
        if account.funds < account.lockup_current:
            raise Revert.text(_UNCOVERED.format(when))
        self._settle_lockup(account, token, owner)
        if full and not self.fully_settled(account):
            raise Revert.text(_UNSETTLED.format(side))
        if account.funds < account.lockup_current:
            raise Revert.text(_UNCOVERED.format(when))

    def _settle_lockup(self, account: Account, token: str, owner: str) -> None:
        elapsed = self.epoch - account.lockup_last_settled_at
        if elapsed <= 0:
            return
        rate = account.lockup_rate
        if rate == 0:
            epochs = elapsed
        else:
            available = account.funds - account.lockup_current
            if available == 0:
                return
            epochs = min(elapsed, available // rate)
        account.lockup_current += rate * epochs
        account.lockup_last_settled_at += epochs
        self.emit(
            "AccountLockupSettled",
            token,
            owner,
            account.lockup_current,
            rate,
            account.lockup_last_settled_at,
        )

    # Operator approvals

    @external("setOperatorApproval")
    def set_operator_approval(
        self, token: str, operator: str, approved: bool, rate: int, lockup: int, max_period: int
    ) -> None:
        self.not_zero(operator, "operator")
        self._approve(token, operator, approved, rate, lockup, max_period)

    @external("increaseOperatorApproval")
    def increase_operator_approval(self, token: str, operator: str, rate: int, lockup: int) -> None:
        self.not_zero(operator, "operator")
        self._increase_approval(token, operator, rate, lockup)

    def _approve(
        self, token: str, operator: str, approved: bool, rate: int, lockup: int, max_period: int
    ) -> None:
        approval = self.approval(token, self.sender, operator)
        approval.approved = approved
        approval.rate_allowance = rate
        approval.lockup_allowance = lockup
        approval.max_lockup_period = max_period
        self._emit_approval(token, operator, approval)

    def _increase_approval(self, token: str, operator: str, rate: int, lockup: int) -> None:
        approval = self.approval(token, self.sender, operator)
        if not approval.approved:
            raise self.error("OperatorNotApproved", self.sender, operator)
        approval.rate_allowance += rate
        approval.lockup_allowance += lockup
        self._emit_approval(token, operator, approval)

    def _emit_approval(self, token: str, operator: str, approval: Approval) -> None:
        limits = approval.rate_allowance, approval.lockup_allowance, approval.max_lockup_period
        self.emit("OperatorApprovalUpdated", token, self.sender, operator, approval.approved, *limits)

    # Deposits and withdrawals

    @external("deposit")
    def deposit(self, token: str, to: str, amount: int) -> None:
        self.not_zero(to, "to")
        with self.settled(token, to) as account:
            if token == NATIVE:
                if self.value != amount:
                    raise self.error("MustSendExactNativeAmount", amount, self.value)
            else:
                if self.value:
                    raise self.error("NativeTokenNotAccepted", self.value)
                self._transfer_in(token, self.sender, amount)
            account.funds += amount
            self.emit("DepositRecorded", token, self.sender, to, amount)

    @external("depositWithPermit")
    def deposit_with_permit(
        self, token: str, to: str, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> None:
        self.not_zero(to, "to")
        with self.settled(token, to) as account:
            self._deposit_with_permit(account, token, to, amount, deadline, v, r, s)

    @external("depositWithPermitAndApproveOperator")
    def deposit_with_permit_and_approve_operator(
        self,
        token: str,
        to: str,
        amount: int,
        deadline: int,
        v: int,
        r: bytes,
        s: bytes,
        operator: str,
        rate: int,
        lockup: int,
        max_period: int,
    ) -> None:
        self._check_own_deposit(operator, to)
        with self.settled(token, to) as account:
            self._approve(token, operator, True, rate, lockup, max_period)
            self._deposit_with_permit(account, token, to, amount, deadline, v, r, s)

    @external("depositWithPermitAndIncreaseOperatorApproval")
    def deposit_with_permit_and_increase_operator_approval(
        self,
        token: str,
        to: str,
        amount: int,
        deadline: int,
        v: int,
        r: bytes,
        s: bytes,
        operator: str,
        rate: int,
        lockup: int,
    ) -> None:
        self._check_own_deposit(operator, to)
        with self.settled(token, to) as account:
            self._increase_approval(token, operator, rate, lockup)
            self._deposit_with_permit(account, token, to, amount, deadline, v, r, s)

    def _check_own_deposit(self, operator: str, to: str) -> None:
        self.not_zero(operator, "operator")
        self.not_zero(to, "to")
        if to != self.sender:
            raise self.error("SignerMustBeMsgSender", self.sender, to)

    def _deposit_with_permit(
        self, account: Account, token: str, to: str, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> None:
        if token == NATIVE:
            raise self.error("NativeTokenNotSupported")
        self.call(self._token(token).permit, to, self.address, amount, deadline, v, r, s)
        self._transfer_in(token, to, amount)
        account.funds += amount
        self.emit("DepositRecorded", token, to, to, amount)

    @external("withdraw")
    def withdraw(self, token: str, amount: int) -> None:
        with self.settled(token, self.sender, full=True) as account:
            self._withdraw(account, token, self.sender, amount)

    @external("withdrawTo")
    def withdraw_to(self, token: str, to: str, amount: int) -> None:
        self.not_zero(to, "to")
        with self.settled(token, self.sender, full=True) as account:
            self._withdraw(account, token, to, amount)

    def _withdraw(self, account: Account, token: str, to: str, amount: int) -> None:
        available = account.funds - account.lockup_current
        if amount > available:
            raise self.error("InsufficientUnlockedFunds", available, amount)
        self._transfer_out(token, to, amount)
        account.funds -= amount
        self.emit("WithdrawRecorded", token, self.sender, to, amount)

    def _token(self, token: str) -> Token:
        contract = self.machine.contracts.get(token)
        if not isinstance(contract, Token):
            raise self.error("SafeERC20FailedOperation", token)
        return contract

    def _transfer_in(self, token: str, source: str, amount: int) -> None:
        self.call(self._token(token).transfer_from, source, self.address, amount)

    def _transfer_out(self, token: str, to: str, amount: int) -> None:
        if token == NATIVE:
            self.machine.transfer(self.address, to, amount)
        else:
            self.call(self._token(token).transfer, to, amount)

    # The network fee and its auction

    def charge_fees(
        self, amount: int, token: str, recipient: str, commission_bps: int
    ) -> tuple[int, int, int]:
        """Split a gross payment into (net for the payee, operator's commission, network fee)."""
        fee = (amount * FEE_NUMERATOR + FEE_DENOMINATOR - 1) // FEE_DENOMINATOR
        if token == NATIVE:
            self.machine.transfer(self.address, BURN, fee)
        else:
            self.account(token, self.address).funds += fee
            auction = self.auction(token)
            if auction.start_price == 0:
                auction.start_price, auction.start_time = FIRST_AUCTION_PRICE, self.timestamp
        commission = (amount - fee) * commission_bps // COMMISSION_MAX_BPS
        if commission:
            self.account(token, recipient).funds += commission
        return amount - fee - commission, commission, fee

    @external("burnForFees")
    def burn_for_fees(self, token: str, recipient: str, requested: int) -> None:
        fees = self.account(token, self.address)
        if fees.funds < requested:
            raise self.error("WithdrawAmountExceedsAccumulatedFees", token, fees.funds, requested)
        auction = self.auction(token)
        price = _decay(auction.start_price, self.timestamp - auction.start_time)
        if self.value < price:
            raise self.error("InsufficientNativeTokenForBurn", self.value, price)
        auction.start_price = min(price * AUCTION_RESET_FACTOR, MAX_AUCTION_PRICE)
        auction.start_time = self.timestamp
        self.machine.transfer(self.address, BURN, self.value)
        self._transfer_out(token, recipient, requested)
        fees.funds -= requested

    @external("auctionInfo")
    def auction_info(self, token: str) -> tuple[int, int]:
        auction = self.auction(token)
        return auction.start_price, auction.start_time

    # Reading

    @external("accounts")
    def accounts(self, token: str, owner: str) -> tuple[int, int, int, int]:
        account = self.account(token, owner)
        locked = account.lockup_current, account.lockup_rate, account.lockup_last_settled_at
        return account.funds, *locked

    @external("operatorApprovals")
    def operator_approvals(
        self, token: str, client: str, operator: str
    ) -> tuple[bool, int, int, int, int, int]:
        a = self.approval(token, client, operator)
        usage = a.rate_usage, a.lockup_usage
        return a.approved, a.rate_allowance, a.lockup_allowance, *usage, a.max_lockup_period

    @external("getAccountInfoIfSettled")
    def get_account_info_if_settled(self, token: str, owner: str) -> tuple[int, int, int, int]:
        """Return (funded until epoch, funds, available, lockup rate) as if settled now."""
        account = self.account(token, owner)
        funds, locked, rate = account.funds, account.lockup_current, account.lockup_rate
        since = account.lockup_last_settled_at
        funded_until = UNLIMITED if rate == 0 else since + (funds - locked) // rate
        locked += rate * (min(funded_until, self.epoch) - since)
        return funded_until, funds, funds - locked, rate

    def not_zero(self, address: str, variable: str) -> None:
        if address == ZERO:
            raise self.error("ZeroAddressNotAllowed", variable)


def _decay(start_price: int, elapsed: int) -> int:
    """Halve *start_price* every 3.5 days, rounded down (Dutch.sol, which works with 18 decimals)."""
    if elapsed > 191 * AUCTION_HALVING_SECONDS:
        return 0
    with localcontext() as context:
        context.prec = 100
        factor = Decimal(2) ** (Decimal(elapsed) / AUCTION_HALVING_SECONDS)
        scaled = int(factor * 10**18)
    return start_price * 10**18 // scaled
