"""Rule R8 on real sockets: a whole check, and who was asked what before the content was found.

The stand-in for cid.contact shares nothing with fpin: it writes down what reaches it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from fpin.http import Http
from fpin.ipld.cid import format_cid, parse_cid
from fpin.piece import PieceCid
from fpin.routing import (
    LOCAL,
    Clock,
    Copy,
    Gate,
    GatewayClosed,
    Indexer,
    Peers,
    Publisher,
    Removal,
    RoutingResult,
    Subject,
    check_added,
    check_removed,
)
from tests.provider.peer import Answer, Peer, Request, answer
from tests.routing.chain import Chain

PIECE = PieceCid.parse("bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy")
ROOT = "bafybeieecktzp2k4oovlx6cjpehx3qudnlxfn2mskaefjets5oyyxoxc3e"
LEAF = "bafkreifwvggzz2nc3ekjfch2hx2c2n34hzbhg6x5zwxxctrtycqqbniqma"
CONTEXT = b"\x01" + PIECE.to_bytes()


@dataclass
class Network:
    """A provider, an indexer to poll, and a stand-in for cid.contact, each on its own port."""

    provider: Peer
    poll: Peer
    cid_contact: Peer
    http: Http
    gate: Gate
    chain: Chain
    urls: list[str]  # every request that was about to leave, in order

    @property
    def copy(self) -> Copy:
        return Copy(provider_id=1, service_url=self.provider.url, piece_cid=PIECE, peer_id=self.chain.peer_id)

    @property
    def peers(self) -> Peers:
        return Peers(
            poll=(Indexer(self.poll.url, self.http),),
            confirm=(Indexer(self.cid_contact.url, self.http),),
            gate=self.gate,
            publisher=lambda copy: Publisher(copy.service_url, copy.peer_id or b"", self.http),
        )

    def record(self) -> dict[str, object]:
        port = self.provider.host.rpartition(":")[2]
        return {
            "ContextID": base64.b64encode(CONTEXT).decode(),
            "Metadata": "oBIA",
            "Provider": {"ID": self.chain.peer_text, "Addrs": [f"/ip4/127.0.0.1/tcp/{port}/http"]},
        }

    def has(self, cid: str, *, after: int = 0) -> None:
        """Let the polling indexer have the record of *cid*, *after* as many empty answers."""
        record = {"MultihashResults": [{"Multihash": "EiA=", "ProviderResults": [self.record()]}]}
        self.poll.on("GET", f"/cid/{cid}", *[answer(404)] * after, answer(200, record))

    def check(self) -> RoutingResult:
        subjects = [Subject(cid=parse_cid(cid), copies=(self.copy,)) for cid in (ROOT, LEAF)]
        # Time that passes without waiting: only the answers decide.
        time = iter(range(10**6))
        clock = Clock(now=lambda: next(time) / 100, sleep=lambda _seconds: None)
        return check_added(subjects, self.peers, pace=LOCAL.add, clock=clock)


@pytest.fixture
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        provider, poll, cid_contact = (stack.enter_context(Peer()) for _ in range(3))
        gate = Gate(guarded=[cid_contact.host])
        urls: list[str] = []

        def guard(url: str) -> None:
            urls.append(url)
            gate(url)

        http = stack.enter_context(Http(guard=guard))
        chain = Chain()
        chain.publish(b"something older")
        chain.publish(CONTEXT)
        chain.serve(provider)
        yield Network(provider, poll, cid_contact, http, gate, chain, urls)


def test_nothing_but_advertisements_is_asked_of_cid_contact_before_everything_is_found(
    network: Network,
) -> None:
    leaked: list[str] = []

    def write_down(request: Request) -> Answer:
        leaked.append(request.path)
        return answer(404, "no results for query")

    for cid in (ROOT, LEAF):
        network.has(cid, after=3)
        network.cid_contact.on("GET", f"/cid/{cid}", write_down)
    result = network.check()
    assert (result.state, result.strength, result.attempts) == ("found", "exact", 8)
    assert result.ad_cid is not None
    assert format_cid(result.ad_cid) == network.chain.head
    assert leaked == []
    assert {path.rpartition("/")[0] for path in network.cid_contact.asked()} == {"/sync/status/ad"}
    hosts = {url.split("/")[2] for url in network.urls}
    assert hosts == {network.provider.host, network.poll.host, network.cid_contact.host}
    # and now it is safe
    assert Indexer(network.cid_contact.url, network.http).find(parse_cid(ROOT)).state == "absent"
    assert leaked == [f"/cid/{ROOT}"]


def test_a_part_of_the_network_that_is_down_does_not_open_the_gate(network: Network) -> None:
    network.poll.on("GET", f"/cid/{ROOT}", answer(500))
    network.cid_contact.on("GET", f"/sync/status/ad/{network.chain.head}", answer(500))
    assert network.check().state == "unreachable"
    with pytest.raises(GatewayClosed):
        Indexer(network.cid_contact.url, network.http).find(parse_cid(ROOT))
    assert f"/cid/{ROOT}" not in network.cid_contact.asked()


def test_an_indexer_behind_the_gate_is_not_polled_even_when_configured_so(network: Network) -> None:
    guarded = Indexer(network.cid_contact.url, network.http)
    peers = Peers(poll=(guarded,), confirm=(), gate=network.gate, publisher=network.peers.publisher)
    processed = {"Ad": {"/": network.chain.head}, "Indexed": True}
    network.cid_contact.on("GET", f"/sync/status/ad/{network.chain.head}", answer(200, processed))
    subject = Subject(cid=parse_cid(ROOT), copies=(network.copy,))
    clock = Clock(sleep=lambda _seconds: None)
    result = check_added([subject], peers, pace=LOCAL.add, clock=clock)
    assert (result.state, result.findings[0].evidence) == ("found", "processed")
    assert network.cid_contact.asked() == [f"/sync/status/ad/{network.chain.head}"]


def test_a_removal_is_seen_on_the_providers_chain_and_at_the_indexer(network: Network) -> None:
    network.chain.publish(CONTEXT, is_rm=True)
    removal_ad = network.chain.head
    network.chain.publish(b"something newer")
    network.chain.serve(network.provider)
    record = {"MultihashResults": [{"Multihash": "EiA=", "ProviderResults": [network.record()]}]}
    network.poll.on("GET", f"/cid/{ROOT}", answer(200, record), answer(404))
    removal = Removal(copy=network.copy, cids=(parse_cid(ROOT),), live=lambda: False, was_present=True)
    clock = Clock(sleep=lambda _seconds: None)
    result = check_removed(removal, network.peers, pace=LOCAL.removal, clock=clock)
    assert result.state == "gone"
    assert result.removal_ad_cid is not None
    assert format_cid(result.removal_ad_cid) == removal_ad
    assert network.cid_contact.requests == []
