"""One storage provider: its parts put together, its HTTP application, and the jobs the world drives.

It owns no thread and no timer: `work` and `tick` are called from outside, by the world or by a test.
"""

from __future__ import annotations

import functools
import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from fpin.devnet.gateway import Gateway
from fpin.devnet.ipni import Publisher, multiaddr_of_url, peer_id_of_seed
from fpin.devnet.ipni.identity import base58_decode
from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.faults import Faults
from fpin.devnet.provider.indexing import BlockIndex, Indexing, StatusRoute
from fpin.devnet.provider.node import Contracts, Node, NodeError
from fpin.devnet.provider.onchain import Onchain
from fpin.devnet.provider.pieces import PieceStore
from fpin.devnet.provider.proving import Proving
from fpin.devnet.provider.pulls import Pulls
from fpin.devnet.provider.records import RecordRoutes
from fpin.devnet.provider.removal import Removal
from fpin.devnet.provider.retrieval import RetrievalRoutes
from fpin.devnet.provider.sets import SetRoutes
from fpin.devnet.provider.state import State
from fpin.devnet.provider.transactions import Transactions
from fpin.devnet.provider.uploads import UploadRoutes
from fpin.devnet.provider.web import Desk, Rule, Watched, build_app

HTTP_TIMEOUT_SECONDS = 30.0
NOTIFY_TIMEOUT_SECONDS = 15.0
SWEEP_SECONDS = 300.0


