"""The checker against the devnet's publisher and indexer, which share no code with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fpin.devnet import ipni
from fpin.devnet.server import Server, bind, url_of
from fpin.http import Http
from fpin.ipld import dagcbor
from fpin.ipld.cid import RAW, format_cid, multihash_of, sha256_cid
from fpin.piece import PieceCid
from fpin.routing import (
    LOCAL,
    LOOK_ONCE,
    Clock,
    Copy,
    Gate,
    Indexer,
    Peers,
    Publisher,
    Removal,
    RoutingResult,
    Subject,
    check_added,
    check_removed,
    peer_id,
    present,
)

PIECE = PieceCid.parse("bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy")
OTHER_PIECE = PieceCid.parse("bafkzcibcaablqfyjsvd3rrmqmd7n4f7i73ybzuxfq4p4za6lft2jeaaaaguxefq")
ROOT, LEAF = (sha256_cid(RAW, hashlib.sha256(name).digest()) for name in (b"root", b"leaf"))


def no_wait() -> Clock:
    """Return time of which a second passes whenever somebody looks at it, and none while sleeping."""
    time = iter(range(10**6))
    return Clock(now=lambda: float(next(time)), sleep=lambda _seconds: None)


@dataclass
class Devnet:
    publisher: ipni.Publisher
    indexer: ipni.Indexer
    retired: ipni.Indexer  # another one, which never hears of anything
    provider_url: str
    indexer_url: str
    retired_url: str
    http: Http
    gate: Gate

    @property
    def copy(self) -> Copy:
        peer = peer_id.parse(self.publisher.peer_id)
        return Copy(provider_id=1, service_url=self.provider_url, piece_cid=PIECE, peer_id=peer)

    @property
    def peers(self) -> Peers:
        indexer = Indexer(self.indexer_url, self.http)
        return Peers(
            poll=(indexer,),
            confirm=(indexer,),
            gate=self.gate,
            publisher=lambda copy: Publisher(copy.service_url, copy.peer_id or b"", self.http),
        )

    def advertise(self, piece: PieceCid = PIECE) -> str:
        return self.publisher.publish(b"\x01" + piece.to_bytes(), [ROOT[2:], LEAF[2:]])

    def sync(self) -> bool:
        self.publisher.announce([f"{self.indexer_url}/announce"])
        return self.indexer.work()

    def check(self) -> RoutingResult:
        """Check, the indexer reading one announced head between two questions."""
        return self.check_with(self.peers)

    def check_with(self, peers: Peers) -> RoutingResult:
        subjects = [Subject(cid=cid, copies=(self.copy,)) for cid in (ROOT, LEAF)]
        return check_added(subjects, peers, pace=LOCAL.add, clock=Clock(sleep=self.slept))

    def slept(self, _seconds: float) -> None:
        self.sync()

    def removal(self) -> Removal:
        return Removal(copy=self.copy, cids=(ROOT, LEAF), live=lambda: False, was_present=True)


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[Devnet]:
    provider, finder, other = bind(), bind(), bind()
    address = ipni.multiaddr_of_url(url_of(provider))
    seed = b"\x07" * 32
    base = f"/ipni-provider/{ipni.peer_id_of_seed(seed)}"
    publisher = ipni.Publisher(
        tmp_path / "ads.sqlite", seed, [address], ipni.multiaddr_of_url(url_of(provider) + base)
    )
    indexer, retired = ipni.Indexer(tmp_path / "index.sqlite"), ipni.Indexer(tmp_path / "retired.sqlite")
    chain = Starlette(routes=[Mount(base, publisher.app)])
    server = Server({provider: chain, finder: indexer.app, other: retired.app})
    server.start()
    with Http() as http:
        urls = url_of(provider), url_of(finder), url_of(other)
        yield Devnet(publisher, indexer, retired, *urls, http, Gate())
    server.stop()
    publisher.close()
    indexer.close()
    retired.close()


def test_an_upload_is_found_exactly_and_its_advertisement_is_named(devnet: Devnet) -> None:
    ad = devnet.advertise()
    devnet.advertise(OTHER_PIECE)
    result = devnet.check()
    assert (result.state, result.strength, result.checked) == ("found", "exact", (ROOT, LEAF))
    assert result.ad_cid is not None
    assert format_cid(result.ad_cid) == ad
    assert devnet.gate.is_open(LEAF)


def test_the_same_content_in_another_piece_is_found_with_the_lesser_strength(devnet: Devnet) -> None:
    devnet.advertise(OTHER_PIECE)
    result = devnet.check()
    assert (result.state, result.strength, result.ad_cid) == ("found", "provider", None)


@pytest.mark.parametrize("fault", ["stopped", "nonsense"])
def test_a_retired_indexer_is_bridged_by_the_advertisements_state_at_another(
    devnet: Devnet, fault: str
) -> None:
    ad = devnet.advertise()
    devnet.sync()
    setattr(devnet.retired.faults, fault, True)
    peers = replace(devnet.peers, poll=(Indexer(devnet.retired_url, devnet.http),))
    result = check_added([Subject(cid=ROOT, copies=(devnet.copy,))], peers, pace=LOCAL.add, clock=no_wait())
    assert (result.state, result.indexer) == ("found", devnet.indexer_url)
    assert result.findings[0].evidence == "processed"
    assert result.ad_cid is not None
    assert format_cid(result.ad_cid) == ad


def test_an_indexer_that_is_down_is_unreachable(devnet: Devnet) -> None:
    devnet.advertise()
    devnet.indexer.faults.stopped = True
    subject = Subject(cid=ROOT, copies=(devnet.copy,))
    result = check_added([subject], devnet.peers, pace=LOCAL.add, clock=no_wait())
    assert result.state == "unreachable"
    assert not devnet.gate.is_open(ROOT)


def test_an_advertisement_signed_by_somebody_else_is_found_nowhere(devnet: Devnet) -> None:
    devnet.publisher.faults.corrupt_signatures = True
    devnet.advertise()
    devnet.sync()
    subject = Subject(cid=ROOT, copies=(devnet.copy,))
    result = check_added([subject], devnet.peers, pace=LOCAL.add, clock=no_wait())
    assert result.state == "timeout"
    assert "signed by somebody else" in result.findings[0].notes[0]


def test_a_removal_goes_from_present_to_withdrawn_to_gone(devnet: Devnet) -> None:
    devnet.advertise()
    devnet.sync()
    assert present([Indexer(devnet.indexer_url, devnet.http)], devnet.copy, [ROOT]) is True
    assert check_removed(devnet.removal(), devnet.peers, pace=LOOK_ONCE).state == "pending_gc"
    removal_ad = devnet.publisher.retract(b"\x01" + PIECE.to_bytes())
    assert check_removed(devnet.removal(), devnet.peers, pace=LOOK_ONCE).state == "unadvertised"
    devnet.sync()
    result = check_removed(devnet.removal(), devnet.peers, pace=LOCAL.removal, clock=no_wait())
    assert result.state == "gone"
    assert result.removal_ad_cid is not None
    assert format_cid(result.removal_ad_cid) == removal_ad


def test_content_in_a_second_piece_outlives_the_removal_of_the_first(devnet: Devnet) -> None:
    devnet.advertise()
    devnet.advertise(OTHER_PIECE)
    devnet.publisher.retract(b"\x01" + PIECE.to_bytes())
    devnet.sync()
    result = check_removed(devnet.removal(), devnet.peers, pace=LOOK_ONCE)
    assert (result.state, [holder.same_provider for holder in result.others]) == (
        "gone_other_holders",
        [True],
    )


def test_a_hole_in_the_entries_of_an_advertisement_shows_in_the_sample(devnet: Devnet) -> None:
    devnet.publisher._chunk_size = 1  # one multihash a chunk: the second can be missing
    ad = devnet.advertise()
    chain = f"{devnet.provider_url}/ipni-provider/{devnet.publisher.peer_id}/ipni/v1/ad"
    entries = devnet.http.request("GET", f"{chain}/{ad}").json()["Entries"]["/"]
    chunk: Any = dagcbor.decode(devnet.http.request("GET", f"{chain}/{entries}").body)
    devnet.publisher.faults.missing.add(format_cid(bytes(chunk["Next"])))
    shown, hidden = sorted((ROOT, LEAF), key=lambda cid: multihash_of(cid) != chunk["Entries"][0])
    devnet.sync()
    subjects = [Subject(cid=cid, copies=(devnet.copy,)) for cid in (shown, hidden)]
    without_word = replace(devnet.peers, confirm=())
    result = check_added(subjects, without_word, pace=LOCAL.add, clock=no_wait())
    assert (result.state, result.checked) == ("partial", (shown,))
    assert not devnet.gate.is_open(shown)
    assert any(f"no record of {format_cid(hidden)}" in sentence for sentence in result.sentences)


def test_content_of_which_only_a_part_is_visible_yet_is_found_in_part(devnet: Devnet) -> None:
    devnet.publisher._chunk_size = 1
    devnet.indexer.faults.visible_chunks = 1
    devnet.advertise()
    visible, hidden = sorted((ROOT, LEAF), reverse=True)
    subjects = [Subject(cid=cid, copies=(devnet.copy,)) for cid in (visible, hidden)]
    clock = replace(no_wait(), sleep=devnet.slept)
    result = check_added(subjects, replace(devnet.peers, confirm=()), pace=LOCAL.add, clock=clock)
    assert (result.state, result.checked) == ("partial", (visible,))
    assert [(one.role, one.state) for one in result.asked] == [("poll", "partial")]
    assert not devnet.gate.is_open(visible)
