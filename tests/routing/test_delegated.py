"""What a delegated router's answers mean: kinds of records, statuses, and its filter done again (spec §2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.routing import Router
from tests.provider.peer import Answer, Peer, answer

CID_TEXT = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
PATH = f"/routing/v1/providers/{CID_TEXT}"
PEER_ID = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
HTTP, BITSWAP = "transport-ipfs-gateway-http", "transport-bitswap"
# As indexstar writes it (spec §2.2).
RECORD = {
    "Schema": "peer",
    "ID": PEER_ID,
    "Addrs": ["/dns/sp.example.com/tcp/443/https", "/ip4/192.0.2.1/tcp/4001"],
    "Protocols": [HTTP],
    HTTP: "oBIA",
}


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def router(peer: Peer) -> Iterator[Router]:
    with Http() as http:
        yield Router(peer.url + "/", http)


def urls(peer: Peer, router: Router, *records: Any) -> list[tuple[str, ...]]:
    peer.on("GET", PATH, answer(200, {"Providers": list(records)}))
    return [record.http_urls for record in router.find(parse_cid(CID_TEXT)).records]


def test_the_question_names_json_the_cid_in_base32_and_the_protocol(peer: Peer, router: Router) -> None:
    router.find(parse_cid("QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB"))
    (request,) = peer.requests
    assert request.path == "/routing/v1/providers/bafybeiasb5vpmaounyilfuxbd3lryvosl4yefqrfahsb2esg46q6tu6y5q"
    assert request.query == {"filter-protocols": HTTP}
    assert request.headers["accept"] == "application/json"


def test_a_peer_that_serves_http_is_read_whole(peer: Peer, router: Router) -> None:
    peer.on("GET", PATH, answer(200, {"Providers": [RECORD]}))
    found = router.find(parse_cid(CID_TEXT))
    assert (found.state, found.status) == ("found", 200)
    (record,) = found.records
    assert (record.provider, record.context_id, record.metadata.hex()) == (PEER_ID, b"", "a01200")
    assert record.peer_id is not None
    assert record.http_urls == ("https://sp.example.com",)


def test_lines_are_read_when_the_answer_says_it_is_that(peer: Peer, router: Router) -> None:
    body = json.dumps(RECORD) + "\n\n" + json.dumps({**RECORD, "Protocols": [BITSWAP]}) + "\n"
    peer.on("GET", PATH, answer(200, body, Content_Type="application/x-ndjson"))
    assert [record.provider for record in router.find(parse_cid(CID_TEXT)).records] == [PEER_ID]


def test_the_filter_is_done_again_for_servers_that_leave_it_alone(peer: Peer, router: Router) -> None:
    without_http = {**RECORD, "Protocols": [BITSWAP]}
    without_address = {**RECORD, "Addrs": ["/ip4/192.0.2.1/tcp/4001"]}
    of_nothing = {**RECORD, "Protocols": [], "Addrs": None}
    both = {**RECORD, "Protocols": [BITSWAP, HTTP.upper()]}
    assert urls(peer, router, without_http, without_address, of_nothing, both) == [
        ("https://sp.example.com",)
    ]


def test_other_kinds_of_records(peer: Peer, router: Router) -> None:
    generic = {"Schema": "generic", "ID": "did:web:x", "Addrs": ["https://x.example/"], "Protocols": [HTTP]}
    legacy = {"Schema": "bitswap", "Protocol": BITSWAP, "ID": PEER_ID, "Addrs": RECORD["Addrs"]}
    unknown = {"Schema": "something-new", "ID": 7}
    nameless = {**RECORD, "ID": "not a peer"}
    endless = {**generic, "ID": "x" * 100}
    assert urls(peer, router, generic, legacy, unknown, nameless, endless) == [("https://x.example",)]


@pytest.mark.parametrize(
    ("reply", "state", "refused"),
    [
        (answer(200, {"Providers": []}), "absent", False),
        (answer(200, {"Providers": None}), "absent", False),
        (answer(404, "no results for query"), "absent", False),
        (answer(400), "inconclusive", True),
        (answer(422), "inconclusive", True),
        (answer(501), "inconclusive", True),
        (answer(429, Retry_After="7"), "inconclusive", False),
        (answer(500), "inconclusive", False),
        (answer(200, "<html>"), "inconclusive", False),
        (answer(200, {"Peers": []}), "inconclusive", False),
        (answer(200, {"Providers": [{"Schema": "peer", "ID": 7}]}), "inconclusive", False),
        (answer(200, '{"Sche', Content_Type="application/x-ndjson"), "inconclusive", False),
    ],
)
def test_nothing_there_is_told_from_no_answer(
    peer: Peer, router: Router, reply: Answer, state: str, refused: bool
) -> None:
    peer.on("GET", PATH, reply)
    found = router.find(parse_cid(CID_TEXT))
    assert (found.state, found.records, found.refused) == (state, (), refused)
    assert found.retry_after == (7.0 if reply.status == 429 else None)


def test_a_router_that_is_not_there_is_no_answer(router: Router) -> None:
    router.base = "http://127.0.0.1:1"
    assert router.find(parse_cid(CID_TEXT)).state == "inconclusive"
