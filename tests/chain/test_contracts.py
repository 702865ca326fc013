"""`Chain` against the devnet's chain over a socket: its contracts are written independently of the client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fpin.chain.account import standing
from fpin.chain.contracts import Chain
from fpin.chain.costs import CopyPlan, quote
from fpin.chain.records import MAX_UINT256, NonceUse
from fpin.chain.wallet import Wallet
from fpin.errors import ChainError, NotFound, UsageError
from fpin.units import ONE_TOKEN
from tests.chain.nodes import ScriptedNode
from tests.chain.vectors import price_list
from tests.chain.world import FUNDED, METADATA, P0, P1, PAYEE, POOR, READY, SENDERS, World


def test_prices_are_read_from_the_chain(world: World) -> None:
    assert world.chain.price_list() == price_list()


def test_a_ready_payer_has_funds_and_an_approval_without_limits(world: World) -> None:
    state = world.chain.payer_state(READY.address)
    assert state.account.funds == 100 * ONE_TOKEN
    assert state.balances.fil == 1000 * ONE_TOKEN
    assert state.approval.is_maximal(state.prices.lockup_period)
    assert state.approval.rate_allowance == MAX_UINT256
    assert state.epoch == world.devchain.epoch == world.chain.head().epoch


def test_an_address_the_chain_has_never_seen_has_nothing(world: World) -> None:
    state = world.chain.payer_state(POOR.address)
    assert (state.account.funds, state.balances.fil, state.balances.usdfc) == (0, 0, 0)
    assert not state.approval.approved


def test_providers_are_read_with_what_they_registered(world: World) -> None:
    first, second = world.chain.providers()
    assert (first.provider_id, second.provider_id) == (1, 2)
    assert first.service_url == "http://127.0.0.1:7001"  # without the slash it was registered with
    assert (first.service_provider, first.payee) == (SENDERS[0].address, PAYEE.address)
    assert (first.min_piece_size, first.max_piece_size) == (127, 1_065_353_216)
    assert first.ipni_peer_id == bytes([0, 1, 1])
    assert first.ipni_ipfs
    assert first.problem is None
    assert world.chain.provider(2) == second
    assert world.chain.approved_provider_ids() == {1, 2}
    assert world.chain.endorsed_provider_ids() == {1}


def test_an_unknown_provider_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="provider 9 is not in the registry of devnet"):
        world.chain.provider(9)


def test_a_data_set_that_a_provider_created_is_seen_in_full(world: World) -> None:
    assert world.create(READY, 555).succeeded
    assert world.chain.nonce_use(READY.address, 555) == NonceUse(data_set_id=1, next_piece_id=None)
    data_set = world.chain.data_set(1)
    assert data_set.client_data_set_id == 555
    assert (data_set.payer, data_set.payee) == (READY.address, PAYEE.address)
    assert data_set.metadata == dict(METADATA)
    assert data_set.live
    assert data_set.managed
    assert data_set.accepts_pieces
    assert data_set.leaf_count == 0
    assert data_set.reserve == 100 * ONE_TOKEN // 1000
    assert data_set.pending_fees == 25 * ONE_TOKEN // 1000
    assert world.chain.client_data_sets(READY.address) == (data_set,)
    assert world.chain.market(READY.address).data_sets == (data_set,)


def test_an_unknown_data_set_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="no data set 77"):
        world.chain.data_set(77)


def test_an_unused_number_has_no_use(world: World) -> None:
    assert world.chain.nonce_use(READY.address, 1) is None


def test_added_pieces_are_found_by_cid_and_by_list(world: World) -> None:
    world.create(READY, 555)
    receipt = world.add(READY, 1, 777, [P0, P1])
    assert receipt.succeeded
    use = world.chain.nonce_use(READY.address, 777)
    assert use == NonceUse(data_set_id=1, next_piece_id=2)
    assert use is not None
    assert use.first_piece_id(2) == 0
    assert [(entry.piece_id, entry.piece_cid) for entry in world.chain.pieces(1)] == [(0, P0), (1, P1)]
    assert world.chain.find_piece_ids(1, P1) == (1,)
    assert world.chain.find_piece_ids(1, P1[:-1] + b"\0") == ()
    assert world.chain.find_pieces(1, [P1, P1[:-1] + b"\0", P0]) == [(1,), (), (0,)]
    assert world.chain.piece_live(1, 1)
    assert not world.chain.piece_live(1, 2)


def test_a_scheduled_removal_is_visible_and_the_piece_still_there(world: World) -> None:
    world.create(READY, 555)
    world.add(READY, 1, 777, [P0, P1])
    assert world.remove(READY, 1, [1]).succeeded
    assert world.chain.scheduled_removals(1) == {1}
    assert world.chain.piece_live(1, 1)


@pytest.mark.parametrize("cursor", [True, False])
def test_many_pieces_are_listed_page_by_page(
    cursor: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpin.chain.contracts.PIECES_PER_PAGE", 2)
    if not cursor:
        forget_cursor(world, monkeypatch)
    world.create(READY, 555)
    cids = [P0, P1, P0, P1, P1]
    world.add(READY, 1, 777, cids)
    assert [entry.piece_cid for entry in world.chain.pieces(1)] == cids
    assert [entry.piece_id for entry in world.chain.pieces(1)] == [0, 1, 2, 3, 4]
    assert world.chain.find_piece_ids(1, P1) == (1, 3, 4)


def forget_cursor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the verifier one of before 3.4, which has no cursor and says nothing when asked for it."""
    from fpin.chain import contracts
    from fpin.chain.abi import Function, function

    def older(group: str, name: str) -> Function:
        found = function(group, name)
        if name == "getActivePiecesByCursor":
            return Function(found.contract, "neverDefined", found.inputs, found.outputs)
        return found

    monkeypatch.setattr("fpin.chain.reader.function", older)
    assert contracts.PIECES_PER_PAGE == 2


