"""Pins are of the wallet that pays for them: another wallet's copies are not this one's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.devnet.accounts import DevAccount
from fpin.piece import PieceCid
from tests.cli.conftest import Tenant


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} and somebody else want to keep\n")
    return path


@pytest.fixture
def other(wallets: Iterator[DevAccount]) -> DevAccount:
    return next(wallets)


def acting(wallet: DevAccount) -> dict[str, str]:
    return {"FPIN_PRIVATE_KEY": "0x" + wallet.key.hex()}


def held_by(tenant: Tenant, wallet: str, piece_cid: str) -> int:
    cid = PieceCid.parse(piece_cid).to_bytes()
    sets = tenant.chain.client_data_sets(wallet)
    return sum(len(tenant.chain.find_piece_ids(one.data_set_id, cid)) for one in sets)


def test_what_another_wallet_pays_for_is_not_called_stored_already(
    tenant: Tenant, other: DevAccount, note: Path
) -> None:
    mine = tenant.here("add", note, "--copies", "1", "--json")
    assert mine.code == 0, mine.stderr
    theirs = tenant.here("add", note, "--copies", "1", "--name", "theirs", "--json", env=acting(other))
    assert theirs.code == 0, theirs.stderr
    assert "stored already" not in theirs.stderr
    piece = mine.json["pieces"][0]["piece_cid"]
    assert [held_by(tenant, wallet, piece) for wallet in (tenant.wallet, other.address)] == [1, 1]
    # Once more, and each finds its own.
    for env, name in ((None, "note.txt"), (acting(other), "theirs")):
        again = tenant.here("add", note, "--copies", "1", "--json", env=env)
        assert (again.code, again.json["name"]) == (0, name), again.stderr
        assert "stored already" in again.stderr
        assert float(again.json["cost"]["per_month"]) == 0


def test_each_wallet_sees_and_removes_its_own(tenant: Tenant, other: DevAccount, note: Path) -> None:
    piece = tenant.here("add", note, "--copies", "1", "--json").json["pieces"][0]["piece_cid"]
    assert tenant.here("add", note, "--copies", "1", env=acting(other)).code == 0
    shown = tenant.here("status", "--json", env=acting(other)).json["pins"]
    assert [pin["wallet"] for pin in shown] == [other.address]
    listed = tenant.here("ls")
    assert tenant.wallet in listed.stdout
    assert other.address in listed.stdout
    assert tenant.here("rm", note, env=acting(other)).code == 0
    assert held_by(tenant, tenant.wallet, piece) == 1
    states = {pin["wallet"]: pin["state"] for pin in tenant.pins()}
    assert states == {tenant.wallet: "pinned", other.address: "removing"}
    # Whoever only reads gets it from where it is, whoever pays.
    assert tenant.here("get", note, "-o", note.with_name("back"), env=acting(other)).code == 0


@pytest.mark.parametrize("command", ["rm", "repair"])
def test_what_only_another_wallet_pays_for_is_left_alone_and_that_is_told(
    tenant: Tenant, other: DevAccount, note: Path, command: str
) -> None:
    assert tenant.here("add", note, "--copies", "1").code == 0
    refused = tenant.here(command, note, "--json", env=acting(other))
    assert (refused.code, refused.json["error"]["kind"]) == (4, "NoKey")
    assert refused.json["error"]["payer"] == tenant.wallet
    assert other.address in refused.json["error"]["message"]
    assert tenant.pins()[0]["state"] == "pinned"
    assert tenant.here("repair", "--json", env=acting(other)).json["pins"] == []
