"""Copies at several providers: sent from here once, fetched from one another, replaced where one fails."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fpin.backends.base import Wish
from fpin.events import Event, Parked, Submitted
from fpin.flows import add as flow
from fpin.flows.packing import Content
from fpin.flows.services import Services
from fpin.provider.api import ProviderApi
from tests.cli.conftest import Tenant
from tests.cli.test_faults import ALWAYS, copies, down, events, piece_of
from tests.conftest import Outcome
from tests.flows.conftest import services

__all__ = ["services"]

SEED = "a"  # by which provider 3 comes before provider 2


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    """A file that no other test stores."""
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} wants to have copies of\n" * 100)
    return path


@pytest.fixture
def album(tenant: Tenant, tmp_path: Path) -> Content:
    """Three files that make three pieces."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"{number} of {tenant.wallet}\n" * 300)
    return Content(paths=(folder,), piece_limit=20_000)


def when_parked(provider_id: int, act: Callable[[], object]) -> Callable[[Event], None]:
    """Do *act* once the provider holds the first piece."""
    todo = [act]

    def on_event(event: Event) -> None:
        if isinstance(event, Parked) and event.provider_id == provider_id and todo:
            todo.pop()()

    return on_event


def refuse(tenant: Tenant, number: int, status: int, *routes: str) -> None:
    tenant.world.provider(number).faults.status_for |= dict.fromkeys(routes, (status, ALWAYS))


def told_about(outcome: Outcome, word: str) -> list[str]:
    return [str(event["text"]) for event in events(outcome, "noted") if word in str(event["text"])]


# Fetched from one another


def test_a_second_provider_that_takes_no_uploads_gets_its_copy_from_the_first(
    tenant: Tenant, note: Path
) -> None:
    down(tenant, 2, "open", "upload", "finalize")
    added = tenant.here("add", note, "--json")
    assert (added.code, copies(added)) == (0, {1: "advertised", 2: "advertised"}), added.stderr
    uploaded = {copy["provider_id"]: copy["uploaded"] for copy in added.json["pieces"][0]["copies"]}
    assert uploaded == {1: True, 2: False}
    assert [(event["provider_id"], event["pulled_from"]) for event in events(added, "parked")] == [
        (1, None),
        (2, 1),
    ]
    assert len(tenant.on_chain(piece_of(tenant, note))) == 2


def test_what_a_provider_fetched_is_told_to_people(tenant: Tenant, note: Path) -> None:
    added = tenant.here("add", note)
    assert "provider 2: fetching 1 piece from provider 1\n" in added.stderr
    assert "provider 2: fetched from provider 1: bafk" in added.stderr


def test_several_pieces_are_fetched_in_one_request_and_added_in_one_call(
    services: Services, tenant: Tenant, album: Content
) -> None:
    seen: list[Event] = []
    added = flow.add(services, flow.AddRequest(content=album, wish=Wish(copies=3)), on_event=seen.append)
    assert added.complete
    assert len(added.pieces) == 3
    uploads = [event for event in seen if isinstance(event, Parked) and event.uploaded]
    assert {event.provider_id for event in uploads} == {1}
    assert len(uploads) == 3
    for data_set in tenant.chain.client_data_sets(tenant.wallet):
        on_chain = [entry.piece_id for entry in tenant.chain.pieces(data_set.data_set_id)]
        assert on_chain == [0, 1, 2]


