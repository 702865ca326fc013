from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.chain.account import standing
from fpin.chain.records import Account
from fpin.units import Epoch, UsdfcUnits
from tests.chain.vectors import load

ACCOUNTS = load("costs.json")["accounts"]


def account(funds: int, current: int, rate: int, settled_at: int) -> Account:
    return Account(
        funds=UsdfcUnits(funds),
        lockup_current=UsdfcUnits(current),
        lockup_rate=UsdfcUnits(rate),
        settled_at=Epoch(settled_at),
    )


def account_of(row: dict[str, Any]) -> Account:
    return account(*(int(row[key]) for key in ("funds", "lockup_current", "lockup_rate", "settled_at")))


@pytest.mark.parametrize("row", ACCOUNTS)
def test_accounts_come_to_the_present_like_the_reference_clients(row: dict[str, Any]) -> None:
    now = standing(account_of(row), Epoch(int(row["epoch"])))
    for field in ("available", "runway", "gross_cover", "debt"):
        expected = None if row[field] is None else int(row[field])
        assert getattr(now, field) == expected, field


@given(
    funds=st.integers(0, 10**24),
    locked=st.floats(0, 1),
    rate=st.integers(0, 10**16),
    settled_at=st.integers(0, 10**7),
    later=st.integers(0, 10**7),
)
def test_free_and_owed_always_add_up(
    funds: int, locked: float, rate: int, settled_at: int, later: int
) -> None:
    current = int(funds * locked) if locked < 1 else funds
    stored = account(funds, min(current, funds), rate, settled_at)
    now = standing(stored, Epoch(settled_at + later))
    assert 0 <= now.available <= funds
    spent = stored.lockup_current + rate * later
    if now.debt:
        assert funds + now.debt == spent
        assert rate > 0
        assert now.available < rate
        assert now.runway == 0
    else:
        assert now.available == funds - spent
        assert now.runway is None if rate == 0 else now.runway == now.available // rate
