"""The wallet's own payments when something goes wrong between signing and knowing: none is made twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fpin.backends.filecoin import FilecoinBackend
from fpin.chain.abi import function
from fpin.chain.node import Node
from fpin.chain.records import MAX_UINT256
from fpin.chain.signer import Signer, Transaction
from fpin.chain.wallet import Replaced, Wallet
from fpin.errors import ChainError, FpinError, NodeUnavailable, Unaffordable, Unavailable
from fpin.events import Event, Noted, PaymentSent
from fpin.flows import payments
from fpin.flows.add import AddRequest, add
from fpin.flows.packing import Content
from fpin.flows.services import Services
from fpin.keys import Secret
from fpin.store import PaymentState
from fpin.units import ONE_TOKEN, parse_token
from tests.cli.conftest import Tenant

ALWAYS = 10**6
FIVE = 5 * ONE_TOKEN
DEPOSIT = function("FilecoinPayV1", "depositWithPermit").selector


class Till:
    """One wallet's payments: the flows under test, what they told, and what the chain says it has."""

    def __init__(self, services: Services, tenant: Tenant) -> None:
        self.services = services
        self.chain = tenant.chain
        self.wallet = tenant.wallet
        self.faults = tenant.world.chain.faults
        self.signer = Signer.from_key(Secret(tenant.fpin.wallet.key.hex(), "the test").reveal())
        self.told: list[Event] = []
        self._was = self.balance()

    def balance(self) -> tuple[int, int]:
        """(in the wallet, deposited)"""
        state = self.chain.payer_state(self.wallet)
        return state.balances.usdfc, state.account.funds

    @property
    def moved(self) -> int:
        """What went from the wallet into the account since the beginning."""
        (wallet, funds), (wallet_before, funds_before) = self.balance(), self._was
        assert wallet_before - wallet == funds - funds_before
        return funds - funds_before

    def deposit(self, amount: int = FIVE) -> payments.PaymentResult:
        return payments.deposit(self.services, amount, on_event=self.told.append)

    def withdraw(self, amount: int) -> payments.PaymentResult:
        return payments.withdraw(self.services, amount, on_event=self.told.append)

    @property
    def sent(self) -> list[str]:
        return [event.tx for event in self.told if isinstance(event, PaymentSent)]

    @property
    def notes(self) -> str:
        return "\n".join(event.text for event in self.told if isinstance(event, Noted))

    def states(self) -> list[PaymentState]:
        chain_id = self.services.backend.chain_id
        return [one.state for one in self.services.store.payments(chain_id, self.wallet, list(PaymentState))]


@pytest.fixture
def till(services: Services, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    backend = services.backend
    assert isinstance(backend, FilecoinBackend)
    rpc = backend._account.chain.rpc
    monkeypatch.setattr(rpc, "sleep", lambda seconds: None)
    till = Till(services, tenant)
    yield till
    till.faults.status_for.clear()
    till.faults.drop = till.faults.starve = till.faults.flaps = 0


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, *, sent: bool) -> Iterator[None]:
    """The run ends where it sends its transaction: right after, or with *sent* false right before."""
    send = Node.send_raw

    def last(node: Node, raw: bytes) -> str:
        if sent:
            send(node, raw)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Node, "send_raw", last)
        with pytest.raises(KeyboardInterrupt):
            yield


# What a run that ended too early leaves to the next one


