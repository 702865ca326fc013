"""Lookups by second hash, extended providers: vectors of go-libipni, and the devnet, which shares no code."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet import ipni
from fpin.devnet.ipni import hidden
from fpin.errors import VerificationFailed
from fpin.http import Http
from fpin.ipld.cid import cid_v1, parse_cid
from fpin.routing import Gate, GatewayClosed, advertisement, peer_id, private
from fpin.routing.private import PrivateIndexer
from tests.provider.peer import Peer, answer
from tests.routing.test_devnet import LEAF, PIECE, ROOT, Devnet, devnet

__all__ = ["devnet"]

VECTORS: Any = json.loads((Path(__file__).parents[1] / "vectors" / "ipni_private.json").read_bytes())


def known(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name])


@pytest.fixture
def indexer(devnet: Devnet) -> PrivateIndexer:
    devnet.indexer.faults.encrypted_only = True
    return PrivateIndexer(devnet.indexer_url, devnet.http)


# -- vectors ---------------------------------------------------------------------------------------


def test_what_is_asked_for_is_the_second_hash_of_the_vectors() -> None:
    assert private.second_hash(known("multihash")) == known("second_hash")


def test_the_boxes_of_the_vectors_open_with_what_they_were_closed_with() -> None:
    value_key = private.opened(known("encrypted_value_key"), known("multihash"))
    assert value_key == known("value_key")
    assert private.split_value_key(value_key) == (peer_id.parse(VECTORS["peer_id"]), known("context_id"))
    assert private.opened(known("encrypted_metadata"), value_key) == known("metadata")


@pytest.mark.parametrize("box", [b"", b"\0" * 12, b"\0" * 40])
def test_a_box_that_is_none_is_refused(box: bytes) -> None:
    with pytest.raises(ValueError):
        private.opened(box, known("multihash"))
    damaged = known("encrypted_metadata")[:-1] + b"\0"
    with pytest.raises(ValueError):
        private.opened(damaged, known("value_key"))


def test_the_devnets_indexer_hashes_and_closes_as_the_vectors_do() -> None:
    assert hidden.second_hash(known("multihash")) == known("second_hash")
    assert hidden.value_key(VECTORS["peer_id"], known("context_id")) == known("value_key")
    assert hidden.metadata_key(VECTORS["peer_id"], known("context_id")) == known("metadata_key")
    assert hidden.box(known("value_key"), known("multihash")) == known("encrypted_value_key")
    assert hidden.box(known("metadata"), known("value_key")) == known("encrypted_metadata")


def test_an_advertisement_with_extended_providers_is_read_and_each_signature_counts() -> None:
    cid, data = parse_cid(VECTORS["extended_ad"]["cid"]), VECTORS["extended_ad"]["data"].encode()
    ad = advertisement.decode(cid, data)
    assert ad.verify() == peer_id.parse(VECTORS["peer_id"])
    assert [one.addresses for one in ad.extended] == [(), ("/dns/other.example.com/tcp/443/https",)]
    for changed in (
        dataclasses.replace(ad, override=False),
        dataclasses.replace(ad, context_id=b"ctx-2"),
        dataclasses.replace(ad, extended=ad.extended[1:]),
        dataclasses.replace(ad, extended=(ad.extended[0], dataclasses.replace(ad.extended[1], addresses=()))),
    ):
        with pytest.raises(VerificationFailed):
            changed.verify()


@pytest.mark.parametrize("lines", [False, True])
def test_an_answer_made_of_the_vectors_is_opened_to_the_record_in_it(lines: bool) -> None:
    def text(name: str) -> str:
        return base64.b64encode(known(name)).decode()

    key, value = VECTORS["peer_id"], text("encrypted_value_key")
    found = {"Multihash": text("second_hash"), "EncryptedValueKeys": ["AAAA", value]}
    plain = answer(200, {"EncryptedMultihashResults": [found]})
    listed = answer(200, json.dumps({"EncryptedValueKey": value}) + "\n", Content_Type="application/x-ndjson")
    address = "/dns/sp.example.com/tcp/443/https"
    with Peer() as peer, Http() as http:
        peer.on(
            "GET", f"/encrypted/multihash/{peer_id.base58(known('second_hash'))}", listed if lines else plain
        )
        peer.on(
            "GET",
            f"/metadata/{peer_id.base58(known('metadata_key'))}",
            answer(200, {"EncryptedMetadata": text("encrypted_metadata")}),
        )
        peer.on("GET", f"/providers/{key}", answer(200, {"AddrInfo": {"ID": key, "Addrs": [address]}}))
        (record,) = PrivateIndexer(peer.url, http).find(cid_v1(0x55, known("multihash"))).records
        assert {request.headers["accept"] for request in peer.requests} == {"application/json"}
    assert (record.provider, record.context_id) == (key, known("context_id"))
    assert record.http_urls == ("https://sp.example.com",)


# -- against the devnet's indexer ------------------------------------------------------------------


def test_a_double_hashed_indexer_finds_what_a_plain_question_does_not(
    devnet: Devnet, indexer: PrivateIndexer
) -> None:
    devnet.advertise()
    assert devnet.sync()
    assert devnet.peers.poll[0].find(ROOT).state == "absent"
    found = indexer.find(ROOT)
    assert (found.state, found.status) == ("found", 200)
    devnet.indexer.faults.encrypted_only = False
    assert found.records == devnet.peers.poll[0].find(ROOT).records
    assert indexer.find(cid_v1(0x55, b"\x12\x20" + bytes(32))).state == "absent"


def test_the_checker_waits_at_a_double_hashed_indexer_too(devnet: Devnet, indexer: PrivateIndexer) -> None:
    devnet.advertise()
    peers = dataclasses.replace(devnet.peers, poll=(indexer,), confirm=())
    found = devnet.check_with(peers)
    assert (found.state, found.strength, found.evidence) == ("found", "exact", "record")


def test_what_was_removed_is_not_found_by_second_hash_either(devnet: Devnet, indexer: PrivateIndexer) -> None:
    devnet.advertise()
    assert devnet.sync()
    devnet.publisher.retract(b"\x01" + PIECE.to_bytes())
    assert devnet.sync()
    assert indexer.find(ROOT).state == "absent"


@pytest.mark.parametrize("fault", ["stopped", "nonsense"])
def test_no_answer_is_told_from_nothing_there(devnet: Devnet, indexer: PrivateIndexer, fault: str) -> None:
    setattr(devnet.indexer.faults, fault, True)
    assert indexer.find(ROOT).state == "inconclusive"


def test_an_answer_that_breaks_off_half_way_is_no_answer(devnet: Devnet, indexer: PrivateIndexer) -> None:
    devnet.advertise()
    assert devnet.sync()
    fetched = indexer._get

    def broken(path: str) -> Any:
        if path.startswith("metadata/"):
            devnet.indexer.faults.failing = 1
        return fetched(path)

    indexer._get = broken  # type: ignore[method-assign]
    found = indexer.find(ROOT)
    assert (found.state, found.reason) == ("inconclusive", "HTTP 500 for a part of the answer")


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("private_lookup", [False, True])
def test_extended_providers_stand_beside_the_record(
    devnet: Devnet, indexer: PrivateIndexer, override: bool, private_lookup: bool
) -> None:
    seed = b"\x09" * 32
    other = "/dns/other.example.com/tcp/443/https"
    devnet.publisher.publish(devnet.copy.context_id, [ROOT[2:]], beside=[(seed, [other])], override=override)
    assert devnet.sync()
    devnet.indexer.faults.encrypted_only = private_lookup
    found = (indexer if private_lookup else devnet.peers.poll[0]).find(ROOT)
    assert [record.provider for record in found.records] == [
        devnet.publisher.peer_id,
        ipni.peer_id_of_seed(seed),
    ]
    assert found.records[1].http_urls == ("https://other.example.com",)
    # Of another context they are not.
    devnet.publisher.publish(b"another", [LEAF[2:]])
    assert devnet.sync()
    assert len((indexer if private_lookup else devnet.peers.poll[0]).find(LEAF).records) == 1


def test_extended_providers_of_the_whole_chain_stand_beside_every_record(
    devnet: Devnet, indexer: PrivateIndexer
) -> None:
    devnet.advertise()
    devnet.publisher.publish(b"", [], b"", beside=[(b"\x09" * 32, ["/dns/other.example.com/tcp/443/https"])])
    assert devnet.sync()
    for cid in (ROOT, LEAF):
        assert len(indexer.find(cid).records) == 2


def test_an_extended_provider_who_signed_nothing_stops_the_chain(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fpin.devnet.ipni import extended

    def unsigned(one: extended.Extended, *_: object, override: bool) -> extended.Extended:
        return one

    monkeypatch.setattr(extended.Extended, "signed", unsigned)
    devnet.publisher.publish(devnet.copy.context_id, [ROOT[2:]], beside=[(b"\x09" * 32, [])])
    monkeypatch.undo()
    assert devnet.sync()
    assert devnet.peers.poll[0].find(ROOT).state == "absent"
    publisher = devnet.peers.publisher(devnet.copy)
    assert publisher is not None
    with pytest.raises(VerificationFailed):
        publisher.newest(devnet.copy.context_id)


# -- the gate --------------------------------------------------------------------------------------


def test_a_second_hash_passes_the_gate_once_the_content_was_found() -> None:
    gate = Gate()
    url = f"https://cid.contact/encrypted/multihash/{peer_id.base58(private.second_hash(ROOT[2:]))}"
    with pytest.raises(GatewayClosed):
        gate(url)
    gate.open([ROOT])
    gate(url)
    gate(f"https://cid.contact/metadata/{peer_id.base58(known('metadata_key'))}")