def test_what_the_quote_said_is_what_the_chain_takes(world: World) -> None:
    before = world.chain.payer_state(READY.address)
    world.create(READY, 555)
    assert world.add(READY, 1, 777, [P0, P1]).succeeded
    after = world.chain.payer_state(READY.address)
    sizes = [payload_size(P0), payload_size(P1)]
    (copy,) = quote([CopyPlan(pieces=tuple(sizes))], before).copies
    assert after.account.lockup_rate == copy.rate
    now = standing(after.account, after.epoch)
    assert now.available == 100 * ONE_TOKEN - copy.locked
    assert after.account.funds == 100 * ONE_TOKEN - copy.fees
    data_set = world.chain.data_set(1)
    (second,) = quote([CopyPlan(pieces=tuple(sizes), data_set=data_set)], after).copies
    world.add(READY, 1, 778, [P0, P1])
    final = world.chain.payer_state(READY.address)
    assert final.account.lockup_rate == copy.rate + second.rate
    assert final.account.funds == 100 * ONE_TOKEN - copy.fees - second.fees


def payload_size(piece_cid: bytes) -> int:
    """Raw size out of a PieceCIDv2 with a one-byte padding (FRC-0069)."""
    padding, height = piece_cid[5], piece_cid[6]
    return int(127 * 2 ** (height - 2) - padding)


def test_exactly_the_required_funds_are_enough_and_one_unit_less_is_refused(world: World) -> None:
    state = world.chain.payer_state(FUNDED.address)
    quoted = quote([CopyPlan(pieces=(payload_size(P1),))], state)
    assert quoted.approval_problems == ("not-approved", "rate-allowance", "lockup-allowance", "lockup-period")
    wallet = Wallet(world.chain, FUNDED)
    wallet.deposit(quoted.required - 1, approve=True)
    assert world.create(FUNDED, 555).succeeded
    assert not world.add(FUNDED, 1, 777, [P1]).succeeded
    wallet.deposit(1, approve=False)
    assert world.add(FUNDED, 1, 777, [P1]).succeeded
    assert quote([CopyPlan(pieces=(127,))], world.chain.payer_state(FUNDED.address)).shortfall > 0


