"""The one look at the indexer that everybody reads, and what its answer means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fpin.http import Http
from fpin.routing import GatewayClosed, confirm
from fpin.routing.indexer import Answer
from tests.routing.world import ABSENT, BROKEN, ROOT, World, copy_at, found, record_of

ONE, TWO = copy_at(1), copy_at(2)


@pytest.fixture
def world() -> Iterator[World]:
    with Http() as http:
        yield World(http)


@pytest.mark.parametrize(
    ("answered", "state", "words"),
    [
        (found(record_of(ONE)), "confirmed", "lists it too"),
        (found(record_of(TWO)), "stale", "for hours"),
        (ABSENT, "pending", "20 minutes"),
        (BROKEN, "unknown", "HTTP 502"),
    ],
)
def test_the_answer_is_put_in_words(world: World, answered: Answer, state: str, words: str) -> None:
    indexer = world.confirms()
    indexer.answers = [answered]
    world.gate.open([ROOT])
    [looked] = confirm(ROOT, [ONE], world.peers)
    assert (looked.state, looked.indexer) == (state, "https://cid.contact")
    assert words in looked.sentence
    assert indexer.asked == [ROOT]


def test_it_is_not_asked_before_the_content_is_found(world: World) -> None:
    indexer = world.confirms()
    with pytest.raises(GatewayClosed):
        confirm(ROOT, [ONE], world.peers)
    assert indexer.asked == []


def test_without_such_an_indexer_there_is_nothing_to_confirm(world: World) -> None:
    assert confirm(ROOT, [ONE], world.peers) == ()
