"""Peers, processes and answers that fail in the middle, beyond what is in the table of tests/faults."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fpin.chain.rpc import JsonRpc
from fpin.flows import services
from fpin.piece import MAX_PIECE_SIZE
from fpin.routing import LOCAL
from tests.cli.conftest import Tenant
from tests.conftest import Outcome
from tests.kills import victim
from tests.kills.victim import Order

ALWAYS = 10**9


class Once(set[str]):
    """Faults by name, each of which happens one time only."""

    def __contains__(self, name: object) -> bool:
        known = super().__contains__(name)
        self.discard(str(name))
        return known


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    """A file that no other test stores."""
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} wants to keep\n")
    return path


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Routing is given up after half a second, until the function returned is called; all else stays."""
    add = dataclasses.replace(
        LOCAL.add, delays=(0.02,), deadline=0.5, children=0.2, extension=0.1, ceiling=0.6, grace=0.1
    )
    monkeypatch.setattr(services, "LOCAL", dataclasses.replace(LOCAL, add=add))
    return lambda: monkeypatch.setattr(services, "LOCAL", LOCAL)


def down(tenant: Tenant, number: int, *routes: str, times: int = ALWAYS) -> None:
    tenant.world.provider(number).faults.status_for |= dict.fromkeys(routes, (503, times))


def mend(tenant: Tenant) -> None:
    for provider in tenant.world.providers:
        provider.faults.status_for.clear()
        provider.faults.lie_about_piece = False


def events(outcome: Outcome, name: str) -> list[dict[str, object]]:
    lines = (json.loads(line) for line in outcome.stderr.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == name]


def piece_of(tenant: Tenant, path: Path) -> str:
    piece: str = tenant.here("cid", path, "--json").json["pieces"][0]["piece_cid"]
    return piece


def copies(outcome: Outcome) -> dict[int, str]:
    """The states of all copies, by provider; failed ones that were replaced do not count."""
    return {copy["provider_id"]: copy["state"] for copy in outcome.json["pieces"][0]["copies"]}


# A provider that lies


def test_the_copy_of_an_honest_provider_stays_when_the_other_one_lies(tenant: Tenant, note: Path) -> None:
    tenant.world.provider(1).faults.lie_about_piece = True
    piece = piece_of(tenant, note)
    first = tenant.here("add", note, "--copies", "2", "--exclude-provider", "3", "--json")
    assert (first.code, first.json["complete"]) == (3, False), first.stderr
    assert copies(first) == {1: "failed", 2: "advertised"}
    assert "other bytes" in first.json["pieces"][0]["copies"][0]["reason"]
    assert [row[0] for row in tenant.on_chain(piece)] == [2]
    assert tenant.pins()[0]["state"] == "degraded"

    mend(tenant)
    again = tenant.here("add", note, "--copies", "2", "--json")
    assert (again.code, again.json["complete"]) == (0, True), again.stderr
    assert sorted(row[0] for row in tenant.on_chain(piece)) == [1, 2]


def test_a_failed_copy_is_told_to_people_with_what_to_do(tenant: Tenant, note: Path) -> None:
    tenant.world.provider(1).faults.lie_about_piece = True
    outcome = tenant.here("add", note, "--copies", "2", "--exclude-provider", "3")
    assert outcome.code == 3
    assert "provider 1: failed: provider 1 " in outcome.stderr
    assert "the same command continues" in outcome.stdout


# Bytes that are damaged


