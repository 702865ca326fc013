from __future__ import annotations

from dataclasses import replace

import pytest

from fpin.chain.abi import decode_event
from fpin.chain.account import standing
from fpin.chain.contracts import Chain
from fpin.chain.typed_data import PERMISSIONS
from fpin.chain.wallet import Wallet
from fpin.errors import NodeUnavailable, Reverted, Unaffordable, UsageError
from fpin.units import ONE_TOKEN
from tests.chain.world import FUNDED, P0, POOR, READY, World


def test_a_first_deposit_brings_the_approval_with_it(world: World) -> None:
    receipt = Wallet(world.chain, FUNDED).deposit(3 * ONE_TOKEN, approve=True)
    state = world.chain.payer_state(FUNDED.address)
    assert state.account.funds == 3 * ONE_TOKEN
    assert state.balances.usdfc == 997 * ONE_TOKEN
    assert state.approval.is_maximal(state.prices.lockup_period)
    names = [event.name for log in receipt.logs if (event := decode_event(log.topics, log.data))]
    assert "DepositRecorded" in names
    assert "OperatorApprovalUpdated" in names


def test_a_later_deposit_leaves_the_approval_alone(world: World) -> None:
    wallet = Wallet(world.chain, FUNDED)
    wallet.deposit(ONE_TOKEN, approve=False)
    wallet.deposit(ONE_TOKEN, approve=False)
    state = world.chain.payer_state(FUNDED.address)
    assert state.account.funds == 2 * ONE_TOKEN
    assert not state.approval.approved


def test_the_service_is_approved_and_revoked(world: World) -> None:
    wallet = Wallet(world.chain, FUNDED)
    wallet.approve_service()
    assert world.chain.approval(FUNDED.address).is_maximal(86400)
    wallet.revoke_service()
    assert not world.chain.approval(FUNDED.address).approved


def test_free_funds_come_back_to_the_wallet(world: World) -> None:
    Wallet(world.chain, READY).withdraw(40 * ONE_TOKEN)
    state = world.chain.payer_state(READY.address)
    assert state.account.funds == 60 * ONE_TOKEN


def test_more_than_is_free_is_refused_in_words_and_nothing_is_sent(world: World) -> None:
    epoch = world.devchain.epoch
    with pytest.raises(Unaffordable, match="withdrawing: 101 USDFC asked for, only 100 USDFC") as caught:
        Wallet(world.chain, READY).withdraw(101 * ONE_TOKEN)
    assert "deposit" in str(caught.value.hint)
    assert world.devchain.epoch == epoch


def test_more_than_the_wallet_holds_cannot_be_deposited(world: World) -> None:
    with pytest.raises(Unaffordable, match="holds 1000 USDFC, 1001 USDFC is to be deposited"):
        Wallet(world.chain, FUNDED).deposit(1001 * ONE_TOKEN, approve=True)


def test_a_wallet_without_fil_is_told_so(world: World) -> None:
    with pytest.raises(Unaffordable, match=f"{POOR.address} has no FIL to pay for gas"):
        Wallet(world.chain, POOR).approve_service()


def test_the_hash_is_known_before_anything_is_sent(world: World) -> None:
    heard: list[tuple[str, object]] = []

    def on_signed(tx_hash: str, nonce: int) -> None:
        assert nonce == world.chain.node.next_nonce(READY.address)
        heard.append((tx_hash, world.chain.node.receipt(tx_hash)))

    receipt = Wallet(world.chain, READY, on_signed=on_signed).withdraw(1)
    assert heard == [(receipt.tx_hash, None)]


def test_nothing_is_signed_for_another_chain(world: World) -> None:
    chain = Chain(replace(world.network, chain_id=314, name="mainnet"), world.rpc)
    with pytest.raises(UsageError, match="serves chain"):
        Wallet(chain, READY).withdraw(1)


def test_a_lost_answer_to_sending_does_not_fail_what_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    single, sent = world.rpc.call, list[object]()

    def send_twice(method: str, *params: object) -> object:
        if method == "eth_sendRawTransaction":
            sent.append(single(method, *params))  # arrived, but its answer did not; the repetition is refused
        return single(method, *params)

    monkeypatch.setattr(world.rpc, "call", send_twice)
    receipt = Wallet(world.chain, READY).withdraw(ONE_TOKEN)
    assert sent == [receipt.tx_hash]
    assert world.chain.account(READY.address).funds == 99 * ONE_TOKEN


def test_a_transaction_that_fails_after_its_simulation_is_explained(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = Wallet(world.chain, READY)
    monkeypatch.setattr(world.chain.node, "estimate_gas", lambda **_: 1_000_000_000)
    with pytest.raises(Unaffordable, match="only 100 USDFC"):
        wallet.withdraw(101 * ONE_TOKEN)


def test_a_node_that_goes_away_while_sending_leaves_the_hash_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(raw: bytes) -> str:
        raise NodeUnavailable("node x cannot be reached")

    monkeypatch.setattr(world.chain.node, "send_raw", gone)
    with pytest.raises(NodeUnavailable) as caught:
        Wallet(world.chain, READY).withdraw(1)
    assert str(caught.value.values["tx"]) in str(caught.value.hint)


def test_a_session_key_is_authorized_and_revoked(world: World) -> None:
    wallet, expiry = Wallet(world.chain, READY), world.chain.head().timestamp + 86400
    wallet.authorize_session(POOR.address, expiry, ["CreateDataSet", "AddPieces"])
    grants = world.chain.session_grants(READY.address, POOR.address)
    assert grants.expiries == {"create-data-set": expiry, "add": expiry, "remove": 0, "terminate": 0}
    assert grants.live == ("create-data-set", "add")
    assert world.create(READY, 555, by=POOR).succeeded
    wallet.revoke_session(POOR.address, list(PERMISSIONS))
    assert not world.create(READY, 556, by=POOR).succeeded


def test_a_data_set_is_terminated_directly(world: World) -> None:
    world.create(READY, 555)
    wallet = Wallet(world.chain, READY)
    wallet.terminate(1)
    data_set = world.chain.data_set(1)
    assert data_set.terminated
    assert not data_set.accepts_pieces
    with pytest.raises(Reverted, match="data set 1 was terminated"):
        wallet.terminate(1)


def test_time_passing_is_paid_for_out_of_what_is_free(world: World) -> None:
    world.create(READY, 555)
    world.add(READY, 1, 777, [P0])
    state = world.chain.payer_state(READY.address)
    assert state.account.lockup_rate > 0
    world.devchain.mine(2880)
    Wallet(world.chain, READY).withdraw(1)  # which settles the account's lockup
    later = world.chain.payer_state(READY.address)
    spent = state.account.lockup_rate * (later.epoch - state.epoch)
    free = standing(state.account, state.epoch).available
    assert later.account.settled_at == later.epoch == state.epoch + 2881
    assert standing(later.account, later.epoch).available == free - spent - 1