class Provider:
    """A storage provider with its state in *folder*.

    *key* is the private key of the account that the registry knows as ``serviceProvider``; *contracts* are
    named as in the ``contracts`` object of ``devnet-info.json``; *service_url* is where `app` is reachable;
    *indexer_urls* are bases: ``/announce`` and ``/sync/status/ad/…`` are asked under each.

    `app` answers requests from the first moment on; `routes` are the names that `faults` go by. What happens
    by itself happens in `work` (call it often) and `tick` (call it for each new epoch), from any thread.
    """

    def __init__(
        self,
        *,
        folder: Path,
        key: bytes,
        rpc_url: str,
        contracts: Mapping[str, str],
        service_url: str,
        indexer_urls: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.faults = Faults()
        self.service_url = service_url.rstrip("/")
        self._state = State(folder / "provider.sqlite")
        # No proxies from the environment: everything a devnet talks to is on this machine.
        self._http = httpx.Client(timeout=HTTP_TIMEOUT_SECONDS, trust_env=False, verify=_tls())
        node = Node(url=rpc_url, key=key, contracts=Contracts.named(contracts), http=self._http)
        self.address = node.address
        self._data_sets = DataSets(self._state)
        self._chain = Onchain(node, self._data_sets)
        self._pieces = PieceStore(folder, self._state)
        self.blocks = BlockIndex(self._state, self._pieces)
        self.publisher = self._open_publisher(
            folder, hashlib.sha256(b"fpin devnet ipni identity" + key).digest()
        )
        self._indexing = Indexing(
            state=self._state,
            pieces=self._pieces,
            blocks=self.blocks,
            publisher=self.publisher,
            announce_urls=[f"{url.rstrip('/')}/announce" for url in indexer_urls],
            faults=self.faults,
        )
        self._transactions = Transactions(node, self._data_sets)
        self._proving = Proving(self._state, self._data_sets, self._pieces, self._chain)
        self._removal = Removal(
            state=self._state,
            data_sets=self._data_sets,
            pieces=self._pieces,
            indexing=self._indexing,
            chain=self._chain,
        )
        self._pulls = Pulls(
            state=self._state,
            data_sets=self._data_sets,
            pieces=self._pieces,
            chain=self._chain,
            faults=self.faults,
            http=self._http,
        )
        self._registered = False
        self._epoch = 0  # the last one heard of
        self._sweep_at = 0.0
        self._busy = threading.RLock()
        self.routes, self.app = self._build_app(indexer_urls)

    @property
    def peer_id(self) -> str:
        return self.publisher.peer_id

    def close(self) -> None:
        """Stop: no call may be under way or follow. The state stays on disk."""
        with self._busy:
            self._http.close()
            self.publisher.close()
            self._state.close()

    # Driven from outside

    def work(self) -> bool:
        """Do one pass of all jobs; tells whether anything was done, so that a caller can go on until idle.

        A job that the chain does not answer is left for the next pass.
        """
        jobs = (
            self._register,
            self._park,
            self._pulls.fetch_next,
            self._transactions.record_landed,  # before watching: "confirmed" shows before "recorded"
            self._transactions.watch,
            self._proving.begin_new,
            self._removal.notice,
            self._removal.terminate,
            self._removal.collect,
            self._indexing.index_next,
            self._indexing.advertise_next,
            self._indexing.announce,
            self._sweep,
        )
        with self._busy:
            return sum(_attempt(job) for job in jobs) > 0

    def tick(self, epoch: int) -> None:
        """A new *epoch* has begun: prove, open the next period, end what has ended."""
        with self._busy:
            self._epoch = epoch
            _attempt(self._transactions.watch)
            if not self.faults.never_prove:
                _attempt(lambda: self._proving.run(epoch))
            _attempt(lambda: self._removal.delete_ended(epoch))
            _attempt(self._transactions.watch)

    def hurry(self) -> bool:
        """Whether a scheduled removal waits for the end of its proving period: time may be moved on."""
        return self._removal.waits_for_boundary(self._epoch)

    # Jobs of its own

    def _register(self) -> bool:
        """Have the registry name this server and this peer id."""
        if self._registered:
            return False
        product = self._chain.own_product()
        if product is None:
            return False
        ours = {"serviceURL": self.service_url.encode(), "ipniPeerId": base58_decode(self.peer_id)}
        if any(product.get(name) != value for name, value in ours.items()):
            product |= ours
            self._chain.update_product([*product], [*product.values()])
        self._registered = True
        return True

    def _park(self) -> bool:
        waiting = self._pieces.waiting_uploads()
        for upload, notify in waiting:
            if notify:
                self._notify(notify, upload.uuid, upload.piece.v1, upload.piece.payload_size)
            self._pieces.park(upload)
        return bool(waiting)

    def _notify(self, url: str, upload: str, piece_cid: str, size: int) -> None:
        message = {
            "id": upload,
            "service": "public",
            "piece_cid": piece_cid,
            "notify_url": url,
            "piece_raw_size": size,
        }
        try:
            self._http.post(url, json=message, timeout=NOTIFY_TIMEOUT_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL):
            return  # told once, whether it was heard or not

    def _sweep(self) -> bool:
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_SECONDS
            self._pieces.sweep(time.time())
            self._pulls.forget_old(time.time())
        return False

    # Parts

    def _open_publisher(self, folder: Path, seed: bytes) -> Publisher:
        base = f"{self.service_url}/ipni-provider/{peer_id_of_seed(seed)}"
        return Publisher(
            folder / "ipni.sqlite", seed, [multiaddr_of_url(self.service_url)], multiaddr_of_url(base)
        )

    def _build_app(self, indexer_urls: Sequence[str]) -> tuple[frozenset[str], ASGIApp]:
        desk = Desk(faults=self.faults)
        sets = SetRoutes(self._state, self._data_sets, self._pieces, self._chain, self._proving)
        rules: list[Rule] = [
            *UploadRoutes(self._pieces, desk, self.faults).rules(),
            *StatusRoute(self._state, self._pieces, self.publisher, indexer_urls, self._http).rules(),
            *self._pulls.rules(),
            *sets.rules(),
            *RecordRoutes(self._data_sets, remove=sets.remove).rules(),
            *RetrievalRoutes(self._pieces, self._data_sets, self._state).rules(),
        ]
        mounts: list[BaseRoute] = [
            Mount(f"/ipni-provider/{self.peer_id}", app=Watched("ipni", self.publisher.app, self.faults)),
            Mount("/ipfs", app=Watched("ipfs", Gateway(self.blocks), self.faults)),
        ]
        names = {name for rule in rules for name, _ in rule.handlers.values()} | {"ipni", "ipfs"}
        return frozenset(names), build_app(desk, rules, mounts)


@functools.cache
def _tls() -> ssl.SSLContext:
    """For sources of pulls outside this machine. Shared: reading the authorities takes 20 ms."""
    return ssl.create_default_context()


def _attempt(job: Callable[[], bool]) -> bool:
    try:
        return job()
    except NodeError:
        return False
