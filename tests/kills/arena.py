"""A devnet with many wallets on which adds are killed, run again, and compared with an undisturbed one."""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fpin.chain.contracts import Chain
from fpin.chain.networks import load_network
from fpin.chain.rpc import JsonRpc
from fpin.devnet.accounts import DevAccount
from fpin.devnet.chain import Genesis, GenesisUser
from fpin.devnet.world import World
from fpin.http import Http
from fpin.piece import PieceCid
from fpin.settings import folders
from fpin.store import Pin, Store
from tests.conftest import Fpin, Outcome
from tests.kills import victim
from tests.kills.victim import Job, Order

COPIES, PIECES = 2, 3
LIMIT = 20_000  # bytes of a piece
FILE = 15_000  # bytes of each file: one fits into a piece, and two do not
TIMEOUT = 120  # seconds after which a run counts as stuck


@dataclass(frozen=True)
class Death:
    """A run that was ended. *moment* is the last point that it reached, *state* what its store held then."""

    moment: str
    state: str


class Nursery:
    """Starts processes of fpin, one after the other, without the half second that a start takes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, victim.__file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8"},
        )

    def run(self, job: Job) -> int:
        """Return how the process ended: its exit code, or the negative number of a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dataclasses.asdict(job)) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        stuck = threading.Timer(TIMEOUT, os.kill, (child, signal.SIGABRT))
        stuck.start()
        try:
            return int(self._process.stdout.readline())
        finally:
            stuck.cancel()

    def close(self) -> None:
        self._process.communicate()


def _run_for(seconds: float, job: Job) -> int:
    """Run *job* as a process of its own, start-up included, for so long."""
    command = [sys.executable, victim.__file__, job.order, job.log, job.limit, *job.args]
    with open(job.out, "wb") as out, open(job.err, "wb") as err:
        process = subprocess.Popen(command, env=job.env, stdout=out, stderr=err)
        with process:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()


