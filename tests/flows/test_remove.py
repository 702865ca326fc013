"""Removing: what fails at one place keeps nothing elsewhere, and nothing else is removed or paid for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpin.flows.services import Services
from fpin.store import CopyState
from tests.cli.conftest import WALLETS, Tenant
from tests.conftest import Outcome

ALWAYS = 10**9


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    """A file that no other test stores."""
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} will not keep\n")
    return path


def piece_of(outcome: Outcome) -> str:
    piece: str = outcome.json["pieces"][0]["piece_cid"]
    return piece


def refuse(tenant: Tenant, number: int, status: int) -> None:
    tenant.world.provider(number).faults.status_for["remove"] = (status, ALWAYS)


@pytest.mark.parametrize(("status", "code"), [(400, 1), (503, 5)])
def test_an_add_after_a_removal_that_was_refused_pays_nothing(
    tenant: Tenant, note: Path, tmp_path: Path, status: int, code: int
) -> None:
    added = tenant.here("add", note, "--copies", "1", "--json")
    before = tenant.funds()
    refuse(tenant, 1, status)
    assert tenant.here("rm", note).code == code
    back = tenant.here("get", added.json["root_cid"], "-o", tmp_path / "back", "--json")
    assert (back.code, back.json["sources"]) == (0, [tenant.world.urls.providers[0]]), back.stderr

    again = tenant.here("add", note, "--copies", "1", "--json")
    assert again.code == 0, again.stderr
    assert (len(tenant.on_chain(piece_of(added))), tenant.funds()) == (1, before)
    assert tenant.pins()[0]["state"] == "pinned"


def test_a_removal_with_the_key_of_another_wallet_is_refused_before_anything_is_asked(
    tenant: Tenant, note: Path
) -> None:
    added = tenant.here("add", note, "--copies", "1", "--json")
    other = tenant.here("rm", note, "--json", env={"FPIN_PRIVATE_KEY": "0x" + WALLETS[-1].key.hex()})
    assert (other.code, other.json["error"]["kind"]) == (4, "NoKey"), other.stderr
    assert tenant.wallet in other.json["error"]["message"]
    assert tenant.pins()[0]["state"] == "pinned"
    assert len(tenant.on_chain(piece_of(added))) == 1


def test_a_provider_that_refuses_a_removal_keeps_nothing_at_the_others(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--copies", "2").code == 0
    refuse(tenant, 1, 503)
    partly = tenant.here("rm", note, "--wait", "--json")
    assert (partly.code, partly.json["complete"]) == (3, False), partly.stderr
    states = {piece["provider_id"]: piece["state"] for piece in partly.json["pieces"]}
    assert states == {1: "removing", 2: "gone"}
    assert any("provider 1 still holds" in text for text in partly.json["remaining"])

    tenant.world.provider(1).faults.status_for.clear()
    rest = tenant.here("rm", note, "--wait", "--json")
    assert (rest.code, tenant.pins()[0]["state"]) == (0, "removed"), rest.stderr


def test_a_copy_that_was_only_uploaded_is_given_up(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--copies", "1", "--wait-for", "parked").code == 0
    removed = tenant.here("rm", note, "--json")
    assert (removed.code, removed.json["complete"]) == (0, True), removed.stderr
    [pin] = tenant.pins()
    [copy] = pin["pieces"][0]["copies"]
    assert (pin["state"], copy["state"], copy["reason"]) == (
        "failed",
        "failed",
        "removed before it was stored",
    )


def test_a_copy_that_is_being_added_is_not_said_to_be_removed(
    tenant: Tenant, note: Path, services: Services
) -> None:
    assert tenant.here("add", note, "--copies", "1", "--wait-for", "parked").code == 0
    [copy] = services.store.pins(services.backend.chain_id)[0].copies
    services.store.mark_signed(
        [copy.copy],
        provider_id=1,
        payer=tenant.wallet,
        data_set_id=None,
        client_data_set_id=7,
        nonce=7,
    )
    refused = tenant.here("rm", note, "--json")
    assert (refused.code, refused.json["error"]["kind"]) == (5, "Unavailable")
    assert "provider 1 is still under way" in refused.json["error"]["message"]
    assert services.store.copy(copy.copy).state is CopyState.SIGNED
