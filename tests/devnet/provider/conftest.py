"""One chain, one indexer and two providers on loopback sockets, driven step by step; and a client that signs.

The client signs with eth-account alone, so that what the devnet checks is not checked by fpin's own code.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data

from fpin.devnet.chain.chain import DevChain
from fpin.devnet.chain.genesis import Genesis, GenesisProvider, GenesisUser
from fpin.devnet.ipni import Indexer
from fpin.devnet.provider import Provider
from fpin.devnet.provider.commp import Piece, commit
from fpin.devnet.provider.node import topic
from fpin.devnet.server import Server, bind, url_of
from fpin.ipld import car
from fpin.ipld.cid import RAW, sha256_cid

CLIENT = Account.from_key(b"\x11" * 32)
DEPLOYER = Account.from_key(b"\x22" * 32)
KEYS = (b"\x33" * 32, b"\x44" * 32)

_TYPES = {
    "MetadataEntry": [("key", "string"), ("value", "string")],
    "Cid": [("data", "bytes")],
    "PieceMetadata": [("pieceIndex", "uint256"), ("metadata", "MetadataEntry[]")],
    "CreateDataSet": [("clientDataSetId", "uint256"), ("payee", "address"), ("metadata", "MetadataEntry[]")],
    "AddPieces": [
        ("clientDataSetId", "uint256"),
        ("nonce", "uint256"),
        ("pieceData", "Cid[]"),
        ("pieceMetadata", "PieceMetadata[]"),
    ],
    "SchedulePieceRemovals": [("clientDataSetId", "uint256"), ("pieceIds", "uint256[]")],
    "TerminateService": [("dataSetId", "uint256")],
}


_DOMAIN = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
]


def _types_of(primary: str) -> dict[str, list[dict[str, str]]]:
    """*primary* and what it is made of: eth-account refuses definitions that are not used."""
    found = {"EIP712Domain": _DOMAIN}
    waiting = [primary]
    while waiting:
        name = waiting.pop()
        found[name] = _TYPES[name]
        waiting += [kind.rstrip("[]") for _, kind in _TYPES[name] if kind.rstrip("[]") in _TYPES]
    return {name: [{"name": n, "type": t} for n, t in fields] for name, fields in found.items()}


def random_car(seed: int, blocks: int = 5, size: int = 4000) -> tuple[bytes, list[bytes]]:
    """A CAR of raw blocks and their CIDs; the first one is the root."""
    chance = random.Random(seed)
    data = [chance.randbytes(size) for _ in range(blocks)]
    cids = [sha256_cid(RAW, hashlib.sha256(block).digest()) for block in data]
    sections = [car.section_prefix(cid, size) + block for cid, block in zip(cids, data, strict=True)]
    return car.header(cids[:1]) + b"".join(sections), cids


def entry(piece: Piece) -> dict[str, object]:
    """A piece as create-and-add and add requests name it."""
    return {"pieceCid": piece.v2, "subPieces": [{"subPieceCid": piece.v2}]}


@dataclass(kw_only=True)
class Wallet:
    """The client's signatures, ready to be posted."""

    chain_id: int
    service: str
    payee: str

    def sign(self, primary: str, message: dict[str, object], account: Any = CLIENT) -> bytes:
        domain = {
            "name": "FilecoinWarmStorageService",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": self.service,
        }
        needed = _types_of(primary)
        full = {
            "types": needed,
            "primaryType": primary,
            "domain": domain,
            "message": message,
        }
        return bytes(account.sign_message(encode_typed_data(full_message=full)).signature)

    def create(self, set_nonce: int, *, indexing: bool = True, account: Any = CLIENT) -> bytes:
        keys = ["withIPFSIndexing"] if indexing else []
        metadata = [{"key": key, "value": ""} for key in keys]
        message = {"clientDataSetId": set_nonce, "payee": self.payee, "metadata": metadata}
        signature = self.sign("CreateDataSet", message, account)
        return encode(
            ["address", "uint256", "string[]", "string[]", "bytes"],
            [CLIENT.address, set_nonce, keys, [""] * len(keys), signature],
        )

    def add(self, set_nonce: int, nonce: int, pieces: Sequence[Piece], account: Any = CLIENT) -> bytes:
        message = {
            "clientDataSetId": set_nonce,
            "nonce": nonce,
            "pieceData": [{"data": piece.binary} for piece in pieces],
            "pieceMetadata": [{"pieceIndex": i, "metadata": []} for i in range(len(pieces))],
        }
        signature = self.sign("AddPieces", message, account)
        none: list[list[str]] = [[] for _ in pieces]
        return encode(["uint256", "string[][]", "string[][]", "bytes"], [nonce, none, none, signature])

    def create_and_add(self, set_nonce: int, nonce: int, pieces: Sequence[Piece], **options: Any) -> str:
        create = self.create(set_nonce, **options)
        return "0x" + encode(["bytes", "bytes"], [create, self.add(set_nonce, nonce, pieces)]).hex()

    def remove(self, set_nonce: int, piece_ids: Sequence[int]) -> str:
        message = {"clientDataSetId": set_nonce, "pieceIds": list(piece_ids)}
        return "0x" + encode(["bytes"], [self.sign("SchedulePieceRemovals", message)]).hex()

    def terminate(self, data_set: int) -> str:
        return "0x" + encode(["bytes"], [self.sign("TerminateService", {"dataSetId": data_set})]).hex()