def test_as_many_pieces_are_sent_at_a_time_as_there_are_jobs(
    services: Services, album: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, meeting = ProviderApi.upload, threading.Barrier(3)

    def together(api: ProviderApi, *args: Any, **kwargs: Any) -> Any:
        meeting.wait(timeout=60)  # each waits until all three are being sent
        return upload(api, *args, **kwargs)

    monkeypatch.setattr(ProviderApi, "upload", together)
    request = flow.AddRequest(content=album, wish=Wish(copies=1), jobs=3, wait_for="confirmed")
    assert flow.add(services, request).complete


def test_with_one_job_pieces_are_sent_one_after_the_other(
    services: Services, album: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, sending = ProviderApi.upload, threading.Lock()

    def alone(api: ProviderApi, *args: Any, **kwargs: Any) -> Any:
        assert sending.acquire(blocking=False)
        try:
            return upload(api, *args, **kwargs)
        finally:
            sending.release()

    monkeypatch.setattr(ProviderApi, "upload", alone)
    request = flow.AddRequest(content=album, wish=Wish(copies=1), jobs=1, wait_for="confirmed")
    assert flow.add(services, request).complete


def test_a_third_copy_is_fetched_from_one_of_the_two_that_are_there(tenant: Tenant, note: Path) -> None:
    assert tenant.here("add", note).code == 0
    more = tenant.here("add", note, "--copies", "3", "--json")
    assert (more.code, copies(more)[3]) == (0, "advertised"), more.stderr
    assert [event["pulled_from"] for event in events(more, "parked")] == [1]
    assert [copy["uploaded"] for copy in more.json["pieces"][0]["copies"]] == [False] * 3


@pytest.mark.parametrize("status", [400, 503])
def test_a_provider_that_refuses_to_fetch_gets_our_bytes_and_that_is_told(
    tenant: Tenant, note: Path, status: int
) -> None:
    tenant.world.provider(2).faults.refuse_pulls = status
    added = tenant.here("add", note, "--json")
    assert (added.code, copies(added)) == (0, {1: "advertised", 2: "advertised"}), added.stderr
    assert [copy["uploaded"] for copy in added.json["pieces"][0]["copies"]] == [True, True]
    [told] = told_about(added, "did not fetch")
    assert f"HTTP {status}" in told
    assert "sent from here" in told


def test_a_provider_that_cannot_fetch_for_a_moment_is_asked_again(tenant: Tenant, note: Path) -> None:
    down(tenant, 2, "pull", times=2)
    added = tenant.here("add", note, "--json")
    assert (added.code, copies(added)) == (0, {1: "advertised", 2: "advertised"}), added.stderr
    assert [copy["uploaded"] for copy in added.json["pieces"][0]["copies"]] == [True, False]


def test_a_first_provider_that_dies_after_the_upload_keeps_the_second_from_nothing(
    services: Services, tenant: Tenant, note: Path
) -> None:
    dead = tenant.world.provider(1)

    def die() -> None:
        down(tenant, 1, *dead.routes)

    request = flow.AddRequest(content=Content(paths=(note,)))
    added = flow.add(services, request, on_event=when_parked(1, die))
    states = {copy.provider_id: copy.state for copy in added.pieces[0].copies}
    # It may have carried the add out, for all that is known, so nobody takes its place yet.
    assert states == {1: "signed", 2: "advertised"}
    assert not added.complete
    dead.faults.status_for.clear()
    again = tenant.here("add", note, "--json")
    assert (again.code, copies(again)) == (0, {1: "advertised", 2: "advertised"}), again.stderr


# Replaced


def test_a_provider_that_fails_is_replaced_in_the_same_run_and_that_is_explained(
    tenant: Tenant, note: Path
) -> None:
    down(tenant, 1, "upload")
    added = tenant.here("add", note)
    assert added.code == 0, added.stderr
    said = added.stderr.splitlines()
    failed = next(line for line in said if line.startswith("provider 1: failed:"))
    assert "HTTP 503" in failed
    assert "provider 3 takes the place of provider 1" in said
    assert len([line for line in said if "USDFC a month" in line]) == 2  # priced, and priced again
    assert sorted(row[0] for row in tenant.on_chain(piece_of(tenant, note))) == [2, 3]


def test_the_cost_of_an_add_is_that_of_the_copies_that_were_made(tenant: Tenant, note: Path) -> None:
    down(tenant, 2, "pull", "upload")
    before = tenant.chain.account(tenant.wallet).lockup_rate
    added = tenant.here("add", note, "--json")
    assert (added.code, copies(added)) == (0, {1: "advertised", 2: "failed", 3: "advertised"}), added.stderr
    [quoted, again] = events(added, "quoted")
    assert quoted["new_data_sets"] == 2
    assert again["new_data_sets"] == 1
    assert added.json["cost"]["fees"] == quoted["fees"]
    spent = tenant.chain.account(tenant.wallet).lockup_rate - before
    assert added.json["cost"]["per_epoch"] == f"{spent / 10**18:.18f}".rstrip("0")


def test_an_add_that_a_contract_refuses_at_one_provider_is_made_at_another_one(
    tenant: Tenant, note: Path
) -> None:
    refuse(tenant, 1, 400, "create-and-add")
    added = tenant.here("add", note, "--json")
    assert (added.code, copies(added)) == (0, {1: "failed", 2: "advertised", 3: "advertised"}), added.stderr


def test_what_nobody_can_take_over_is_done_in_part_and_repair_is_named(tenant: Tenant, note: Path) -> None:
    down(tenant, 2, "pull", "upload")
    down(tenant, 3, "pull", "upload")
    added = tenant.here("add", note, "--json")
    assert added.code == 3, added.stderr
    assert copies(added)[1] == "advertised"
    assert told_about(added, "nobody takes the place of provider")
    assert "so does fpin repair\n" in tenant.here("add", note).stdout


def test_a_replacement_that_costs_more_than_is_allowed_is_not_taken(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier.txt"
    earlier.write_text(f"an earlier thing of {tenant.wallet}\n" * 100)
    assert tenant.here("add", earlier).code == 0  # data sets at 1 and 2, which the next one shares
    price = tenant.here("add", note, "--dry-run", "--json").json["cost"]["per_month"]
    down(tenant, 2, "pull", "upload")
    added = tenant.here("add", note, "--max-cost", price, "--json")
    assert added.code == 3, added.stderr
    [told] = told_about(added, "nobody takes the place of provider 2")
    assert "--max-cost" in told
    assert [row[0] for row in tenant.on_chain(piece_of(tenant, note))] == [1]


def test_providers_that_were_named_are_not_replaced(tenant: Tenant, note: Path) -> None:
    down(tenant, 2, "pull", "upload")
    added = tenant.here("add", note, "--provider", "1", "--provider", "2", "--json")
    assert added.code == 3, added.stderr
    assert events(added, "replaced") == []


# At once


def test_two_first_adds_at_once_make_one_data_set_at_each_provider(tenant: Tenant, tmp_path: Path) -> None:
    processes = []
    for number in range(2):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"{number} of {tenant.wallet}\n" * 100)
        processes.append(
            subprocess.Popen(
                tenant.fpin.command(("add", path, "--json")),
                env=tenant.fpin.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, code in ended] == [0, 0], [err for (_, err), _ in ended]
    assert all(json.loads(out)["complete"] for (out, _), _ in ended)
    sets = tenant.chain.client_data_sets(tenant.wallet)
    assert sorted(data_set.provider_id for data_set in sets) == [1, 2]


# Chosen


def test_providers_can_be_asked_for_by_where_they_are(tenant: Tenant, note: Path) -> None:
    here = tenant.here("add", note, "--country", "xx", "--region", "Localhost", "--json")
    assert (here.code, here.json["complete"]) == (0, True), here.stderr
    elsewhere = tenant.here("add", note, "--country", "FI")
    assert elsewhere.code == 1
    assert "provider 1 is in C=XX;ST=Devnet;L=Localhost" in elsewhere.stderr


def test_copies_that_cannot_be_spread_are_not_made(tenant: Tenant, note: Path) -> None:
    refused = tenant.here("add", note, "--spread", "country")
    assert refused.code == 1
    assert "2 copies in as many countries cannot be had" in refused.stderr
    assert tenant.pins() == []


def test_why_each_provider_was_chosen_or_passed_over_is_told_on_request(tenant: Tenant, note: Path) -> None:
    told = tenant.here("add", note, "--exclude-provider", "3", "-n", "-v").stderr.splitlines()
    assert "provider 3: not used: it is excluded" in told
    assert any(line.startswith("provider 1: http") and "(next by seed " in line for line in told)


def test_a_seed_decides_between_providers_and_is_kept_with_the_pin(tenant: Tenant, note: Path) -> None:
    def places(*args: str) -> list[object]:
        return [one["provider_id"] for one in events(add(*args), "providerChosen")]

    def add(*args: str) -> Outcome:
        return tenant.here("add", note, "--json", *args)

    assert places("-n") == [1, 2]
    assert places("-n", "--seed", SEED) == [1, 3]
    assert add("--copies", "1", "--seed", SEED).code == 0
    second = add("--copies", "2")
    assert second.code == 0, second.stderr
    assert sorted(copies(second)) == [1, 3]
    assert events(second, "providerChosen")[-1]["reason"] == f"next by seed {SEED}"


@pytest.mark.parametrize("args", [("--spread", "planet"), ("--country", "DE", "--provider", "1")])
def test_places_that_make_no_sense_are_a_usage_error(
    tenant: Tenant, note: Path, args: tuple[str, ...]
) -> None:
    assert tenant.here("add", note, *args).code == 2


# Many pieces


def test_more_pieces_than_fit_into_a_call_are_added_in_several(
    services: Services, tenant: Tenant, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(42):
        (folder / f"{number}.txt").write_text(f"{number} of {tenant.wallet}\n" * 40)
    seen: list[Event] = []
    request = flow.AddRequest(content=Content(paths=(folder,), piece_limit=2600), wait_for="confirmed")
    added = flow.add(services, request, on_event=seen.append)
    assert added.complete
    assert 40 < len(added.pieces) <= 80
    for provider_id in (1, 2):
        calls = [e for e in seen if isinstance(e, Submitted) and e.provider_id == provider_id]
        assert len(calls) == 2
    assert {e.provider_id for e in seen if isinstance(e, Parked) and e.uploaded} == {1}
    sets = tenant.chain.client_data_sets(tenant.wallet)
    assert [len([*tenant.chain.pieces(one.data_set_id)]) for one in sets] == [len(added.pieces)] * 2


def test_an_add_that_is_refused_leaves_the_pin_what_it_was_and_a_name_stays_until_another_is_given(
    tenant: Tenant, note: Path
) -> None:
    assert tenant.here("add", note, "--copies", "1", "--name", "mine").code == 0
    assert tenant.here("add", note, "--copies", "2", "--max-cost", "0.1").code == 4
    [pin] = tenant.pins()
    assert (pin["name"], pin["state"], pin["copies_wanted"]) == ("mine", "pinned", 1)
    assert tenant.here("add", note, "--copies", "2").code == 0
    [pin] = tenant.pins()
    assert (pin["name"], pin["state"], pin["copies_wanted"]) == ("mine", "pinned", 2)
