from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.chain import selection as choosing
from fpin.chain.location import Location
from fpin.chain.records import DataSet, Market
from fpin.chain.selection import Candidate, Selection, Terms, find_reusable_data_set, select_data_sets
from fpin.errors import NotFound, ProviderError, UsageError
from tests.chain.records import PAYER, data_set, provider

METADATA = {"withIPFSIndexing": "", "source": "fpin"}
select = partial(choosing.select, seed="22715")  # with which providers come in the order of their numbers


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


def numbers(candidates: Sequence[Candidate]) -> list[int]:
    return [candidate.provider.provider_id for candidate in candidates]


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


def test_the_first_of_two_copies_goes_to_an_endorsed_provider_and_the_rest_in_the_order_of_the_seed() -> None:
    selection = select(market(), copies=2, metadata=METADATA)
    assert order(selection) == [[(2, None)], [(1, None), (2, None), (3, None)]]
    assert not selection.explicit


def test_providers_with_a_data_set_come_first() -> None:
    here = market(data_set(5, 3), data_set(8, 2, leaf_count=0), endorsed=(2, 3))
    assert order(select(here, copies=1, metadata=METADATA)) == [[(3, 5), (2, 8)]]
    assert order(select(here, copies=2, metadata=METADATA))[1] == [(3, 5), (2, 8), (1, None)]


def test_every_provider_is_the_first_of_some_seeds_and_each_seed_always_means_the_same() -> None:
    def firsts(**changes: Any) -> list[int]:
        here = market(**changes)
        choices = [
            select(here, copies=1, metadata=METADATA, seed=f"0x{number:040x}") for number in range(300)
        ]
        return [one.pick()[0].provider.provider_id for one in choices]

    before = firsts(endorsed=(1, 2, 3))
    assert all(70 < before.count(number) < 130 for number in (1, 2, 3))
    assert firsts(endorsed=(1, 2, 3)) == before
    # Whoever comes takes some from each, and moves nobody else.
    four = (1, 2, 3, 4)
    after = firsts(providers=tuple(map(provider, four)), approved=four, endorsed=four)
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {4}


def test_a_data_set_goes_before_every_seed() -> None:
    here = market(data_set(8, 3), endorsed=(1, 2, 3))
    for number in range(20):
        assert numbers(select(here, copies=2, metadata=METADATA, seed=str(number)).pick())[0] == 3


def test_a_single_copy_goes_anywhere_when_nobody_is_endorsed() -> None:
    assert order(select(market(endorsed=()), copies=1, metadata=METADATA))[0][0] == (1, None)


def test_two_copies_without_an_endorsed_provider_are_refused_with_the_reasons() -> None:
    with pytest.raises(ProviderError, match=r"no endorsed provider.*provider 2 is excluded"):
        select(market(), copies=2, metadata=METADATA, terms=Terms(exclude={2}))


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
        market(approved=(1, 2, 3), providers=providers),
        copies=1,
        metadata=METADATA,
        terms=Terms(largest_piece=1001),
    )
    assert order(selection) == [[(2, None)]]
    assert {entry.provider_id: entry.reason for entry in selection.passed_over} == {
        1: "is registered without serviceURL",
        3: "takes pieces of at most 1000 bytes",
        4: "is not approved by the storage service",
    }


def test_a_failed_provider_is_followed_by_the_next_and_then_by_nothing() -> None:
    selection = select(market(), copies=2, metadata=METADATA)
    assert numbers(selection.pick()) == [2, 1]
    assert numbers(selection.pick({1})) == [2, 3]
    assert numbers(selection.pick({1, 3})) == [2]
    assert numbers(selection.pick({2})) == [1]  # nobody else is endorsed for the first copy


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
        select(market(), copies=1, metadata=METADATA, provider_ids=[1], terms=Terms(exclude=[1]))


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


# Where providers are


