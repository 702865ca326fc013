"""Waiting for an upload to become findable: every state, on a clock that nobody waits for (§4.6)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fpin.errors import ProviderUnavailable, VerificationFailed
from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.routing import PUBLIC, RoutingAttempt, RoutingResult, Subject, check_added
from fpin.routing.indexer import Answer, ProviderInfo
from tests.routing.world import (
    ABSENT,
    AD,
    ADVERTISED,
    BROKEN,
    EMPTY,
    LEAF,
    NEVER,
    REFUSED,
    ROOT,
    SILENT,
    WITHDRAWN,
    Status,
    World,
    copy_at,
    found,
    record_of,
)

ONE, TWO = copy_at(1), copy_at(2)
OURS, THEIRS = record_of(ONE), record_of(TWO)


@pytest.fixture
def world() -> Iterator[World]:
    with Http() as http:
        yield World(http)


def check(world: World, *subjects: Subject) -> RoutingResult:
    subjects = subjects or (Subject(cid=ROOT, copies=(ONE,)),)
    return check_added(subjects, world.peers, pace=PUBLIC.add, clock=world.time.clock)


# -- found -----------------------------------------------------------------------------------------


def test_a_record_of_this_upload_is_found_and_opens_the_gate(world: World) -> None:
    world.polls(ABSENT, ABSENT, found(OURS))
    result = check(world)
    assert (result.state, result.strength, result.attempts) == ("found", "exact", 3)
    assert result.indexer == "https://poll.example"
    assert result.checked == (ROOT,)
    assert [finding.evidence for finding in result.findings] == ["record"]
    assert world.gate.is_open(ROOT)


def test_questions_come_at_the_pace_that_the_specification_gives(world: World) -> None:
    world.polls(ABSENT)
    check(world)
    assert world.time.slept[:10] == [2, 2, 3, 5, 5, 5, 10, 10, 15, 15]
    assert world.time.time == pytest.approx(1180.0)


def test_the_advertisement_is_named_once_the_record_is_found(world: World) -> None:
    world.polls(found(OURS))
    world.says(ADVERTISED)
    assert check(world).ad_cid == AD


def test_a_record_of_another_piece_at_the_provider_counts_and_says_so(world: World) -> None:
    world.polls(found(record_of(ONE, context=b"other")))
    result = check(world)
    assert (result.state, result.strength) == ("found", "provider")


def test_a_record_seen_once_counts_though_later_answers_lack_it(world: World) -> None:
    world.polls(found(OURS), found(THEIRS))
    result = check(world, Subject(cid=ROOT, copies=(ONE, TWO)))
    assert (result.state, result.attempts) == ("found", 2)


def test_sampled_blocks_are_asked_for_after_the_root_without_delay(world: World) -> None:
    indexer = world.polls(ABSENT, found(OURS))
    result = check(world, Subject(cid=ROOT, copies=(ONE,)), Subject(cid=LEAF, copies=(ONE,)))
    assert indexer.asked == [ROOT, ROOT, LEAF]
    assert world.time.slept == [2, 2, 0]
    assert result.checked == (ROOT, LEAF)
    assert world.gate.is_open(LEAF)


def test_blocks_that_carry_their_own_content_are_not_asked_for(world: World) -> None:
    indexer = world.polls(found(OURS))
    identity = Subject(cid=parse_cid("bafkqaaa"), copies=(ONE,))
    check(world, Subject(cid=ROOT, copies=(ONE,)), identity)
    assert indexer.asked == [ROOT]


def test_each_attempt_is_told(world: World) -> None:
    world.polls(BROKEN, found(OURS))
    told: list[RoutingAttempt] = []
    check_added(
        [Subject(cid=ROOT, copies=(ONE,))],
        world.peers,
        pace=PUBLIC.add,
        clock=world.time.clock,
        on_attempt=told.append,
    )
    assert [(event.attempt, event.answer, event.found, event.expected) for event in told] == [
        (1, "inconclusive", 0, 1),
        (2, "found", 1, 1),
    ]


# -- not found -------------------------------------------------------------------------------------


def test_a_foreign_record_is_no_success_and_is_listed(world: World) -> None:
    world.polls(found(THEIRS))
    result = check(world)
    assert (result.state, result.foreign) == ("timeout", (THEIRS,))
    assert any("peer-2" in sentence for sentence in result.sentences)
    assert not world.gate.is_open(ROOT)


def test_the_deadline_ends_in_timeout_with_what_to_do(world: World) -> None:
    world.polls(ABSENT)
    result = check(world)
    assert result.state == "timeout"
    assert result.findings[0].state == "timeout"
    assert result.sentences[0] == (
        "The data is stored; lookup by CID through public IPFS is not possible yet."
    )
    assert result.sentences[-1].endswith(
        "fpin check bafybeieecktzp2k4oovlx6cjpehx3qudnlxfn2mskaefjets5oyyxoxc3e"
    )
    assert not world.gate.is_open(ROOT)


def test_one_provider_of_two_is_partial_and_keeps_the_gate_closed(world: World) -> None:
    world.polls(found(OURS))
    result = check(world, Subject(cid=ROOT, copies=(ONE, TWO)))
    assert result.state == "partial"
    assert [finding.state for finding in result.findings] == ["found", "timeout"]
    assert result.checked == ()
    assert not world.gate.is_open(ROOT)


def test_a_missing_sampled_block_is_partial_after_its_own_deadline(world: World) -> None:
    world.polls(found(OURS), ABSENT)
    result = check(world, Subject(cid=ROOT, copies=(ONE,)), Subject(cid=LEAF, copies=(ONE,)))
    assert (result.state, result.checked) == ("partial", (ROOT,))
    assert world.time.time == pytest.approx(1062.0)
    assert not world.gate.is_open(ROOT)


@pytest.mark.parametrize("answer", [BROKEN, SILENT])
def test_no_conclusive_answer_at_all_is_unreachable_not_absent(world: World, answer: Answer) -> None:
    world.polls(answer)
    result = check(world)
    assert (result.state, result.findings[0].state) == ("unreachable", "inconclusive")
    assert "not known" in result.sentences[0]


def test_one_conclusive_answer_makes_it_a_timeout(world: World) -> None:
    world.polls(BROKEN, ABSENT, BROKEN)
    assert check(world).state == "timeout"


def test_an_indexer_that_refuses_the_question_is_asked_once(world: World) -> None:
    indexer = world.polls(REFUSED)
    result = check(world)
    assert (result.state, len(indexer.asked)) == ("unreachable", 1)


def test_being_told_to_wait_is_no_attempt_and_is_obeyed_within_reason(world: World) -> None:
    busy = Answer(state="inconclusive", status=429, reason="HTTP 429", retry_after=20.0)
    endless = Answer(state="inconclusive", status=503, reason="HTTP 503", retry_after=9999.0)
    world.polls(busy, endless, found(OURS))
    result = check(world)
    assert (result.state, result.attempts) == ("found", 1)
    assert world.time.slept == [2, 20, 30]


def test_what_the_indexer_knows_of_the_provider_is_part_of_the_diagnosis(world: World) -> None:
    world.polls(ABSENT).info = ProviderInfo(
        last_advertisement=None,
        last_advertisement_time=None,
        lag=41,
        last_error="content not found",
        inactive=False,
    )
    text = " ".join(check(world).sentences)
    assert "content not found" in text
    assert "41 of its advertisements" in text


# -- nothing to check ------------------------------------------------------------------------------


def test_copies_that_are_never_advertised_are_skipped_without_a_question(world: World) -> None:
    indexer = world.polls(ABSENT)
    result = check(world, Subject(cid=ROOT, copies=(copy_at(1, not_expected="no withIPFSIndexing"),)))
    assert (result.state, indexer.asked, world.time.slept) == ("skipped", [], [])
    assert result.findings[0].state == "not_expected"
    assert not world.gate.is_open(ROOT)


def test_an_unexpected_copy_beside_an_expected_one_is_not_waited_for(world: World) -> None:
    world.polls(found(OURS))
    result = check(world, Subject(cid=ROOT, copies=(ONE, copy_at(2, not_expected="no indexing"))))
    assert result.state == "found"


def test_without_indexers_routing_is_skipped(world: World) -> None:
    result = check(world)
    assert (result.state, result.indexer) == ("skipped", None)
    assert "no indexer" in result.sentences[0]


# -- the ladder of evidence ------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [BROKEN, SILENT, EMPTY])
def test_a_retired_indexer_is_replaced_by_proof_that_the_advertisement_was_processed(
    world: World, answer: Answer
) -> None:
    world.polls(answer)
    world.confirms("unknown", "pending", "indexed")
    world.says(ADVERTISED)
    result = check(world)
    assert (result.state, result.indexer) == ("found", "https://cid.contact")
    assert (result.findings[0].evidence, result.ad_cid) == ("processed", AD)
    assert world.gate.is_open(ROOT)
    assert result.asked[0].indexer == "https://poll.example"
    assert result.asked[0].state in ("absent", "inconclusive")


def test_the_confirming_indexer_is_never_asked_for_content(world: World) -> None:
    world.polls(BROKEN)
    confirm = world.confirms("pending")
    world.says(ADVERTISED)
    check(world)
    assert confirm.asked == []
    assert set(confirm.asked_ads) == {AD}


def test_an_advertisement_named_by_the_piece_status_needs_no_walk(world: World) -> None:
    world.polls(EMPTY)
    confirm = world.confirms("indexed")
    world.says(VerificationFailed("nobody should read the chain"))
    world.reports([Status(status="announced", advertised=True, ad_cid=AD)])
    result = check(world)
    assert (result.state, confirm.asked_ads) == ("found", [AD])
    assert [(one.state, one.status) for one in result.asked] == [("absent", 200), ("processed", None)]


def test_a_working_indexer_gets_time_to_show_the_record_first(world: World) -> None:
    world.polls(ABSENT, ABSENT, ABSENT, found(OURS))
    world.confirms("indexed")
    world.says(ADVERTISED)
    result = check(world)
    assert (result.findings[0].evidence, result.indexer) == ("record", "https://poll.example")


def test_a_working_indexer_that_takes_too_long_is_not_waited_for(world: World) -> None:
    world.polls(ABSENT)
    world.confirms("indexed")
    world.says(ADVERTISED)
    result = check(world)
    assert (result.state, result.findings[0].evidence) == ("found", "processed")
    assert world.time.time - 1000 < 30


def test_without_a_polling_indexer_the_advertisement_decides(world: World) -> None:
    world.confirms("pending", "indexed")
    world.says(ADVERTISED)
    result = check(world)
    assert (result.state, result.indexer) == ("found", "https://cid.contact")


def test_the_providers_synced_counts_where_no_indexer_answers(world: World) -> None:
    world.polls(SILENT)
    world.confirms("inconclusive")
    world.reports([Status(status="announced", advertised=True, synced=False, ad_cid=AD),
                   Status(status="announced", advertised=True, synced=True, ad_cid=AD)])  # fmt: skip
    result = check(world)
    assert (result.state, result.findings[0].evidence) == ("found", "synced")
    assert result.indexer is None
    assert result.sentences[0].startswith("Not seen at an indexer")
    assert world.gate.is_open(ROOT)


def test_advertised_alone_is_not_found(world: World) -> None:
    world.polls(SILENT)
    world.reports([Status(status="announced", advertised=True)])
    result = check(world)
    assert (result.state, result.findings[0].provider_status) == ("unreachable", "announced")
    assert not world.gate.is_open(ROOT)


def test_an_answer_full_of_foreign_records_does_not_make_the_indexer_retired(world: World) -> None:
    world.polls(found(THEIRS), found(THEIRS), found(OURS))
    world.confirms("indexed")
    world.says(ADVERTISED)
    assert check(world).findings[0].evidence == "record"


def test_a_provider_still_indexing_at_the_deadline_gets_one_extension(world: World) -> None:
    world.polls(ABSENT)
    world.reports([Status(status="indexing")])
    result = check(world)
    assert result.findings[0].state == "wait_sp"
    assert world.time.time == pytest.approx(1240.0)


def test_a_chain_is_not_read_while_the_provider_says_that_there_is_no_advertisement(world: World) -> None:
    world.polls(ABSENT, ABSENT, ABSENT, found(OURS))
    world.reports(
        [Status(status="pending"), Status(status="creating_ad"), Status("announced", advertised=True)]
    )
    world.says(ADVERTISED)
    assert check(world).ad_cid == AD
    assert world.chain is not None
    assert world.chain.questions == 1


def test_a_chain_that_lies_is_told_and_proves_nothing(world: World) -> None:
    world.polls(BROKEN)
    world.confirms("indexed")
    world.says(VerificationFailed("advertisement baguq has a wrong signature"))
    result = check(world)
    assert result.state == "unreachable"
    assert result.findings[0].notes == ("advertisement baguq has a wrong signature",)


def test_a_provider_that_is_away_does_not_stop_the_check(world: World) -> None:
    world.polls(ABSENT, found(OURS))
    world.says(ProviderUnavailable("provider 1 cannot be reached"))
    assert check(world).state == "found"


def test_a_piece_withdrawn_before_is_explained(world: World) -> None:
    world.polls(ABSENT)
    world.says(WITHDRAWN)
    result = check(world)
    assert result.state == "timeout"
    assert any("newest advertisement for this piece is a removal" in words for words in result.sentences)


def test_a_piece_not_advertised_yet_is_waited_for(world: World) -> None:
    world.polls(EMPTY)
    world.confirms("indexed")
    world.says(NEVER, NEVER, ADVERTISED)
    assert check(world).findings[0].evidence == "processed"


def test_everything_ends_at_the_ceiling(world: World) -> None:
    world.polls(ABSENT)
    world.reports([Status(status="pending")])
    pace = replace(PUBLIC.add, deadline=280.0)
    check_added([Subject(cid=ROOT, copies=(ONE,))], world.peers, pace=pace, clock=world.time.clock)
    assert world.time.time == pytest.approx(1300.0)


# -- several indexers --------------------------------------------------------------------------------


def test_a_record_at_any_indexer_counts_and_each_is_told_apart(world: World) -> None:
    refusing = world.polls(REFUSED, url="https://refusing.example")
    world.polls(BROKEN, ABSENT)
    world.polls(ABSENT, ABSENT, found(OURS), url="https://third.example")
    result = check(world)
    assert (result.state, result.indexer, result.attempts) == ("found", "https://third.example", 3)
    assert len(refusing.asked) == 1  # asking on is of no use there
    assert [(one.indexer, one.state, one.questions) for one in result.asked] == [
        ("https://refusing.example", "inconclusive", 1),
        ("https://poll.example", "absent", 3),
        ("https://third.example", "found", 3),
    ]
    assert result.sentences == ("Found by CID at https://third.example.",)


def test_copies_found_at_different_indexers_are_all_found(world: World) -> None:
    world.polls(found(OURS))
    world.polls(found(THEIRS), url="https://other.example")
    result = check(world, Subject(cid=ROOT, copies=(ONE, TWO)))
    assert (result.state, result.indexer) == ("found", "https://poll.example")
    assert {one.state for one in result.asked} == {"partial"}


def test_one_that_asks_for_patience_holds_up_the_next_round(world: World) -> None:
    world.polls(ABSENT, found(OURS))
    world.polls(
        Answer(state="inconclusive", status=429, reason="HTTP 429", retry_after=20.0), url="https://b.example"
    )
    result = check(world)
    assert (result.state, world.time.slept) == ("found", [2.0, 20.0])
    assert [one.questions for one in result.asked] == [2, 0]


def test_the_processed_advertisement_counts_at_any_confirming_indexer(world: World) -> None:
    world.polls(SILENT)
    world.confirms("pending")
    world.confirms("indexed", url="https://second.example")
    world.says(ADVERTISED)
    result = check(world)
    assert (result.state, result.indexer, result.evidence) == ("found", "https://second.example", "processed")
    assert [one.state for one in result.asked] == ["inconclusive", "pending", "processed"]


def test_nobody_that_answers_is_unreachable_with_each_reason(world: World) -> None:
    world.polls(BROKEN)
    world.polls(SILENT, url="https://other.example")
    result = check(world)
    assert result.state == "unreachable"
    assert "https://poll.example gave no usable answer (HTTP 502)" in result.sentences[0]
    assert "https://other.example gave no usable answer" in result.sentences[0]


def test_a_guarded_indexer_among_several_is_only_asked_to_confirm(world: World) -> None:
    world.polls(found(OURS))
    guarded = world.polls(found(OURS), url="https://cid.contact")
    result = check(world)
    assert (result.state, guarded.asked) == ("found", [])
    assert [(one.indexer, one.role) for one in result.asked] == [
        ("https://poll.example", "poll"),
        ("https://cid.contact", "confirm"),
    ]
