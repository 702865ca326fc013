"""What filecoin-pin would deposit, put together from this room's parts, and how far ours differs from that.

Its formula counts the streaming lockup of one copy however many there are; ours counts each.
"""

from __future__ import annotations

from typing import Any

import pytest

from fpin.chain.costs import CopyPlan, Load, leaf_count, quote
from fpin.chain.records import PriceList
from fpin.units import EPOCHS_PER_DAY, ONE_TOKEN
from tests.chain.records import payer_state
from tests.chain.vectors import load, price_list

VECTORS = load("funding.json")
BUFFER = 5


def prices_of(case: dict[str, Any]) -> PriceList:
    named = VECTORS["lists"][case["list"]]
    if named is None:
        return price_list()
    return price_list(**{**dict.fromkeys(load("costs.json")["price_list"], 0), **_numbers(named)})


def _numbers(texts: dict[str, str]) -> dict[str, int]:
    return {name: int(text) for name, text in texts.items()}


@pytest.mark.parametrize("case", VECTORS["auto_fund"], ids=lambda case: case["id"])
def test_the_reference_clients_deposit_is_made_of_the_same_parts(case: dict[str, Any]) -> None:
    prices, account = prices_of(case), _numbers(case.get("account", {}))
    piece = Load(size=-(-case["size"] // 32) * 32, new=False)
    rate = account.get("lockup_rate", 0) + piece.rate_delta(prices)
    locked = account.get("locked", 0) + piece.lockup(prices)
    target = locked + rate * (case["days"] * EPOCHS_PER_DAY + BUFFER)
    empty = Load(size=0, new=True, cdn=case["cdn"])
    deposit = target - account.get("funds", 0) + case["new"] * (empty.lockup(prices) + empty.fees(prices))
    assert deposit == int(case["deposit"])
    for name, value in (("locked", locked), ("rate", rate), ("target", target)):
        assert value == int(case.get(name, value)), name


@pytest.mark.parametrize("case", [c for c in VECTORS["auto_fund"] if c["new"]], ids=lambda case: case["id"])
def test_ours_counts_every_copy_and_no_buffer_while_nothing_is_spending(case: dict[str, Any]) -> None:
    prices = prices_of(case)
    plan = CopyPlan(pieces=(case["size"],), cdn=case["cdn"])
    runway = case["days"] * EPOCHS_PER_DAY
    ours = quote([plan] * case["new"], payer_state(prices=prices), extra_runway=runway)
    theirs = int(case["deposit"])
    rate = ours.copies[0].rate
    # They round the size up to 32 bytes; ours is billed as the chain bills it.
    rounded = Load(size=-(-case["size"] // 32) * 32, new=False).rate_delta(prices)
    extra = (case["new"] - 1) * rate * (prices.lockup_period + runway)
    slack = (rounded - rate) * (prices.lockup_period + runway)
    assert ours.deposit == theirs + extra - slack - rounded * BUFFER
    assert leaf_count(case["size"]) * 32 * 127 // 128 - case["size"] < 64


@pytest.mark.parametrize("case", VECTORS["setup"], ids=lambda case: case["id"])
def test_the_reference_clients_first_deposit_covers_ours_for_small_pieces(case: dict[str, Any]) -> None:
    prices = prices_of(case)
    empty = Load(size=0, new=True, cdn=True)
    one = empty.lockup(prices) + empty.fees(prices) + prices.data_set_fee_month
    free = case["copies"] * one + ONE_TOKEN
    assert free == int(case["free"])
    ours = quote([CopyPlan(pieces=(127,), cdn=True)] * case["copies"], payer_state(prices=prices))
    assert ours.deposit < free
