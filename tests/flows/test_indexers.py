"""Several indexers of each role: one that helps is enough, and what each of them said is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet import ipni
from fpin.devnet.server import Server, bind, url_of
from fpin.ipld.cid import parse_cid
from tests.cli.conftest import Tenant


@dataclass(frozen=True)
class Second:
    """An indexer besides the devnet's, which nobody announces to unless a test does."""

    url: str
    indexer: ipni.Indexer


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Second]:
    indexer = ipni.Indexer(tmp_path / "second.sqlite")
    socket = bind()
    server = Server({socket: indexer.app})
    server.start()
    yield Second(url_of(socket), indexer)
    server.stop()
    indexer.close()


@pytest.fixture
def root(tenant: Tenant, tmp_path: Path) -> str:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} wants to be found by several\n")
    added = tenant.here("add", path, "--copies", "2", "-q")
    assert added.code == 0, added.stderr
    return added.stdout.strip()


def states(checked: Any) -> dict[tuple[str, str], str]:
    return {(one["indexer"], one["role"]): one["state"] for one in checked["routing"]["indexers"]}


def test_one_indexer_that_lists_it_is_enough_and_each_is_told_apart(
    tenant: Tenant, second: Second, root: str
) -> None:
    first, nobody = tenant.world.urls.indexer, "http://127.0.0.1:1"
    env = {
        "FPIN_INDEXERS": f"{nobody}=poll,{second.url}=poll,{first}=poll,{second.url}=confirm,{first}=confirm"
    }
    checked = tenant.here("check", root, "--json", env=env)
    assert (checked.code, checked.json["routing"]["state"]) == (0, "found"), checked.stderr
    assert checked.json["routing"]["indexer"] == first
    assert checked.json["routing"]["evidence"] == "record"
    assert states(checked.json) == {
        (nobody, "poll"): "inconclusive",
        (second.url, "poll"): "absent",
        (first, "poll"): "found",
        (second.url, "confirm"): "not_asked",
        (first, "confirm"): "not_asked",
    }
    shown = tenant.here("check", root, env=env).stdout
    assert f"Found by CID at {first}." in shown
    assert f"polled    {first}: lists all of it" in shown
    assert f"polled    {second.url}: lists none of it" in shown
    assert f"polled    {nobody}: no usable answer" in shown


def test_where_none_to_poll_helps_any_that_confirms_does(tenant: Tenant, second: Second, root: str) -> None:
    first = tenant.world.urls.indexer
    second.indexer.faults.stopped = True
    env = {"FPIN_INDEXERS": f"{second.url}=poll,{second.url}=confirm,{first}=confirm"}
    checked = tenant.here("check", root, "--json", env=env)
    assert (checked.code, checked.json["routing"]["state"]) == (0, "found"), checked.stderr
    assert (checked.json["routing"]["indexer"], checked.json["routing"]["evidence"]) == (first, "processed")
    assert states(checked.json)[first, "confirm"] == "processed"
    assert states(checked.json)[second.url, "confirm"] == "inconclusive"
    shown = tenant.here("check", root, env=env)
    assert f"routing: found: {first} has processed the advertisement; no record was seen" in shown.stderr
    assert f"No record of it was seen, but {first} has processed" in shown.stdout


def test_all_are_told_of_an_advertisement_and_all_are_asked_to_confirm(
    tenant: Tenant, second: Second, root: str
) -> None:
    first = tenant.world.urls.indexer
    env = {"FPIN_INDEXERS": f"{first},{second.url}"}
    checked = tenant.here("check", root, "--announce", "--confirm", "--json", env=env)
    assert checked.code == 0, checked.stderr
    assert {(one["provider_id"], one["indexer"]) for one in checked.json["announced"]} == {
        (number, url) for number in (1, 2) for url in (first, second.url)
    }
    said = {one["indexer"]: one["state"] for one in checked.json["confirmations"]}
    assert said == {first: "confirmed", second.url: "pending"}
    assert second.indexer.work()  # what it was told of
    both = tenant.here("check", root, "--json", env=env).json
    assert {states(both)[url, "poll"] for url in (first, second.url)} == {"found"}
    assert f"Found by CID at {first} and {second.url}." in both["routing"]["notes"]


def test_content_is_found_at_whichever_lists_it(
    tenant: Tenant, second: Second, root: str, tmp_path: Path
) -> None:
    env = {
        "FPIN_INDEXERS": f"{second.url}=poll,{tenant.world.urls.indexer}=poll",
        "FPIN_HOME": str(tmp_path / "stranger"),
    }
    got = tenant.here("get", root, "-o", tmp_path / "back", env=env)
    assert got.code == 0, got.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "note.txt").read_bytes()
    # "Could not ask" is not "nobody has it": not even where another one has answered.
    second.indexer.faults.stopped = True
    tenant.world.indexer.faults.failing, tenant.world.indexer.faults.status = 9, 404
    unknown = tenant.here("get", root, "-o", tmp_path / "again", env=env)
    assert (unknown.code, second.url in unknown.stderr) == (5, True)


def test_a_removal_is_not_held_up_by_one_that_never_answers_and_names_it(tenant: Tenant, root: str) -> None:
    nobody = "http://127.0.0.1:1"
    env = {"FPIN_INDEXERS": f"{tenant.world.urls.indexer}=poll,{nobody}=poll"}
    removed = tenant.here("rm", root, "--wait", "--json", env=env)
    assert (removed.code, {piece["state"] for piece in removed.json["pieces"]}) == (0, {"gone"}), (
        removed.stderr
    )
    for piece in removed.json["pieces"]:
        assert f"{tenant.world.urls.indexer} does not list it any more." in piece["note"]
        assert f"{nobody} gave no usable answer" in piece["note"]


