"""`fpin payments` and `add --auto-fund`: what moves, what does not, and what is asked before."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from fpin.chain.account import standing
from fpin.chain.contracts import Chain
from fpin.devnet.accounts import USERS
from fpin.units import EPOCHS_PER_DAY, ONE_TOKEN, parse_token
from tests.cli.conftest import NEWCOMER, Tenant
from tests.conftest import Fpin, Outcome


@pytest.fixture
def note(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"{request.node.name}\n" * 40)
    return path


def balances(chain: Chain, wallet: str) -> tuple[int, int]:
    """(in the wallet, deposited)"""
    state = chain.payer_state(wallet)
    return state.balances.usdfc, state.account.funds


def told(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.stdout + outcome.stderr
    for word in words:
        assert word in outcome.stderr, outcome.stderr


# the price list


def test_a_devnet_charges_by_the_price_list_that_was_chosen_for_it(fpin: Fpin, note: Path) -> None:
    assert fpin("devnet", "up", "--prices", "0.9").code == 2
    fpin.home.mkdir(exist_ok=True)
    with subprocess.Popen(
        fpin.command(["devnet", "up", "--prices", "1.3", "--json"]), env=fpin.env, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        prices = fpin("payments", "status", "--json").json["statement"]["prices"]
        cost = fpin("cost", note, "--copies", "1", "--json").json["cost"]
        running.terminate()
    assert (prices["data_set_per_month"], prices["reserve"]) == ("0.024", "0.1")
    assert cost["flat_per_month"] == "0.024"


# setup, deposit


def test_setup_deposits_and_approves_in_one_transaction_and_only_once(tenant: Tenant) -> None:
    env, node = {"FPIN_PRIVATE_KEY": NEWCOMER.key.hex()}, tenant.chain.node
    before = node.executed_nonces(NEWCOMER.address)
    done = tenant.here("payments", "setup", "--deposit", "2.5", "--json", env=env)
    assert done.code == 0, done.stderr
    assert done.json["amount"] == "2.5"
    assert done.json["account"]["approved"]
    state = tenant.chain.payer_state(NEWCOMER.address)
    assert state.account.funds == 5 * ONE_TOKEN // 2
    assert state.approval.is_maximal(state.prices.lockup_period)
    again = tenant.here("payments", "setup", env=env)
    assert "nothing was needed" in again.stdout
    assert tenant.here("payments", "setup", "--deposit", "1", "--json", env=env).json["amount"] == "1"
    assert tenant.chain.account(NEWCOMER.address).funds == 7 * ONE_TOKEN // 2
    assert node.executed_nonces(NEWCOMER.address) == before + 2


def test_the_amount_is_told_before_it_is_sent_and_so_is_the_gas_after(tenant: Tenant) -> None:
    done = tenant.here("payments", "deposit", "1.25")
    assert done.code == 0, done.stderr
    assert f"depositing 1.25 USDFC from {tenant.wallet}: transaction 0x" in done.stderr
    assert "FIL of gas" in done.stdout
    assert tenant.funds() == 101 * ONE_TOKEN + ONE_TOKEN // 4


# withdraw


def test_a_withdrawal_takes_what_is_free_and_refuses_the_rest_with_numbers(
    tenant: Tenant, note: Path
) -> None:
    assert tenant.here("add", note, "--wait-for", "confirmed").code == 0
    wallet, funds = balances(tenant.chain, tenant.wallet)
    refused = tenant.here("payments", "withdraw", "99.5", "--json")
    assert refused.code == 4
    error = refused.json["error"]
    assert parse_token(error["available"]) + parse_token(error["locked"]) == funds
    assert parse_token("1.1884") < parse_token(error["locked"]) < parse_token("1.19")
    assert "are locked for what is stored" in error["message"]
    assert balances(tenant.chain, tenant.wallet) == (wallet, funds)
    assert tenant.here("payments", "withdraw", "40").code == 0
    assert balances(tenant.chain, tenant.wallet) == (wallet + 40 * ONE_TOKEN, funds - 40 * ONE_TOKEN)


def test_withdrawing_everything_needs_a_yes_and_leaves_what_is_locked(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--copies", "1", "--wait-for", "confirmed").code == 0
    before = balances(tenant.chain, tenant.wallet)
    told(tenant.here("payments", "withdraw", "--all"), 2, "USDFC to the wallet", "--yes")
    told(tenant.here("payments", "withdraw", "--all", "--json"), 2, "--yes")
    assert balances(tenant.chain, tenant.wallet) == before
    done = tenant.here("payments", "withdraw", "--all", "--yes", "--json")
    assert done.code == 0, done.stderr
    state = tenant.chain.payer_state(tenant.wallet)
    left = standing(state.account, state.epoch)
    assert before[1] - state.account.funds == parse_token(done.json["amount"]) > 99 * ONE_TOKEN
    # What some minutes cost stays, for the time until the transaction is executed.
    assert 0 <= left.available <= 20 * left.lockup_rate
    assert left.debt == 0
    nothing = tenant.here("payments", "withdraw", "--all", "--yes")
    assert (nothing.code, "nothing is free" in nothing.stdout) == (0, True)


@pytest.mark.parametrize(
    "args",
    [
        ["withdraw"],
        ["withdraw", "1", "--all"],
        ["withdraw", "0"],
        ["withdraw", "much"],
        ["fund"],
        ["fund", "--days", "3", "--amount", "1"],
        ["fund", "--days", "0"],
        ["fund", "--amount", "0"],
        ["status", "--for", "nothing-of-that-name"],
        ["status", "--for", "0"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tenant: Tenant, args: list[str]) -> None:
    assert tenant.here("payments", *args).code == 2


# fund


def test_funding_for_days_says_how_much_and_needs_a_yes(tenant: Tenant, note: Path) -> None:
    idle = tenant.here("payments", "fund", "--days", "30")
    assert (idle.code, "nothing is spending" in idle.stdout) == (0, True)
    assert tenant.here("add", note, "--copies", "1", "--wait-for", "confirmed").code == 0
    enough = tenant.here("payments", "fund", "--days", "30")
    assert (enough.code, "nothing is needed" in enough.stdout) == (0, True)
    before, since = balances(tenant.chain, tenant.wallet), tenant.chain.head().epoch
    told(tenant.here("payments", "fund", "--days", "30000"), 2, "lasts 30000 days", "--yes")
    assert balances(tenant.chain, tenant.wallet) == before
    done = tenant.here("payments", "fund", "--days", "30000", "--yes", "--json")
    assert done.code == 0, done.stderr
    wallet, funds = balances(tenant.chain, tenant.wallet)
    assert before[0] - wallet == funds - before[1] == parse_token(done.json["amount"])
    state = tenant.chain.payer_state(tenant.wallet)
    now = standing(state.account, state.epoch)
    assert now.runway is not None
    # From when the amount was worked out, which was some time between.
    until = state.epoch + now.runway - 30_000 * EPOCHS_PER_DAY
    assert since <= until <= state.epoch + 5


def test_funding_more_than_the_wallet_holds_is_refused(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--copies", "1", "--wait-for", "confirmed").code == 0
    told(tenant.here("payments", "fund", "--days", "3000000"), 4, "holds 900 USDFC")
    told(tenant.here("payments", "fund", "--amount", "901"), 4, "holds 900 USDFC")


def test_funding_by_an_amount_deposits_that(tenant: Tenant) -> None:
    assert tenant.here("payments", "fund", "--amount", "3").code == 0
    assert tenant.funds() == 103 * ONE_TOKEN


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1), ("yep", 1)])
def test_at_a_terminal_only_a_yes_moves_money(tenant: Tenant, answer: str, code: int) -> None:
    import pty

    main, other = pty.openpty()
    try:
        process = subprocess.Popen(
            tenant.fpin.command(["payments", "withdraw", "--all"]),
            stdin=other,
            stderr=other,
            stdout=subprocess.DEVNULL,
            env=tenant.fpin.env,
        )
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(main, 1000)
        assert b"withdraw 100 USDFC to the wallet" in shown
        os.write(main, answer.encode() + b"\n")
        assert process.wait(60) == code
    finally:
        os.close(main)
        os.close(other)
    assert tenant.funds() == (0 if code == 0 else 100 * ONE_TOKEN)


# status


def test_the_status_adds_up_to_what_the_chain_says(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--wait-for", "confirmed").code == 0
    ended = tenant.chain.client_data_sets(tenant.wallet)[0]
    result = tenant.here("payments", "status", "--json").json
    account, statement = result["account"], result["statement"]
    assert parse_token(account["available"]) + parse_token(account["locked"]) == tenant.funds()
    rails = statement["rails"]
    held = sum(parse_token(rail["locked"]) for rail in rails)
    assert held + parse_token(statement["unsettled"]) == parse_token(account["locked"])
    assert sum(parse_token(rail["per_epoch"]) for rail in rails) == parse_token(account["per_epoch"])
    assert [(rail["kind"], rail["provider_id"], rail["ended"]) for rail in rails] == [
        ("storage", 1, None),
        ("storage", 2, None),
    ]
    assert rails[0]["data_set_id"] == ended.data_set_id
    assert rails[0]["rail_id"] == ended.pdp_rail_id
    assert statement["allowance"]["unlimited"]
    assert statement["prices"]["data_set_per_month"] == "0.12"
    for outlook in statement["outlook"]:
        spent = outlook["days"] * EPOCHS_PER_DAY * parse_token(account["per_epoch"])
        assert parse_token(outlook["spent"]) == spent
        assert parse_token(outlook["available"]) == parse_token(account["available"]) - spent
    assert account["runs_dry"] > time.time()


def test_an_outlook_with_something_more_is_what_that_costs(tenant: Tenant, note: Path) -> None:
    cost = tenant.here("cost", note, "--json").json["cost"]
    with_it = tenant.here("payments", "status", "--for", note, "--json").json["statement"]
    assert with_it["adding"] == cost
    year = with_it["outlook"][-1]
    assert parse_token(year["spent"]) == 365 * EPOCHS_PER_DAY * parse_token(cost["per_epoch"])
    large = tenant.here("payments", "status", "--for", "40TiB", "--copies", "1", "--json").json["statement"]
    assert parse_token(large["outlook"][0]["missing"]) > 100 * ONE_TOKEN
    shown = tenant.here("payments", "status", "--for", "40TiB", "--copies", "1")
    assert "are missing" in shown.stdout


def test_a_node_that_does_not_answer_shows_no_balance_at_all(tenant: Tenant) -> None:
    tenant.world.chain.faults.status_for["eth_call"] = (503, 10**6)
    try:
        failed = tenant.here("payments", "status", "--json")
    finally:
        tenant.world.chain.faults.status_for.clear()
    assert (failed.code, failed.json["schema"]) == (5, "fpin.error/1")


# add --auto-fund


@pytest.fixture
def broke(tenant: Tenant) -> Tenant:
    """The tenant with all of the 1000 USDFC in the wallet."""
    assert tenant.here("payments", "withdraw", "100").code == 0
    return tenant


def added(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.stderr
    return outcome.json


def test_auto_fund_says_first_what_it_deposits_and_deposits_that(broke: Tenant, note: Path) -> None:
    cost = broke.here("cost", note, "--json").json
    told(broke.here("add", note, "--wait-for", "confirmed"), 4, "0 USDFC free", "fpin payments deposit")
    planned = broke.here("add", note, "--auto-fund", "--dry-run")
    told(planned, 0, f"{cost['missing']} USDFC would be deposited")
    assert broke.funds() == 0
    outcome = broke.here("add", note, "--auto-fund", "--wait-for", "confirmed")
    told(outcome, 0, f"depositing {cost['missing']} USDFC from {broke.wallet}: transaction 0x")
    assert outcome.stderr.count("depositing") == 1
    assert outcome.stderr.index("depositing") < outcome.stderr.index("uploaded")
    assert broke.funds() == parse_token(cost["missing"]) - parse_token(cost["cost"]["fees"])


def test_auto_fund_stops_at_its_limits_before_anything_is_read_or_sent(broke: Tenant, note: Path) -> None:
    for option, value in (("--max-deposit", "1"), ("--max-balance", "1.2"), ("--max-cost", "0.1")):
        outcome = broke.here("add", note, "--auto-fund", option, value, "--json")
        assert outcome.code == 4, outcome.stderr
        assert f"{option} {value}" in outcome.json["error"]["message"]
        assert "hashing" not in outcome.stderr
    assert broke.funds() == 0
    assert broke.pins() == []


def test_a_limit_shortens_the_runway_and_says_so(broke: Tenant, note: Path) -> None:
    args = ["--copies", "1", "--wait-for", "confirmed", "--min-runway-days", "365"]
    outcome = broke.here("add", note, *args, "--auto-fund", "--max-balance", "1")
    told(outcome, 0, "depositing 1 USDFC", "would make the account last 365 d")
    # The next run finds it stored, and the balance where it may be.
    again = broke.here("add", note, *args, "--auto-fund", "--max-balance", "0.5")
    told(again, 0, "stored already", "would make the account last 365 d")
    assert "depositing" not in again.stderr
    told(broke.here("add", note, *args), 4, "not the 365 d asked for")


def test_auto_fund_needs_tokens_in_the_wallet(tenant: Tenant, note: Path) -> None:
    env = {"FPIN_PRIVATE_KEY": USERS[2].key.hex()}
    told(tenant.here("add", note, "--auto-fund", env=env), 4, "the wallet holds 0", "send USDFC")
