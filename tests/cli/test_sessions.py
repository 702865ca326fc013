"""Session keys: they add and remove for a wallet, move no money, and what they may not do is said first."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from fpin.chain.node import Node
from fpin.chain.signer import Signer
from fpin.chain.wallet import Wallet
from fpin.devnet.world import World
from fpin.errors import FpinError, NodeUnavailable
from tests.cli.conftest import WALLETS, Tenant
from tests.cli.test_bad_input import told
from tests.conftest import Fpin
from tests.keyrings import own_keyring

__all__ = ["own_keyring"]

STORING = ["create-data-set", "add", "remove"]


@pytest.fixture
def note(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"of {request.node.name}")
    return path


class Ci:
    """A machine that has a session key and the wallet's address, and nothing else."""

    def __init__(self, tenant: Tenant, file: Path, *args: str) -> None:
        made = tenant.here("session", "create", "--out", file, "--json", *args)
        assert made.code == 0, made.stderr
        self.made = made.json
        self.address: str = made.json["session"]["address"]
        self.env = {
            "FPIN_PRIVATE_KEY": "",
            "FPIN_SESSION_KEY_FILE": str(file),
            "FPIN_WALLET_ADDRESS": tenant.wallet,
        }


def scopes_of(report: dict[str, object]) -> list[str]:
    found = report["scopes"]
    assert isinstance(found, list)
    return [one["scope"] for one in found if one["live"]]