def test_what_one_provider_damaged_comes_from_the_other_and_is_never_written_wrong(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    root = tenant.here("add", note, "--copies", "2", "-q").stdout.strip()
    content = note.read_bytes()
    damaged = 0
    for file in (tenant.world.info_path.parent / "provider-1" / "pieces").rglob("*"):
        if file.is_file() and content in (raw := file.read_bytes()):
            file.write_bytes(raw.replace(content, content.swapcase()))
            damaged += 1
    assert damaged == 1
    back = tenant.here("get", root, "-o", tmp_path / "back", "--json")
    assert back.code == 0, back.stderr
    assert (tmp_path / "back").read_bytes() == content
    assert tenant.world.urls.providers[1] in back.json["sources"]

    only = tenant.here("get", root, "-o", tmp_path / "only", env={"FPIN_HOME": str(tmp_path / "other")})
    assert only.code == 0, only.stderr  # a home that knows nothing asks routing, which names both
    assert (tmp_path / "only").read_bytes() == content


def test_content_that_is_damaged_everywhere_is_refused_and_nothing_is_written(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    content = note.read_bytes()
    for file in (tenant.world.info_path.parent / "provider-1" / "pieces").rglob("*"):
        if file.is_file() and content in (raw := file.read_bytes()):
            file.write_bytes(raw.replace(content, content.swapcase()))
    out = tmp_path / "out"
    out.mkdir()
    refused = tenant.here("get", root, "-o", out / "back", "--json")
    assert refused.code in (5, 6), refused.stderr
    assert tenant.world.urls.providers[0].removeprefix("http://") in refused.json["error"]["message"]
    assert list(out.iterdir()) == []


# Answers that are lost


def test_a_lost_answer_to_an_add_into_a_data_set_costs_nothing(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.txt"
    second.write_text(f"another thing of {tenant.wallet}")
    assert tenant.here("add", note, "--copies", "1").code == 0
    tenant.world.provider(1).faults.drop_answer_after_success = Once({"add"})
    added = tenant.here("add", second, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    assert len(tenant.on_chain(piece_of(tenant, second))) == 1
    assert len(tenant.chain.client_data_sets(tenant.wallet)) == 1


def test_a_lost_answer_to_a_removal_is_looked_up_on_chain(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    tenant.world.provider(1).faults.drop_answer_after_success = Once({"remove"})
    removed = tenant.here("rm", root, "--json")
    assert removed.code == 0, removed.stderr
    assert removed.json["pieces"][0]["state"] in ("scheduled", "removed", "unadvertised", "gone")


def test_a_removal_that_the_provider_cannot_take_now_is_asked_for_again(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    down(tenant, 1, "remove")
    broken = tenant.here("rm", root, "--json")
    assert (broken.code, broken.json["error"]["kind"]) == (5, "ProviderUnavailable")
    assert len(tenant.on_chain(piece_of(tenant, note))) == 1
    mend(tenant)
    removed = tenant.here("rm", root, "--wait", "--json")
    assert (removed.code, removed.json["pieces"][0]["state"]) == (0, "gone"), removed.stderr


# An indexer that fails


@pytest.mark.parametrize("fault", ["stopped", "failing"])
def test_an_indexer_that_fails_leaves_the_data_stored_and_the_same_command_finishes(
    tenant: Tenant, note: Path, impatient: Callable[[], None], fault: str
) -> None:
    faults = tenant.world.indexer.faults
    setattr(faults, fault, ALWAYS if fault == "failing" else True)
    # Nothing else may say that the advertisement was processed, or that is evidence enough.
    faults.hold_ingest = True
    first = tenant.here("add", note, "--copies", "1", "--json")
    assert first.code == 3, first.stderr
    assert first.json["routing"]["state"] in ("unreachable", "timeout")
    assert copies(first) == {1: "confirmed"}
    assert any("The data is stored" in sentence for sentence in first.json["routing"]["notes"])
    assert any(
        f"fpin check {first.json['root_cid']}" in sentence for sentence in first.json["routing"]["notes"]
    )
    assert first.json["urls"] == [url for url in first.json["urls"] if url.startswith("http://127.0.0.1")]

    checked = tenant.here("check", first.json["root_cid"])
    assert (checked.code, "The data is stored" in checked.stdout) == (3, True)
    for name, value in dataclasses.asdict(type(faults)()).items():
        setattr(faults, name, value)
    impatient()
    assert tenant.here("check", first.json["root_cid"]).code == 0
    before = tenant.funds()
    again = tenant.here("add", note, "--copies", "1", "--json")
    assert (again.code, copies(again)) == (0, {1: "advertised"}), again.stderr
    assert events(again, "parked") == []
    assert tenant.funds() == before


def test_stored_but_not_findable_is_told_to_people(
    tenant: Tenant, note: Path, impatient: Callable[[], None]
) -> None:
    tenant.world.indexer.faults.stopped = True
    outcome = tenant.here("add", note, "--copies", "1")
    assert outcome.code == 3
    assert "The data is stored" in outcome.stdout
    assert "the same command continues" in outcome.stdout


def test_content_comes_back_while_the_indexer_is_down(tenant: Tenant, note: Path, tmp_path: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    tenant.world.indexer.faults.stopped = True
    back = tenant.here("get", root, "-o", tmp_path / "back")
    assert (back.code, (tmp_path / "back").read_bytes()) == (0, note.read_bytes()), back.stderr


@pytest.mark.parametrize("fault", ["stopped", "nonsense"])
def test_not_to_be_told_who_has_something_is_not_the_same_as_nobody(
    tenant: Tenant, tmp_path: Path, fault: str
) -> None:
    unknown = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    absent = tenant.here("get", unknown, "-o", tmp_path / "out", "--json")
    assert (absent.code, absent.json["error"]["kind"]) == (1, "NotFound")
    setattr(tenant.world.indexer.faults, fault, True)
    unasked = tenant.here("get", unknown, "-o", tmp_path / "out", "--json")
    assert (unasked.code, unasked.json["error"]["kind"]) == (5, "IndexerUnavailable")
    assert tenant.world.urls.indexer in unasked.json["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_a_removal_that_nobody_can_confirm_is_done_in_part_and_finished_later(
    tenant: Tenant, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    removal = dataclasses.replace(LOCAL.removal, deadline=0.5)
    tenant.world.indexer.faults.stopped = True
    with monkeypatch.context() as hurried:
        hurried.setattr(services, "LOCAL", dataclasses.replace(LOCAL, removal=removal))
        waited = tenant.here("rm", root, "--wait", "--json")
    assert waited.code == 3, waited.stderr
    assert waited.json["pieces"][0]["state"] != "gone"
    assert waited.json["pieces"][0]["note"]
    tenant.world.indexer.faults.stopped = False
    finished = tenant.here("rm", root, "--wait", "--json")
    assert (finished.code, finished.json["pieces"][0]["state"]) == (0, "gone"), finished.stderr


def test_a_provider_that_never_advertises_is_named(
    tenant: Tenant, note: Path, impatient: Callable[[], None]
) -> None:
    tenant.world.provider(1).faults.never_advertise = True
    first = tenant.here("add", note, "--copies", "1", "--json")
    assert (first.code, first.json["routing"]["state"]) == (3, "timeout"), first.stderr
    assert any("Provider 1 " in sentence for sentence in first.json["routing"]["notes"])


# A process that ends


# Adds that are killed are in tests/kills.
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize(
    "transition", ["mark_removing after", "mark_scheduled before", "mark_scheduled after"]
)
def test_a_removal_that_is_killed_at_a_transition_is_finished_by_the_same_command(
    tenant: Tenant, note: Path, tmp_path: Path, transition: str
) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    order = Order(point=f"{transition} its commit", time=1)
    killed = subprocess.run(
        [
            sys.executable,
            victim.__file__,
            str(order),
            str(tmp_path / "points"),
            str(MAX_PIECE_SIZE),
            "rm",
            root,
        ],
        env=tenant.fpin.env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    removed = tenant.here("rm", root, "--json")
    assert removed.code == 0, removed.stderr
    [copy] = removed.json["pieces"]
    assert copy["state"] in ("scheduled", "removed", "unadvertised", "gone")
    live = tenant.chain.piece_live(copy["data_set_id"], copy["piece_id"])
    assert not live or copy["piece_id"] in tenant.chain.scheduled_removals(copy["data_set_id"])


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
@pytest.mark.parametrize(
    ("sent", "as_json"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, True)]
)
def test_an_interrupt_while_uploading_ends_with_130_and_the_same_command_continues(
    tenant: Tenant, note: Path, sent: signal.Signals, as_json: bool
) -> None:
    tenant.world.provider(1).faults.slow = 0.5  # so that the signal comes while the provider has the word
    process = subprocess.Popen(
        tenant.fpin.command(("add", note, "--copies", "1", *["--json"] * as_json)),
        env=tenant.fpin.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        said = ""
        while "packed" not in said and "root CID" not in said:
            said = process.stderr.readline()
            assert said, "it ended before it had anything to upload"
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "fpin: interrupted; what was done is written down\n  → run the same command again" in err
    if as_json:
        assert json.loads(out)["error"] == {
            "code": 130,
            "kind": "Interrupted",
            "message": "interrupted; what was done is written down",
            "hint": "run the same command again to go on",
        }
    else:
        assert out == ""

    tenant.world.provider(1).faults.slow = 0
    again = tenant.here("add", note, "--copies", "1", "--json")
    assert (again.code, copies(again)) == (0, {1: "advertised"}), again.stderr
    assert len(tenant.on_chain(piece_of(tenant, note))) == 1


def test_the_same_command_three_times_at_once_stores_and_pays_once(tenant: Tenant, note: Path) -> None:
    command = tenant.fpin.command(("add", note, "--copies", "1", "--json"))
    processes = [
        subprocess.Popen(
            command, env=tenant.fpin.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    outcomes = [Outcome(code, out, err) for (out, err), code in ended]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], [outcome.stderr for outcome in outcomes]
    assert len(tenant.on_chain(piece_of(tenant, note))) == 1
    assert len(tenant.chain.client_data_sets(tenant.wallet)) == 1
    assert len([event for outcome in outcomes for event in events(outcome, "submitted")]) == 1
    [pin] = tenant.pins()
    assert [copy["state"] for copy in pin["pieces"][0]["copies"]] == ["advertised"]


# A node that says nothing


def silent_after(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    """The node answers no question about a contract once any provider was asked *route*."""
    for provider in tenant.world.providers:
        refusal = provider.faults.refusal

        def watching(name: str, refusal: Callable[[str], int | None] = refusal) -> int | None:
            if name == route:
                tenant.world.chain.faults.status_for["eth_call"] = (503, ALWAYS)
            return refusal(name)

        monkeypatch.setattr(provider.faults, "refusal", watching)
    monkeypatch.setattr(JsonRpc, "_insist", lambda _, ask: ask())  # once is enough, and takes no time


@pytest.mark.parametrize("copies", ["1", "2"])
def test_a_node_that_falls_silent_is_no_providers_fault(
    tenant: Tenant, note: Path, monkeypatch: pytest.MonkeyPatch, copies: str
) -> None:
    with monkeypatch.context() as patch:
        silent_after(tenant, patch, "finalize")
        outcome = tenant.here("add", note, "--copies", copies)
    assert outcome.code == 5, outcome.stderr
    assert "failed" not in outcome.stderr
    assert f"fpin: node {tenant.world.urls.chain.split('/')[2]}: HTTP 503" in outcome.stderr
    tenant.mend()
    assert tenant.here("add", note, "--copies", copies).code == 0
    assert len(tenant.on_chain(piece_of(tenant, note))) == int(copies)


def test_a_node_that_falls_silent_during_a_removal_is_no_providers_fault(
    tenant: Tenant, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tenant.here("add", note).code == 0
    with monkeypatch.context() as patch:
        silent_after(tenant, patch, "remove")
        outcome = tenant.here("rm", note)
    assert outcome.code == 5, outcome.stderr
    assert "failed" not in outcome.stderr
    tenant.mend()
    assert tenant.here("rm", note).code == 0


def test_a_repair_that_the_node_tells_nothing_is_not_called_complete(
    tenant: Tenant, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tenant.here("add", note).code == 0
    monkeypatch.setattr(JsonRpc, "_insist", lambda _, ask: ask())
    tenant.world.chain.faults.status_for["eth_call"] = (503, ALWAYS)
    outcome = tenant.here("repair", "--json")
    assert (outcome.code, outcome.json["error"]["kind"]) == (5, "NodeUnavailable")
