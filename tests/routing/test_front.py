"""A cache like cid.contact's on the devnet: what an early question does, and fpin's order of questions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from fpin.devnet.ipni import CachingFront
from fpin.devnet.server import Server, bind, url_of
from fpin.ipld.cid import format_cid, parse_cid
from fpin.routing import Gate, GatewayClosed, Indexer, Peers, confirm
from tests.routing.test_devnet import LEAF, ROOT, Devnet, devnet

__all__ = ["devnet"]

MINUTE, HOUR = 60.0, 3600.0


class Everybody:
    """The devnet's indexer as everybody sees it: through a cache, with time that only the test moves."""

    def __init__(self, devnet: Devnet) -> None:
        self.devnet, self.time = devnet, 0.0
        self.front = CachingFront(devnet.indexer.app, clock=lambda: self.time)
        bound = bind()
        self.url = url_of(bound)
        self.server = Server({bound: self.front})
        # What fpin asks of it passes the gate; strangers' questions do not.
        self.gate = Gate(guarded=[self.url.removeprefix("http://")])
        self.indexer = Indexer(self.url, devnet.http)

    @property
    def peers(self) -> Peers:
        return dataclasses.replace(self.devnet.peers, confirm=(self.indexer,), gate=self.gate)

    def confirmed(self) -> str:
        [looked] = confirm(ROOT, [self.devnet.copy], self.peers)
        return looked.state


@pytest.fixture
def everybody(devnet: Devnet) -> Iterator[Everybody]:
    world = Everybody(devnet)
    devnet.gate = world.gate
    world.server.start()
    yield world
    world.server.stop()


def test_fpin_finds_and_confirms_new_content_without_having_hidden_it(everybody: Everybody) -> None:
    everybody.devnet.advertise()
    with pytest.raises(GatewayClosed):
        everybody.confirmed()
    result = everybody.devnet.check()
    assert result.state == "found"
    assert everybody.front.asked == []
    assert everybody.confirmed() == "confirmed"
    assert everybody.front.asked == [f"/cid/{format_cid(ROOT)}"]


def test_g1_one_early_question_of_a_stranger_hides_it_for_twenty_minutes(everybody: Everybody) -> None:
    assert everybody.indexer.find(ROOT).state == "absent"
    everybody.devnet.advertise()
    assert everybody.devnet.check().state == "found"
    assert everybody.confirmed() == "pending"
    everybody.time = 19 * MINUTE
    assert everybody.confirmed() == "pending"
    assert everybody.indexer.find(ROOT).age == str(int(19 * MINUTE))
    everybody.time = 21 * MINUTE
    assert everybody.confirmed() == "confirmed"
    assert everybody.indexer.find(LEAF).state == "found"  # another block has an entry of its own


def test_g2_an_answer_from_before_stays_for_hours(everybody: Everybody) -> None:
    stranger = dataclasses.replace(everybody.devnet.copy, service_url="https://x.example", peer_id=b"\0\1x")
    everybody.devnet.advertise()
    assert everybody.devnet.check().state == "found"
    assert everybody.confirmed() == "confirmed"
    # Whoever comes later is not in the list that is kept.
    for hours, state in ((1.0, "stale"), (1.9, "stale")):
        everybody.time = hours * HOUR
        [looked] = confirm(ROOT, [stranger], everybody.peers)
        assert looked.state == state
    everybody.devnet.indexer.faults.status, everybody.devnet.indexer.faults.failing = 404, 1
    assert everybody.confirmed() == "confirmed"  # from the cache: the indexer was not asked
    everybody.time = 2.1 * HOUR
    assert everybody.confirmed() == "pending"


def test_what_became_of_an_advertisement_is_never_kept(everybody: Everybody) -> None:
    ad = everybody.devnet.advertise()
    assert everybody.indexer.ad_state(parse_cid(ad)) != "indexed"
    assert everybody.devnet.sync()
    assert everybody.indexer.ad_state(parse_cid(ad)) == "indexed"


def test_errors_are_kept_for_seconds_only_and_parameters_change_nothing(everybody: Everybody) -> None:
    faults = everybody.devnet.indexer.faults
    faults.failing, faults.status = 1, 503
    assert everybody.indexer.find(ROOT).status == 503
    assert everybody.indexer.find(ROOT).status == 503
    everybody.time = 11.0
    assert everybody.indexer.find(ROOT).status == 404
    everybody.devnet.advertise()
    everybody.devnet.sync()
    headers = {"Accept": "application/json"}
    busted = everybody.devnet.http
    everybody.gate.open([ROOT])
    reply = busted.request("GET", f"{everybody.url}/cid/{format_cid(ROOT)}?now=1", headers=headers)
    assert (reply.status, reply.headers["x-cache"]) == (404, "Hit from cloudfront")
