from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.chain.account import Standing, standing
from fpin.chain.costs import (
    CopyPlan,
    Load,
    billed_size,
    leaf_count,
    quote,
    rate_per_epoch,
    rate_per_month,
    recommended_deposit,
)
from fpin.units import ONE_TOKEN, Epoch
from tests.chain.records import data_set, payer_state
from tests.chain.test_account import account_of
from tests.chain.vectors import load, price_list

VECTORS = load("costs.json")
PRICES = price_list()
MILLI = ONE_TOKEN // 1000


@pytest.mark.parametrize("row", VECTORS["rates"], ids=lambda row: str(row["size"]))
def test_rates_are_the_reference_clients(row: dict[str, Any]) -> None:
    assert rate_per_epoch(row["size"], PRICES) == int(row["per_epoch"])
    assert rate_per_month(row["size"], PRICES) == int(row["per_month"])


def test_an_empty_data_set_costs_nothing() -> None:
    assert rate_per_epoch(0, PRICES) == rate_per_month(0, PRICES) == 0


def standing_of(case: dict[str, Any]) -> Standing:
    if "account_row" in case:
        row = VECTORS["accounts"][case["account_row"]]
        return standing(account_of(row), Epoch(int(row["epoch"])))
    fields: dict[str, Any] = {
        "available": 0,
        "runway": case["account"].get("runway"),
        "gross_cover": None,
        "debt": int(case["account"].get("debt", 0)),
        "lockup_rate": int(case["account"].get("lockup_rate", 0)),
    }
    return Standing(**fields)


@pytest.mark.parametrize("case", VECTORS["deposits"], ids=lambda case: case["id"])
def test_deposits_are_the_reference_clients(case: dict[str, Any]) -> None:
    account = case["account"]
    deposit = recommended_deposit(
        [Load(**case["load"])],
        PRICES,
        standing_of(case),
        extra_runway=account.get("extra_runway", 0),
        buffer_epochs=account.get("buffer", 5),
    )
    assert deposit == int(case["deposit"])


@pytest.mark.parametrize(
    ("payload_size", "leaves"),
    # by hand: 127 raw bytes are 128 expanded ones, four leaves; one byte more spills into a fifth
    [(1, 1), (31, 1), (32, 2), (127, 4), (128, 5), (254, 8), (1_065_353_216, 2**25)],
)
def test_a_piece_has_as_many_leaves_as_hold_its_bytes(payload_size: int, leaves: int) -> None:
    assert leaf_count(payload_size) == leaves


@given(st.integers(127, 1_065_353_216))
def test_a_piece_is_billed_for_its_bytes_and_less_than_a_leaf_more(payload_size: int) -> None:
    assert payload_size <= billed_size(leaf_count(payload_size)) + 31
    assert billed_size(leaf_count(payload_size)) < payload_size + 64


def test_a_first_copy_locks_the_reserve_and_a_month_and_pays_its_fees_out_of_that() -> None:
    quoted = quote([CopyPlan(pieces=(127,))], payer_state(funds=ONE_TOKEN))
    (copy,) = quoted.copies
    assert copy.size == 127
    assert copy.fees == 25_800_000_000_000_000  # 0.025 + 0.0005 + 0.0003
    assert copy.per_month == 24_000_000_288_764_567
    assert copy.flat_per_month == 24 * MILLI
    assert copy.locked == 100 * MILLI + 277_777_781_119 * 86400
    assert copy.required == copy.locked
    assert quoted.affordable
    assert quoted.new_data_sets == 1


def test_the_chain_asks_for_the_larger_of_its_two_checks() -> None:
    # The check before the creation counts the monthly fee, the lockup counts it per epoch, truncated.
    free_storage = payer_state(prices=price_list(storage_per_tib_month=0))
    (copy,) = quote([CopyPlan(pieces=(127,))], free_storage).copies
    assert copy.locked == 100 * MILLI + 277_777_777_777 * 86400
    assert copy.required == 124 * MILLI
    (with_cdn,) = quote([CopyPlan(pieces=(127,), cdn=True)], free_storage).copies
    assert with_cdn.required == 1124 * MILLI


def test_two_copies_need_the_funds_of_both() -> None:
    plans = [CopyPlan(pieces=(2**20,), provider_id=1), CopyPlan(pieces=(2**20,), provider_id=2)]
    one, two = quote(plans[:1], payer_state()), quote(plans, payer_state())
    assert two.required == one.copies[0].locked + one.required
    assert two.shortfall == two.required
    assert two.deposit >= two.shortfall
    enough = quote(plans, payer_state(funds=two.required))
    assert enough.affordable
    assert not quote(plans, payer_state(funds=two.required - 1)).affordable


