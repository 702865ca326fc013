"""How much may be deposited unasked: what is advised, cut down by what was allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.backends.base import Funding
from fpin.errors import Unaffordable
from fpin.flows.funding import Ceilings, grant
from tests.chain.vectors import load

AMOUNTS = st.integers(0, 10**21)
LIMITS = st.none() | AMOUNTS


def funding(*, required: int = 0, deposit: int, funds: int = 0, wallet: int = 10**30) -> Funding:
    return Funding(
        required=required, deposit=deposit, approve=False, limited=False, funds=funds, wallet=wallet, ticket=0
    )


@pytest.mark.parametrize("case", load("funding.json")["ceilings"])
def test_a_balance_is_not_exceeded_as_the_reference_client_does_it(case: dict[str, Any]) -> None:
    limit = None if case["max_balance"] is None else int(case["max_balance"])
    wanted = funding(deposit=int(case["deposit"]), funds=int(case["funds"]))
    assert grant(wanted, Ceilings(max_balance=limit), "USDFC") == int(case["granted"])


@given(
    required=AMOUNTS,
    spare=AMOUNTS,
    funds=AMOUNTS,
    wallet=AMOUNTS,
    max_deposit=LIMITS,
    max_balance=LIMITS,
    deposited=AMOUNTS,
)
def test_what_is_granted_is_enough_and_within_every_limit(
    required: int,
    spare: int,
    funds: int,
    wallet: int,
    max_deposit: int | None,
    max_balance: int | None,
    deposited: int,
) -> None:
    wanted = funding(required=required, deposit=required + spare, funds=funds, wallet=wallet)
    limits = Ceilings(max_deposit=max_deposit, max_balance=max_balance, deposited=deposited)
    most = min(
        required + spare,
        required + spare if max_deposit is None else max(0, max_deposit - deposited),
        required + spare if max_balance is None else max(0, max_balance - funds),
    )
    if most < required or most > wallet:
        with pytest.raises(Unaffordable):
            grant(wanted, limits, "USDFC")
    else:
        assert grant(wanted, limits, "USDFC") == most


def test_what_a_run_has_deposited_counts_against_its_limit() -> None:
    with pytest.raises(Unaffordable, match="more than --max-deposit 1 allows"):
        grant(
            funding(required=6 * 10**17, deposit=6 * 10**17),
            Ceilings(max_deposit=10**18, deposited=5 * 10**17),
            "USDFC",
        )
