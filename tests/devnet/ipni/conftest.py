"""One publisher and one indexer on loopback sockets, driven step by step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fpin.devnet.ipni import Indexer, Publisher, multiaddr_of_url, peer_id_of_seed
from fpin.devnet.server import Server, bind, url_of

SEED = b"\x07" * 32
VECTORS = Path(__file__).parents[2] / "vectors" / "devnet_ipni.json"


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return found


def multihash(name: str) -> bytes:
    """The sha2-256 multihash of *name*: a different one for each."""
    return b"\x12\x20" + hashlib.sha256(name.encode()).digest()


class Clock:
    """Unix time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(kw_only=True)
class Peers:
    publisher: Publisher
    indexer: Indexer
    clock: Clock
    provider_url: str
    indexer_url: str
    http: httpx.Client

    def sync(self) -> None:
        """Announce the head and let the indexer work once."""
        assert self.publisher.announce([f"{self.indexer_url}/announce"])
        self.indexer.work()

    def find(self, wanted: bytes) -> httpx.Response:
        return self.http.get(f"{self.indexer_url}/multihash/{wanted.hex()}")

    def finds(self, wanted: bytes) -> bool:
        status = self.find(wanted).status_code
        assert status in (200, 404)
        return status == 200

    def ad_status(self, cid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{self.indexer_url}/sync/status/ad/{cid}").json()
        return found

    def provider_info(self) -> dict[str, Any]:
        answer = self.http.get(f"{self.indexer_url}/providers/{self.publisher.peer_id}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    sockets = bind(), bind()
    provider_url, indexer_url = (url_of(bound) for bound in sockets)
    clock, peer = Clock(), peer_id_of_seed(SEED)
    base = f"{provider_url}/ipni-provider/{peer}"
    publisher = Publisher(
        tmp_path / "publisher.db",
        SEED,
        [multiaddr_of_url(provider_url)],
        multiaddr_of_url(base),
        chunk_size=3,
    )
    indexer = Indexer(tmp_path / "indexer.db", clock=clock)
    provider_app = Starlette(routes=[Mount(f"/ipni-provider/{peer}", publisher.app)])
    server = Server({sockets[0]: provider_app, sockets[1]: indexer.app})
    server.start()
    with httpx.Client(trust_env=False) as http:
        yield Peers(
            publisher=publisher,
            indexer=indexer,
            clock=clock,
            provider_url=base,
            indexer_url=indexer_url,
            http=http,
        )
    server.stop()
    publisher.close()
    indexer.close()