def test_a_reused_data_set_pays_no_flat_fee_again_and_no_creation() -> None:
    existing = data_set(7, 1, leaf_count=leaf_count(2**20))
    (copy,) = quote([CopyPlan(pieces=(2**20,), data_set=existing)], payer_state()).copies
    assert (copy.data_set_id, copy.flat_per_month, copy.fees) == (7, 0, 800_000_000_000_000)
    old, new = billed_size(leaf_count(2**20)), billed_size(2 * leaf_count(2**20))
    assert copy.rate == rate_per_epoch(new, PRICES) - rate_per_epoch(old, PRICES)
    assert copy.locked == copy.required == copy.rate * 86400


def test_a_used_up_reserve_is_refilled_from_free_funds() -> None:
    # 0.0057 left, 0.0008 due, 0.005 to stay: one more unit due and the reserve goes up to 0.1 + 0.0008
    existing = data_set(7, 1, reserve=5_800_000_000_000_000)
    (untouched,) = quote([CopyPlan(pieces=(127,), data_set=existing)], payer_state()).copies
    (refilled,) = quote(
        [CopyPlan(pieces=(127,), data_set=replace(existing, pending_fees=1))],  # type: ignore[arg-type]
        payer_state(),
    ).copies
    assert untouched.locked == untouched.rate * 86400
    assert (
        refilled.locked == refilled.rate * 86400 + 100 * MILLI + 800_000_000_000_001 - 5_800_000_000_000_000
    )


def test_more_than_forty_pieces_pay_for_two_adds() -> None:
    quoted = quote([CopyPlan(pieces=(127,) * 41)], payer_state())
    assert quoted.fees == 25 * MILLI + 2 * 500_000_000_000_000 + 41 * 300_000_000_000_000


def test_a_debt_comes_first() -> None:
    state = payer_state(funds=100, locked=50, rate=1, epoch=200)
    quoted = quote([CopyPlan(pieces=(127,))], state)
    assert quoted.debt == 150
    assert quoted.required == quoted.copies[0].required + 150
    assert quoted.shortfall == quoted.required
    assert quoted.runway_after == 0


def test_runways_say_how_long_the_account_lasts() -> None:
    quoted = quote([CopyPlan(pieces=(2**30,))], payer_state(funds=10 * ONE_TOKEN))
    assert quoted.runway_before is None
    rate = rate_per_epoch(billed_size(leaf_count(2**30)), PRICES)
    assert quoted.runway_after == (10 * ONE_TOKEN - quoted.locked) // rate


def test_a_runway_that_is_asked_for_is_in_the_deposit() -> None:
    plans, state = [CopyPlan(pieces=(2**30,))], payer_state()
    plain, longer = quote(plans, state), quote(plans, state, extra_runway=2880)
    assert longer.deposit - plain.deposit == 2880 * plain.copies[0].rate
    assert longer.shortfall == plain.shortfall


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({"approved": False}, ("not-approved",)),
        ({"rate_allowance": 10}, ("rate-allowance",)),
        ({"lockup_allowance": 10}, ("lockup-allowance",)),
        ({"max_lockup_period": 2880}, ("lockup-period",)),
        ({"rate_usage": 5, "lockup_usage": 7}, ()),
    ],
)
def test_what_is_wrong_with_the_approval_is_named(change: dict[str, Any], problems: tuple[str, ...]) -> None:
    state = payer_state(funds=ONE_TOKEN)
    state = replace(state, approval=replace(state.approval, **change))
    quoted = quote([CopyPlan(pieces=(127,))], state)
    assert quoted.approval_problems == problems
    assert quoted.affordable == (not problems)


def test_an_allowance_that_fees_have_eaten_at_is_still_maximal() -> None:
    approval = payer_state().approval
    assert replace(approval, lockup_allowance=2**256 - 1 - 10**20).is_maximal(86400)
    assert not replace(approval, lockup_allowance=2**255 - 1).is_maximal(86400)
    assert not replace(approval, rate_allowance=2**256 - 2).is_maximal(86400)


def test_prices_come_from_the_list_and_nowhere_else() -> None:
    # what is said of contracts 1.4.0: a reserve of 0.5 and 0.12 a month
    prices = price_list(reserve_target=500 * MILLI, data_set_fee_month=120 * MILLI)
    (copy,) = quote([CopyPlan(pieces=(127,))], payer_state(prices=prices)).copies
    assert copy.flat_per_month == 120 * MILLI
    assert copy.locked == 500 * MILLI + copy.rate * 86400
    assert copy.required >= 620 * MILLI


@given(sizes=st.lists(st.integers(127, 2**30), min_size=1, max_size=90), copies=st.integers(1, 3))
def test_what_the_quote_requires_is_always_enough_and_the_deposit_covers_it(
    sizes: list[int], copies: int
) -> None:
    plans = [CopyPlan(pieces=tuple(sizes))] * copies
    quoted = quote(plans, payer_state())
    assert quoted.required >= quoted.locked
    assert quoted.deposit >= quoted.shortfall == quoted.required
    funded = quote(plans, payer_state(funds=quoted.deposit))
    assert funded.affordable
    assert funded.deposit == 0
