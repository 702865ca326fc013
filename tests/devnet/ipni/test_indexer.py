"""A publisher and an indexer over real sockets: what becomes findable, what does not, what is said of it."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from fpin.devnet.ipni import announcement, multiaddr_of_url
from fpin.devnet.ipni.announcement import Announcement
from fpin.devnet.ipni.identity import base58_encode
from fpin.ipld.cid import RAW, cid_v1, format_cid, parse_cid
from tests.devnet.ipni.conftest import Peers, multihash

A, B = multihash("a"), multihash("b")
HOUR = 3600.0


def entries_of(peers: Peers, ad_cid: str) -> str:
    return str(peers.http.get(f"{peers.provider_url}/ipni/v1/ad/{ad_cid}").json()["Entries"]["/"])


def test_an_announced_advertisement_becomes_findable(peers: Peers) -> None:
    ad_cid = peers.publisher.publish(b"ctx", [A])
    assert peers.ad_status(ad_cid) == {"Ad": ad_cid, "Indexed": False, "State": "unknown"}
    assert not peers.finds(A)
    peers.sync()
    assert peers.ad_status(ad_cid) == {"Ad": ad_cid, "Indexed": True, "State": "indexed"}
    address = multiaddr_of_url(peers.provider_url.split("/ipni-provider")[0])
    provider = {"ID": peers.publisher.peer_id, "Addrs": [address]}
    record = {"ContextID": base64.b64encode(b"ctx").decode(), "Metadata": "oBIA", "Provider": provider}
    assert peers.find(A).json() == {
        "MultihashResults": [{"Multihash": base64.b64encode(A).decode(), "ProviderResults": [record]}]
    }


def test_any_form_of_cid_or_multihash_finds_the_same(peers: Peers) -> None:
    peers.publisher.publish(b"ctx", [A])
    peers.sync()
    v0, v1 = format_cid(A), format_cid(cid_v1(RAW, A))
    paths = [f"/cid/{v0}", f"/cid/{v1}", f"/multihash/{base58_encode(A)}", f"/multihash/{A.hex()}"]
    answers = [peers.http.get(peers.indexer_url + path).json() for path in paths]
    assert answers == [answers[0]] * 4


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/x-ndjson", 200, "application/x-ndjson"),
        ("application/json, application/x-ndjson", 200, "application/x-ndjson"),
        ("text/html", 406, "text/plain; charset=utf-8"),
        ("json", 406, "text/plain; charset=utf-8"),
    ],
)
def test_the_accept_header_chooses_the_form_of_the_answer(
    peers: Peers, accept: str, status: int, kind: str
) -> None:
    peers.publisher.publish(b"ctx", [A])
    peers.sync()
    answer = peers.http.get(
        f"{peers.indexer_url}/cid/{format_cid(cid_v1(RAW, A))}", headers={"Accept": accept}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)


def test_ndjson_has_one_bare_record_per_line(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.publisher.publish(b"two", [A])
    peers.sync()
    answer = peers.http.get(
        f"{peers.indexer_url}/multihash/{A.hex()}", headers={"Accept": "application/x-ndjson"}
    )
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert [base64.b64decode(record["ContextID"]) for record in records] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cid/nonsense", 400),
        ("/multihash/nonsense", 400),
        ("/providers/nonsense", 400),
        ("/providers/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", 404),
        ("/sync/status/nonsense", 400),
        ("/sync/status", 204),
        ("/sync/status/12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB", 204),
        ("/sync/status/ad/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", 400),
        ("/health", 200),
        ("/nothing", 404),
    ],
)
def test_odd_requests_get_the_codes_of_the_public_indexers(peers: Peers, path: str, status: int) -> None:
    assert peers.http.get(peers.indexer_url + path).status_code == status


def test_a_removal_takes_away_one_context_and_leaves_the_other(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A, B])
    peers.publisher.publish(b"two", [B])
    peers.sync()
    removal = peers.publisher.retract(b"one")
    peers.sync()
    assert not peers.finds(A)
    assert peers.finds(B)
    assert peers.ad_status(removal)["State"] == "indexed"


def test_an_addition_that_is_removed_in_the_same_batch_is_not_fetched(peers: Peers) -> None:
    added = peers.publisher.publish(b"ctx", [A])
    peers.publisher.faults.missing = {entries_of(peers, added)}  # fetching it would skip the advertisement
    peers.publisher.retract(b"ctx")
    peers.publisher.publish(b"other", [B])
    peers.sync()
    assert not peers.finds(A)
    assert peers.finds(B)
    assert peers.ad_status(added)["Indexed"] is True


def test_several_chunks_are_followed_to_the_first(peers: Peers) -> None:
    wanted = [multihash(str(n)) for n in range(10)]
    peers.publisher.publish(b"ctx", wanted)
    peers.sync()
    assert all(peers.finds(entry) for entry in wanted)
    assert peers.http.get(f"{peers.indexer_url}/stats").json() == {"EntriesEstimate": 10, "EntriesCount": 10}


def test_a_missing_chunk_skips_that_advertisement_for_good_and_the_next_one_works(peers: Peers) -> None:
    first = peers.publisher.publish(b"one", [A])
    peers.publisher.publish(b"two", [B])
    chunk = entries_of(peers, first)
    peers.publisher.faults.missing = {chunk}
    peers.sync()
    assert peers.finds(B)
    assert not peers.finds(A)
    status = peers.ad_status(first)
    assert (status["State"], status["Indexed"]) == ("skipped", False)
    assert chunk in status["Reason"]
    peers.publisher.faults.missing = set()
    peers.publisher.publish(b"three", [multihash("c")])
    peers.sync()
    assert not peers.finds(A)


def test_a_wrong_signature_stops_the_chain_and_is_told(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.sync()
    peers.publisher.faults.corrupt_signatures = True
    forged = peers.publisher.publish(b"two", [B])
    peers.publisher.faults.corrupt_signatures = False
    peers.publisher.publish(b"three", [multihash("c")])
    peers.sync()
    assert peers.finds(A)
    assert not peers.finds(B)
    assert not peers.finds(multihash("c"))
    assert forged in peers.provider_info()["LastError"]
    assert peers.ad_status(forged)["State"] == "unknown"


def test_a_passing_failure_blocks_the_chain_until_it_is_over(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.publisher.faults.failing = 1
    peers.sync()
    assert not peers.finds(A)
    assert "HTTP 500" in peers.provider_info()["LastError"]
    assert peers.indexer.work() is False  # not before its time
    peers.clock.now += 1
    assert peers.indexer.work() is True
    assert peers.finds(A)
    assert "LastError" not in peers.provider_info()


def test_a_head_signed_by_another_peer_is_refused(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    stranger = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
    said = announcement.encode(
        Announcement(
            head=parse_cid(str(peers.publisher.head)),
            addresses=(f"{multiaddr_of_url(peers.provider_url)}/p2p/{stranger}",),
        )
    )
    assert peers.http.put(f"{peers.indexer_url}/ingest/announce", content=said).status_code == 204
    peers.indexer.work()
    assert not peers.finds(A)
    status = peers.http.get(f"{peers.indexer_url}/sync/status/{stranger}").json()
    assert "signed by" in status["Scan"]["Error"]


def test_a_json_announcement_is_as_good(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    said = announcement.encode(
        Announcement(
            head=parse_cid(str(peers.publisher.head)),
            addresses=(f"{multiaddr_of_url(peers.provider_url)}/p2p/{peers.publisher.peer_id}",),
        )
    )
    address = said[said.index(b"\x81\x58") + 3 : -1]
    body = {"Cid": {"/": peers.publisher.head}, "Addrs": [base64.b64encode(address).decode()], "OrigPeer": ""}
    assert peers.http.put(f"{peers.indexer_url}/announce", json=body).status_code == 204
    peers.indexer.work()
    assert peers.finds(A)


@pytest.mark.parametrize("body", [b"", b"\x83", b"{}", b"\x83\xf6\x80\x40"])
def test_an_unreadable_announcement_is_a_400(peers: Peers, body: bytes) -> None:
    url = f"{peers.indexer_url}/announce"
    assert peers.http.put(url, content=body).status_code == 400
    assert peers.http.put(url, content=body, headers={"Content-Type": "application/json"}).status_code == 400
    assert peers.http.get(url).status_code == 405


def test_the_provider_list_tells_where_the_chain_is(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.sync()
    (info,) = peers.http.get(f"{peers.indexer_url}/providers").json()
    assert info == peers.provider_info()
    assert info["LastAdvertisement"] == {"/": peers.publisher.head}
    assert info["Publisher"]["Addrs"] == [multiaddr_of_url(peers.provider_url)]
    assert info["LastAdvertisementTime"] == "2027-01-15T08:00:00Z"


def test_delegated_routing_lists_the_provider_and_obeys_filters(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.publisher.publish(b"two", [A])
    peers.sync()
    url = f"{peers.indexer_url}/routing/v1/providers/{format_cid(cid_v1(RAW, A))}"

    def ask(**query: str) -> httpx.Response:
        return peers.http.get(url, params={name.replace("_", "-"): value for name, value in query.items()})

    (record,) = ask().json()["Providers"]
    assert record["ID"] == peers.publisher.peer_id
    assert record["Schema"] == "peer"
    assert record["transport-ipfs-gateway-http"] == "oBIA"
    gateways = "transport-ipfs-gateway-http"
    assert ask(filter_protocols=gateways, filter_addrs="http").json()["Providers"] == [record]
    assert ask(filter_protocols="transport-bitswap").status_code == 404
    assert ask(filter_addrs="!http").status_code == 404


def test_faults_break_lookups_as_told_and_no_longer(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.sync()
    faults = peers.indexer.faults
    faults.failing, faults.status, faults.retry_after = 1, 429, 7
    answer = peers.find(A)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert peers.finds(A)
    faults.nonsense = True
    assert "text/html" in peers.find(A).headers["content-type"]
    faults.nonsense, faults.stopped = False, True
    assert peers.find(A).status_code == 503


def test_dropped_and_held_announcements_change_nothing_until_released(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.indexer.faults.drop_announcements = True
    peers.sync()
    assert not peers.finds(A)
    peers.indexer.faults.drop_announcements = False
    peers.indexer.faults.hold_ingest = True
    peers.publisher.publish(b"two", [B])
    peers.sync()
    assert not peers.finds(B)
    peers.indexer.faults.hold_ingest = False
    peers.indexer.work()
    assert peers.finds(A)
    assert peers.finds(B)


def test_a_provider_that_vanished_is_hidden_after_eight_days_and_comes_back(peers: Peers) -> None:
    peers.publisher.publish(b"one", [A])
    peers.sync()
    for _ in range(8 * 24):
        peers.clock.now += HOUR
        peers.publisher.faults.failing = 1
        peers.indexer.work()
    assert peers.finds(A)
    peers.clock.now += 2 * HOUR
    peers.publisher.faults.failing = 1
    peers.indexer.work()
    assert not peers.finds(A)
    peers.publisher.faults.failing = 0
    peers.clock.now += 6 * HOUR
    peers.indexer.work()
    assert peers.finds(A)


def test_chunks_become_visible_one_by_one(peers: Peers) -> None:
    peers.publisher._chunk_size = 1
    ad_cid = peers.publisher.publish(b"ctx", [A, B])
    peers.indexer.faults.visible_chunks = 1
    peers.sync()
    assert [peers.finds(multihash) for multihash in sorted((A, B))] == [False, True]
    assert peers.ad_status(ad_cid)["State"] == "pending"
    peers.indexer.faults.visible_chunks = None
    peers.clock.now += HOUR
    peers.sync()
    assert peers.finds(A)
    assert peers.finds(B)


def test_an_announcement_is_read_after_the_delay_that_was_set(peers: Peers) -> None:
    peers.indexer.faults.ingest_delay = 60.0
    peers.publisher.publish(b"ctx", [A])
    peers.sync()
    assert not peers.finds(A)
    peers.clock.now += 61.0
    assert peers.indexer.work()
    assert peers.finds(A)


def test_a_provider_that_lost_its_index_keeps_its_records(peers: Peers) -> None:
    peers.publisher.publish(b"ctx", [A])
    peers.sync()
    peers.publisher.faults.lost = True
    peers.clock.now += 25 * HOUR  # the indexer asks for the head by itself, and gets an answer
    peers.indexer.work()
    assert peers.finds(A)
    assert peers.http.get(f"{peers.provider_url}/ipni/v1/ad/head").status_code == 404
