"""What a quote says is locked, spent and paid is what the chain then shows, to the last unit.

Each world has a price list of its own; time passes only with transactions, so every epoch is accounted for.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fpin.backends.base import Wish
from fpin.chain.abi import decode_event
from fpin.chain.account import Standing, standing
from fpin.chain.contracts import Chain
from fpin.chain.networks import load_network
from fpin.chain.records import PayerState
from fpin.chain.rpc import JsonRpc
from fpin.devnet.accounts import DevAccount
from fpin.devnet.chain import Genesis, GenesisUser
from fpin.devnet.chain.prices import PRICES_1_3, PRICES_1_4
from fpin.devnet.world import World
from fpin.errors import Unaffordable
from fpin.flows.add import AddRequest, AddResult, add, price
from fpin.flows.packing import Content
from fpin.flows.remove import remove
from fpin.flows.services import Services, connect
from fpin.http import Http
from fpin.keys import Secret
from fpin.piece import MAX_PIECE_SIZE
from fpin.settings import folders
from fpin.units import EPOCHS_PER_DAY, ONE_TOKEN, parse_token

READY = tuple(DevAccount(f"READY_{number}") for number in range(8))
FUNDED = tuple(DevAccount(f"FUNDED_{number}") for number in range(4))


@dataclass(frozen=True)
class Priced:
    """A world with a price list, and wallets in it that no test has used."""

    world: World
    chain: Chain
    ready: Iterator[DevAccount]
    funded: Iterator[DevAccount]


@dataclass(frozen=True)
class Payer:
    """One wallet, and the chain as a witness of what it has."""

    chain: Chain
    services: Services
    address: str

    def state(self) -> tuple[PayerState, Standing]:
        state = self.chain.payer_state(self.address)
        return state, standing(state.account, state.epoch)

    def add(self, path: Path, copies: int, *, piece_limit: int = MAX_PIECE_SIZE, **rest: Any) -> AddResult:
        request = AddRequest(
            content=Content(paths=(path,), piece_limit=piece_limit),
            wish=Wish(copies=copies),
            wait_for="confirmed",
            **rest,
        )
        added = add(self.services, request)
        assert added.complete
        return added


# In the last one every add takes so much of the reserve that it has to be filled up again.
DEAR = dataclasses.replace(PRICES_1_4, add_pieces_base_fee=ONE_TOKEN // 3)


@pytest.fixture(scope="module", params=[PRICES_1_3, PRICES_1_4, DEAR], ids=["1.3", "1.4", "dear"])
def priced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Priced]:
    def tuned(genesis: Genesis) -> Genesis:
        users = [GenesisUser.ready(wallet.address) for wallet in READY]
        users += [GenesisUser.funded(wallet.address) for wallet in FUNDED]
        return dataclasses.replace(genesis, prices=request.param, users=genesis.users + tuple(users))

    folder = tmp_path_factory.mktemp("priced")
    with World.start(folder, epoch_ms=0, tune=tuned) as world, Http() as http:
        network = load_network("devnet", devnet_info=world.info_path)
        chain = Chain(network, JsonRpc(network.rpc_url, http))
        yield Priced(world=world, chain=chain, ready=iter(READY), funded=iter(FUNDED))


@contextmanager
def paying(priced: Priced, wallet: DevAccount, home: Path) -> Iterator[Payer]:
    with connect(
        network="devnet",
        rpc_url=None,
        folders=folders({"FPIN_HOME": str(home)}),
        key=Secret(wallet.key.hex(), "the test"),
        devnet_info=priced.world.info_path,
    ) as services:
        yield Payer(chain=priced.chain, services=services, address=wallet.address)


@pytest.fixture
def payer(priced: Priced, tmp_path: Path) -> Iterator[Payer]:
    with paying(priced, next(priced.ready), tmp_path / "home") as ready:
        yield ready


def check(payer: Payer, before: tuple[PayerState, Standing], added: AddResult) -> None:
    """Compare the account with what it was, and with what the quote of *added* says has happened since."""
    cost = added.cost
    (then, free_then), (now, free_now) = before, payer.state()
    paid = parse_token(cost.fees) + parse_token(cost.earlier_fees)
    assert then.account.funds - now.account.funds == paid
    assert now.account.lockup_rate - then.account.lockup_rate == parse_token(cost.per_epoch)
    assert now.balances == then.balances
    # The rate before goes on; what is new is spent from the epoch of its transaction on.
    changes = list(rate_changes(payer, added))
    assert sum(change for change, _ in changes) == parse_token(cost.per_epoch)
    streamed = then.account.lockup_rate * (now.epoch - then.epoch)
    streamed += sum(change * (now.epoch - epoch) for change, epoch in changes)
    assert free_then.available - free_now.available == parse_token(cost.locked) + streamed


def rate_changes(payer: Payer, added: AddResult) -> Iterator[tuple[int, int]]:
    """Yield what the transactions of an add did to rates, by the contract's own events, and when."""
    for tx in {copy.tx for piece in added.pieces for copy in piece.copies if copy.tx}:
        receipt = payer.chain.node.receipt(tx)
        assert receipt is not None
        for log in receipt.logs:
            event = decode_event(log.topics, log.data)
            if event is not None and event.name == "RailRateModified":
                yield event.values["newRate"] - event.values["oldRate"], receipt.epoch


