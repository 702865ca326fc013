"""Announcing in a provider's place, against the specification's vector and servers of both kinds."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.routing import announce, chain_address, peer_id
from tests.provider.peer import Peer, answer

# spec routing-and-retrieval §3.11
PEER = peer_id.parse("12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB")
HEAD = parse_cid("baguqeera5jowrqsyjoxrw6jenldgg2wowo5iuc5uvnl3rsajw3zzcyyck6oq")
ADDRESS = (
    "NQ5zcC5leGFtcGxlLmNvbQYBu7sD4QNDL2lwbmktcHJvdmlkZXIvMTJEM0tvb1dBNFhvcDFKYVQzTUh4d1lNa0NlcFlz"
    "djRpUFZvcE1Yd0N6NWlIWWRCZmVTQqUDJgAkCAESIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
)


@pytest.fixture
def indexer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def http(indexer: Peer) -> Iterator[Http]:
    with Http() as client:
        yield client


def test_the_address_of_a_chain_is_the_one_of_the_specification() -> None:
    address = chain_address("https://sp.example.com", PEER)
    assert base64.b64encode(address.to_bytes()).decode() == ADDRESS
    assert chain_address("https://sp.example.com/", PEER) == address


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:7001", "/ip4/127.0.0.1/tcp/7001/http/"),
        ("http://[::1]:7001", "/ip6/::1/tcp/7001/http/"),
        (
            "https://sp.example.com:8443/x",
            "/dns/sp.example.com/tcp/8443/https/http-path/%2Fx%2Fipni-provider",
        ),
    ],
)
def test_other_hosts_and_ports_are_written_as_they_are(url: str, text: str) -> None:
    assert str(chain_address(url, PEER)).startswith(text)


def test_an_announcement_is_put_as_json(indexer: Peer, http: Http) -> None:
    indexer.on("PUT", "/announce", answer(204))
    made = announce(indexer.url, http, head=HEAD, address=chain_address("https://sp.example.com", PEER))
    assert made.accepted
    [request] = indexer.requests
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {
        "Cid": {"/": "baguqeera5jowrqsyjoxrw6jenldgg2wowo5iuc5uvnl3rsajw3zzcyyck6oq"},
        "Addrs": [ADDRESS],
        "ExtraData": None,
        "OrigPeer": "",
    }


def test_the_other_path_is_tried_where_the_first_is_not_there(indexer: Peer, http: Http) -> None:
    indexer.on("PUT", "/ingest/announce", answer(204))
    address = chain_address("https://sp.example.com", PEER)
    assert announce(indexer.url, http, head=HEAD, address=address).accepted
    assert indexer.asked() == ["/announce", "/ingest/announce"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, "publisher not allowed", "HTTP 403: publisher not allowed"),
        (400, "<html>no</html>", "HTTP 400"),
        (503, "", "HTTP 503"),
    ],
)
def test_an_announcement_that_is_not_taken_is_told_and_not_repeated(
    indexer: Peer, http: Http, status: int, body: str, words: str
) -> None:
    indexer.on("PUT", "/announce", answer(status, body))
    made = announce(indexer.url, http, head=HEAD, address=chain_address("https://sp.example.com", PEER))
    assert (made.accepted, made.reason) == (False, words)
    assert len(indexer.requests) == 1


def test_an_indexer_that_is_away_is_told(http: Http) -> None:
    with Peer() as gone:
        url = gone.url
    made = announce(url, http, head=HEAD, address=chain_address("https://sp.example.com", PEER))
    assert not made.accepted
    assert "cannot be reached" in made.reason