@dataclass
class Tenant:
    """One case: a wallet, a home, and three files that nobody else stores."""

    arena: Arena
    fpin: Fpin
    wallet: DevAccount
    folder: Path
    seed: int
    deaths: list[Death] = field(default_factory=list)

    @property
    def args(self) -> list[str]:
        return ["add", str(self.folder), "--copies", str(COPIES), "--json"]

    @property
    def log(self) -> Path:
        return self.fpin.home / "points"

    @property
    def points(self) -> list[str]:
        """What the last run reached, in order."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def run(self, order: Order | None = None, *, seconds: float | None = None) -> Outcome:
        """Run the add; with *order* it dies at that moment, with *seconds* when they are over."""
        self.fpin.home.mkdir(exist_ok=True)
        out, err = self.fpin.home.with_name("out"), self.fpin.home.with_name("err")
        job = Job(
            order=str(order or Order()),
            log=str(self.log),
            limit=str(LIMIT),
            args=self.args,
            env=self.fpin.env,
            out=str(out),
            err=str(err),
        )
        if seconds is None:
            with self.arena.nursery() as nursery:
                code = nursery.run(job)
        else:
            code = _run_for(seconds, job)
        if code == -signal.SIGKILL:
            moment = (self.points or ["before anything"])[-1] + ("" if seconds is None else ", and later")
            self.deaths.append(Death(moment, self.states()))
        return Outcome(code, out.read_text(), err.read_text())

    def states(self) -> str:
        """The states of all copies, such as ``2 parked, 4 planned``; "" before any was planned."""
        copies = [copy.state.value for pin in self.pins() for copy in pin.copies]
        return ", ".join(f"{copies.count(state)} {state}" for state in dict.fromkeys(copies))

    def pins(self) -> list[Pin]:
        path = folders(self.fpin.env).store
        if not path.exists():
            return []
        with Store(path) as store:
            return store.pins(self.arena.chain.network.chain_id)

    # What an add leaves behind

    def traces(self) -> dict[str, Any]:
        """Everything that must not depend on how often an add was killed."""
        return {
            "store": self._stored(),
            "chain": self._on_chain(),
            "wallet": self._paid(),
            "home": self._files(),
        }

    def _stored(self) -> list[Any]:
        return [_timeless(pin) for pin in self.pins()]

    def _on_chain(self) -> list[Any]:
        """For each data set in the order of its provider: which pieces of which pin, in which order."""
        names = {
            piece.piece_cid: f"pin {number}, piece {piece.position}"
            for number, pin in enumerate(self.pins())
            for piece in pin.pieces
        }
        chain = self.arena.chain
        return [
            [
                (entry.piece_id, names.get(str(PieceCid.from_bytes(entry.piece_cid)), "unknown"))
                for entry in chain.pieces(data_set.data_set_id)
            ]
            for data_set in sorted(
                chain.client_data_sets(self.wallet.address), key=lambda one: one.provider_id
            )
        ]

    def _paid(self) -> dict[str, int]:
        account = self.arena.chain.account(self.wallet.address)
        balances = self.arena.chain.balances(self.wallet.address)
        return {
            "funds": account.funds,
            "rate": account.lockup_rate,
            "usdfc": balances.usdfc,
            "fil": balances.fil,
        }

    def _files(self) -> list[str]:
        home = self.fpin.home
        found = (path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
        found = (name.replace(self.wallet.address.lower(), "wallet") for name in found)
        return sorted(name for name in found if not name.endswith(("-wal", "-shm", "points")))


def _timeless(pin: Pin) -> Any:
    """A pin without what differs between any two adds: row ids, numbers that the chain or chance gave, times.

    `uploaded` is left out too: it tells whether the run that finished a copy had to send its bytes. Which
    providers were chosen may depend on the content; how many, and what they hold, may not.
    """
    pieces = []
    for piece in pin.pieces:
        copies = sorted(piece.copies, key=lambda copy: copy.provider_id)
        states = [(copy.state.value, copy.reason, copy.piece_id) for copy in copies]
        pieces.append((piece.position, piece.size, len(piece.sample), states))
    adds = Counter(provider for provider, _ in {(copy.provider_id, copy.submission) for copy in pin.copies})
    return {
        "profile": pin.profile,
        "size": pin.size,
        "files": pin.files,
        "car_size": pin.car_size,
        "copies_wanted": pin.copies_wanted,
        "state": pin.state,
        "metadata": [key for key, _ in pin.metadata],
        "pieces": pieces,
        "adds": sorted(adds.values()),
    }


class Arena:
    """One devnet for all cases."""

    def __init__(self, world: World, chain: Chain, folder: Path, wallets: Sequence[DevAccount]) -> None:
        self.world = world
        self.chain = chain
        self._folder = folder
        self._wallets = iter(wallets)
        self._nurseries: queue.SimpleQueue[Nursery] = queue.SimpleQueue()

    @classmethod
    @contextmanager
    def open(cls, folder: Path, wallets: int) -> Iterator[Arena]:
        accounts = [DevAccount(f"KILLS_{number}") for number in range(wallets)]

        def with_wallets(genesis: Genesis) -> Genesis:
            ready = tuple(GenesisUser.ready(account.address) for account in accounts)
            return dataclasses.replace(genesis, users=genesis.users + ready)

        with World.start(folder / "devnet", mode="up", epoch_ms=0, tune=with_wallets) as world:
            network = load_network("devnet", devnet_info=world.info_path)
            with Http() as http:
                arena = cls(world, Chain(network, JsonRpc(network.rpc_url, http)), folder, accounts)
                yield arena
                while not arena._nurseries.empty():
                    arena._nurseries.get().close()

    @contextmanager
    def nursery(self) -> Iterator[Nursery]:
        """Give one that nobody uses at this moment."""
        try:
            free = self._nurseries.get_nowait()
        except queue.Empty:
            free = Nursery()
        try:
            yield free
        finally:
            self._nurseries.put(free)

    def tenant(self, seed: int) -> Tenant:
        wallet = next(self._wallets)
        place = self._folder / wallet.name
        place.mkdir()
        env = {"DEVNET_INFO_PATH": str(self.world.info_path), "FPIN_PRIVATE_KEY": "0x" + wallet.key.hex()}
        fpin = Fpin(place / "home", env)
        return Tenant(self, fpin, wallet, self.content(place / "photos", f"{seed} of {wallet.name}"), seed)

    @staticmethod
    def content(folder: Path, seed: str) -> Path:
        folder.mkdir()
        random = Random(seed)
        for number in range(PIECES):
            (folder / f"{number}.bin").write_bytes(random.randbytes(FILE))
        return folder