def content(folder: Path, name: str, size: int = 3000) -> Path:
    path = folder / name
    path.write_bytes(random.Random(f"{folder} {name}").randbytes(size))
    return path


@pytest.mark.parametrize("copies", [1, 2])
def test_new_data_sets_lock_and_pay_what_was_quoted_and_so_does_growing_them(
    payer: Payer, tmp_path: Path, copies: int
) -> None:
    before = payer.state()
    first = payer.add(content(tmp_path, "first"), copies)
    assert len(payer.chain.client_data_sets(payer.address)) == copies
    check(payer, before, first)
    before = payer.state()
    second = payer.add(content(tmp_path, "second", 300_000), copies)
    assert len(payer.chain.client_data_sets(payer.address)) == copies
    assert second.cost.flat_per_month == "0"
    check(payer, before, second)


@pytest.mark.parametrize("copies", [1, 2])
def test_several_pieces_lock_and_pay_what_was_quoted(payer: Payer, tmp_path: Path, copies: int) -> None:
    before = payer.state()
    added = payer.add(content(tmp_path, "many", 5 << 20), copies, piece_limit=(1 << 20) + 4096)
    assert len(added.pieces) > 4
    check(payer, before, added)


def test_fees_of_a_removal_that_become_due_with_an_add_are_quoted_too(payer: Payer, tmp_path: Path) -> None:
    payer.add(content(tmp_path, "leaving"), 1)
    remove(payer.services, "leaving")
    before = payer.state()
    added = payer.add(content(tmp_path, "coming"), 1)
    assert added.cost.earlier_fees == "0.002"
    check(payer, before, added)


@pytest.mark.parametrize("copies", [1, 2])
def test_auto_fund_deposits_what_is_missing_once_and_no_more(
    priced: Priced, tmp_path: Path, copies: int
) -> None:
    with paying(priced, next(priced.funded), tmp_path / "home") as payer:
        (before, _), path = payer.state(), content(tmp_path, "unfunded")
        quoted = price(payer.services, Content(paths=(path,)), Wish(copies=copies))
        added = payer.add(path, copies, auto_fund=True)
        after, free = payer.state()
        deposited = before.balances.usdfc - after.balances.usdfc
        assert deposited == parse_token(quoted.missing)
        assert after.account.funds == deposited - parse_token(added.cost.fees)
        assert free.debt == 0
        assert after.approval.is_maximal(after.prices.lockup_period)
        payer.add(path, copies, auto_fund=True)
        assert payer.state()[0].balances.usdfc == after.balances.usdfc


def test_a_runway_that_was_asked_for_is_there_afterwards(priced: Priced, tmp_path: Path) -> None:
    with paying(priced, next(priced.funded), tmp_path / "home") as payer:
        path, wish = content(tmp_path, "lasting"), Wish(copies=1, runway=90 * EPOCHS_PER_DAY)
        asked = AddRequest(content=Content(paths=(path,)), wish=wish, wait_for="confirmed")
        with pytest.raises(Unaffordable, match=r"would last 0 s afterwards, not the 90 d asked for"):
            add(payer.services, asked)
        assert add(payer.services, dataclasses.replace(asked, auto_fund=True)).complete
        state, free = payer.state()
        assert free.runway is not None
        least = state.account.lockup_rate * EPOCHS_PER_DAY * 90
        # On top of the runway: the fees that the reference client counts twice, and a little for the time
        # in which the transactions are executed.
        assert least <= free.available <= least + parse_token("0.5")
        # Nothing is to be stored any more; the account is to last all the same.
        longer = dataclasses.replace(asked, auto_fund=True, wish=dataclasses.replace(wish, runway=10**6))
        assert add(payer.services, longer).complete
        assert (payer.state()[1].runway or 0) >= 10**6
