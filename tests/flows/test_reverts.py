"""What a contract refuses after the quote was fine: told in words, and nothing lost or paid twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fpin.backends.base import Wish
from fpin.chain.account import standing
from fpin.chain.signer import Signer
from fpin.chain.wallet import Wallet
from fpin.cli.exits import code_of
from fpin.devnet.chain.chain import DevChain
from fpin.errors import ChainError, FpinError, PermissionMissing, Unaffordable
from fpin.events import Event, Parked
from fpin.flows import add as flow
from fpin.flows.packing import Content
from fpin.flows.services import Services
from fpin.store import CopyState
from fpin.units import ONE_TOKEN
from tests.cli.conftest import Tenant

ADD_PIECES = bytes.fromhex("9afd37f2")  # PDPVerifier.addPieces(uint256,address,(bytes)[],bytes)


@pytest.fixture
def wallet(tenant: Tenant) -> Wallet:
    return Wallet(tenant.chain, Signer.from_key(tenant.fpin.wallet.key))


@pytest.fixture
def request_(tenant: Tenant, tmp_path: Path) -> flow.AddRequest:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} wants to keep")
    return flow.AddRequest(content=Content(paths=(path,)), wish=Wish(copies=1))


def empty_account(tenant: Tenant, wallet: Wallet) -> None:
    state = tenant.chain.payer_state(tenant.wallet)
    wallet.withdraw(standing(state.account, state.epoch).available)


def when_parked(act: Callable[[], object]) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        if isinstance(event, Parked):
            act()

    return on_event


def test_funds_that_are_gone_after_the_quote_are_told_with_amounts_and_the_way_out(
    services: Services, tenant: Tenant, wallet: Wallet, request_: flow.AddRequest
) -> None:
    with pytest.raises(Unaffordable) as caught:
        flow.add(services, request_, on_event=when_parked(lambda: empty_account(tenant, wallet)))
    assert code_of(caught.value) == 4
    assert "USDFC" in caught.value.message
    assert "fpin payments deposit" in (caught.value.hint or "")
    assert tenant.chain.client_data_sets(tenant.wallet) == ()

    wallet.deposit(10 * ONE_TOKEN, approve=False)
    parked: list[Parked] = []
    again = flow.add(
        services, request_, on_event=lambda e: parked.append(e) if isinstance(e, Parked) else None
    )
    assert again.complete
    assert [event.uploaded for event in parked] == [False]
    assert len(tenant.on_chain(again.pieces[0].piece_cid)) == 1


def test_an_approval_that_is_gone_after_the_quote_is_told_with_the_way_out(
    services: Services, tenant: Tenant, wallet: Wallet, request_: flow.AddRequest
) -> None:
    with pytest.raises(PermissionMissing) as caught:
        flow.add(services, request_, on_event=when_parked(wallet.revoke_service))
    assert code_of(caught.value) == 4
    assert "fpin payments setup" in (caught.value.hint or "")
    wallet.approve_service()
    assert flow.add(services, request_).complete


def test_a_transaction_that_reverts_when_it_is_mined_is_a_failure_in_words(
    services: Services,
    tenant: Tenant,
    wallet: Wallet,
    request_: flow.AddRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The provider's estimate is fine; when its transaction's turn comes, the money has left.
    verifier = tenant.chain.network.contracts.pdp_verifier.lower()
    submit = DevChain.submit
    done: list[object] = []

    def after_a_withdrawal(chain: DevChain, transaction: object) -> object:
        # Only the add: proofs for the sets of other tests go to the same contract at any time.
        adds = getattr(transaction, "data", b"")[:4] == ADD_PIECES
        if not done and adds and str(getattr(transaction, "to", "")).lower() == verifier:
            done.append(transaction)
            empty_account(tenant, wallet)
        return submit(chain, transaction)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(DevChain, "submit", after_a_withdrawal)
    with pytest.raises(FpinError) as caught:
        flow.add(services, request_)
    assert done
    assert isinstance(caught.value, ChainError)
    assert (code_of(caught.value), "provider 1" in caught.value.message) == (1, True)
    assert "USDFC" in caught.value.message
    assert "run it again" in (caught.value.hint or "")
    assert tenant.chain.client_data_sets(tenant.wallet) == ()
    [pin] = services.store.pins(services.backend.chain_id)
    assert [copy.state for copy in pin.copies] == [CopyState.FAILED]

    wallet.deposit(10 * ONE_TOKEN, approve=False)
    again = flow.add(services, request_)
    assert again.complete
    assert len(tenant.on_chain(again.pieces[0].piece_cid)) == 1
