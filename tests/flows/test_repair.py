"""`repair`: copies that are gone are made elsewhere, from a provider or from the path that they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fpin.chain.signer import Signer
from fpin.chain.wallet import Wallet
from fpin.devnet.world import World
from tests.cli.conftest import Here, Tenant
from tests.cli.test_faults import ALWAYS, down, events, piece_of
from tests.faults.scene import Scene, killed_at


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} wants to keep for long\n" * 100)
    return path


def lose(tenant: Tenant, number: int) -> None:
    """A provider answers nothing any more."""
    down(tenant, number, *tenant.world.provider(number).routes)


def holders(tenant: Tenant, note: Path) -> list[int]:
    return sorted(row[0] for row in tenant.on_chain(piece_of(tenant, note)))


def states(result: dict[str, Any]) -> dict[int, str]:
    [pin] = result["pins"]
    return {copy["provider_id"]: copy["state"] for piece in pin["pieces"] for copy in piece["copies"]}


def test_a_pin_that_is_whole_needs_nothing_and_pays_nothing(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note).code == 0
    before = tenant.funds()
    repaired = tenant.here("repair", note, "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    assert repaired.json["pins"][0]["lost"] == []
    assert tenant.funds() == before
    assert tenant.here("repair").code == 0


def test_what_an_add_left_undone_is_finished(tenant: Tenant, note: Path) -> None:
    for number in (2, 3):
        down(tenant, number, "pull", "upload")
    assert tenant.here("add", note).code == 3
    tenant.mend()
    repaired = tenant.here("repair", "--json")
    assert repaired.code == 0, repaired.stderr
    assert len(holders(tenant, note)) == 2
    assert [event["uploaded"] for event in events(repaired, "parked")] == [False]


def test_a_provider_that_is_silent_while_its_proofs_are_not_overdue_is_left_alone(
    tenant: Tenant, note: Path
) -> None:
    assert tenant.here("add", note).code == 0
    lose(tenant, 2)
    repaired = tenant.here("repair", note, "--json")
    assert repaired.code == 0, repaired.stderr
    [lost] = repaired.json["pins"][0]["lost"]
    assert (lost["provider_id"], lost["replaced"]) == (2, False)
    assert holders(tenant, note) == [1, 2]


def test_a_provider_that_is_gone_is_replaced_by_a_copy_of_the_copy_that_stayed(
    tenant: Tenant, note: Path
) -> None:
    assert tenant.here("add", note).code == 0
    lose(tenant, 2)
    note_text = note.read_text()
    note.unlink()  # the bytes come from provider 1 alone
    repaired = tenant.here("repair", note, "--replace-silent", "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    assert states(repaired.json)[3] == "confirmed"
    assert [event["pulled_from"] for event in events(repaired, "parked")] == [1]
    [lost] = repaired.json["pins"][0]["lost"]
    assert (lost["provider_id"], lost["replaced"]) == (2, True)
    assert "is paid for until data set" in repaired.stderr
    note.write_text(note_text)
    assert holders(tenant, note) == [1, 2, 3]
    # Once more: the copies that count are as many as were asked for.
    before = tenant.funds()
    assert tenant.here("repair", note, "--replace-silent").code == 0
    assert tenant.funds() == before


def test_a_repair_is_priced_first_and_keeps_to_what_is_allowed(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note).code == 0
    lose(tenant, 2)
    before = tenant.funds()
    refused = tenant.here("repair", note, "--replace-silent", "--max-cost", "0.000001", "--json")
    assert (refused.code, refused.json["error"]["kind"]) == (4, "Unaffordable")
    assert len(events(refused, "quoted")) == 1
    assert tenant.funds() == before


def test_copies_in_a_data_set_that_ended_are_made_again(tenant: Tenant, note: Path) -> None:
    added = tenant.here("add", note, "--copies", "1", "--json").json
    [copy] = added["pieces"][0]["copies"]
    Wallet(tenant.chain, Signer.from_key(tenant.fpin.wallet.key)).terminate(copy["data_set_id"])
    repaired = tenant.here("repair", "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    live = [
        data_set.data_set_id
        for data_set in tenant.chain.client_data_sets(tenant.wallet)
        if not data_set.terminated
    ]
    assert len(live) == 1
    assert any(row[1] == live[0] for row in tenant.on_chain(piece_of(tenant, note)))


def test_when_no_provider_has_the_bytes_they_come_from_the_path_again(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    assert tenant.here("add", note, "--copies", "1").code == 0
    lose(tenant, 1)
    elsewhere = tmp_path / "moved.txt"
    note.rename(elsewhere)
    helpless = tenant.here("repair", "note.txt", "--replace-silent", "--json")
    assert helpless.code == 1, helpless.stderr
    assert "--source" in helpless.json["error"]["hint"]
    repaired = tenant.here("repair", "note.txt", "--replace-silent", "--source", elsewhere, "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    assert holders(tenant, elsewhere) == [1, 2]


def test_what_was_removed_is_not_repaired(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note, "--copies", "1").code == 0
    assert tenant.here("rm", note).code == 0
    assert tenant.here("repair", "--json").json["pins"] == []
    refused = tenant.here("repair", "note.txt")
    assert refused.code == 1
    assert "fpin add stores it again" in refused.stderr


def test_a_piece_that_its_provider_does_not_have_any_more_is_brought_elsewhere(
    tenant: Tenant, note: Path
) -> None:
    assert tenant.here("add", note).code == 0
    tenant.world.provider(2).faults.status_for["retrieve"] = (404, ALWAYS)
    repaired = tenant.here("repair", note, "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    [lost] = repaired.json["pins"][0]["lost"]
    assert "does not have piece" in lost["reason"]
    assert states(repaired.json)[3] == "confirmed"


def test_a_provider_that_has_been_gone_for_a_proving_period_is_replaced_without_being_told_to(
    world: World, here: Here, tmp_path: Path
) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("kept for long\n" * 100)
    assert here("add", path).code == 0
    gone = world.provider(2)
    gone.faults.never_prove = True
    gone.faults.status_for |= dict.fromkeys(gone.routes, (503, ALWAYS))
    world.mine(300)
    repaired = here("repair", "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    [lost] = repaired.json["pins"][0]["lost"]
    assert (lost["provider_id"], lost["replaced"]) == (2, True)
    assert "its proofs are overdue" in lost["reason"]
    assert states(repaired.json)[3] == "confirmed"


def test_a_path_is_packed_again_as_it_was_the_first_time(tenant: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("seen.txt", ".hidden", "draft.tmp"):
        (folder / name).write_text(f"{name} of {tenant.wallet}")
    added = tenant.here("add", folder, "--copies", "1", "--wrap", "--hidden", "--exclude", "*.tmp", "--json")
    lose(tenant, 1)
    repaired = tenant.here("repair", folder, "--replace-silent", "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    assert repaired.json["pins"][0]["root_cid"] == added.json["root_cid"]
    assert [row[0] for row in tenant.on_chain(added.json["pieces"][0]["piece_cid"])] == [1, 2]


@pytest.mark.parametrize("transition", ["mark_signed", "mark_submitted", "mark_confirmed"])
def test_a_repair_that_is_killed_is_finished_by_the_next_one_and_pays_once(
    tenant: Tenant, note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transition: str
) -> None:
    def degraded(path: Path) -> int:
        """Leave one copy of two behind, and return what the account holds then."""
        for number in (2, 3):
            down(tenant, number, "pull", "upload")
        assert tenant.here("add", path).code == 3
        tenant.mend()
        return tenant.funds()

    undisturbed = tmp_path / "undisturbed.txt"
    undisturbed.write_text(note.read_text().swapcase())
    before = degraded(undisturbed)
    assert tenant.here("repair").code == 0
    price = before - tenant.funds()

    before = degraded(note)
    scene = Scene(tenant, note, monkeypatch)
    killed = killed_at(f"{transition} before its commit")(scene, ["repair", str(note)])
    assert killed.code == -9, killed.stderr
    repaired = tenant.here("repair", "--json")
    assert (repaired.code, repaired.json["complete"]) == (0, True), repaired.stderr
    assert holders(tenant, note) == [1, 2]
    # The first of the two made the data set.
    assert 0 < before - tenant.funds() < price
