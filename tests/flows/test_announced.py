"""Money is spent only as announced, whatever happens between the quote and the transaction."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from fpin.chain.abi import function
from fpin.chain.multicall import Call
from fpin.chain.records import MAX_UINT256
from fpin.chain.signer import Signer
from fpin.chain.typed_data import permit, split_signature
from fpin.chain.wallet import Wallet
from fpin.devnet.accounts import USERS
from fpin.units import ONE_TOKEN
from tests.cli.conftest import Tenant
from tests.cli.test_faults import piece_of
from tests.cli.test_sessions import Ci
from tests.conftest import Outcome
from tests.faults.scene import Scene, _process, before_the_add, when_uploaded

MONTH = 86400  # epochs
STEP = Decimal(1).scaleb(-18)


@pytest.fixture
def scene(tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    note = tmp_path / "note.txt"
    note.write_text(f"what {tenant.wallet} wants to keep at the price that was told\n" * 1000)
    return Scene(tenant, note, monkeypatch)


def add(scene: Scene, *args: str, **env: str) -> Outcome:
    return scene.tenant.here("add", scene.note, "--copies", "1", "--json", *args, env=env)


def stored(scene: Scene) -> int:
    return len(scene.tenant.on_chain(piece_of(scene.tenant, scene.note)))


def error(outcome: Outcome) -> tuple[int, str]:
    return outcome.code, outcome.json["error"]["kind"]


def test_a_price_that_rises_during_the_upload_is_told_before_it_is_paid(scene: Scene) -> None:
    service, tenant = scene.tenant.world.chain.deployed.fwss, scene.tenant
    prices = service.prices
    dearer = dataclasses.replace(prices, storage_per_tib_per_month=100 * prices.storage_per_tib_per_month)
    funds = tenant.funds()
    with scene.patch.context() as patch:
        when_uploaded(lambda _: patch.setattr(service, "prices", dearer))(scene)
        assert error(add(scene)) == (5, "QuoteExpired")
        assert (stored(scene), tenant.funds()) == (0, funds)
        told = tenant.here("cost", scene.note, "--copies", "1", "--json").json["cost"]["per_month"]
        less = Decimal(told) - STEP
        assert error(add(scene, "--max-cost", f"{less:f}")) == (4, "Unaffordable")
        again = add(scene, "--max-cost", told)
        assert (again.code, again.json["cost"]["per_month"]) == (0, told), again.stderr
        assert stored(scene) == 1


def test_as_much_as_max_cost_may_be_spent_and_not_the_smallest_unit_more(scene: Scene) -> None:
    told = scene.tenant.here("cost", scene.note, "--copies", "1", "--json").json["cost"]["per_month"]
    refused = add(scene, "--max-cost", f"{Decimal(told) - STEP:f}")
    assert error(refused) == (4, "Unaffordable")
    assert scene.tenant.pins() == []
    assert add(scene, "--max-cost", told).code == 0


@pytest.mark.parametrize("moment", [when_uploaded, before_the_add], ids=["uploaded", "sent"])
def test_a_data_set_that_ends_between_quote_and_add_takes_no_money(
    scene: Scene, moment: Callable[..., Callable[[Scene], None]]
) -> None:
    first = scene.note.with_name("first.txt")
    first.write_text(f"for a data set of {scene.tenant.wallet}")
    assert scene.tenant.here("add", first, "--copies", "1").code == 0
    [data_set] = scene.tenant.chain.client_data_sets(scene.tenant.wallet)
    moment(lambda _: scene.wallet.terminate(data_set.data_set_id))(scene)
    refused = add(scene)
    assert refused.code != 0
    assert "terminated" in refused.stderr
    assert stored(scene) == 0
    again = add(scene)
    assert again.code == 0, again.stderr
    [copy] = [one for one in again.json["pieces"][0]["copies"] if one["state"] == "advertised"]
    assert copy["data_set_id"] != data_set.data_set_id
    assert stored(scene) == 1


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ((True, 1, MAX_UINT256, MONTH), "rate allowance is used up"),
        ((True, MAX_UINT256, ONE_TOKEN // 100, MONTH), "lockup allowance is used up"),
        ((True, MAX_UINT256, MAX_UINT256, MONTH - 1), "may not lock funds for as long as it needs"),
        ((False, 0, 0, 0), "may not use your payment account"),
    ],
    ids=["rate", "lockup", "period", "revoked"],
)
def test_an_approval_that_is_too_small_is_told_before_anything_is_read_or_sent(
    scene: Scene, limits: tuple[bool, int, int, int], words: str
) -> None:
    scene.wallet._set_approval(*limits)
    refused = add(scene)
    assert error(refused) == (4, "Unaffordable")
    assert words in refused.json["error"]["message"]
    assert "payments setup" in refused.json["error"]["hint"]
    assert scene.tenant.pins() == []
    assert scene.tenant.here("payments", "setup").code == 0
    assert add(scene).code == 0


def test_a_session_key_that_ends_between_the_check_and_the_add_is_told(scene: Scene, tmp_path: Path) -> None:
    ci = Ci(scene.tenant, tmp_path / "session.key")
    scopes = ["CreateDataSet", "AddPieces", "SchedulePieceRemovals"]
    when_uploaded(lambda _: scene.wallet.revoke_session(ci.address, scopes))(scene)
    refused = add(scene, **ci.env)
    assert refused.code == 4, refused.stderr
    assert stored(scene) == 0
    scene.tenant.here("session", "create", "--address", ci.address)
    again = add(scene, **ci.env)
    assert again.code == 0, again.stderr
    assert stored(scene) == 1


def test_a_permit_that_somebody_else_uses_first_moves_no_money_and_the_next_run_deposits_once(
    scene: Scene,
) -> None:
    tenant, usdfc = scene.tenant, scene.tenant.chain.network.contracts.usdfc
    stranger = Wallet(tenant.chain, Signer.from_key(USERS[1].key))
    signer = Signer.from_key(tenant.fpin.wallet.key)
    deadline = tenant.chain.head().timestamp + 3600

    def use_it(_: Scene) -> None:
        """Whoever sees the permit on its way may send it to the token: its number is then used."""
        domain, nonce = tenant.chain.permit_terms(signer.address)
        spender = tenant.chain.network.contracts.pay
        message = permit(
            owner=signer.address, spender=spender, value=ONE_TOKEN, nonce=nonce, deadline=deadline
        )
        signature = split_signature(signer.sign_digest(message.digest(domain)))
        known = function("USDFC", "permit")
        call = Call(usdfc, known, (signer.address, spender, ONE_TOKEN, deadline, *signature))
        raw, tx = stranger.signer.sign_transaction(
            stranger._prepare(usdfc, call.function.encode(*call.args), "using a permit")
        )
        tenant.chain.node.send_raw(raw)
        assert tenant.chain.node.wait_for_receipt(tx).succeeded

    tenant.world.chain.faults.before = lambda: use_it(scene)
    funds = tenant.funds()
    refused = tenant.here("payments", "deposit", "1", "--json")
    assert refused.code in (1, 5), refused.stderr
    assert tenant.funds() == funds
    again = tenant.here("payments", "deposit", "1")
    assert again.code == 0, again.stderr
    assert tenant.funds() == funds + ONE_TOKEN


def test_nothing_is_signed_for_a_node_of_another_chain(scene: Scene) -> None:
    url = scene.tenant.chain.network.rpc_url
    for args in (("add", scene.note), ("payments", "deposit", "1")):
        refused = scene.tenant.here(*args, "--json", "--network", "calibration", "--rpc-url", url)
        assert refused.code != 0
        assert "31415926" in refused.json["error"]["message"]
    assert scene.tenant.here("ls", "--network", "calibration", "--json").json["pins"] == []


_WITH_ANOTHER_CLOCK = """
import sys, time
real, ahead = time.time, float(sys.argv.pop(1))
time.time = lambda: real() + ahead
from fpin.cli import main
main()
"""


@pytest.mark.parametrize("ahead", ["400000000", "-400000000"], ids=["years ahead", "years behind"])
def test_a_clock_that_is_wrong_costs_nothing(scene: Scene, ahead: str) -> None:
    def run(*args: str | Path) -> Outcome:
        return _process(scene, [sys.executable, "-c", _WITH_ANOTHER_CLOCK, ahead, *map(str, args)])

    funds = scene.tenant.funds()
    deposited = run("payments", "deposit", "1")
    assert deposited.code == 0, deposited.stderr
    assert scene.tenant.funds() == funds + ONE_TOKEN
    assert run("add", scene.note, "--copies", "1").code == 0
    funds = scene.tenant.funds()
    # With the right clock again, what was done under the wrong one is neither done again nor given up.
    for command in (("add", scene.note, "--copies", "1"), ("repair",)):
        outcome = scene.tenant.here(*command)
        assert outcome.code == 0, outcome.stderr
    assert (stored(scene), scene.tenant.funds()) == (1, funds)
