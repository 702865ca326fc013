from __future__ import annotations

from typing import Any

import pytest

from fpin.chain.records import DataSet, Market
from fpin.chain.selection import Selection, find_reusable_data_set, select, select_data_sets
from fpin.errors import NotFound, ProviderError, UsageError
from tests.chain.records import PAYER, data_set, provider

METADATA = {"withIPFSIndexing": "", "source": "fpin"}


def market(*data_sets: DataSet, approved: Any = (1, 2, 3), endorsed: Any = (2,), **changes: Any) -> Market:
    values: dict[str, Any] = {
        "providers": (provider(1), provider(2), provider(3)),
        "approved": frozenset(approved),
        "endorsed": frozenset(endorsed),
        "data_sets": data_sets,
    }
    return Market(**{**values, **changes})


def order(selection: Selection) -> list[list[tuple[int, int | None]]]:
    return [
        [(c.provider.provider_id, c.data_set.data_set_id if c.data_set else None) for c in slot]
        for slot in selection.slots
    ]


def test_a_data_set_is_reused_whatever_the_order_of_its_metadata() -> None:
    found = find_reusable_data_set([data_set(4, 1)], 1, METADATA)
    assert found is not None
    assert found.data_set_id == 4


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {**METADATA, "extra": ""}},
        {"metadata": {"source": "fpin"}},
        {"metadata": {**METADATA, "source": "other"}},
        {"pdp_end_epoch": 5},
        {"live": False},
        {"managed": False},
        {"provider_id": 2},
    ],
)
def test_a_data_set_that_differs_in_anything_is_not_reused(change: dict[str, Any]) -> None:
    existing = data_set(4, change.pop("provider_id", 1), **change)
    assert find_reusable_data_set([existing], 1, METADATA) is None


def test_of_several_data_sets_the_oldest_with_pieces_is_reused() -> None:
    sets = [data_set(9, 1), data_set(4, 1, leaf_count=0), data_set(6, 1)]
    found = find_reusable_data_set(sets, 1, METADATA)
    assert found is not None
    assert found.data_set_id == 6


def test_the_first_of_two_copies_goes_to_an_endorsed_provider_and_the_rest_in_registry_order() -> None:
    selection = select(market(), copies=2, metadata=METADATA)
    assert order(selection) == [[(2, None)], [(1, None), (2, None), (3, None)]]
    assert not selection.explicit


def test_providers_with_a_data_set_come_first() -> None:
    here = market(data_set(5, 3), data_set(8, 2, leaf_count=0), endorsed=(2, 3))
    assert order(select(here, copies=1, metadata=METADATA)) == [[(3, 5), (2, 8)]]
    assert order(select(here, copies=2, metadata=METADATA))[1] == [(3, 5), (2, 8), (1, None)]


def test_a_single_copy_goes_anywhere_when_nobody_is_endorsed() -> None:
    assert order(select(market(endorsed=()), copies=1, metadata=METADATA))[0][0] == (1, None)


def test_two_copies_without_an_endorsed_provider_are_refused_with_the_reasons() -> None:
    with pytest.raises(ProviderError, match=r"no endorsed provider.*provider 2 is excluded"):
        select(market(), copies=2, metadata=METADATA, exclude={2})


def test_more_copies_than_providers_are_refused_before_anything_is_uploaded() -> None:
    with pytest.raises(ProviderError, match="3 copies need as many providers, and 2 can be used"):
        select(market(approved=(1, 2)), copies=3, metadata=METADATA)


def test_providers_that_cannot_be_used_are_passed_over_and_say_why() -> None:
    providers = (
        provider(1, problem="is registered without serviceURL"),
        provider(2),
        provider(3, max_piece_size=1000),
        provider(4),
    )
    selection = select(
        market(approved=(1, 2, 3), providers=providers), copies=1, metadata=METADATA, largest_piece=1001
    )
    assert order(selection) == [[(2, None)]]
    assert {entry.provider_id: entry.reason for entry in selection.passed_over} == {
        1: "is registered without serviceURL",
        3: "takes pieces of at most 1000 bytes",
        4: "is not approved by the storage service",
    }


def test_a_failed_provider_is_followed_by_the_next_and_then_by_nothing() -> None:
    selection = select(market(), copies=2, metadata=METADATA)
    tried: set[int] = {2}
    following = selection.next_candidate(1, tried)
    assert following is not None
    assert following.provider.provider_id == 1
    assert selection.next_candidate(0, tried) is None


def test_providers_asked_for_by_id_are_taken_in_that_order_approved_or_not() -> None:
    selection = select(
        market(data_set(5, 3), approved=()), copies=2, metadata=METADATA, provider_ids=[3, 1, 3]
    )
    assert order(selection) == [[(3, 5)], [(1, None)]]
    assert selection.explicit


@pytest.mark.parametrize(
    ("ids", "copies", "words"),
    [([1, 2], 3, "3 copies were asked for and 2 providers named"), ([1], 2, "1 provider named")],
)
def test_as_many_ids_as_copies(ids: list[int], copies: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        select(market(), copies=copies, metadata=METADATA, provider_ids=ids)


def test_a_provider_that_is_asked_for_and_excluded_is_a_contradiction() -> None:
    with pytest.raises(UsageError, match="both"):
        select(market(), copies=1, metadata=METADATA, provider_ids=[1], exclude=[1])


def test_an_unknown_provider_is_not_found() -> None:
    with pytest.raises(NotFound, match="no active provider 9"):
        select(market(), copies=1, metadata=METADATA, provider_ids=[9])


def test_data_sets_asked_for_by_id_need_no_matching_metadata() -> None:
    here = market(data_set(5, 3, metadata={"a": "b"}), data_set(6, 1))
    selection = select_data_sets(here, [6, 5], owner=PAYER)
    assert order(selection) == [[(1, 6)], [(3, 5)]]
    assert selection.explicit


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pdp_end_epoch": 3}, "was terminated"),
        ({"live": False}, "deleted"),
        ({"managed": False}, "another service"),
    ],
)
def test_a_data_set_that_takes_no_pieces_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        select_data_sets(market(data_set(5, 3, **change)), [5], owner=PAYER)


def test_a_data_set_of_somebody_else_is_not_found() -> None:
    with pytest.raises(NotFound, match="has no data set 5"):
        select_data_sets(market(), [5], owner=PAYER)


def test_two_data_sets_at_one_provider_are_not_two_copies() -> None:
    with pytest.raises(UsageError, match="same provider"):
        select_data_sets(market(data_set(5, 3), data_set(6, 3)), [5, 6], owner=PAYER)
