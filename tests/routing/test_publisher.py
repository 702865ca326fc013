"""Walking a provider's advertisement chain: what it says last about a piece, and lies on the way."""

from collections.abc import Iterator

import pytest

from fpin.errors import ProviderError, ProviderUnavailable, VerificationFailed
from fpin.http import Http
from fpin.ipld.cid import format_cid
from fpin.routing import Publisher
from tests.provider.peer import Peer, answer
from tests.routing.chain import Chain


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def http(peer: Peer) -> Iterator[Http]:
    with Http() as client:
        yield client


@pytest.fixture
def chain() -> Chain:
    return Chain()


def publisher(peer: Peer, chain: Chain, http: Http, *, max_steps: int = 100) -> Publisher:
    return Publisher(peer.url, chain.peer_id, http, max_steps=max_steps)


def test_the_advertisement_of_a_piece_is_found_below_others(peer: Peer, http: Http, chain: Chain) -> None:
    chain.publish(b"older")
    wanted = chain.publish(b"piece")
    chain.publish(b"newer")
    chain.serve(peer)
    found = publisher(peer, chain, http).newest(b"piece")
    assert found.advertised
    assert found.ad is not None
    assert format_cid(found.ad.cid) == wanted
    assert not found.complete  # "older" was not read: what was wanted came first


def test_a_removal_after_an_advertisement_is_the_last_word(peer: Peer, http: Http, chain: Chain) -> None:
    chain.publish(b"piece")
    removal = chain.publish(b"piece", is_rm=True)
    chain.publish(b"newer")
    chain.serve(peer)
    found = publisher(peer, chain, http).newest(b"piece")
    assert found.withdrawn
    assert found.ad is not None
    assert format_cid(found.ad.cid) == removal


def test_a_piece_that_was_never_advertised_is_known_to_be_so(peer: Peer, http: Http, chain: Chain) -> None:
    chain.publish(b"other")
    chain.serve(peer)
    found = publisher(peer, chain, http).newest(b"piece")
    assert (found.ad, found.complete) == (None, True)


@pytest.mark.parametrize("status", [204])
def test_an_empty_chain_advertises_nothing(peer: Peer, http: Http, chain: Chain, status: int) -> None:
    chain.serve(peer)
    found = publisher(peer, chain, http).newest(b"piece")
    assert (found.ad, found.complete) == (None, True)


def test_a_walk_stops_at_its_bound_and_says_so(peer: Peer, http: Http, chain: Chain) -> None:
    for index in range(6):
        chain.publish(b"%d" % index)
    chain.serve(peer)
    found = publisher(peer, chain, http, max_steps=3).newest(b"0")
    assert (found.ad, found.complete) == (None, False)
    assert len(peer.requests) == 4  # head and three advertisements


def test_asking_again_goes_on_where_the_walk_stopped(peer: Peer, http: Http, chain: Chain) -> None:
    for index in range(6):
        chain.publish(b"%d" % index)
    chain.serve(peer)
    reader = publisher(peer, chain, http, max_steps=3)
    reader.newest(b"0")
    assert reader.newest(b"0").advertised


def test_asking_again_reads_only_what_is_new(peer: Peer, http: Http, chain: Chain) -> None:
    chain.publish(b"piece")
    chain.serve(peer)
    reader = publisher(peer, chain, http)
    assert reader.newest(b"piece").advertised
    removal = chain.publish(b"piece", is_rm=True)
    chain.serve(peer)
    before = len(peer.requests)
    assert reader.newest(b"piece").withdrawn
    assert peer.asked()[before:] == [f"{chain.path}/head", f"{chain.path}/{removal}"]


def test_a_gap_too_long_to_read_makes_older_knowledge_worthless(peer: Peer, http: Http, chain: Chain) -> None:
    chain.publish(b"piece")
    chain.serve(peer)
    reader = publisher(peer, chain, http, max_steps=2)
    assert reader.newest(b"piece").advertised
    chain.publish(b"piece", is_rm=True)
    for index in range(3):
        chain.publish(b"%d" % index)
    chain.serve(peer)
    found = reader.newest(b"piece")
    assert (found.ad, found.complete) == (None, False)  # not "advertised", which is out of date
    assert reader.newest(b"piece").withdrawn


def test_a_chain_of_another_publisher_is_refused(peer: Peer, http: Http, chain: Chain) -> None:
    stranger = Chain(seed=b"\x09" * 32)
    stranger.publish(b"piece")
    peer.on("GET", f"{chain.path}/head", answer(200, stranger.signed_head()))
    with pytest.raises(VerificationFailed, match="is signed by"):
        publisher(peer, chain, http).newest(b"piece")


def test_an_advertisement_of_another_publisher_in_the_chain_is_refused(
    peer: Peer, http: Http, chain: Chain
) -> None:
    stranger = Chain(seed=b"\x09" * 32)
    chain.head = stranger.publish(b"piece")
    chain.serve(peer)
    peer.on("GET", f"{chain.path}/{chain.head}", answer(200, stranger.blocks[chain.head]))
    with pytest.raises(VerificationFailed, match="somebody else"):
        publisher(peer, chain, http).newest(b"piece")


def test_a_changed_advertisement_is_refused(peer: Peer, http: Http, chain: Chain) -> None:
    cid = chain.publish(b"piece")
    chain.blocks[cid] = chain.blocks[cid].replace(b"sp.example", b"xx.example")
    chain.serve(peer)
    with pytest.raises(VerificationFailed, match="another hash"):
        publisher(peer, chain, http).newest(b"piece")


@pytest.mark.parametrize("status", [500, 502, 429])
def test_a_chain_that_cannot_be_read_is_unavailable(
    peer: Peer, http: Http, chain: Chain, status: int
) -> None:
    peer.on("GET", f"{chain.path}/head", answer(status, "no"))
    with pytest.raises(ProviderUnavailable, match=f"HTTP {status}"):
        publisher(peer, chain, http).newest(b"piece")


@pytest.mark.parametrize("status", [204, 404])
def test_a_missing_link_is_the_providers_error(peer: Peer, http: Http, chain: Chain, status: int) -> None:
    older = chain.publish(b"piece")
    chain.publish(b"newer")
    chain.serve(peer)
    peer.on("GET", f"{chain.path}/{older}", answer(status))
    with pytest.raises(ProviderError, match="missing"):
        publisher(peer, chain, http).newest(b"piece")