@pytest.mark.parametrize(
    ("text", "country", "regions"),
    [
        ("C=US;ST=California;L=Los Angeles", "US", ("California", "Los Angeles")),
        ("/C=de/L=Nuremberg", "DE", ("Nuremberg",)),
        ("ST=Ontario, C=CA", "CA", ("Ontario",)),
        ("Frankfurt", "", ()),
        ("", "", ()),
    ],
)
def test_a_location_is_read_as_it_was_registered(text: str, country: str, regions: tuple[str, ...]) -> None:
    assert Location.parse(text) == Location(country=country, regions=regions)


def test_only_providers_in_the_country_asked_for_are_used_and_the_others_say_where_they_are() -> None:
    providers = (provider(1, location="C=DE"), provider(2, location="C=US"), provider(3, location="C=DE"))
    selection = select(
        market(providers=providers, endorsed=(3,)),
        copies=2,
        metadata=METADATA,
        terms=Terms(countries=("de",)),
    )
    assert numbers(selection.pick()) == [3, 1]
    assert [(entry.provider_id, entry.reason) for entry in selection.passed_over] == [(2, "is in C=US")]


def test_copies_that_are_spread_are_beside_none_in_the_same_country() -> None:
    providers = (provider(1, location="C=US"), provider(2, location="C=US"), provider(3, location="C=FI"))
    there, spread = market(providers=providers), Terms(spread="country")
    assert numbers(select(there, copies=2, metadata=METADATA, terms=spread).pick()) == [2, 3]
    beside = Terms(spread="country", beside=(providers[0],))
    assert numbers(select(there, copies=1, metadata=METADATA, terms=beside).pick()) == [3]
    with pytest.raises(ProviderError, match="3 copies in as many countries cannot be had"):
        select(there, copies=3, metadata=METADATA, terms=spread)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    count = draw(st.integers(1, 6))
    every = range(1, count + 1)
    places = st.sampled_from(["C=US;ST=Ohio", "C=US;ST=Utah", "C=DE;ST=Hesse", "C=FI", "nowhere"])
    sets = draw(st.lists(st.sampled_from(every), unique=True))
    return market(
        *(data_set(10 + number, number) for number in sets),
        providers=tuple(provider(number, location=draw(places)) for number in every),
        approved=draw(st.sets(st.sampled_from(every))),
        endorsed=draw(st.sets(st.sampled_from(every))),
    )


@given(
    market=markets(),
    copies=st.integers(1, 4),
    excluded=st.sets(st.integers(1, 6)),
    failed=st.sets(st.integers(1, 6)),
    countries=st.sampled_from([(), ("US",), ("DE", "FI")]),
    spread=st.sampled_from([None, "country", "region"]),
    seed=st.text(max_size=3),
)
def test_whatever_is_there_the_choice_keeps_to_what_was_asked_for(
    market: Market,
    copies: int,
    excluded: set[int],
    failed: set[int],
    countries: tuple[str, ...],
    spread: str | None,
    seed: str,
) -> None:
    terms = Terms(exclude=excluded, countries=countries, spread=spread)
    try:
        selection = select(market, copies=copies, metadata=METADATA, terms=terms, seed=seed)
    except ProviderError:
        return
    assert select(market, copies=copies, metadata=METADATA, terms=terms, seed=seed) == selection
    whole = selection.pick()
    assert len(whole) == copies
    if copies > 1:
        assert whole[0].provider.provider_id in market.endorsed
    for chosen in (whole, selection.pick(failed)):
        assert len(set(numbers(chosen))) == len(chosen)
        assert set(numbers(chosen)) <= market.approved - excluded
        where = [Location.parse(one.provider.location) for one in chosen]
        assert all(one.country in countries for one in where if countries)
        if spread is not None:
            parts = [one.part(spread) for one in where]
            assert None not in parts
            assert len(set(parts)) == len(parts)
    assert not failed & set(numbers(selection.pick(failed)))
    # Whoever is considered and whoever is passed over are all that there are.
    skipped = {entry.provider_id for entry in selection.passed_over}
    considered = {one.provider_id for one in market.providers} - skipped
    assert set().union(*(numbers(slot) for slot in selection.slots)) <= considered
    assert copies == 1 or set(numbers(selection.slots[-1])) == considered
