"""The devnet as one process: a chain, three storage providers and an indexer, on sockets, with a clock.

Puts the parts together and decides which process runs them; what the parts do is theirs. Everything is kept
in one folder, which one process at a time may serve.
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from fpin.devnet import fetch, info
from fpin.devnet.accounts import DEPLOYER, PROVIDERS, USERS
from fpin.devnet.attach import attach_or_start, mine
from fpin.devnet.chain import DevChain, Genesis, GenesisProvider, GenesisUser
from fpin.devnet.info import Mode, Urls
from fpin.devnet.ipni import Indexer
from fpin.devnet.lock import hold_folder
from fpin.devnet.loops import Loop, clock, worker
from fpin.devnet.provider import Provider
from fpin.devnet.server import Server, bind, url_of
from fpin.errors import LocalError, NodeUnavailable, UsageError

__all__ = ["World", "attach_or_start", "mine"]

_STATE = ("chain.sqlite", "indexer.sqlite", info.INFO, info.SERVER, info.PORTS)
_FOLLOW_SECONDS = 1.0  # how often another chain is asked for its epoch


class World:
    """A running devnet. `start` and `serve_providers` make one; it ends with their ``with`` block.

    `info_path` is its `devnet-info.json`; `chain` is None when the chain is somebody else's.
    """

    def __init__(
        self,
        *,
        folder: Path,
        urls: Urls,
        chain: DevChain | None,
        providers: Sequence[Provider],
        indexer: Indexer,
    ) -> None:
        self.info_path = folder / info.INFO
        self.urls = urls
        self.providers = tuple(providers)
        self.indexer = indexer
        self._chain = chain
        self._stepping = threading.Lock()

    @property
    def chain(self) -> DevChain:
        """The chain of this process; LookupError when it belongs to somebody else."""
        if self._chain is None:
            raise LookupError("this devnet uses the chain of another process")
        return self._chain

    def provider(self, provider_id: int) -> Provider:
        """The provider that the registry knows by that id, counted from 1."""
        return self.providers[provider_id - 1]

    def mine(self, epochs: int = 1) -> int:
        """Let *epochs* pass one by one, each provider doing what is due in each; the new epoch."""
        for _ in range(epochs):
            self._advance()
        return self.chain.epoch

    def settle(self) -> None:
        """Return when no provider and not the indexer has anything left to do in this epoch."""
        busy = True
        while busy:
            done = [job() for job in self._jobs()]  # all of them, each round
            busy = any(done)

    @classmethod
    @contextmanager
    def start(
        cls,
        folder: Path,
        *,
        epoch_ms: int = 1000,
        mode: Mode = "embedded",
        tune: Callable[[Genesis], Genesis] | None = None,
        announce_to: Sequence[str] = (),
    ) -> Iterator[World]:
        """Serve the devnet of *folder*, a new one if nothing is there, until the block ends.

        One epoch passes every *epoch_ms* milliseconds; 0: only in `mine`. *tune* changes how a new chain
        begins and means nothing for one that exists. *announce_to* are URLs of further indexers, which the
        providers tell of their advertisements too. Raises FolderInUse when another process serves it.
        """
        with ExitStack() as stack:
            stack.enter_context(hold_folder(folder))
            (folder / info.SERVER).unlink(missing_ok=True)
            sockets = _bind(stack, folder, ["chain", *_provider_names(len(PROVIDERS)), "indexer"])
            urls = _urls(sockets)
            keys = [account.key for account in PROVIDERS]
            with _opening(folder):
                chain = DevChain.open(folder / "chain.sqlite", _genesis(urls, tune))
                stack.callback(chain.close)
                contracts = info.contracts_of(chain.contracts)
                world = cls._assemble(stack, folder, urls, chain, keys, contracts, urls.chain, announce_to)
            world._serve(stack, sockets)
            document = info.make_info(
                contracts=contracts,
                urls=urls,
                rpc_url=f"{urls.chain}/rpc/v1",
                users=USERS,
                providers=PROVIDERS,
            )
            world._announce(stack, mode, document)
            loops = [clock(world._advance, world._hurry, epoch_ms / 1000)] if epoch_ms else []
            _run(stack, [worker(world._jobs()), *loops])
            yield world

    @classmethod
    @contextmanager
    def serve_providers(
        cls, folder: Path, chain_url: str, devnet_info: Path, *, mode: Mode = "up"
    ) -> Iterator[World]:
        """Serve providers and an indexer for a chain that runs elsewhere and has the contracts already.

        *devnet_info* names the contracts and, with a ``private_key_hex`` each, the providers, which must be
        registered. Raises UsageError when it does not, NodeUnavailable when *chain_url* does not answer.
        """
        with ExitStack() as stack:
            stack.enter_context(hold_folder(folder))
            (folder / info.SERVER).unlink(missing_ok=True)
            document = _read_foreign(devnet_info)
            epoch = _epoch_of(chain_url)
            providers = document["info"]["pdp_sps"]
            sockets = _bind(stack, folder, [*_provider_names(len(providers)), "indexer"])
            urls = _urls(sockets, chain_url)
            keys = [bytes.fromhex(provider["private_key_hex"].removeprefix("0x")) for provider in providers]
            contracts = document["info"]["contracts"]
            with _opening(folder):
                world = cls._assemble(stack, folder, urls, None, keys, contracts, chain_url)
            world._serve(stack, sockets)
            document["info"]["lotus"]["host_rpc_url"] = chain_url
            document["info"]["indexer_url"] = urls.indexer
            for provider, url in zip(providers, urls.providers, strict=True):
                provider["pdp_service_url"] = url
            world._announce(stack, mode, document)
            _run(stack, [worker(world._jobs()), Loop("clock", _follower(world.providers, chain_url, epoch))])
            yield world

    @staticmethod
    def reset(folder: Path) -> None:
        """Delete the devnet of *folder*, which nobody may be serving (FolderInUse); other files stay."""
        if not folder.exists():
            return
        with hold_folder(folder):
            for name in _STATE:
                for path in folder.glob(f"{name}*"):
                    path.unlink()
            for path in folder.glob("provider-*"):
                shutil.rmtree(path)

    @classmethod
    def _assemble(
        cls,
        stack: ExitStack,
        folder: Path,
        urls: Urls,
        chain: DevChain | None,
        keys: Sequence[bytes],
        contracts: Mapping[str, str],
        rpc_url: str,
        announce_to: Sequence[str] = (),
    ) -> World:
        providers = []
        for name, url, key in zip(_provider_names(len(keys)), urls.providers, keys, strict=True):
            provider = Provider(
                folder=folder / name,
                key=key,
                rpc_url=rpc_url,
                contracts=contracts,
                service_url=url,
                indexer_urls=[urls.indexer, *announce_to],
            )
            stack.callback(provider.close)
            providers.append(provider)
        indexer = Indexer(folder / "indexer.sqlite")
        stack.callback(indexer.close)
        return cls(folder=folder, urls=urls, chain=chain, providers=providers, indexer=indexer)

    def _serve(self, stack: ExitStack, sockets: Mapping[str, socket.socket]) -> None:
        apps: dict[socket.socket, ASGIApp] = {sockets["indexer"]: self.indexer.app}
        for name, provider in zip(_provider_names(len(self.providers)), self.providers, strict=True):
            apps[sockets[name]] = provider.app
        if self._chain is not None:
            routes = [Route("/devnet/mine", self._answer_mine, methods=["POST"]), Mount("/", self._chain.app)]
            apps[sockets["chain"]] = Starlette(routes=routes)
        server = Server(apps)
        stack.callback(server.stop)
        server.start()

    def _announce(self, stack: ExitStack, mode: Mode, document: info.Json) -> None:
        """Let the registry name today's URLs, then tell other processes that we are here."""
        for provider in self.providers:
            provider.work()
        folder = self.info_path.parent
        info.write_info(folder, document)
        stack.callback((folder / info.SERVER).unlink, missing_ok=True)
        info.write_server(folder, mode, self.urls)

    def _jobs(self) -> list[Callable[[], bool]]:
        return [*(provider.work for provider in self.providers), self.indexer.work]

    def _hurry(self) -> bool:
        return any(provider.hurry() for provider in self.providers)

    def _advance(self) -> None:
        with self._stepping:
            epoch = self.chain.mine(1)
            for provider in self.providers:
                provider.tick(epoch)

    async def _answer_mine(self, request: Request) -> Response:
        """POST a number of epochs; the answer is the epoch afterwards. For `mine` in other processes."""
        try:
            epochs = int(await request.body())
        except ValueError:
            return PlainTextResponse("the body is a number of epochs\n", 400)
        return JSONResponse(await run_in_threadpool(self.mine, epochs))


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    """Say of a database that cannot be made or read which devnet it is of."""
    try:
        yield
    except sqlite3.Error as exc:
        raise LocalError(
            f"the devnet in {folder} cannot be opened: {exc}",
            hint="free some space; or fpin devnet reset, to begin a new one",
            path=str(folder),
        ) from exc


