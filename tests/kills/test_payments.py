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
from fpin.units import ONE_TOKEN, parse_token
from tests.conftest import Fpin
from tests.kills import victim
from tests.kills.victim import Order

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

WALLETS = tuple(DevAccount(f"PAYMENTS_{number}") for number in range(40))
SENT = "POST /rpc/v1 eth_sendRawTransaction"
# Each is a moment, and which time it comes. The second mark is made when the user has been told.
MOMENTS = [
    ("record_payment before its commit", 1),
    ("record_payment after its commit", 1),
    (f"{SENT} answered", 1),
    ("mark_payment after its commit", 1),
    ("mark_payment before its commit", 2),
]
TOLD = ("mark_payment after its commit", 2)


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

    def die(self, args: Sequence[str], moment: tuple[str, int]) -> str:
        """Run until *moment*; return what was printed by then."""
        self.fpin.home.mkdir(exist_ok=True)
        log = self.fpin.home / "points"
        order = Order(point=moment[0], time=moment[1])
        command = [sys.executable, victim.__file__, str(order), str(log), "1000000", *args]
        done = subprocess.run(command, env=self.fpin.env, capture_output=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert log.read_text().splitlines()[-1] == moment[0]
        return done.stdout.decode()


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


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_deposit_that_was_killed_is_made_once(till: Till, moment: tuple[str, int]) -> None:
    (wallet, funds), args = till.balances(), ["payments", "deposit", "5"]
    till.die(args, moment)
    again = till.fpin(*args)
    assert again.code == 0, again.stderr
    assert till.balances() == (wallet - 5 * ONE_TOKEN, funds + 5 * ONE_TOKEN)
    assert till.sent() == 1


def test_a_deposit_that_was_killed_after_it_was_told_is_asked_for_anew(till: Till) -> None:
    args = ["payments", "withdraw", "5"]
    assert "transaction 0x" in till.die(args, TOLD)
    assert till.fpin(*args).code == 0
    assert till.balances()[1] == 90 * ONE_TOKEN
    assert till.sent() == 2


@pytest.mark.parametrize("moment", MOMENTS[1:3], ids=str)
def test_an_add_that_was_killed_while_it_funded_itself_deposits_once(
    till: Till, moment: tuple[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "content"
    path.write_text(f"{till.wallet}\n" * 20)
    # What it costs is free, and so more has to be deposited for it to last.
    args = ["add", str(path), "--auto-fund", "--wait-for", "confirmed", "--min-runway-days", "20000"]
    (wallet, funds), sent = till.balances(), till.sent()
    till.die(args, moment)
    again = till.fpin(*args)
    assert again.code == 0, again.stderr
    (left, now), sent_now = till.balances(), till.sent()
    assert wallet - left == now - funds + parse_token("0.0516") > 0
    assert sent_now == sent + 1
