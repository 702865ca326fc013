"""Rule R8 through the command line: who hears of a CID before routing has found it.

The stand-in for cid.contact and a public gateway shares nothing with fpin: it writes down what reaches it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fpin.chain import networks
from fpin.flows import services as wiring
from fpin.flows.services import Services
from fpin.routing import LOCAL, Gate, GatewayClosed
from tests.cli.conftest import Tenant
from tests.provider.peer import Answer, Peer, Request, answer

NOWHERE = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


class Public(Peer):
    """cid.contact and a gateway in one. *found_after*: how many requests came before the gate was opened."""

    found_after: int | None = None

    def early(self) -> list[str]:
        return self.asked()[: self.found_after]


class WatchedGate(Gate):
    def __init__(self, public: Public) -> None:
        super().__init__(guarded=[public.host])
        self._public = public

    def open(self, found: Iterable[bytes]) -> None:
        if self._public.found_after is None:
            self._public.found_after = len(self._public.requests)
        super().open(found)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Public]:
    """The devnet with a public router beside its own indexer, as mainnet has cid.contact beside it."""
    public = Public()
    with public:

        def with_public(*args: object, **kwargs: object) -> networks.Network:
            network = load(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they came
            [own] = network.indexers
            return dataclasses.replace(
                network,
                indexers=(
                    networks.Indexer(url=own.url, roles=frozenset({"poll"})),
                    networks.Indexer(url=public.url, roles=frozenset({"confirm", "route"})),
                ),
                gateways=(public.url + "/ipfs/{cid}/{path}",),
            )

        load = networks.load_network
        monkeypatch.setattr(wiring, "load_network", with_public)
        monkeypatch.setattr(wiring, "Gate", functools.partial(WatchedGate, public))
        yield public


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    add = dataclasses.replace(
        LOCAL.add, delays=(0.02,), deadline=0.4, children=0.2, extension=0.1, ceiling=0.5, grace=0.1
    )
    monkeypatch.setattr(wiring, "LOCAL", dataclasses.replace(LOCAL, add=add))


@pytest.fixture
def folder(tenant: Tenant, tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    for number in range(5):
        (place / f"{number}.txt").write_text(f"{number} of {tenant.wallet}")
    return place


def about_content(paths: list[str]) -> list[str]:
    """Those of *paths* that ask for content; what became of an advertisement may be asked at any time."""
    return [path for path in paths if not path.startswith("/sync/status/")]


def test_an_add_tells_nobody_of_a_cid_before_it_is_found(
    tenant: Tenant, public: Public, folder: Path
) -> None:
    # Empty answers at first: the advertisement is out, and the indexer needs a few looks to have it.
    tenant.world.indexer.faults.failing = 4
    tenant.world.indexer.faults.status = 404
    added = tenant.here("add", folder, "--copies", "2", "--wait-for", "retrievable", "--json")
    assert (added.code, added.json["routing"]["state"]) == (0, "found"), added.stderr
    assert len(added.json["routing"]["checked"]) > 1  # the sample, too
    assert public.found_after is not None
    assert about_content(public.early()) == []
    assert any(url.startswith(public.url) for url in added.json["urls"])
    # What was found by an earlier command may be shown by a later one, the provider's own URLs first.
    later = tenant.here("status", added.json["root_cid"], "--urls").stdout.splitlines()
    assert later[:-2] == added.json["urls"]
    assert later[2].startswith(public.url)
    assert later[3].startswith("https://inbrowser.link/ipfs/bafy")


def test_an_add_that_is_not_found_tells_nobody_at_all_and_shows_no_public_url(
    tenant: Tenant, public: Public, folder: Path, tmp_path: Path, impatient: None
) -> None:
    tenant.world.indexer.faults.hold_ingest = True
    added = tenant.here("add", folder, "--copies", "1", "--json")
    assert added.code == 3, added.stderr
    root = added.json["root_cid"]
    assert not [url for url in added.json["urls"] if url.startswith(public.url)]
    for command in (["check", root], ["status", root, "--refresh"], ["get", root, "-o", str(tmp_path / "x")]):
        outcome = tenant.here(*command)
        assert f"{public.url}/" not in outcome.stdout
    assert (tmp_path / "x" / "0.txt").read_text() == f"0 of {tenant.wallet}"
    assert public.found_after is None
    assert about_content(public.asked()) == []


def test_content_that_nobody_has_is_not_looked_for_at_public_gateways(
    tenant: Tenant, public: Public, tmp_path: Path
) -> None:
    outcome = tenant.here("get", NOWHERE, "-o", tmp_path / "x")
    assert outcome.code == 1
    assert public.asked() == []


def test_a_confirming_indexer_that_answers_is_heard_only_about_advertisements(
    tenant: Tenant, public: Public, folder: Path, impatient: None
) -> None:
    def processed(request: Request) -> Answer:
        return answer(200, {"State": "indexed"})

    react = public.react

    def by_prefix(request: Request) -> Answer:
        if request.path.startswith("/sync/status/ad/"):
            public.requests.append(request)
            return processed(request)
        return react(request)

    public.react = by_prefix  # type: ignore[method-assign]  # one route for any advertisement
    tenant.world.indexer.faults.stopped = True
    added = tenant.here("add", folder, "--copies", "1", "--json")
    # An advertisement that was processed is evidence, weaker than a record and good enough to go on.
    assert (added.code, added.json["routing"]["state"]) == (0, "found"), added.stderr
    assert added.json["routing"]["strength"] == "exact"
    assert about_content(public.early()) == []
    assert public.early()


@pytest.fixture
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not on this machine is asked through a proxy that is not there: a hole leaks nothing."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


def test_every_request_of_a_session_passes_the_gate(no_way_out: None, services: Services) -> None:
    for url in (
        f"https://cid.contact/cid/{NOWHERE}",
        f"https://delegated-ipfs.dev/routing/v1/providers/{NOWHERE}",
        f"https://{NOWHERE}.ipfs.dweb.link/",
        f"https://ipfs.io/ipfs/{NOWHERE}",
    ):
        with pytest.raises(GatewayClosed):
            services.http.request("GET", url)