def _genesis(urls: Urls, tune: Callable[[Genesis], Genesis] | None) -> Genesis:
    genesis = Genesis(
        deployer=DEPLOYER.address,
        providers=tuple(
            GenesisProvider(
                address=account.address,
                payee=account.address,
                name=f"devnet-{number}",
                service_url=url,
                description="A storage provider of the local devnet",
            )
            for number, (account, url) in enumerate(zip(PROVIDERS, urls.providers, strict=True), 1)
        ),
        users=(
            GenesisUser.ready(USERS[0].address),
            GenesisUser.funded(USERS[1].address),
            GenesisUser(address=USERS[2].address),
        ),
    )
    return tune(genesis) if tune else genesis


def _provider_names(count: int) -> list[str]:
    return [f"provider-{number}" for number in range(1, count + 1)]


def _bind(stack: ExitStack, folder: Path, names: Sequence[str]) -> dict[str, socket.socket]:
    """A socket for each name, on the port it had before where that is free."""
    ports = info.read_ports(folder)
    sockets = {}
    for name in names:
        sockets[name] = bind(ports.get(name, 0))
        stack.callback(sockets[name].close)
    info.write_ports(folder, {name: bound.getsockname()[1] for name, bound in sockets.items()})
    return sockets


def _urls(sockets: Mapping[str, socket.socket], chain_url: str | None = None) -> Urls:
    return Urls(
        chain=chain_url or url_of(sockets["chain"]),
        providers=tuple(url_of(bound) for name, bound in sockets.items() if name.startswith("provider-")),
        indexer=url_of(sockets["indexer"]),
    )


