"""Removing: what fails at one place keeps nothing elsewhere, and nothing else is removed or paid for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fpin.backends.filecoin import removing
from fpin.chain.keccak import keccak
from fpin.errors import ChainError
from fpin.events import ignore
from fpin.flows import services as wiring
from fpin.flows.services import Services
from fpin.ipld.car import header, section_prefix
from fpin.ipld.cid import RAW, cid_of, format_cid
from fpin.routing import LOCAL
from fpin.store import CopyState
from tests.cli.conftest import WALLETS, Tenant
from tests.conftest import Fpin, Outcome

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


def test_a_piece_that_two_pins_share_stays_until_the_second_is_removed(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    car = tmp_path / "two.car"
    blocks = [f"{number} of {tenant.wallet}".encode() * 9 for number in range(2)]
    cids = [cid_of(RAW, data) for data in blocks]
    with car.open("wb") as out:
        out.write(header(cids))
        for cid, data in zip(cids, blocks, strict=True):
            out.write(section_prefix(cid, len(data)) + data)
    roots = [format_cid(cid) for cid in cids]
    for root in roots:
        added = tenant.here("import", car, "--root", root, "--copies", "1", "--json")
        assert added.code == 0, added.stderr
    piece = piece_of(added)
    assert len(tenant.on_chain(piece)) == 1

    one = tenant.here("rm", roots[1], "--wait", "--json")
    assert (one.code, one.json["pieces"]) == (0, []), one.stderr
    assert roots[0] in one.json["remaining"][0]
    assert len(tenant.on_chain(piece)) == 1
    assert {pin["root_cid"]: pin["state"] for pin in tenant.pins()} == dict(
        zip(roots, ("pinned", "removed"), strict=True)
    )
    last = tenant.here("rm", roots[0], "--wait", "--json")
    assert (last.code, last.json["pieces"][0]["state"], tenant.on_chain(piece)) == (0, "gone", []), (
        last.stderr
    )


def test_a_piece_id_that_means_another_piece_now_is_not_removed(
    tenant: Tenant, note: Path, tmp_path: Path, services: Services
) -> None:
    other = tmp_path / "other.txt"
    other.write_text(f"what {tenant.wallet} wants to keep\n")
    assert tenant.here("add", note, "--copies", "1").code == 0
    kept = tenant.here("add", other, "--copies", "1", "--json")
    [copy], [theirs] = (pin.copies for pin in services.store.pins(services.backend.chain_id))
    services.store.mark_on_chain(
        copy.copy, data_set_id=theirs.data_set_id or 0, piece_id=theirs.piece_id or 0
    )
    with pytest.raises(ChainError, match=f"is not {services.store.piece_cid(copy.copy)} any more"):
        services.backend.remove([services.store.copy(copy.copy)], on_event=ignore)
    assert len(tenant.on_chain(piece_of(kept))) == 1


def test_a_removal_whose_transaction_is_lost_is_asked_for_again_in_the_same_run(
    tenant: Tenant, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = tenant.here("add", note, "--copies", "1", "--json")
    monkeypatch.setattr(removing, "LOST", 0.0)
    faults = tenant.world.chain.faults
    # schedulePieceDeletions(uint256,uint256[],bytes) of PDPVerifier
    faults.selector, faults.drop = keccak(b"schedulePieceDeletions(uint256,uint256[],bytes)")[:4], 1
    removed = tenant.here("rm", note, "--wait", "--json")
    assert (removed.code, removed.json["pieces"][0]["state"]) == (0, "gone"), removed.stderr
    assert faults.drop == 0
    assert "no node knows transaction" in removed.stderr
    assert tenant.on_chain(piece_of(added)) == []


def test_what_stays_is_said_once_however_many_copies_leave(
    tenant: Tenant, note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {"FPIN_HOME": str(tmp_path / "other"), "FPIN_PRIVATE_KEY": "0x" + WALLETS[-2].key.hex()}
    elsewhere = tmp_path / "with"
    elsewhere.mkdir()
    (elsewhere / note.name).write_text(note.read_text())
    assert tenant.here("add", elsewhere, "--copies", "3", env=others).code == 0  # the block, in other pieces
    assert tenant.here("add", note, "--copies", "3").code == 0
    tenant.world.indexer.faults.hold_ingest = True
    removal = dataclasses.replace(LOCAL.removal, deadline=2.0)
    monkeypatch.setattr(wiring, "LOCAL", dataclasses.replace(LOCAL, removal=removal))
    removed = tenant.here("rm", note, "--wait")
    assert removed.code == 3, removed.stderr
    told = [line for line in removed.stderr.splitlines() if line]
    assert sorted(set(told)) == sorted(told)
    waits = sum("waiting for the indexer" in line for line in told)
    assert 1 <= waits <= 3  # one for each provider that came so far before the deadline
    remaining = [line for line in removed.stdout.splitlines() if line.startswith("remaining")]
    assert 1 <= len(remaining) == len(set(remaining)) <= 3
    assert "Still held" not in removed.stdout


def test_a_devnet_that_is_reset_takes_its_pins_along(fpin: Fpin, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("for a while")
    assert fpin("add", path, "--copies", "1").code == 0
    reset = fpin("devnet", "reset")
    assert (reset.code, "pins forgotten: 1" in reset.stdout) == (0, True), reset.stderr
    assert fpin("ls", "--json").json["pins"] == []
