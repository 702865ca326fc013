"""What an indexer's answers mean: found, absent, or no answer at all (rules R1 to R5)."""

import base64
import json
from collections.abc import Iterator

import pytest

from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.routing import Indexer, peer_id
from tests.provider.peer import Answer, Peer, answer

CID_TEXT = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
CID = parse_cid(CID_TEXT)
AD_TEXT = "baguqeeratjpprecc65dibckocfgseich7ldoonayi2ibrp4p3g44qz7oqjrq"
AD = parse_cid(AD_TEXT)
PEER_ID = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
RECORD = {
    "ContextID": base64.b64encode(b"ctx-1").decode(),
    "Metadata": "oBIA",
    "Provider": {"ID": PEER_ID, "Addrs": ["/dns/sp.example.com/tcp/443/https"]},
}
FOUND = {"MultihashResults": [{"Multihash": "EiC5TSe5k00=", "ProviderResults": [RECORD]}]}


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def indexer(peer: Peer) -> Iterator[Indexer]:
    with Http() as http:
        yield Indexer(peer.url + "/", http)


def test_a_record_is_read_whole(peer: Peer, indexer: Indexer) -> None:
    peer.on("GET", f"/cid/{CID_TEXT}", answer(200, FOUND, Age="12"))
    found = indexer.find(CID)
    assert (found.state, found.status, found.age) == ("found", 200, "12")
    (record,) = found.records
    assert record.provider == PEER_ID
    assert record.peer_id is not None
    assert record.addresses == ("/dns/sp.example.com/tcp/443/https",)
    assert (record.context_id, record.metadata.hex()) == (b"ctx-1", "a01200")


def test_the_question_is_one_that_shares_cache_entries_and_asks_no_dht(peer: Peer, indexer: Indexer) -> None:
    indexer.find(CID)
    (request,) = peer.requests
    assert request.headers["accept"] == "application/json"
    assert request.query == {}


def test_ndjson_is_read_when_the_answer_says_it_is_that(peer: Peer, indexer: Indexer) -> None:
    body = json.dumps(RECORD) + "\n\n" + json.dumps({"EncryptedValueKey": "x"}) + "\n"
    peer.on("GET", f"/cid/{CID_TEXT}", answer(200, body, Content_Type="application/x-ndjson; charset=utf-8"))
    assert [record.provider for record in indexer.find(CID).records] == [PEER_ID]


@pytest.mark.parametrize(
    "reply",
    [
        answer(404, "no results for query\n"),
        answer(200, {}),
        answer(200, {"MultihashResults": []}),
        answer(200, {"MultihashResults": None}),
        answer(200, {"MultihashResults": [{"Multihash": "EiA=", "ProviderResults": []}]}),
        answer(200, "", Content_Type="application/x-ndjson"),
    ],
)
def test_404_and_well_formed_empty_answers_are_absent(peer: Peer, indexer: Indexer, reply: Answer) -> None:
    peer.on("GET", f"/cid/{CID_TEXT}", reply)
    assert indexer.find(CID).state == "absent"


@pytest.mark.parametrize(
    "reply",
    [
        answer(429, "slow down", Retry_After="7"),
        answer(500, "oops"),
        answer(502, "<html>"),
        answer(503),
        answer(504, "no results for query"),
        answer(200, "<!DOCTYPE html><html></html>", Content_Type="text/html"),
        answer(200, "[]"),
        answer(200, "null"),
        answer(200, '{"MultihashResults": 3}'),
        answer(200, {"MultihashResults": [{"ProviderResults": [{}]}]}),
        answer(200, {"MultihashResults": [{"ProviderResults": [RECORD | {"ContextID": "§"}]}]}),
        answer(200, {"MultihashResults": [{"ProviderResults": [RECORD | {"Provider": None}]}]}),
        answer(200, json.dumps(RECORD)[:-10], Content_Type="application/x-ndjson"),
        answer(200, json.dumps(FOUND), promised=10_000),
        answer(200, "[" * 50_000),
    ],
)
def test_everything_else_is_inconclusive(peer: Peer, indexer: Indexer, reply: Answer) -> None:
    peer.on("GET", f"/cid/{CID_TEXT}", reply)
    found = indexer.find(CID)
    assert (found.state, found.refused) == ("inconclusive", False)
    assert found.reason


def test_nobody_listening_is_inconclusive() -> None:
    with Peer() as gone:
        url = gone.url
    with Http() as http:
        found = Indexer(url, http).find(CID)
    assert (found.state, found.status) == ("inconclusive", None)


def test_retry_after_is_handed_on(peer: Peer, indexer: Indexer) -> None:
    peer.on("GET", f"/cid/{CID_TEXT}", answer(429, "slow down", Retry_After="7"))
    assert indexer.find(CID).retry_after == 7.0


@pytest.mark.parametrize("status", [400, 405, 406])
def test_a_refused_question_is_not_worth_repeating(peer: Peer, indexer: Indexer, status: int) -> None:
    peer.on("GET", f"/cid/{CID_TEXT}", answer(status))
    assert indexer.find(CID).refused


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (answer(200, {"Ad": {"/": AD_TEXT}, "Indexed": True}), "indexed"),
        (answer(200, {"Ad": {"/": AD_TEXT}, "Indexed": False}), "pending"),
        (answer(200, {"Indexed": True, "State": "Skipped"}), "skipped"),
        (answer(200, {"Indexed": False, "State": "unknown"}), "unknown"),
        (answer(200, {"Indexed": True, "State": "indexed"}), "indexed"),
        (answer(204), "unknown"),
        (answer(404, "not found"), "unknown"),
        (answer(400, "bad"), "inconclusive"),
        (answer(500), "inconclusive"),
        (answer(200, "<html>"), "inconclusive"),
        (answer(200, "[]"), "inconclusive"),
    ],
)
def test_the_state_of_an_advertisement(peer: Peer, indexer: Indexer, reply: Answer, state: str) -> None:
    peer.on("GET", f"/sync/status/ad/{AD_TEXT}", reply)
    assert indexer.ad_state(AD) == state


def test_what_is_known_of_a_provider(peer: Peer, indexer: Indexer) -> None:
    info = {
        "AddrInfo": {"ID": PEER_ID, "Addrs": []},
        "LastAdvertisement": {"/": AD_TEXT},
        "LastAdvertisementTime": "2026-08-20T10:00:00Z",
        "Lag": 3,
        "LastError": "content not found",
        "Inactive": True,
    }
    peer.on("GET", f"/providers/{PEER_ID}", answer(200, info))
    found = indexer.provider(peer_id.parse(PEER_ID))
    assert found is not None
    assert (found.last_advertisement, found.lag, found.last_error) == (AD_TEXT, 3, "content not found")
    assert found.inactive
    peer.on("GET", f"/providers/{PEER_ID}", answer(404))
    assert indexer.provider(peer_id.parse(PEER_ID)) is None
