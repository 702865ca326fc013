"""Random lives of an account: after every step fpin's numbers are the contracts', and its verdicts came true.

What fpin computes from what an account was at some past epoch is compared with what the contract says of it
now, and what a quote foretold with what then happened.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fpin.chain import typed_data
from fpin.chain.abi import function
from fpin.chain.account import Standing, standing
from fpin.chain.contracts import Chain
from fpin.chain.costs import CopyPlan, Quote, quote
from fpin.chain.node import Receipt
from fpin.chain.reader import PAY
from fpin.chain.records import MAX_UINT256, DataSet, PayerState, Rail
from fpin.chain.rpc import JsonRpc
from fpin.chain.wallet import Wallet
from fpin.devnet.chain import DevChain
from fpin.devnet.chain.prices import PRICES_1_3, PRICES_1_4, PriceList
from fpin.devnet.chain.rpc import Node
from fpin.errors import FpinError, Unaffordable
from fpin.http import Http
from fpin.piece import PieceCid
from fpin.units import ONE_TOKEN, Epoch
from tests.chain.world import FUNDED, METADATA, SENDERS, World, genesis, network_of

# In the last one fees eat up the reserve within a few adds.
DEAR = replace(PRICES_1_4, add_pieces_base_fee=ONE_TOKEN // 3, schedule_piece_removals_fee=ONE_TOKEN // 7)
PRICES = (PRICES_1_3, PRICES_1_4, DEAR)
# A tebibyte costs 2.5 a month, so that an account of a few tokens can run dry.
SIZES = st.lists(st.integers(127, 4096) | st.integers(127, 1 << 38), min_size=1, max_size=3)
AMOUNTS = st.integers(1, 3 * ONE_TOKEN) | st.integers(1, 100)
DAYS = 2880


class InProcess(JsonRpc):
    """The wire to a node in this process."""

    def __init__(self, node: Node, http: Http) -> None:
        super().__init__("http://chain.test", http, sleep=lambda _: None)
        self._node = node

    def _post(self, body: object) -> Any:
        return json.loads(self._node.answer(json.dumps(body).encode()))


class Accounting(RuleBasedStateMachine):
    """One payer, two providers."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._pieces = 0
        self._numbers = 0

    @initialize(prices=st.sampled_from(PRICES), funds=st.integers(0, 4 * ONE_TOKEN))
    def begin(self, prices: PriceList, funds: int) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        devchain = DevChain.open(Path(folder) / "chain.sqlite", genesis(prices))
        self._stack.callback(devchain.close)
        network = network_of(devchain, "http://chain.test")
        rpc = InProcess(Node(devchain), self._stack.enter_context(Http()))
        self.world = World(devchain=devchain, network=network, rpc=rpc, chain=Chain(network, rpc))
        self.wallet = Wallet(self.world.chain, FUNDED)
        if funds:
            self.wallet.deposit(funds, approve=True)

    def teardown(self) -> None:
        self._stack.close()

    # What the owner does

    @rule(amount=AMOUNTS, approve=st.booleans())
    def deposit(self, amount: int, approve: bool) -> None:
        before = self.state
        self.wallet.deposit(amount, approve=approve)
        after = self.state
        assert after.account.funds == before.account.funds + amount
        assert after.balances.usdfc == before.balances.usdfc - amount
        assert after.permit_nonce == before.permit_nonce + 1

    @rule(short=st.booleans())
    @precondition(lambda self: self.now.debt > 0)
    def pay_the_debt(self, short: bool) -> None:
        """What is owed when the deposit is executed brings the account up to date; a unit less does not."""
        owed = self.then.debt
        self.wallet.deposit(owed - short, approve=False)
        settled = self.state.account.settled_at == self.state.epoch
        assert settled is not short
        assert self.now.debt == int(short)
        assert short or self.now.available == 0

    @rule(part=st.floats(0, 1), more=st.integers(0, 3))
    def withdraw(self, part: float, more: int) -> None:
        then = self.then
        amount = max(1, int(then.available * part) if part < 1 else then.available + more)
        before = self.state
        if then.debt or amount > then.available:
            with pytest.raises(FpinError):
                self.wallet.withdraw(amount)
            assert self.state.account == before.account
        else:
            self.wallet.withdraw(amount)
            assert self.state.account.funds == before.account.funds - amount
            assert self.now.available == then.available - amount

    @rule(may=st.booleans())
    def approve(self, may: bool) -> None:
        self.wallet.approve_service() if may else self.wallet.revoke_service()

    @rule(rate=st.integers(0, 10**12), lockup=st.integers(0, ONE_TOKEN))
    def approve_within_limits(self, rate: int, lockup: int) -> None:
        """Leave the service so much more than it uses."""
        used, at = self.state.approval, self.world.network.contracts
        limits = used.rate_usage + rate, used.lockup_usage + lockup, self.state.prices.lockup_period
        data = function(PAY, "setOperatorApproval").encode(at.usdfc, at.fwss, True, *limits)
        assert self.world.send(FUNDED, at.pay, data).succeeded

    @rule(number=st.integers(0, 5))
    @precondition(lambda self: self.growing)
    def terminate(self, number: int) -> None:
        self.wallet.terminate(self.pick(number).data_set_id)

    # What is stored

    @rule(sizes=SIZES, provider=st.sampled_from((1, 2)))
    def create_and_add(self, sizes: list[int], provider: int) -> None:
        self.buy(CopyPlan(pieces=tuple(sizes), provider_id=provider))

    @rule(sizes=SIZES, number=st.integers(0, 5))
    @precondition(lambda self: self.growing)
    def add(self, sizes: list[int], number: int) -> None:
        self.buy(CopyPlan(pieces=tuple(sizes), data_set=self.pick(number)))

    @rule(sizes=SIZES, runway=st.sampled_from((0, 1, 30 * DAYS)), provider=st.sampled_from((1, 2)))
    def fund_and_create(self, sizes: list[int], runway: int, provider: int) -> None:
        self.fund_and_buy(CopyPlan(pieces=tuple(sizes), provider_id=provider), runway)

    @rule(sizes=SIZES, runway=st.sampled_from((0, 1, 30 * DAYS)), number=st.integers(0, 5))
    @precondition(lambda self: self.growing)
    def fund_and_add(self, sizes: list[int], runway: int, number: int) -> None:
        self.fund_and_buy(CopyPlan(pieces=tuple(sizes), data_set=self.pick(number)), runway)

    @rule(days=st.integers(1, 100))
    @precondition(lambda self: self.state.account.lockup_rate > 0)
    def fund_for_days(self, days: int) -> None:
        deposit = quote((), self.state, extra_runway=days * DAYS).deposit
        assert (deposit > 0) == (self.now.debt > 0 or (self.now.runway or 0) < days * DAYS)
        if self.can_deposit(deposit):
            self.wallet.deposit(deposit, approve=False)
            assert self.now.runway is not None
            assert days * DAYS <= self.now.runway <= days * DAYS + 5

    @rule(number=st.integers(0, 5), count=st.integers(1, 3))
    @precondition(lambda self: self.growing)
    def remove(self, number: int, count: int) -> None:
        chain, data_set = self.world.chain, self.pick(number)
        leaving = chain.scheduled_removals(data_set.data_set_id)
        there = [one.piece_id for one in chain.pieces(data_set.data_set_id) if one.piece_id not in leaving]
        if there:
            self.world.remove(FUNDED, data_set.data_set_id, there[:count])

    # Time, and what others do

    @rule(epochs=st.integers(1, 100) | st.integers(1, 400 * DAYS))
    def wait(self, epochs: int) -> None:
        self.world.devchain.mine(epochs)

    @rule(number=st.integers(0, 5))
    def settle(self, number: int) -> None:
        rails = self.world.chain.statement(FUNDED.address).rails
        if rails:
            data = function(PAY, "settleRail").encode(rails[number % len(rails)].rail_id, self.state.epoch)
            self.world.send(SENDERS[0], self.world.network.contracts.pay, data)

    # What must always be so

    @invariant()
    def the_standing_is_what_the_contract_says(self) -> None:
        call = self.world.chain.call(
            PAY, "getAccountInfoIfSettled", self.world.network.contracts.usdfc, FUNDED.address
        )
        funded_until, funds, available, rate = self.world.chain.value(call)
        now, state = self.now, self.state
        assert (state.account.funds, now.available, now.lockup_rate) == (funds, available, rate)
        endless = funded_until == MAX_UINT256
        assert now.runway == (None if endless else max(0, funded_until - state.epoch))
        owes = not endless and funded_until < state.epoch
        assert (now.debt > 0) == owes

    @invariant()
    def the_rails_are_what_the_account_is_bound_by(self) -> None:
        statement = self.world.chain.statement(FUNDED.address)
        epoch, account = statement.payer.epoch, statement.payer.account
        running = [rail for rail in statement.rails if not rail.terminated]
        assert sum(rail.rate for rail in running) == account.lockup_rate
        # Nothing is streamed beyond what the account can pay.
        since = epoch - account.settled_at
        if account.lockup_rate:
            since = min(since, (account.funds - account.lockup_current) // account.lockup_rate)
        reached = account.settled_at + since
        locked = account.funds - standing(account, epoch).available
        held = sum(rail.lockup(epoch) for rail in statement.rails)
        streamed = sum(
            self.unsettled(rail, epoch if rail.terminated else reached) for rail in statement.rails
        )
        assert locked == held + streamed
        usage = statement.payer.approval.lockup_usage
        assert usage >= sum(rail.lockup_fixed for rail in running)

    # Below

    @property
    def state(self) -> PayerState:
        return self.world.chain.payer_state(FUNDED.address)

    @property
    def now(self) -> Standing:
        state = self.state
        return standing(state.account, state.epoch)

    @property
    def then(self) -> Standing:
        """The account when a transaction sent now is executed, an epoch later."""
        return standing(self.state.account, Epoch(self.state.epoch + 1))

    @property
    def growing(self) -> list[DataSet]:
        if not hasattr(self, "world"):
            return []
        sets = self.world.chain.client_data_sets(FUNDED.address)
        return [data_set for data_set in sets if data_set.accepts_pieces]

    def pick(self, number: int) -> DataSet:
        sets = self.growing
        return sets[number % len(sets)]

    def unsettled(self, rail: Rail, until: int) -> int:
        """What was streamed over a rail and not paid out yet, by the contract's own list of rates."""
        start: int = rail.settled_up_to
        end = min(until, rail.end_epoch) if rail.terminated else until
        total = 0
        for rate, change in self.world.devchain.deployed.pay.rail(rail.rail_id).rate_changes:
            stretch = min(change, end)
            total += rate * max(0, stretch - start)
            start = max(start, stretch)
        return total + rail.rate * max(0, end - start)

    def can_deposit(self, amount: int) -> bool:
        return 0 < amount <= self.state.balances.usdfc

    def buy(self, plan: CopyPlan) -> bool:
        """Have *plan* carried out; what its quote foretells comes true, refusals too."""
        before = self.state
        expected = quote([plan], replace(before, epoch=Epoch(before.epoch + 1)))
        receipt = self.carry_out(plan)
        assert receipt.succeeded == expected.affordable, expected
        after = self.state
        if receipt.succeeded:
            self.check(before, expected, after)
        else:
            assert after.account == before.account
        return receipt.succeeded

    def check(self, before: PayerState, expected: Quote, after: PayerState) -> None:
        [copy] = expected.copies
        assert before.account.funds - after.account.funds == expected.fees + expected.earlier_fees
        assert after.account.lockup_rate - before.account.lockup_rate == expected.rate == copy.rate
        now = standing(after.account, after.epoch)
        assert now.available == expected.available - expected.locked
        assert now.runway == expected.runway_after
        usage = after.approval.lockup_usage - before.approval.lockup_usage
        assert usage == expected.locked - expected.fees - expected.earlier_fees
        assert after.approval.rate_usage - before.approval.rate_usage == expected.rate

    def fund_and_buy(self, plan: CopyPlan, runway: int) -> None:
        """Deposit what the quote advises, and the plan passes and the account lasts."""
        wanted = quote([plan], self.state, extra_runway=runway)
        if wanted.deposit > self.state.balances.usdfc:
            with pytest.raises(Unaffordable):
                self.wallet.deposit(wanted.deposit, approve=True)
            return
        if wanted.deposit:
            self.wallet.deposit(wanted.deposit, approve=True)
        else:
            self.wallet.approve_service()
        if self.buy(plan):
            # A little is used up meanwhile where nothing had to be deposited, and so nothing to spare was.
            assert (self.now.runway or 0) >= (runway if wanted.deposit else runway - 2)
        else:
            assert not wanted.deposit

    def carry_out(self, plan: CopyPlan) -> Receipt:
        cids = [self.new_piece(size) for size in plan.pieces]
        if plan.data_set is not None:
            self._numbers += 1
            return self.world.add(FUNDED, plan.data_set.data_set_id, self._numbers, cids)
        return self.create_with(plan.provider_id or 1, cids)

    def new_piece(self, size: int) -> bytes:
        self._pieces += 1
        return PieceCid(self._pieces.to_bytes(32, "little"), size).to_bytes()

    def create_with(self, provider: int, cids: Sequence[bytes]) -> Receipt:
        """Create a data set and add to it in one call, as fpin has providers do it."""
        chain = self.world.chain
        self._numbers += 2
        number, nonce = self._numbers - 1, self._numbers
        create = typed_data.create_data_set(number, chain.provider(provider).payee, METADATA)
        metadata: list[list[tuple[str, str]]] = [[] for _ in cids]
        add = typed_data.add_pieces(number, nonce, cids, metadata)
        signatures = [FUNDED.sign_digest(message.digest(chain.domain)) for message in (create, add)]
        extra = typed_data.create_and_add_extra_data(
            typed_data.create_extra_data(FUNDED.address, number, METADATA, signatures[0]),
            typed_data.add_extra_data(nonce, metadata, signatures[1]),
        )
        contracts = self.world.network.contracts
        data = function("PDPVerifier", "addPieces").encode(0, contracts.fwss, [(cid,) for cid in cids], extra)
        return self.world.send(SENDERS[provider - 1], contracts.pdp_verifier, data, value=10**17)


TestAccounting = Accounting.TestCase
TestAccounting.settings = settings(
    max_examples=10,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.slow
@pytest.mark.skipif("FPIN_LARGE" not in os.environ, reason="takes minutes: set FPIN_LARGE=1 to run it")
class TestManyLongLives(Accounting.TestCase):  # type: ignore[misc,valid-type]
    """The same at length."""

    settings = settings(TestAccounting.settings, max_examples=200, stateful_step_count=40)