def test_a_deposit_that_was_executed_and_not_seen_is_not_made_again(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dying(monkeypatch, sent=True):
        till.deposit()
    result = till.deposit()
    assert [result.tx] == till.sent
    assert till.moved == FIVE
    assert "5 USDFC in transaction" in till.notes
    assert "was executed" in till.notes
    till.deposit()  # and once more, meant so
    assert till.moved == 2 * FIVE
    assert till.states() == [PaymentState.DONE, PaymentState.EXECUTED]
    payments.acknowledge(till.services, till.deposit(1))
    assert till.states() == [PaymentState.DONE] * 3


def test_a_deposit_that_was_never_sent_is_made_under_the_same_number(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dying(monkeypatch, sent=False):
        till.deposit()
    nonce = till.chain.node.executed_nonces(till.wallet)
    till.deposit()
    assert till.chain.node.executed_nonces(till.wallet) == nonce + 1
    assert till.moved == FIVE
    assert "never reached the chain" in till.notes
    till.deposit()
    assert till.moved == 2 * FIVE
    assert till.states() == [PaymentState.REPLACED, PaymentState.DONE, PaymentState.EXECUTED]


def test_another_amount_is_another_deposit_and_the_earlier_one_is_told(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dying(monkeypatch, sent=True):
        till.deposit()
    till.deposit(7 * ONE_TOKEN)
    assert till.moved == 12 * ONE_TOKEN
    assert "5 USDFC in transaction" in till.notes


def test_a_withdrawal_is_not_made_twice_either(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    with dying(monkeypatch, sent=True):
        till.withdraw(FIVE)
    till.withdraw(FIVE)
    assert till.moved == -FIVE


def test_a_deposit_under_way_is_waited_for(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    with dying(monkeypatch, sent=True):
        till.deposit()
    receipt, asked = Node.receipt, []

    def late(node: Node, tx: str) -> Any:
        asked.append(tx)
        return receipt(node, tx) if len(asked) > 3 else None

    monkeypatch.setattr(Node, "receipt", late)
    result = till.deposit()
    assert len(asked) > 3
    assert [result.tx] == till.sent
    assert till.moved == FIVE


def test_a_number_that_something_else_has_taken_is_told(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    with dying(monkeypatch, sent=False):
        till.deposit()
    Wallet(till.chain, till.signer).approve_service()  # from another program
    till.deposit()
    assert till.moved == FIVE
    assert "was replaced by another transaction" in till.notes


def test_nothing_is_sent_while_something_else_waits_under_a_lost_number(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dying(monkeypatch, sent=False):
        till.deposit()
    following = Node.next_nonce
    monkeypatch.setattr(Node, "next_nonce", lambda node, address: following(node, address) + 1)
    with pytest.raises(Unavailable, match="another transaction of the wallet waits under its number"):
        till.deposit()
    assert till.moved == 0


# While it waits


def test_a_transaction_that_the_node_forgot_is_sent_again(till: Till) -> None:
    till.faults.selector, till.faults.drop = DEPOSIT, 2
    till.deposit()
    assert till.faults.drop == 0
    assert till.moved == FIVE
    assert till.states() == [PaymentState.EXECUTED]


def test_a_transaction_that_was_replaced_while_it_was_waited_for_is_told(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = other_transaction(till)
    send = Node.send_raw
    monkeypatch.setattr(Node, "send_raw", lambda node, _raw: send(node, raw))
    with pytest.raises(Replaced, match="was replaced by another one of the wallet's"):
        till.deposit()
    assert till.moved == 0
    assert till.states() == [PaymentState.REPLACED]


def other_transaction(till: Till) -> bytes:
    """A signed transaction of the wallet with the number that its next one has."""
    node, contracts = till.chain.node, till.chain.network.contracts
    fees = node.fees()
    raw, _ = till.signer.sign_transaction(
        Transaction(
            chain_id=till.chain.network.chain_id,
            nonce=node.next_nonce(till.wallet),
            to=contracts.usdfc,
            data=function("ERC20Permit", "approve").encode(contracts.pay, 0),
            gas=1_000_000_000,
            max_fee=fees.max_fee,
            max_priority_fee=fees.max_priority_fee,
        )
    )
    return raw


def test_a_transaction_that_runs_out_of_gas_failed_and_the_next_run_pays(till: Till) -> None:
    till.faults.selector, till.faults.starve = DEPOSIT, 1
    with pytest.raises(ChainError, match="depositing"):
        till.deposit()
    assert till.states() == [PaymentState.FAILED]
    assert till.moved == 0
    till.deposit()
    assert till.moved == FIVE
    assert till.notes == ""


@pytest.mark.parametrize(
    "method",
    [
        "eth_call",
        "eth_estimateGas",
        "eth_maxPriorityFeePerGas",
        "eth_getTransactionCount",
        "eth_sendRawTransaction",
        "eth_getTransactionReceipt",
    ],
)
@pytest.mark.parametrize("status", [503, 0], ids=["503", "hangs up"])
def test_a_node_that_does_not_answer_is_no_answer_and_the_next_run_pays_once(
    till: Till, method: str, status: int
) -> None:
    till.faults.status_for[method] = (status, ALWAYS)
    with pytest.raises(Unavailable):
        till.deposit()
    till.faults.status_for.clear()
    till.deposit()
    assert till.moved == FIVE


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_node_that_fails_now_and_then_changes_no_number(till: Till, every: int) -> None:
    till.faults.flaps = every
    seen = set()
    for _ in range(4):
        try:
            seen.add(payments.account(till.services).funds)
        except NodeUnavailable:
            continue
    till.faults.flaps = 0
    assert {parse_token(funds) for funds in seen} == {till.balance()[1]}


# Limits that somebody set


def test_auto_fund_lifts_no_limits_of_the_approval(till: Till, tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text(f"{till.wallet}\n" * 20)
    Wallet(till.chain, till.signer)._set_approval(True, MAX_UINT256, ONE_TOKEN // 10, 86400)
    request = AddRequest(content=Content(paths=(path,)), auto_fund=True, wait_for="confirmed")
    with pytest.raises(Unaffordable, match="lockup allowance is used up") as caught:
        add(till.services, request)
    assert "fpin payments setup" in (caught.value.hint or "")
    assert till.chain.approval(till.wallet).lockup_allowance == ONE_TOKEN // 10
    payments.setup(till.services, 0)
    assert add(till.services, request).complete


# Two at once


def test_a_deposit_that_was_decided_on_before_another_one_is_not_made(till: Till) -> None:
    ticket = till.services.backend.lacking(runway=0).ticket
    Wallet(till.chain, till.signer).deposit(ONE_TOKEN, approve=False)  # on another machine
    with pytest.raises(Unavailable, match="another deposit from this wallet"):
        payments.deposit(till.services, FIVE, ticket=ticket)
    assert till.moved == ONE_TOKEN


def test_what_is_not_free_is_refused_with_the_numbers_and_nothing_is_sent(till: Till) -> None:
    with pytest.raises(Unaffordable, match=r"100\.5 USDFC asked for, 100 USDFC of 100 are free") as caught:
        till.withdraw(100 * ONE_TOKEN + ONE_TOKEN // 2)
    assert caught.value.values["available"] == "100"
    assert till.sent == []
    with pytest.raises(FpinError, match="holds 900 USDFC"):
        till.deposit(901 * ONE_TOKEN)
    assert till.sent == []
    assert till.states() == []
