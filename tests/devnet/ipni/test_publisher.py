"""The bytes a publisher makes, against vectors from elsewhere, and what survives a restart."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.dag import Link, encode_cbor, encode_json
from fpin.devnet.ipni import Publisher, announcement, multiaddr, multiaddr_of_url
from fpin.devnet.ipni.advertisement import block_cid, decode_advertisement, decode_chunk, open_head
from fpin.devnet.ipni.announcement import Announcement
from fpin.devnet.ipni.identity import BadSignature, Identity, peer_id_of_seed
from fpin.ipld.cid import DAG_CBOR, format_cid, parse_cid
from tests.devnet.ipni.conftest import SEED, Peers, multihash

Vectors = dict[str, Any]


def open_vector_publisher(path: Path, vectors: Vectors) -> Publisher:
    publisher_addr = multiaddr_of_url(vectors["publisher_url"])
    return Publisher(path, bytes.fromhex(vectors["seed"]), [vectors["address"]], publisher_addr)


def publish_vector_ad(publisher: Publisher, vectors: Vectors) -> str:
    return publisher.publish(bytes.fromhex(vectors["context_id"]), [bytes.fromhex(vectors["multihash"])])


def test_the_peer_id_is_that_of_the_seed(vectors: Vectors) -> None:
    assert peer_id_of_seed(bytes.fromhex(vectors["seed"])) == vectors["peer_id"]


def test_an_identity_does_not_show_its_seed(vectors: Vectors) -> None:
    assert vectors["seed"] not in repr(Identity(bytes.fromhex(vectors["seed"])))


def test_an_advertisement_and_its_removal_have_the_published_cids(tmp_path: Path, vectors: Vectors) -> None:
    publisher = open_vector_publisher(tmp_path / "p.db", vectors)
    assert publisher.head is None
    assert publish_vector_ad(publisher, vectors) == vectors["ad"]["cid"]
    assert publisher.retract(bytes.fromhex(vectors["context_id"])) == vectors["removal"]["cid"]
    assert publisher.head == vectors["removal"]["cid"]
    publisher.close()


@pytest.mark.parametrize("name", ["ad", "removal"])
def test_a_published_block_decodes_to_what_was_signed(vectors: Vectors, name: str) -> None:
    case = vectors[name]
    ad = decode_advertisement(parse_cid(case["cid"]), case["block"].encode())
    assert ad.signature_payload().hex() == case["payload"]
    assert ad.signer() == vectors["peer_id"]
    assert ad.is_rm == (name == "removal")
    assert ad.to_json() == (parse_cid(case["cid"]), case["block"].encode())


def test_the_envelope_and_the_dag_cbor_form_are_the_published_ones(vectors: Vectors) -> None:
    case = vectors["ad"]
    ad = decode_advertisement(parse_cid(case["cid"]), case["block"].encode())
    assert ad.signature.hex() == case["envelope"]
    cbor = encode_cbor(ad.to_value())
    assert format_cid(block_cid(DAG_CBOR, cbor)) == case["cid_dag_cbor"]
    assert decode_advertisement(parse_cid(case["cid_dag_cbor"]), cbor) == ad


def test_an_advertisement_with_another_address_is_not_what_was_signed(vectors: Vectors) -> None:
    case = vectors["ad"]
    block = case["block"].replace("sp.example.com", "sp.example.org").encode()
    with pytest.raises(BadSignature, match="another advertisement"):
        decode_advertisement(parse_cid(case["cid"]), block).signer()


def test_the_entry_chunk_is_served_as_published(peers: Peers, vectors: Vectors) -> None:
    peers.publisher.publish(b"ctx", [bytes.fromhex(vectors["multihash"])])
    answer = peers.http.get(f"{peers.provider_url}/ipni/v1/ad/{vectors['chunk']['cid']}")
    assert answer.content.hex() == vectors["chunk"]["block"]
    assert answer.headers["content-type"] == "application/cbor"


def test_multihashes_are_sorted_deduplicated_and_cut_into_linked_chunks(peers: Peers) -> None:
    wanted = [multihash(str(n)) for n in range(7)]
    ad_cid = peers.publisher.publish(b"ctx", [*wanted, wanted[0]])
    base = f"{peers.provider_url}/ipni/v1/ad"
    ad = decode_advertisement(parse_cid(ad_cid), peers.http.get(f"{base}/{ad_cid}").content)
    chunks, at = [], ad.entries
    while at:
        entries, following = decode_chunk(at, peers.http.get(f"{base}/{format_cid(at)}").content)
        chunks.append(entries)
        at = following or b""
    assert [len(chunk) for chunk in chunks] == [1, 3, 3]
    assert [entry for chunk in reversed(chunks) for entry in chunk] == sorted(wanted)


def test_the_signed_head_is_the_published_one(vectors: Vectors) -> None:
    head, pubkey = parse_cid(vectors["removal"]["cid"]), base64.b64decode(vectors["head"]["pubkey"])
    identity = Identity(bytes.fromhex(vectors["seed"]))
    assert base64.b64encode(identity.sign(head)).decode() == vectors["head"]["sig"] + "=="
    sig = base64.b64decode(vectors["head"]["sig_with_topic"] + "==")
    block = encode_json({"head": Link(head), "pubkey": pubkey, "sig": sig, "topic": vectors["head"]["topic"]})
    assert open_head(block) == (head, vectors["peer_id"])
    with pytest.raises(BadSignature):
        open_head(encode_json({"head": Link(head), "pubkey": pubkey, "sig": sig}))


def test_the_head_route_answers_204_and_then_a_head_without_topic(peers: Peers) -> None:
    url = f"{peers.provider_url}/ipni/v1/ad/head"
    assert peers.http.get(url).status_code == 204
    ad_cid = peers.publisher.publish(b"ctx", [multihash("a")])
    answer = peers.http.get(url)
    assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert [*json.loads(answer.content)] == ["head", "pubkey", "sig"]
    assert open_head(answer.content) == (parse_cid(ad_cid), peers.publisher.peer_id)


@pytest.mark.parametrize(("hint", "status"), [(None, 404), ("Advertisement", 204), ("EntryChunk", 404)])
def test_unknown_blocks_are_told_as_curio_tells_them(peers: Peers, hint: str | None, status: int) -> None:
    headers = {"Ipni-Cid-Schema-Type": hint} if hint else {}
    url = f"{peers.provider_url}/ipni/v1/ad/bafyreihd3keikxlu3t4c3cbsnpqzjmfw6m4upoyu5z6wbk6broz5a6u6yi"
    assert peers.http.get(url, headers=headers).status_code == status
    assert peers.http.get(f"{peers.provider_url}/ipni/v1/ad/nonsense").status_code == 400


def test_serving_an_advertisement_notes_when_it_was_first_fetched(peers: Peers) -> None:
    ad_cid = peers.publisher.publish(b"ctx", [multihash("a")])
    assert peers.publisher.fetched(ad_cid) is None
    peers.http.get(f"{peers.provider_url}/ipni/v1/ad/{ad_cid}")
    first = peers.publisher.fetched(ad_cid)
    assert first is not None
    peers.http.get(f"{peers.provider_url}/ipni/v1/ad/{ad_cid}")
    assert peers.publisher.fetched(ad_cid) == first


def test_an_announcement_has_the_published_bytes(vectors: Vectors) -> None:
    said = vectors["announcement"]
    message = Announcement(head=parse_cid(vectors["removal"]["cid"]), addresses=(said["address"],))
    assert announcement.encode(message).hex() == said["cbor"]
    assert announcement.decode(bytes.fromhex(said["cbor"]), "application/octet-stream") == message
    assert message.publisher == vectors["peer_id"]
    as_json = {"Cid": {"/": vectors["removal"]["cid"]}, "Addrs": [said["json_address"]], "ExtraData": None}
    assert announcement.decode(json.dumps(as_json).encode(), "application/json") == message


def test_addresses_become_the_urls_that_others_make_of_them(vectors: Vectors) -> None:
    made = {case["address"]: multiaddr.to_url(case["address"]) for case in vectors["urls"]}
    assert made == {case["address"]: case["url"] for case in vectors["urls"]}


def test_the_chain_and_what_was_announced_survive_a_restart(peers: Peers, tmp_path: Path) -> None:
    peers.publisher.publish(b"ctx", [multihash("a")])
    assert not peers.publisher.announced([f"{peers.indexer_url}/announce"])
    peers.sync()
    address = multiaddr_of_url(peers.provider_url.split("/ipni-provider")[0])
    again = Publisher(tmp_path / "publisher.db", SEED, [address], multiaddr_of_url(peers.provider_url))
    assert again.head == peers.publisher.head
    assert again.announced([f"{peers.indexer_url}/announce"])
    again.close()


def test_a_publisher_that_moved_advertises_its_new_addresses(tmp_path: Path, vectors: Vectors) -> None:
    publisher = open_vector_publisher(tmp_path / "p.db", vectors)
    first = publish_vector_ad(publisher, vectors)
    publisher.close()
    moved = open_vector_publisher(tmp_path / "p.db", {**vectors, "address": "/ip4/127.0.0.1/tcp/9/http"})
    head = moved.head
    assert head not in (None, first)
    moved.close()
    same = open_vector_publisher(tmp_path / "p.db", {**vectors, "address": "/ip4/127.0.0.1/tcp/9/http"})
    assert same.head == head
    same.close()


def test_retracting_twice_publishes_one_removal(tmp_path: Path, vectors: Vectors) -> None:
    publisher = open_vector_publisher(tmp_path / "p.db", vectors)
    with pytest.raises(LookupError):
        publisher.retract(b"never advertised")
    publish_vector_ad(publisher, vectors)
    context_id = bytes.fromhex(vectors["context_id"])
    assert publisher.retract(context_id) == publisher.retract(context_id) == publisher.head
    newest = publisher.newest(context_id)
    assert newest is not None
    assert newest.is_rm
    publisher.close()
