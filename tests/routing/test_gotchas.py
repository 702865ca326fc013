"""The gotchas of spec routing-and-retrieval §4.2 that the checker meets: what it does, and what it says.

G4, G5 and G6 need a provider that is asked for content; they stand in tests/flows/test_check.py, where G1 and
G12 are also held by what is sent and printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fpin.http import Http
from fpin.routing import PUBLIC, RoutingResult, Subject, check_added
from fpin.routing.indexer import ProviderInfo
from tests.routing.world import ABSENT, OTHER_PIECE, ROOT, World, copy_at, found, record_of

ONE, TWO = copy_at(1), copy_at(2)


@pytest.fixture
def world() -> Iterator[World]:
    with Http() as http:
        yield World(http)


def check(world: World, *subjects: Subject) -> RoutingResult:
    subjects = subjects or (Subject(cid=ROOT, copies=(ONE,)),)
    return check_added(subjects, world.peers, pace=PUBLIC.add, clock=world.time.clock)


def said(result: RoutingResult) -> str:
    return "\n".join(result.sentences)


def test_g1_an_early_look_is_advised_against_with_the_reason(world: World) -> None:
    world.polls(ABSENT)
    result = check(world)
    assert not world.gate.is_open(ROOT)
    assert "'nothing there' to everybody for 20 minutes" in said(result)
    assert said(result).endswith("fpin check bafybeieecktzp2k4oovlx6cjpehx3qudnlxfn2mskaefjets5oyyxoxc3e")


def test_g2_a_record_of_others_only_keeps_the_gate_closed_and_caches_are_named(world: World) -> None:
    world.polls(found(record_of(TWO)))
    result = check(world)
    assert not world.gate.is_open(ROOT)
    assert "caches keep a list without these copies for hours" in said(result)
    assert "The providers' own URLs work now" in said(result)


def test_g3_a_provider_of_another_network_is_no_success_and_is_listed_as_such(world: World) -> None:
    world.polls(found(record_of(TWO)))
    result = check(world)
    assert result.state == "timeout"
    assert "perhaps of another network" in said(result)
    assert "sp2.example.com" in said(result)


def test_g7_the_same_block_in_another_piece_counts_and_the_piece_is_named(world: World) -> None:
    world.polls(found(record_of(ONE, context=b"\x01" + OTHER_PIECE.to_bytes())))
    result = check(world)
    assert (result.state, result.strength) == ("found", "provider")
    assert f"the record is that of piece {OTHER_PIECE}, not of this piece" in said(result)
    world.polls(found(record_of(ONE, context=b"ctx")))
    assert "that of context 637478" in said(check(world))


def test_g8_an_address_alone_shows_the_provider_and_not_the_upload(world: World) -> None:
    world.polls(found(replace(record_of(ONE), peer_id=TWO.peer_id, provider="12D3KooWElse")))
    result = check(world)
    assert result.state == "found"
    assert "known by its address only, and belongs to peer 12D3KooWElse" in said(result)


def test_g9_an_advertisement_that_blocks_those_after_it_is_told_with_the_indexers_words(
    world: World,
) -> None:
    world.polls(ABSENT).info = ProviderInfo(
        last_advertisement=None,
        last_advertisement_time="2026-09-01T10:00:00Z",
        lag=3,
        last_error="ad bagu…: content not found",
        inactive=False,
    )
    result = check(world)
    assert "ad bagu…: content not found; an error on one of them holds up all" in said(result)
    assert "3 of its advertisements still to process" in said(result)
    assert "of 2026-09-01T10:00:00Z" in said(result)


def test_g10_a_record_that_comes_and_goes_is_found_and_the_reason_is_told(world: World) -> None:
    world.polls(found(record_of(ONE)), ABSENT, found(record_of(TWO)))
    result = check(world, Subject(cid=ROOT, copies=(ONE, TWO)))
    assert result.state == "found"
    assert "Provider 1 (https://sp1.example.com): a later answer lacked the record again" in said(result)
    assert "Provider 2" not in said(result)


def test_g11_other_addresses_of_the_same_peer_are_a_match_and_both_are_named(world: World) -> None:
    other = replace(record_of(ONE), addresses=("/dns/www.example.com/tcp/8443/https",))
    world.polls(found(other))
    result = check(world)
    assert (result.state, result.strength) == ("found", "exact")
    words = (
        "leads to https://www.example.com:8443, the registry to https://sp1.example.com; they are one peer"
    )
    assert words in said(result)


def test_g12_why_public_urls_are_held_back_is_said_until_it_is_found(world: World) -> None:
    world.polls(ABSENT)
    assert "link previews and monitors follow what is printed" in said(check(world))
    world.polls(found(record_of(ONE)))
    assert "previews" not in said(check(world))


def test_a_plain_match_has_nothing_odd_about_it(world: World) -> None:
    world.polls(found(record_of(ONE)))
    assert check(world).sentences == ("Found by CID at https://poll.example.",)
