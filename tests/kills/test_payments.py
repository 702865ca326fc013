"""A deposit, a withdrawal and an add that funds itself, killed and run again: money moves once."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fpin.chain.contracts import Chain
from fpin.chain.networks import load_network
from fpin.chain.rpc import JsonRpc
from fpin.devnet.accounts import DevAccount
from fpin.devnet.chain import Genesis, GenesisUser
from fpin.devnet.world import World
from fpin.http import Http
from fpin.units import ONE_TOKEN
from tests.conftest import Fpin
from tests.kills import victim
from tests.kills.victim import Order

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

WALLETS = tuple(DevAccount(f"PAYMENTS_{number}") for number in range(40))
SENT = "POST /rpc/v1 eth_sendRawTransaction"
MOMENTS = [
    "record_payment before its commit",
    "record_payment after its commit",
    f"{SENT} about to be asked",
    f"{SENT} answered",
    "mark_payment before its commit",
    "mark_payment after its commit",
]


@dataclass
class Till:
    """A wallet with 1000 USDFC of which 100 are deposited, and fpin as it may be killed."""

    chain: Chain
    wallet: str
    fpin: Fpin

    def balances(self) -> tuple[int, int]:
        """(in the wallet, deposited)"""
        state = self.chain.payer_state(self.wallet)
        return state.balances.usdfc, state.account.funds

    def sent(self) -> int:
        return self.chain.node.executed_nonces(self.wallet)

    def die(self, args: Sequence[str], moment: str) -> None:
        self.fpin.home.mkdir(exist_ok=True)
        log = self.fpin.home / "points"
        command = [sys.executable, victim.__file__, str(Order(point=moment, time=1)), str(log), "1000000", *args]
        done = subprocess.run(command, env=self.fpin.env, capture_output=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert log.read_text().splitlines()[-1] == moment


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    def with_wallets(genesis: Genesis) -> Genesis:
        users = tuple(GenesisUser.ready(wallet.address) for wallet in WALLETS)
        return dataclasses.replace(genesis, users=genesis.users + users)

    with World.start(tmp_path_factory.mktemp("till"), mode="up", tune=with_wallets) as running:
        yield running


@pytest.fixture(scope="module")
def wallets() -> Iterator[DevAccount]:
    return iter(WALLETS)


@pytest.fixture
def till(world: World, wallets: Iterator[DevAccount], home: Path) -> Iterator[Till]:
    wallet = next(wallets)
    env = {"DEVNET_INFO_PATH": str(world.info_path), "FPIN_PRIVATE_KEY": "0x" + wallet.key.hex()}
    network = load_network("devnet", devnet_info=world.info_path)
    with Http() as http:
        chain = Chain(network, JsonRpc(network.rpc_url, http))
        yield Till(chain, wallet.address, Fpin(home, env))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deposit_that_was_killed_is_made_once(till: Till, moment: str) -> None:
    (wallet, funds), args = till.balances(), ["payments", "deposit", "5"]
    till.die(args, moment)
    again = till.fpin(*args)
    assert again.code == 0, again.stderr
    # After the last moment the store says that it is done, and the user has not been told: only there is the
    # same command meant to pay once more.
    times = 2 if moment == "mark_payment after its commit" else 1
    assert till.balances() == (wallet - times * 5 * ONE_TOKEN, funds + times * 5 * ONE_TOKEN)
    assert till.sent() == times


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_add_that_was_killed_while_it_funded_itself_deposits_once(
    till: Till, moment: str, tmp_path: Path
) -> None:
    assert till.fpin("payments", "withdraw", "100").code == 0
    path = tmp_path / "content"
    path.write_text(f"{till.wallet}\n" * 20)
    cost = till.fpin("cost", path, "--json").json
    args = ["add", str(path), "--auto-fund", "--wait-for", "confirmed"]
    (wallet, _), sent = till.balances(), till.sent()
    till.die(args, moment)
    again = till.fpin(*args)
    assert again.code == 0, again.stderr
    deposited = wallet - till.balances()[0]
    assert deposited == round(float(cost["missing"]) * 10**18) or str(deposited) == _units(cost["missing"])
    assert till.sent() == sent + 1


def _units(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return (whole + fraction.ljust(18, "0")).lstrip("0")