def _run(stack: ExitStack, loops: Sequence[Loop]) -> None:
    for loop in loops:
        loop.start()
        stack.callback(loop.stop)


def _read_foreign(path: Path) -> info.Json:
    try:
        document: info.Json = json.loads(path.read_bytes())
        if not document["info"]["pdp_sps"]:
            raise ValueError("pdp_sps is empty")
        for provider in document["info"]["pdp_sps"]:
            bytes.fromhex(provider["private_key_hex"].removeprefix("0x"))
        for needed in ("contracts", "lotus", "users"):
            document["info"][needed]
    except OSError as exc:
        raise LocalError(f"cannot read {path}: {exc.strerror or exc}", path=str(path)) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        # Only the kind of error: the text of the file holds keys.
        raise UsageError(
            f"{path} does not describe a devnet with providers ({type(exc).__name__})",
            hint="each entry of pdp_sps needs a private_key_hex",
            path=str(path),
        ) from None
    return document


def _epoch_of(chain_url: str) -> int:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}).encode()
    try:
        answer = fetch.request("POST", chain_url, body=body, headers={"Content-Type": "application/json"})
        found: Any = json.loads(answer.body)
        return int(found["result"], 16)
    except (fetch.NoAnswer, ValueError, KeyError, TypeError) as exc:
        raise NodeUnavailable(
            f"{chain_url} does not answer eth_blockNumber: {exc}", rpc_url=chain_url
        ) from exc


def _follower(providers: Sequence[Provider], chain_url: str, epoch: int) -> Callable[[], float]:
    """Tell the *providers* of each new epoch of a chain that has its own clock."""

    def turn() -> float:
        nonlocal epoch
        try:
            now = _epoch_of(chain_url)
        except NodeUnavailable:
            return _FOLLOW_SECONDS  # it may come back; until then nothing is due
        if now > epoch:
            epoch = now
            for provider in providers:
                provider.tick(epoch)
        return _FOLLOW_SECONDS

    return turn
