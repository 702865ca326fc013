"""`fpin check`: what is listed and what is served, announcing in a provider's place, confirming."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fpin.backends.filecoin import adding, backend
from fpin.events import Event, Noted, RoutingAsked
from fpin.flows import services as wiring
from fpin.flows import status
from fpin.flows.services import Services
from fpin.routing import LOCAL
from tests.cli.conftest import Tenant
from tests.conftest import Outcome

ALWAYS = 10**9


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} wants to be found\n")
    return path


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    add = dataclasses.replace(
        LOCAL.add, delays=(0.02,), deadline=0.4, children=0.2, extension=0.1, ceiling=0.5, grace=0.1
    )
    monkeypatch.setattr(wiring, "LOCAL", dataclasses.replace(LOCAL, add=add))


def notes(outcome: Outcome) -> str:
    return "\n".join(outcome.json["routing"]["notes"])


def test_g4_a_provider_that_is_listed_and_away_is_told(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "2", "-q").stdout.strip()
    tenant.world.provider(1).faults.status_for["ipfs"] = (503, ALWAYS)
    checked = tenant.here("check", root, "--json")
    assert (checked.code, checked.json["routing"]["state"]) == (0, "found"), checked.stderr
    assert [one["serves"] for one in checked.json["serving"]] == [False, True]
    assert "is listed and does not serve the root" in notes(checked)
    assert "about eight days" in notes(checked)


def test_g5_a_provider_that_lost_its_index_keeps_its_record(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    tenant.world.provider(1).faults.status_for["ipfs"] = (404, ALWAYS)
    checked = tenant.here("check", root, "--json")
    assert checked.json["routing"]["state"] == "found"
    assert "those of one that lost its index for as long as it answers" in notes(checked)
    assert "only a removal advertisement takes them away" in notes(checked)


def test_g6_a_piece_that_the_provider_had_is_found_by_its_earlier_advertisement(
    tenant: Tenant, note: Path, impatient: None
) -> None:
    first = tenant.here("add", note, "--copies", "1", "--json")
    elsewhere = {"FPIN_HOME": str(note.parent / "other")}
    again = tenant.here("add", note, "--copies", "1", "--json", env=elsewhere)
    assert again.code == 0, again.stderr
    assert again.json["routing"]["strength"] == "exact"
    assert again.json["routing"]["ad_cid"] == first.json["routing"]["ad_cid"]
    assert again.json["routing"]["notes"] == [f"Found by CID at {tenant.world.urls.indexer}."]
    tenant.world.indexer.faults.stopped = True
    gone = tenant.here("check", first.json["root_cid"], "--json", env=elsewhere)
    assert gone.code == 3
    assert "one that it had before is not advertised again" in notes(gone)


def test_what_is_served_and_not_listed_is_told_apart_from_what_is_not_served(
    tenant: Tenant, note: Path, impatient: None
) -> None:
    tenant.world.indexer.faults.hold_ingest = True
    added = tenant.here("add", note, "--copies", "1", "--json")
    assert added.code == 3
    checked = tenant.here("check", added.json["root_cid"], "--json")
    assert (checked.code, checked.json["routing"]["state"]) == (3, "timeout")
    assert "serves the root: only the indexer's record is missing" in notes(checked)
    tenant.world.provider(1).faults.status_for["ipfs"] = (503, ALWAYS)
    silent = tenant.here("check", added.json["root_cid"], "--json")
    assert "does not serve the root" in notes(silent)
    [finding] = [one for one in silent.json["routing"]["findings"] if one["cid"] == added.json["root_cid"]]
    assert (finding["state"], finding["strength"], finding["provider_id"]) == ("timeout", None, 1)


def test_an_advertisement_that_was_never_announced_is_announced_by_fpin(
    tenant: Tenant, note: Path, impatient: None
) -> None:
    tenant.world.indexer.faults.drop_announcements = True
    added = tenant.here("add", note, "--copies", "2", "--json")
    assert (added.code, added.json["routing"]["state"]) == (3, "timeout"), added.stderr
    root = added.json["root_cid"]
    tenant.world.indexer.faults.drop_announcements = False
    assert tenant.here("check", root).code == 3  # nobody tells the indexer by himself
    checked = tenant.here("check", root, "--announce", "--json")
    assert (checked.code, checked.json["routing"]["state"]) == (0, "found"), checked.stderr
    assert [(one["provider_id"], one["accepted"]) for one in checked.json["announced"]] == [
        (1, True),
        (2, True),
    ]
    assert checked.json["announced"][0]["indexer"] == tenant.world.urls.indexer
    shown = tenant.here("check", root, "--announce")
    assert "heard it" in shown.stdout


def test_what_the_provider_has_not_advertised_can_be_announced_by_nobody(
    tenant: Tenant, note: Path, impatient: None
) -> None:
    tenant.world.provider(1).faults.never_advertise = True
    added = tenant.here("add", note, "--copies", "1", "--json")
    assert added.code == 3
    checked = tenant.here("check", added.json["root_cid"], "--announce", "--json")
    assert (checked.code, checked.json["announced"]) == (3, [])
    assert "there is nothing to announce" in checked.stderr


def test_a_chain_that_cannot_be_read_is_told_and_the_check_goes_on(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    tenant.world.provider(1).faults.status_for["ipni"] = (500, ALWAYS)
    checked = tenant.here("check", root, "--announce", "--json")
    assert (checked.code, checked.json["announced"]) == (0, [])
    assert "HTTP 500" in checked.stderr


def test_a_confirmation_is_asked_for_once_it_is_found(tenant: Tenant, note: Path, impatient: None) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    checked = tenant.here("check", root, "--confirm", "--json")
    assert checked.json["confirmations"][0]["state"] == "confirmed"
    assert tenant.here("check", root, "--json").json["confirmations"] == []
    tenant.world.indexer.faults.stopped = True
    assert tenant.here("check", root, "--confirm", "--json").json["confirmations"] == []


def test_a_data_set_without_indexing_is_not_waited_for(
    tenant: Tenant, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = (("source", "filecoin-pin"),)
    monkeypatch.setattr(adding, "DATA_SET_METADATA", plain)
    monkeypatch.setattr(backend, "DATA_SET_METADATA", plain)
    added = tenant.here("add", note, "--copies", "1", "--json")
    assert (added.code, added.json["routing"]["state"]) == (0, "skipped"), added.stderr
    assert added.json["routing"]["attempts"] == 0
    [finding] = {one["state"] for one in added.json["routing"]["findings"]}
    assert finding == "not_expected"


def test_an_interrupted_wait_says_what_asks_again(
    tenant: Tenant, note: Path, services: Services, impatient: None
) -> None:
    tenant.world.indexer.faults.hold_ingest = True
    root = tenant.here("add", note, "--copies", "1", "--json").json["root_cid"]
    told: list[Event] = []

    def interrupt(event: Event) -> None:
        told.append(event)
        if isinstance(event, RoutingAsked):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        status.check(services, root, on_event=interrupt)
    assert isinstance(told[-1], Noted)
    assert f"fpin check {root} --network devnet" in told[-1].text


def test_other_indexers_than_the_networks_can_be_named(tenant: Tenant, note: Path, impatient: None) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    own = tenant.world.urls.indexer

    def check(indexers: str) -> Outcome:
        return tenant.here("check", root, "--json", env={"FPIN_INDEXERS": indexers})

    assert check(f"{own}=poll").json["routing"]["state"] == "found"
    assert check("none").json["routing"]["state"] == "skipped"
    # One that is away is bridged by what another one says of the advertisement, else by the provider's word.
    for away, evidence in (
        (f"http://127.0.0.1:9=poll, {own}=confirm", "processed"),
        ("http://[::1]:9", "synced"),
    ):
        bridged = check(away)
        assert bridged.code == 0, bridged.stderr
        assert {one["evidence"] for one in bridged.json["routing"]["findings"]} == {evidence}
    refused = check("cid.contact")
    assert (refused.code, "FPIN_INDEXERS" in refused.stderr) == (2, True)
