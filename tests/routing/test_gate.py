"""The gate of rule R8: what passes before a CID is found, and what never does."""

from collections.abc import Iterator

import pytest

from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.retrieve import Gateway
from fpin.routing import Gate, GatewayClosed
from tests.provider.peer import Peer, answer

ROOT = "bafybeieecktzp2k4oovlx6cjpehx3qudnlxfn2mskaefjets5oyyxoxc3e"
CHILD = "bafkreifwvggzz2nc3ekjfch2hx2c2n34hzbhg6x5zwxxctrtycqqbniqma"
V0 = "QmWwEpVymekX1J4Nyt5rnVkCNaUNejmftw98hGu8G6iGt4"
AD = "baguqeeratjpprecc65dibckocfgseich7ldoonayi2ibrp4p3g44qz7oqjrq"
PEER_ID = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"

CONTENT = [
    f"https://cid.contact/cid/{ROOT}",
    f"https://CID.Contact:443/cid/{ROOT}",
    f"https://cid.contact/routing/v1/providers/{ROOT}",
    f"https://cid.contact/multihash/{ROOT}",
    f"https://delegated-ipfs.dev/routing/v1/providers/{ROOT}",
    f"https://{ROOT}.ipfs.dweb.link/photos",
    f"https://dweb.link/ipfs/{ROOT}",
    f"https://ipfs.io/ipfs/{ROOT}?format=car",
    f"https://trustless-gateway.link/ipfs/{ROOT}?format=raw",
    f"https://inbrowser.link/ipfs/{ROOT}",
    f"https://check.ipfs.network/?cid={ROOT}",
    f"https://ipfs-check-backend.ipfs.io/check?cid={ROOT}",
    f"https://user:pw@ipfs.io/ipfs/{ROOT}",
    f"https://ipfs.io./ipfs/{ROOT}",
]


@pytest.mark.parametrize("url", CONTENT)
def test_content_is_asked_for_only_once_it_is_found(url: str) -> None:
    gate = Gate()
    with pytest.raises(GatewayClosed):
        gate(url)
    gate.open([parse_cid(CHILD)])
    with pytest.raises(GatewayClosed):
        gate(url)
    gate.open([parse_cid(ROOT)])
    gate(url)


def test_the_gate_opens_by_multihash_whatever_the_version_and_codec() -> None:
    gate = Gate()
    gate.open([parse_cid(V0)])
    v1 = parse_cid(V0)
    assert gate.is_open(b"\x01\x70" + v1)
    assert gate.is_open(b"\x01\x55" + v1)
    gate(f"https://cid.contact/cid/{V0}")


def test_two_cids_in_one_url_must_both_be_found() -> None:
    gate = Gate()
    gate.open([parse_cid(ROOT)])
    with pytest.raises(GatewayClosed):
        gate(f"https://ipfs.io/ipfs/{ROOT}?also={CHILD}")


@pytest.mark.parametrize(
    "url",
    [
        f"https://cid.contact/sync/status/ad/{AD}",
        "https://cid.contact/providers",
        f"https://cid.contact/providers/{PEER_ID}",
        "https://cid.contact/health",
        "https://cid.contact/ingest/announce",
    ],
)
def test_questions_that_name_no_content_pass_at_any_time(url: str) -> None:
    Gate()(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://cid.contact/",
        f"https://cid.contact/providersx/{ROOT}",
        f"https://cid.contact/providers/../cid/{ROOT}",
        f"https://cid.contact/providers/%2e%2e/cid/{ROOT}",
        "https://ipfs.io/ipns/docs.ipfs.tech",
        "https://cid.contact/encrypted/multihash/2wvtgjuGaM7rc6bvxwztcBVfS57u8dA7x11efJX8mFZsJ83",
    ],
)
def test_what_the_gate_does_not_understand_stays_closed(url: str) -> None:
    gate = Gate()
    with pytest.raises(GatewayClosed):
        gate(url)


@pytest.mark.parametrize(
    "url",
    [
        f"https://filecoinpin.contact/cid/{ROOT}",
        f"https://sp.example.com/ipfs/{ROOT}?format=car",
        f"http://127.0.0.1:7001/ipfs/{ROOT}",
        f"https://notcid.contact/cid/{ROOT}",
        f"https://cid.contact.example.com/cid/{ROOT}",
        "https://api.node.glif.io/rpc/v1",
    ],
)
def test_polling_indexers_providers_and_nodes_are_never_stopped(url: str) -> None:
    Gate()(url)


def test_hosts_from_the_configuration_are_guarded_too() -> None:
    gate = Gate(guarded=["127.0.0.1:7003", "gateway.example.com"])
    for url in (f"http://127.0.0.1:7003/cid/{ROOT}", f"https://{ROOT}.ipfs.gateway.example.com/"):
        with pytest.raises(GatewayClosed):
            gate(url)
    gate(f"http://127.0.0.1:7001/cid/{ROOT}")


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


def test_nothing_leaves_the_machine_when_the_gate_is_closed(peer: Peer) -> None:
    gate = Gate(guarded=[peer.host])
    with Http(guard=gate) as http, pytest.raises(GatewayClosed):
        http.request("GET", f"{peer.url}/cid/{ROOT}")
    assert peer.requests == []


def test_a_redirect_cannot_lead_around_the_gate(peer: Peer) -> None:
    peer.on("GET", f"/ipfs/{ROOT}", answer(302, Location=f"http://localhost:{peer.host[10:]}/ipfs/{ROOT}"))
    gate = Gate(guarded=["localhost"])
    with Http(guard=gate) as http, pytest.raises(GatewayClosed):
        Gateway(peer.url, http).block(parse_cid(ROOT))
    assert len(peer.requests) == 1
