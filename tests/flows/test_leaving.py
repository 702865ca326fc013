"""What a removal leaves behind: the reasons for a record to stay are told apart, and nothing is forgotten."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fpin.flows.services import Services
from fpin.store import Copy
from tests.cli.conftest import Tenant
from tests.conftest import Fpin

ALWAYS = 10**9


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} lets go\n")
    return path


@pytest.fixture
def neighbour(tenant: Tenant, tmp_path: Path) -> Fpin:
    """Another home of the devnet's first user, who stores the same content."""
    return Fpin(tmp_path / "next door", {"DEVNET_INFO_PATH": str(tenant.world.info_path)})


def only_copy(services: Services) -> Copy:
    [copy] = services.store.pins(services.backend.chain_id)[0].copies
    return copy


def test_content_that_another_provider_holds_is_gone_here_and_the_other_is_named(
    tenant: Tenant, note: Path, neighbour: Fpin
) -> None:
    assert neighbour("add", note, "--copies", "1", "--provider", "2").code == 0
    assert tenant.here("add", note, "--copies", "1", "--provider", "1").code == 0
    removed = tenant.here("rm", note, "--wait", "--json")
    assert removed.code == 0, removed.stderr
    [copy] = removed.json["pieces"]
    assert (copy["state"], copy["record"]) == ("gone", "gone_other_holders")
    assert [holder["kind"] for holder in copy["holders"]] == ["other"]
    assert copy["removal_ad_cid"]
    assert any("another provider has this content too" in text for text in removed.json["remaining"])


def test_the_same_block_in_another_piece_of_the_provider_is_told_as_that(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "note.txt").write_bytes(note.read_bytes())
    assert tenant.here("add", note, "--copies", "1").code == 0
    assert tenant.here("add", folder, "--copies", "1").code == 0
    removed = tenant.here("rm", note, "--wait", "--json")
    assert removed.code == 0, removed.stderr
    [copy] = removed.json["pieces"]
    assert (copy["record"], [holder["kind"] for holder in copy["holders"]]) == (
        "gone_other_holders",
        ["other_piece"],
    )


def test_a_piece_that_another_data_set_holds_there_is_known_from_the_chain(
    tenant: Tenant, note: Path, services: Services
) -> None:
    added = tenant.here("add", note, "--copies", "1", "--json")
    piece_cid = added.json["pieces"][0]["piece_cid"]
    copy = only_copy(services)
    assert not services.backend.held_beside(copy, piece_cid)
    other = dataclasses.replace(copy, piece_id=(copy.piece_id or 0) + 1000)
    assert services.backend.held_beside(other, piece_cid)
    elsewhere = dataclasses.replace(other, provider_id=2)
    assert not services.backend.held_beside(elsewhere, piece_cid)


def test_what_was_never_listed_is_said_to_have_been_absent(tenant: Tenant, note: Path) -> None:
    tenant.world.provider(1).faults.never_advertise = True
    assert tenant.here("add", note, "--copies", "1", "--wait-for", "confirmed").code == 0
    removed = tenant.here("rm", note, "--wait", "--json")
    assert removed.code == 0, removed.stderr
    assert removed.json["pieces"][0]["record"] == "already_absent"


def test_status_lists_what_is_still_on_its_way_out_and_what_it_waits_for(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--copies", "1").code == 0
    tenant.world.indexer.faults.hold_ingest = True
    assert tenant.here("rm", note, "--json").code == 0
    shown = tenant.here("status")
    assert "leaving   note.txt at provider 1: " in shown.stdout
    assert "waits for" in shown.stdout
    assert "waits   for" in tenant.here("status", note).stdout
    [copy] = tenant.here("status", note, "--json").json["pins"][0]["pieces"][0]["copies"]
    assert copy["waits_for"]
    tenant.world.indexer.faults.hold_ingest = False
    done = tenant.here("rm", note, "--wait", "--json")
    assert (done.code, done.json["pieces"][0]["state"]) == (0, "gone"), done.stderr
    assert "leaving" not in tenant.here("status").stdout