def test_a_delegated_router_names_providers_of_what_no_indexer_knows(
    tenant: Tenant, second: Second, root: str, tmp_path: Path
) -> None:
    stranger = {"FPIN_HOME": str(tmp_path / "stranger")}
    only_second = {"FPIN_INDEXERS": f"{second.url}=poll"} | stranger
    assert tenant.here("get", root, "-o", tmp_path / "not", env=only_second).code == 1
    with_router = {"FPIN_INDEXERS": f"{second.url}=poll,{tenant.world.urls.indexer}=route"} | stranger
    got = tenant.here("get", root, "-o", tmp_path / "back", "--json", env=with_router)
    assert got.code == 0, got.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "note.txt").read_bytes()
    assert set(got.json["sources"]) <= set(tenant.world.urls.providers)
    verified = tenant.here("verify", root, "--json", env=with_router)
    assert (verified.code, len(verified.json["providers"])) == (0, 2), verified.stderr
    tenant.world.indexer.faults.stopped = True
    unknown = tenant.here("get", root, "-o", tmp_path / "again", env=with_router)
    assert (unknown.code, f"router {tenant.world.urls.indexer} gave no usable answer" in unknown.stderr) == (
        5,
        True,
    )


def test_an_indexer_that_answers_second_hashes_only_is_as_good_as_any(
    tenant: Tenant, root: str, tmp_path: Path
) -> None:
    tenant.world.indexer.faults.encrypted_only = True
    first = tenant.world.urls.indexer
    plain, hidden = {"FPIN_INDEXERS": f"{first}=poll"}, {"FPIN_INDEXERS": f"{first}=poll+confirm+encrypted"}
    stranger = {"FPIN_HOME": str(tmp_path / "stranger")}
    assert tenant.here("get", root, "-o", tmp_path / "not", env=plain | stranger).code == 1
    got = tenant.here("get", root, "-o", tmp_path / "back", env=hidden | stranger)
    assert got.code == 0, got.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "note.txt").read_bytes()
    checked = tenant.here("check", root, "--confirm", "--json", env=hidden)
    assert (checked.code, checked.json["routing"]["strength"]) == (0, "exact"), checked.stderr
    assert [one["state"] for one in checked.json["confirmations"]] == ["confirmed"]
    removed = tenant.here("rm", root, "--wait", "--json", env=hidden)
    assert (removed.code, removed.json["complete"]) == (0, True), removed.stderr


@pytest.mark.parametrize("how", ["poll", "poll+encrypted"])
def test_an_extended_provider_is_one_more_source(
    tenant: Tenant, second: Second, root: str, tmp_path: Path, how: str
) -> None:
    """Somebody advertises it who is not there, and names a provider that is."""
    socket = bind()
    address = ipni.multiaddr_of_url(url_of(socket))
    publisher = ipni.Publisher(tmp_path / "ads.sqlite", b"\x21" * 32, ["/ip4/127.0.0.1/tcp/1/http"], address)
    server = Server({socket: publisher.app})
    server.start()
    url = tenant.world.urls.providers[0]
    beside = [(b"\x22" * 32, [ipni.multiaddr_of_url(url)])]
    publisher.publish(b"\x01\xff context", [parse_cid(root)[2:]], beside=beside)
    assert publisher.announce([f"{second.url}/announce"])
    assert second.indexer.work()
    env = {"FPIN_INDEXERS": f"{second.url}={how}", "FPIN_HOME": str(tmp_path / "stranger")}
    got = tenant.here("get", root, "-o", tmp_path / "back", "--json", env=env)
    assert (got.code, got.json["sources"]) == (0, [url]), got.stderr
    server.stop()
    publisher.close()


@pytest.mark.parametrize("text", ["https://a.example=pol", "https://a.example=encrypted", "a.example=poll"])
def test_indexers_that_are_misspelt_are_refused(tenant: Tenant, text: str) -> None:
    refused = tenant.here("check", "site", env={"FPIN_INDEXERS": text})
    assert (refused.code, "FPIN_INDEXERS: entry 1 is no indexer" in refused.stderr) == (2, True)


def test_a_token_in_an_indexers_address_is_used_and_never_shown(
    tenant: Tenant, second: Second, root: str
) -> None:
    host, secret = tenant.world.urls.indexer.removeprefix("http://"), "t0ken-of-somebody"
    named = ",".join(
        f"http://{host_and_role}"
        for host_and_role in (
            f"me:{secret}@{host}=poll",
            f"127.0.0.1:1/{secret}=poll",
            f"127.0.0.1:1/{secret}=route",
        )
    )
    env = {"FPIN_INDEXERS": named}
    checked = tenant.here("check", root, "--json", env=env)
    assert states(checked.json)[f"http://…@{host}", "poll"] == "found"
    for command in (
        ["check", root, "--announce", "--confirm"],
        ["doctor"],
        ["get", root, "-o", "-"],
        ["rm", root],
    ):
        for words in (command, [*command, "--json"]):
            said = tenant.here(*words, env=env)
            assert secret not in said.stdout + said.stderr, words