def test_a_creation_without_its_funds_is_refused_and_the_reason_can_be_read(world: World) -> None:
    Wallet(world.chain, FUNDED).deposit(ONE_TOKEN // 10, approve=True)
    receipt = world.create(FUNDED, 555)
    assert not receipt.succeeded
    assert world.chain.nonce_use(FUNDED.address, 555) is None


def test_a_creation_signed_by_somebody_else_is_refused(world: World) -> None:
    assert not world.create(READY, 555, by=FUNDED).succeeded
    assert world.chain.client_data_sets(READY.address) == ()


def test_a_second_creation_with_the_same_number_is_refused(world: World) -> None:
    assert world.create(READY, 555).succeeded
    assert not world.create(READY, 555, provider=2).succeeded


def test_a_new_data_set_has_no_proving_yet(world: World) -> None:
    world.create(READY, 555)
    world.add(READY, 1, 777, [P0])
    status = world.chain.provings([1, 2])[1]
    assert status.state == "not started"
    assert (status.window_start, status.deadline, status.last_proven) == (None, None, None)
    assert status.proving_period == 120


def test_sessions_that_were_never_authorized_are_zero(world: World) -> None:
    grants = world.chain.session_grants(READY.address, POOR.address)
    assert grants.expiries == {"create-data-set": 0, "add": 0, "remove": 0, "terminate": 0}
    assert grants.live == ()


def test_the_view_contract_is_the_one_the_service_names(world: World) -> None:
    stale = replace(world.network.contracts, view="0x" + "11" * 20)
    chain = Chain(replace(world.network, contracts=stale), world.rpc)
    assert chain.connect() == world.devchain.contracts.fwss_view
    assert chain.price_list() == price_list()


def test_a_node_of_another_chain_is_refused_with_both_ids(world: World) -> None:
    chain = Chain(replace(world.network, chain_id=314, name="mainnet"), world.rpc)
    with pytest.raises(UsageError, match="serves chain 31415926; mainnet is 314"):
        chain.price_list()


def test_an_address_without_a_contract_is_named(world: World) -> None:
    empty = "0x" + "22" * 20
    chain = Chain(
        replace(world.network, contracts=replace(world.network.contracts, endorsements=empty)), world.rpc
    )
    with pytest.raises(ChainError, match=f"no ProviderIdSet at {empty}"):
        chain.endorsed_provider_ids()


def test_many_reads_are_few_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        world.create(READY, number, provider=1 + number % 2)
    chain = Chain(world.network, world.rpc)
    asked: list[str] = []
    single, batch = world.rpc.call, world.rpc.batch

    def count_call(method: str, *params: object) -> Any:
        asked.append(method)
        return single(method, *params)

    def count_batch(requests: Any) -> Any:
        asked.append("batch")
        return batch(requests)

    monkeypatch.setattr(world.rpc, "call", count_call)
    monkeypatch.setattr(world.rpc, "batch", count_batch)
    market = chain.market(READY.address)
    assert [data_set.data_set_id for data_set in market.data_sets] == [1, 2, 3]
    assert asked == ["batch", "eth_call", "eth_call"]


def test_a_list_that_does_not_advance_is_an_error(
    world: World, scripted: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create(READY, 555)
    world.add(READY, 1, 777, [P0, P1])
    monkeypatch.setattr("fpin.chain.contracts.PIECES_PER_PAGE", 1)
    first = world.chain.outcomes([world.chain.call("PDPVerifier", "getActivePiecesByCursor", 1, 0, 1)])
    monkeypatch.setattr(world.chain, "outcomes", lambda calls: first)  # the same page whatever was asked
    with pytest.raises(ChainError, match="does not go on"):
        list(world.chain.pieces(1))
