"""Records for tests that only care about some of their fields."""

from __future__ import annotations

from typing import Any

from fpin.chain.provider_record import ProviderRecord
from fpin.chain.records import MAX_UINT256, Account, Approval, Balances, DataSet, PayerState
from tests.chain.vectors import price_list

PAYER = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"


def data_set(data_set_id: int, provider_id: int, **fields: Any) -> DataSet:
    values: dict[str, Any] = {
        "data_set_id": data_set_id,
        "client_data_set_id": 1000 + data_set_id,
        "provider_id": provider_id,
        "payer": PAYER,
        "payee": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "service_provider": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "pdp_rail_id": data_set_id,
        "cdn": False,
        "pdp_end_epoch": 0,
        "pending_fees": 0,
        "reserve": 74_200_000_000_000_000,  # what a first piece leaves of the 1.3 reserve
        "metadata": {"source": "fpin", "withIPFSIndexing": ""},
        "live": True,
        "managed": True,
        "leaf_count": 4,
    }
    return DataSet(**{**values, **fields})


def provider(provider_id: int, **fields: Any) -> ProviderRecord:
    values: dict[str, Any] = {
        "provider_id": provider_id,
        "service_provider": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "payee": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "name": f"provider {provider_id}",
        "description": "",
        "service_url": f"https://{provider_id}.example",
        "min_piece_size": 127,
        "max_piece_size": 1_065_353_216,
        "location": "C=US",
        "ipni_piece": True,
        "ipni_ipfs": True,
        "ipni_peer_id": None,
        "capabilities": {},
        "problem": None,
    }
    return ProviderRecord(**{**values, **fields})


def payer_state(
    *, funds: int = 0, locked: int = 0, rate: int = 0, settled_at: int = 0, epoch: int = 0, **fields: Any
) -> PayerState:
    """An account with an approval without limits and the prices of 1.3."""
    account: dict[str, Any] = {
        "funds": funds,
        "lockup_current": locked,
        "lockup_rate": rate,
        "settled_at": settled_at,
    }
    values: dict[str, Any] = {
        "epoch": epoch,
        "timestamp": 0,
        "prices": price_list(),
        "account": Account(**account),
        "approval": Approval(
            approved=True,
            rate_allowance=MAX_UINT256,
            lockup_allowance=MAX_UINT256,
            rate_usage=0,
            lockup_usage=0,
            max_lockup_period=86400,
        ),
        "balances": Balances(fil=0, usdfc=0),  # type: ignore[arg-type]
        "permit_nonce": 0,
    }
    return PayerState(**{**values, **fields})
