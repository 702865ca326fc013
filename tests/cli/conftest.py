"""A devnet that tests of this room share; each has a wallet and a home of its own, and ends its faults."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fpin.chain.contracts import Chain
from fpin.chain.networks import load_network
from fpin.chain.rpc import JsonRpc
from fpin.cli import run
from fpin.devnet.accounts import DevAccount
from fpin.devnet.chain import Genesis, GenesisUser
from fpin.devnet.chain.faults import ChainFaults
from fpin.devnet.ipni.indexer import IndexerFaults
from fpin.devnet.provider.faults import Faults
from fpin.devnet.world import World
from fpin.http import Http
from fpin.piece import PieceCid
from tests.conftest import Fpin, Outcome

# As many as there are tests that take one, should a single worker run them all.
WALLETS = tuple(DevAccount(f"TEST_{number}") for number in range(480))
# Has tokens, and has neither deposited nor approved anything; of one test alone.
NEWCOMER = DevAccount("NEWCOMER")


class Careful(Fpin):
    """fpin as a subprocess that pays from *wallet*; no output of it may ever hold that wallet's key."""

    def __init__(self, home: Path, wallet: DevAccount, env: Mapping[str, str]) -> None:
        self.wallet = wallet
        super().__init__(home, {**env, "FPIN_PRIVATE_KEY": "0x" + wallet.key.hex()})

    def __call__(
        self, *args: str | Path, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Outcome:
        outcome = super().__call__(*args, env=env, stdin=stdin)
        assert self.wallet.key.hex() not in (outcome.stdout + outcome.stderr).lower()
        assert "Traceback" not in outcome.stderr, outcome.stderr
        return outcome


class Here:
    """fpin in this process, for what a test has to reach into and for many short commands."""

    def __init__(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in [name for name in os.environ if name.startswith("FPIN_")]:
            monkeypatch.delenv(name)
        monkeypatch.delenv("PRIVATE_KEY", raising=False)
        monkeypatch.setenv("FPIN_HOME", str(home))
        monkeypatch.setenv("FPIN_NETWORK", "devnet")

    def __call__(self, *args: str | Path, env: Mapping[str, str] | None = None) -> Outcome:
        with self._monkeypatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            self._capsys.readouterr()
            code = run([str(arg) for arg in args])
            captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return Outcome(code, captured.out, captured.err)


@dataclass(frozen=True)
class Tenant:
    """One test's part of the shared devnet: a wallet that is ready to store, and nobody else's traces."""

    world: World
    fpin: Careful  # as a subprocess
    inside: Here
    chain: Chain  # the chain as a witness, asked without the flows under test

    @property
    def wallet(self) -> str:
        return self.fpin.wallet.address

    @property
    def env(self) -> dict[str, str]:
        """What the environment of a command in this process needs."""
        return {name: self.fpin.env[name] for name in ("DEVNET_INFO_PATH", "FPIN_PRIVATE_KEY")}

    def here(self, *args: str | Path, env: Mapping[str, str] | None = None) -> Outcome:
        """Run a command in this process, with this tenant's wallet and home."""
        outcome = self.inside(*args, env={**self.env, **(env or {})})
        assert self.fpin.wallet.key.hex() not in (outcome.stdout + outcome.stderr).lower()
        return outcome

    def mend(self) -> None:
        """End every fault of the devnet."""
        for provider in self.world.providers:
            _mend(provider.faults, Faults())
        _mend(self.world.indexer.faults, IndexerFaults())
        _mend(self.world.chain.faults, ChainFaults())

    def pins(self) -> list[Any]:
        pins: list[Any] = self.here("ls", "--json").json["pins"]
        return pins

    def funds(self) -> int:
        """What the wallet has deposited; nothing it did was paid for while this stays the same."""
        return self.chain.account(self.wallet).funds

    def on_chain(self, piece_cid: str) -> list[tuple[int, int, int]]:
        """Every live copy of a piece that this wallet pays for: provider, data set and piece id."""
        cid = PieceCid.parse(piece_cid).to_bytes()
        return [
            (data_set.provider_id, data_set.data_set_id, piece_id)
            for data_set in self.chain.client_data_sets(self.wallet)
            for piece_id in self.chain.find_piece_ids(data_set.data_set_id, cid)
        ]


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    def with_wallets(genesis: Genesis) -> Genesis:
        ready = tuple(GenesisUser.ready(wallet.address) for wallet in WALLETS)
        return dataclasses.replace(
            genesis, users=(*genesis.users, *ready, GenesisUser.funded(NEWCOMER.address))
        )

    folder = tmp_path_factory.mktemp("shared") / "devnet"
    with World.start(folder, mode="up", tune=with_wallets) as world:
        yield world


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(home, monkeypatch, capsys)


@pytest.fixture(scope="session")
def wallets() -> Iterator[DevAccount]:
    return itertools.chain(WALLETS)


@pytest.fixture(scope="session")
def witness(shared_world: World) -> Iterator[Chain]:
    network = load_network("devnet", devnet_info=shared_world.info_path)
    with Http() as http:
        yield Chain(network, JsonRpc(network.rpc_url, http))


@pytest.fixture
def tenant(
    shared_world: World, wallets: Iterator[DevAccount], home: Path, here: Here, witness: Chain
) -> Iterator[Tenant]:
    env = {"DEVNET_INFO_PATH": str(shared_world.info_path)}
    fpin = Careful(home, next(wallets), env)
    tenant = Tenant(world=shared_world, fpin=fpin, inside=here, chain=witness)
    yield tenant
    tenant.mend()


def _mend(broken: object, whole: Faults | IndexerFaults | ChainFaults) -> None:
    for field in dataclasses.fields(whole):
        if not field.name.startswith("_"):
            setattr(broken, field.name, getattr(whole, field.name))
