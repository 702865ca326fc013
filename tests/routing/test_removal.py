"""Waiting for a removed piece to leave routing: every state of §4.7, on a clock that nobody waits for."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from fpin.errors import NodeUnavailable, ProviderUnavailable
from fpin.http import Http
from fpin.routing import (
    LOOK_ONCE,
    PUBLIC,
    Removal,
    RemovalLook,
    RemovalPace,
    RemovalResult,
    check_removed,
    present,
)
from fpin.routing.indexer import Record
from tests.routing.world import (
    ABSENT,
    ADVERTISED,
    BROKEN,
    NEVER,
    REMOVAL_AD,
    ROOT,
    SILENT,
    WITHDRAWN,
    World,
    copy_at,
    found,
    record_of,
)

COPY = copy_at(1)
OURS = record_of(COPY)
SAME_PROVIDER = record_of(COPY, context=b"other piece")
ELSEWHERE = record_of(copy_at(2))
PACE = PUBLIC.removal


@pytest.fixture
def world() -> Iterator[World]:
    with Http() as http:
        yield World(http)


def lives(count: int) -> Callable[[], bool]:
    """Return a chain on which the piece is live for *count* more questions."""
    left = iter([True] * count)
    return lambda: next(left, False)


def check(
    world: World,
    *,
    live: Callable[[], bool] = lambda: False,
    shared: bool = False,
    was_present: bool | None = True,
    pace: RemovalPace = PACE,
    on_look: Callable[[RemovalLook], None] | None = None,
) -> RemovalResult:
    removal = Removal(copy=COPY, cids=(ROOT,), live=live, shared=shared, was_present=was_present)
    return check_removed(removal, world.peers, pace=pace, clock=world.time.clock, on_look=on_look)


def test_a_removal_is_followed_from_the_chain_to_the_empty_answer(world: World) -> None:
    world.polls(found(OURS), found(OURS), ABSENT)
    world.says(ADVERTISED, WITHDRAWN)
    looks: list[str] = []
    result = check(world, live=lives(2), on_look=lambda look: looks.append(look.state))
    assert looks == ["chain_pending", "chain_pending", "pending_gc", "unadvertised", "unadvertised", "gone"]
    assert (result.state, result.removal_ad_cid) == ("gone", REMOVAL_AD)
    assert result.gone


def test_one_empty_answer_is_not_enough_and_the_second_comes_after_a_pause(world: World) -> None:
    indexer = world.polls(ABSENT, found(OURS), ABSENT, ABSENT)
    world.says(WITHDRAWN)
    result = check(world)
    assert (result.state, len(indexer.asked)) == ("gone", 4)
    assert world.time.slept == [30, 120, 30]


def test_errors_between_the_empty_answers_do_not_count(world: World) -> None:
    indexer = world.polls(ABSENT, BROKEN, ABSENT)
    world.says(WITHDRAWN)
    assert check(world).state == "gone"
    assert len(indexer.asked) == 3


def test_an_empty_indexer_is_not_believed_while_the_provider_still_advertises(world: World) -> None:
    world.polls(ABSENT)
    world.says(ADVERTISED, ADVERTISED, ADVERTISED, WITHDRAWN)
    result = check(world)
    assert (result.state, result.attempts) == ("gone", 4)


def test_a_provider_that_is_gone_itself_does_not_hold_up_the_removal(world: World) -> None:
    world.polls(ABSENT)
    world.says(ProviderUnavailable("the advertisement chain at https://sp1.example.com cannot be reached"))
    result = check(world)
    assert (result.state, result.removal_ad_cid) == ("gone", None)
    assert "cannot be reached" in result.sentences[-1]


@pytest.mark.parametrize(("record", "same_provider"), [(SAME_PROVIDER, True), (ELSEWHERE, False)])
def test_other_holders_are_told_apart_and_are_no_failure(
    world: World, record: Record, same_provider: bool
) -> None:
    world.polls(found(record))
    world.says(WITHDRAWN)
    result = check(world)
    assert (result.state, [holder.same_provider for holder in result.others]) == (
        "gone_other_holders",
        [same_provider],
    )
    # Who they are is said once for all copies, by whoever asked for their removal.
    assert result.sentences == ("The record of this copy is gone; the same content is still held elsewhere.",)


def test_a_piece_held_by_another_data_set_is_not_waited_for(world: World) -> None:
    indexer = world.polls(found(OURS))
    result = check(world, shared=True)
    assert (result.state, indexer.asked) == ("still_present_shared", [])


def test_what_was_never_there_is_said_to_have_been_absent(world: World) -> None:
    world.polls(ABSENT)
    world.says(NEVER)
    assert check(world, was_present=False).state == "already_absent"


@pytest.mark.parametrize(
    ("answer", "word", "state"),
    [
        (found(OURS), ADVERTISED, "pending_gc"),
        (found(OURS), WITHDRAWN, "unadvertised"),
        (SILENT, WITHDRAWN, "unadvertised"),
        (SILENT, ProviderUnavailable("away"), "unknown"),
    ],
)
def test_the_deadline_ends_in_the_state_that_was_reached(
    world: World, answer: object, word: object, state: str
) -> None:
    world.polls(answer)  # type: ignore[arg-type]
    world.says(word)  # type: ignore[arg-type]
    result = check(world, pace=replace(PACE, deadline=3600))
    assert (result.state, result.gone) == (state, False)
    assert world.time.time == pytest.approx(4600.0)


def test_a_piece_that_stays_live_ends_as_chain_pending_and_no_indexer_is_asked(world: World) -> None:
    indexer = world.polls(found(OURS))
    result = check(world, live=lambda: True, pace=replace(PACE, deadline=600))
    assert (result.state, indexer.asked) == ("chain_pending", [])


def test_the_pause_doubles_up_to_a_quarter_of_an_hour(world: World) -> None:
    world.polls(found(OURS))
    world.says(ADVERTISED)
    check(world, pace=replace(PACE, deadline=7200))
    assert world.time.slept[:6] == [60, 120, 240, 480, 900, 900]


def test_without_a_polling_indexer_the_processed_removal_advertisement_decides(world: World) -> None:
    confirming = world.confirms("pending", "indexed")
    world.says(WITHDRAWN)
    result = check(world)
    assert (result.state, result.indexer) == ("gone", "https://cid.contact")
    assert any("cache for up to a day" in sentence for sentence in result.sentences)
    assert confirming.asked == []


def test_looking_once_waits_for_nothing(world: World) -> None:
    world.polls(ABSENT)
    world.says(WITHDRAWN)
    assert check(world, pace=LOOK_ONCE).state == "gone"
    world.polls(found(OURS))
    assert check(world, pace=LOOK_ONCE).state == "unadvertised"
    assert check(world, pace=LOOK_ONCE, live=lambda: True).state == "chain_pending"
    assert sum(world.time.slept) == 0


def test_a_chain_that_cannot_be_asked_is_the_callers_error(world: World) -> None:
    def live() -> bool:
        raise NodeUnavailable("the node did not answer")

    world.polls(ABSENT)
    with pytest.raises(NodeUnavailable):
        check(world, live=live)


def test_presence_before_a_removal_is_yes_no_or_unknown(world: World) -> None:
    assert present([world.polls(found(OURS))], COPY, [ROOT]) is True
    assert present([world.polls(found(ELSEWHERE))], COPY, [ROOT]) is False
    assert present([world.polls(ABSENT)], COPY, [ROOT]) is False
    assert present([world.polls(BROKEN)], COPY, [ROOT]) is None


def test_of_several_indexers_each_that_answers_has_to_let_go(world: World) -> None:
    world.polls(found(OURS), ABSENT)
    slow = world.polls(found(OURS), found(OURS), BROKEN, found(OURS), ABSENT, url="https://slow.example")
    world.polls(BROKEN, url="https://never.example")
    world.says(WITHDRAWN)
    result = check(world)
    assert (result.state, len(slow.asked)) == ("gone", 6)
    assert "https://slow.example does not list it any more." in result.sentences
    assert "https://never.example gave no usable answer (HTTP 502)." in result.sentences


def test_one_of_several_indexers_that_still_lists_it_at_the_end_is_named(world: World) -> None:
    world.polls(ABSENT)
    world.polls(found(OURS), url="https://slow.example")
    world.says(WITHDRAWN)
    result = check(world)
    assert result.state == "unadvertised"
    assert "https://slow.example still lists it." in result.sentences
    assert "https://poll.example does not list it any more." in result.sentences


def test_whether_it_was_listed_before_takes_the_word_of_each(world: World) -> None:
    absent, broken = world.polls(ABSENT), world.polls(BROKEN, url="https://other.example")
    listing = world.polls(found(OURS), url="https://third.example")
    assert present([absent, broken], COPY, [ROOT]) is None
    assert present([absent, broken, listing], COPY, [ROOT]) is True
    assert present([absent, absent], COPY, [ROOT]) is False