@dataclass(kw_only=True)
class Site:
    """A provider, how to reach it, and the usual steps of a client."""

    provider: Provider
    url: str
    http: httpx.Client
    wallet: Wallet
    options: dict[str, Any]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(self.url + path, **options)

    def post(self, path: str, json: object = None, *, base: str | None = None) -> httpx.Response:
        return self.http.post((base or self.url) + path, json=json)

    def idle(self) -> None:
        for _ in range(200):
            if not self.provider.work():
                return
        raise AssertionError("the provider never comes to rest")

    def upload(self, data: bytes) -> Piece:
        """Stream *data* in and finalize; not parked before the next pass."""
        location = self.post("/pdp/piece/uploads").headers["Location"]
        assert self.http.put(self.url + location, content=data).status_code == 204
        piece = commit(data)
        assert self.post(location, {"pieceCid": piece.v2}).status_code == 200
        return piece

    def park(self, data: bytes) -> Piece:
        piece = self.upload(data)
        self.idle()
        assert self.find(piece).status_code == 200
        return piece

    def find(self, piece: Piece) -> httpx.Response:
        return self.get("/pdp/piece", params={"pieceCid": piece.v2})

    def status(self, piece: Piece) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/pdp/piece/{piece.v2}/status").json()
        return found

    def create_and_add(
        self, pieces: Sequence[Piece], set_nonce: int, nonce: int, **options: Any
    ) -> httpx.Response:
        body = {
            "recordKeeper": self.wallet.service,
            "extraData": self.wallet.create_and_add(set_nonce, nonce, pieces, **options),
            "pieces": [entry(piece) for piece in pieces],
        }
        return self.post("/pdp/data-sets/create-and-add", body)

    def new_set(self, pieces: Sequence[Piece], set_nonce: int = 1, nonce: int = 2, **options: Any) -> int:
        """Create a data set with *pieces* in it and wait until the provider has recorded both."""
        answer = self.create_and_add(pieces, set_nonce, nonce, **options)
        assert answer.status_code == 201, answer.text
        self.idle()
        created = self.get(answer.headers["Location"]).json()
        assert created["dataSetCreated"], created
        return int(created["dataSetId"])

    def remove(self, data_set: int, piece_ids: Sequence[int], set_nonce: int = 1) -> httpx.Response:
        body = {"extraData": self.wallet.remove(set_nonce, piece_ids), "pieceIds": list(piece_ids)}
        path = f"{self.url}/pdp/data-sets/{data_set}/pieces/{piece_ids[0]}"
        return self.http.request("DELETE", path, json=body)


@dataclass(kw_only=True)
class World:
    chain: DevChain
    rpc_url: str
    indexer: Indexer
    sites: list[Site]
    apps: dict[int, Any] = field(default_factory=dict)

    def pass_epochs(self, epochs: int) -> None:
        for _ in range(epochs):
            epoch = self.chain.mine()
            for site in self.sites:
                site.provider.tick(epoch)

    def settle(self) -> None:
        for _ in range(50):
            if not any([*(site.provider.work() for site in self.sites), self.indexer.work()]):
                return
        raise AssertionError("the world never comes to rest")

    def count(self, event: str) -> int:
        """How often the contracts have emitted *event*, given by its signature."""
        wanted = {"fromBlock": "0x0", "toBlock": "latest", "topics": ["0x" + topic(event).hex()]}
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [wanted]}
        return len(self.sites[0].post("", call, base=self.rpc_url).json()["result"])

    def restart(self, site: Site) -> None:
        """Throw the provider away as a kill would, and open another one on the same folder."""
        site.provider.close()
        site.provider = Provider(**site.options)
        self.apps[httpx.URL(site.url).port or 0] = site.provider.app


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    sockets = [bind() for _ in range(4)]
    urls = [url_of(each) for each in sockets]
    accounts = [Account.from_key(key) for key in KEYS]
    genesis = Genesis(
        deployer=DEPLOYER.address,
        providers=tuple(
            GenesisProvider(
                address=a.address, payee=a.address, name=f"sp{i}", service_url="http://old.example"
            )
            for i, a in enumerate(accounts)
        ),
        users=(GenesisUser.ready(CLIENT.address),),
        proving_period=30,
        challenge_window=8,
    )
    chain = DevChain.open(tmp_path / "chain.sqlite", genesis)
    indexer = Indexer(tmp_path / "indexer.sqlite")
    contracts = {
        "pdp_verifier_proxy_addr": chain.contracts.pdp_verifier,
        "fwss_service_proxy_addr": chain.contracts.fwss,
        "service_provider_registry_proxy_addr": chain.contracts.provider_registry,
    }
    with httpx.Client(trust_env=False, headers={"Accept-Encoding": "identity"}) as http:
        world = World(chain=chain, rpc_url=urls[2], indexer=indexer, sites=[])
        for index, account in enumerate(accounts):
            options: dict[str, Any] = {
                "folder": tmp_path / f"sp{index}",
                "key": KEYS[index],
                "rpc_url": urls[2],
                "contracts": contracts,
                "service_url": urls[index],
                "indexer_urls": [urls[3]],
            }
            wallet = Wallet(chain_id=chain.chain_id, service=chain.contracts.fwss, payee=account.address)
            site = Site(
                provider=Provider(**options), url=urls[index], http=http, wallet=wallet, options=options
            )
            world.sites.append(site)
            world.apps[sockets[index].getsockname()[1]] = site.provider.app

        def front(index: int) -> Any:
            port = sockets[index].getsockname()[1]

            async def app(scope: Any, receive: Any, send: Any) -> None:
                await world.apps[port](scope, receive, send)

            return app

        server = Server(
            {sockets[0]: front(0), sockets[1]: front(1), sockets[2]: chain.app, sockets[3]: indexer.app}
        )
        server.start()
        yield world
        server.stop()
    for site in world.sites:
        site.provider.close()
    indexer.close()
    chain.close()


@pytest.fixture
def site(world: World) -> Site:
    return world.sites[0]


@pytest.fixture
def some_bytes() -> bytes:
    return os.urandom(3000)
