"""The tests of trustless gateways pass against a devnet provider, but for what Curio does differently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.world import World
from tests.conftest import Fpin
from tests.interop.conftest import Program

PROGRAM = "gateway-conformance"
# Curio has no IPNS, and neither has the devnet.
SPECS = "trustless-gateway,-trustless-ipns-gateway"
# By the end of their names. Curio compresses for clients that take gzip, as this one does, and then leaves
# that header out; for others it is there, see tests/devnet/test_gateway.py.
KNOWN = ("/Header_Accept-Ranges",)


@pytest.fixture(scope="module")
def results(
    gateway_conformance: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What came of each test that has no tests below it; ``pass``, ``fail`` or ``skip``."""
    folder = tmp_path_factory.mktemp("conformance")
    gateway_conformance("extract-fixtures", "--merged", "--directory", folder)
    fpin = Fpin(folder / "home")
    with World.start(folder / "home" / "devnet", mode="up") as world:
        # One of the fixtures lacks a block, which is what it is for.
        done = fpin("import", folder / "fixtures.car", "--allow-missing", "--copies", "1", "--json")
        assert done.code == 0, done.stderr
        [piece] = done.json["pieces"]
        url = world.urls.providers[piece["copies"][0]["provider_id"] - 1]
        report = folder / "report.json"
        # Its own code says nothing here: it is 1 for the known failures too.
        gateway_conformance("test", "--gateway-url", url, "--specs", SPECS, "--json", report, code=None)
        yield _read(report)


def _read(report: Path) -> dict[str, str]:
    outcomes = {}
    for line in report.read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["Action"] in ("pass", "fail", "skip") and "Test" in event:
            outcomes[event["Test"]] = event["Action"]
    above = {name.rsplit("/", 1)[0] for name in outcomes}
    return {name: outcome for name, outcome in outcomes.items() if name not in above}


def test_the_trustless_gateway_specs_pass_but_for_the_known_header(
    results: dict[str, str], record_property: Any
) -> None:
    passed = [name for name, outcome in results.items() if outcome == "pass"]
    assert [n for n, outcome in results.items() if outcome == "fail" and not n.endswith(KNOWN)] == []
    assert len(passed) >= 300
    record_property("cases", len(passed))


def test_every_test_of_a_trustless_gateway_ran(results: dict[str, str]) -> None:
    # The others belong to specs that were not asked for.
    skipped = {name.split("/")[0] for name, outcome in results.items() if outcome == "skip"}
    assert [name for name in skipped if name.startswith("TestTrustless")] == []
    ran = {name.split("/")[0] for name, outcome in results.items() if outcome != "skip"}
    assert {"TestTrustlessRaw", "TestTrustlessCarPathing", "TestTrustlessCarEntityBytes"} <= ran