def test_a_session_key_stores_and_removes_without_the_key_of_the_wallet(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    file = tmp_path / "session.key"
    ci = Ci(tenant, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Signer.from_key(file.read_text()).address == ci.address
    assert scopes_of(ci.made["session"]) == STORING
    # In a process of its own, from nothing but the environment.
    added = tenant.fpin("add", note, "--json", env=ci.env)
    assert added.code == 0, added.stderr
    assert added.json["complete"] is True
    piece_cid = added.json["pieces"][0]["piece_cid"]
    assert len(tenant.on_chain(piece_cid)) == 2
    # The owner ends one of the data sets; the session key makes the copy that is lost at another.
    [lost, _] = [one["data_set_id"] for one in added.json["pieces"][0]["copies"]]
    assert tenant.here("data-set", "terminate", str(lost), "--yes").code == 0
    repaired = tenant.here("repair", note, "--json", env=ci.env)
    assert repaired.code == 0, repaired.stderr
    assert len({data_set_id for _, data_set_id, _ in tenant.on_chain(piece_cid)} - {lost}) == 2
    removed = tenant.fpin("rm", note, "--json", env=ci.env)
    assert removed.code == 0, removed.stderr
    assert {one["state"] for one in removed.json["pieces"]} <= {"scheduled", "removed", "unadvertised"}


def test_a_session_key_moves_no_money(tenant: Tenant, tmp_path: Path) -> None:
    ci = Ci(tenant, tmp_path / "session.key", "--scope", "all")
    before = tenant.funds()
    for command in (
        ("payments", "deposit", "1"),
        ("payments", "withdraw", "1"),
        ("payments", "withdraw", "--all", "--yes"),
        ("payments", "fund", "--days", "3000", "--yes"),
        ("payments", "setup"),
        ("session", "create", "--out", str(tmp_path / "another.key")),
        ("session", "revoke", ci.address),
    ):
        outcome = tenant.here(*command, "--json", env=ci.env)
        assert (outcome.code, outcome.json["error"]["kind"]) == (4, "NoKey"), command
        told(outcome, 4, "own key", tenant.wallet, "fpin key set")
    assert tenant.funds() == before


def test_the_contracts_let_a_session_key_move_no_money_either(tenant: Tenant, note: Path) -> None:
    # One that has FIL and an account of its own, so that nothing else stands in its way.
    other = WALLETS[-3]
    allowed = tenant.here("session", "create", "--address", other.address, "--scope", "all")
    assert allowed.code == 0, allowed.stderr
    added = tenant.here("add", note, "--copies", "1", "--json").json["pieces"][0]["copies"][0]
    session, before = Wallet(tenant.chain, Signer.from_key(other.key)), tenant.funds()
    with pytest.raises(FpinError) as caught:
        session.terminate(added["data_set_id"])
    assert caught.value.values["revert"] == "CallerNotPayerOrPayee"
    own = tenant.chain.account(other.address).funds
    session.withdraw(1)
    assert tenant.chain.account(other.address).funds == own - 1  # its own account, and no other
    assert tenant.funds() == before


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [("remove,create-data-set", "add"), ("add,remove", "create-data-set")],
)
def test_a_permission_that_is_missing_is_told_before_anything_is_sent(
    tenant: Tenant, note: Path, tmp_path: Path, scopes: str, missing: str
) -> None:
    ci = Ci(tenant, tmp_path / "session.key", "--scope", scopes)
    outcome = tenant.here("add", note, "--json", env=ci.env)
    error = outcome.json["error"]
    assert (outcome.code, error["kind"], error["missing"]) == (4, "PermissionMissing", {missing: 0})
    told(outcome, 4, f"{missing} is not allowed", ci.address, "fpin session create --address", missing)
    assert "uploaded" not in outcome.stderr
    assert tenant.chain.client_data_sets(tenant.wallet) == ()
    assert tenant.pins() == []  # it was told before the content was even read
    # The command that is named mends it, and loses nothing that was allowed.
    words = error["hint"].partition(": fpin ")[2].split()
    mended = tenant.here(*words, "--json")
    assert mended.code == 0, mended.stderr
    assert set(scopes_of(mended.json["session"])) == {*scopes.split(","), missing}
    assert tenant.here("add", note, "--json", env=ci.env).code == 0


def test_what_a_session_key_may_not_remove_stays(tenant: Tenant, note: Path, tmp_path: Path) -> None:
    ci = Ci(tenant, tmp_path / "session.key", "--scope", "create-data-set,add")
    piece_cid = tenant.here("add", note, "--copies", "1", "--json", env=ci.env).json["pieces"][0]["piece_cid"]
    outcome = tenant.here("rm", note, env=ci.env)
    told(outcome, 4, "remove is not allowed", "fpin session create --address")
    [pin] = tenant.pins()
    assert (pin["state"], len(tenant.on_chain(piece_cid))) == (
        "degraded" if pin["copies_wanted"] > 1 else "pinned",
        1,
    )


def test_an_expired_key_is_told_with_the_time_it_ended(
    world: World, tmp_path: Path, fpin: Fpin, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("too late")
    file = tmp_path / "session.key"
    made = fpin("session", "create", "--expires", "30min", "--out", file, "--json").json["session"]
    env = {"FPIN_SESSION_KEY_FILE": str(file), "FPIN_WALLET_ADDRESS": made["wallet"]}
    assert fpin("add", note, "--copies", "1", env=env).code == 0
    # No block is ahead of its clock, and an epoch is half a minute.
    monkeypatch.setattr(world.chain, "_wall", lambda: time.time() + 3600)
    world.mine(61)
    late = tmp_path / "late.txt"
    late.write_text("later still")
    outcome = fpin("add", late, "--copies", "1", env=env)
    told(outcome, 4, "add expired at 20", "UTC", made["address"], "fpin session create --address")
    [listed] = fpin("session", "ls", "--json").json["sessions"]
    assert (listed["session"]["live"], listed["session"]["address"]) == (False, made["address"])


def test_sessions_are_listed_and_ended(tenant: Tenant, note: Path, tmp_path: Path) -> None:
    first, second = (
        Ci(tenant, tmp_path / name, "--scope", scope) for name, scope in (("one", "all"), ("two", "add"))
    )
    listed = tenant.here("session", "ls", "--json", env=second.env).json["sessions"]
    by_address = {one["session"]["address"]: one for one in listed}
    assert set(by_address) == {first.address, second.address}
    assert scopes_of(by_address[first.address]["session"]) == [*STORING, "terminate"]
    assert [one["in_use"] for one in listed] == [address == second.address for address in by_address]
    revoked = tenant.here("session", "revoke", first.address, "--json")
    assert (revoked.code, revoked.json["session"]["live"]) == (0, False)
    told(tenant.here("add", note, env=first.env), 4, "add is not allowed", first.address)
    again = tenant.here("session", "revoke", first.address, "--json")
    assert (again.code, again.json["tx"]) == (0, None)
    assert tenant.here("session", "ls", "-q").stdout.split() == [second.address]


def test_a_key_that_the_keyring_keeps_signs_until_it_is_revoked(
    tenant: Tenant, own_keyring: Path, note: Path
) -> None:
    made = tenant.here("session", "create", "--json")
    assert (made.code, made.json["kept"]) == (0, "keyring:session-devnet"), made.stderr
    address = made.json["session"]["address"]
    shown = tenant.here("key", "show", "--json").json
    assert (shown["key"]["address"], shown["session"]["address"]) == (tenant.wallet, address)
    told(tenant.here("session", "create"), 2, "session-devnet", address, "revoke", "--out")
    assert tenant.here("add", note, "--copies", "1", "-q").code == 0
    assert tenant.here("payments", "deposit", "1").code == 0  # the wallet's own key is at hand, too
    assert tenant.here("session", "revoke", address).code == 0
    assert tenant.here("key", "show", "--json").json["session"] is None
    assert own_keyring.read_text() == "{}"


def test_a_key_that_was_kept_and_not_allowed_any_more_in_time_can_be_ended(
    tenant: Tenant, own_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Wallet, "authorize_session", interrupted)
        assert tenant.here("session", "create").code == 130
    address = tenant.here("key", "show", "--json").json["session"]["address"]
    ended = tenant.here("session", "revoke", address, "--json")
    assert (ended.code, ended.json["tx"]) == (0, None), ended.stderr
    assert own_keyring.read_text() == "{}"
    assert tenant.here("session", "create", "-q").code == 0


def test_a_key_that_is_made_elsewhere_is_allowed_by_its_address(tenant: Tenant, note: Path) -> None:
    signer, raw = Signer.new()
    allowed = tenant.here(
        "session", "create", "--address", signer.address.lower(), "--expires", "2w", "--json"
    )
    assert (allowed.code, allowed.json["kept"]) == (0, ""), allowed.stderr
    # As filecoin-pin spells it.
    env = {"FPIN_PRIVATE_KEY": "", "SESSION_KEY": raw.hex(), "WALLET_ADDRESS": tenant.wallet}
    assert tenant.here("add", note, "--copies", "1", "-q", env=env).code == 0


def test_a_session_key_without_a_wallet_asks_for_it(tenant: Tenant, note: Path, tmp_path: Path) -> None:
    ci = Ci(tenant, tmp_path / "session.key")
    env = {**ci.env, "FPIN_WALLET_ADDRESS": ""}
    told(tenant.here("add", note, env=env), 4, "FPIN_SESSION_KEY_FILE", "FPIN_WALLET_ADDRESS")


def test_a_file_that_is_there_and_a_key_that_was_not_allowed_are_left_alone(
    tenant: Tenant, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.write_text("precious")
    told(tenant.here("session", "create", "--out", there), 2, str(there))
    assert there.read_text() == "precious"
    poor, raw = Signer.new()
    file = tmp_path / "new"
    refused = tenant.here("session", "create", "--out", file, env={"FPIN_PRIVATE_KEY": raw.hex()})
    told(refused, 4, poor.address, "FIL")
    assert not file.exists()
    for args in (("--scope", "everything"), ("--expires", "soon"), ("--expires", "900d"), ("--address", "x")):
        assert tenant.here("session", "create", *args).code == 2
    told(tenant.here("session", "revoke", poor.address), 1, poor.address, "session ls")


def test_a_payment_that_the_wallet_left_open_keeps_a_session_key_from_nothing(
    tenant: Tenant, note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ci = Ci(tenant, tmp_path / "session.key")
    with monkeypatch.context() as patch:
        patch.setattr(Node, "send_raw", lost)
        assert tenant.here("payments", "deposit", "1").code == 5
    outcome = tenant.here("add", note, "--copies", "1", "--auto-fund", env=ci.env)
    assert outcome.code == 0, outcome.stderr
    assert "a deposit of 1 USDFC in transaction" in outcome.stderr
    assert "never reached the chain" in outcome.stderr


def lost(_: Node, __: bytes) -> str:
    raise NodeUnavailable("node of the test: it hung up")
