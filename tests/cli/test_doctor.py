"""`fpin doctor`: each thing that can be wrong is found, said, and comes with what to do."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from fpin.backends.filecoin import checkup
from fpin.devnet.chain import fwss
from tests.cli.conftest import Here, Tenant
from tests.conftest import Outcome


def found(outcome: Outcome) -> dict[str, Any]:
    return {one["name"]: one for one in outcome.json["findings"]}


def test_where_all_is_well_it_says_so_and_what_it_measured(tenant: Tenant) -> None:
    outcome = tenant.here("doctor", "--json")
    findings = found(outcome)
    assert (outcome.code, outcome.json["well"]) == (0, True), outcome.stdout
    assert set(findings) == {
        "python", "packages", "commitment", "disk", "settings", "key",
        "node", "clock", "contracts", "providers", "indexer", "wallet",
    }  # fmt: skip
    assert findings["commitment"]["facts"]["mib_per_s"] > 0
    assert findings["key"]["says"] == "from FPIN_PRIVATE_KEY"
    assert findings["wallet"]["facts"]["address"] == tenant.wallet
    assert findings["contracts"]["facts"]["FilecoinWarmStorageService"] == "1.3.1"
    assert findings["providers"]["facts"] == {"approved": 3, "answering": 3, "silent": {}}
    quiet = tenant.here("doctor", "-q")
    assert (quiet.code, quiet.stdout) == (0, "")


def test_a_node_that_does_not_answer_is_bad_and_says_which(here: Here) -> None:
    outcome = here("doctor", "--network", "calibration", "--rpc-url", "http://127.0.0.1:9/rpc", "--json")
    findings = found(outcome)
    assert (outcome.code, outcome.json["well"]) == (1, False)
    assert findings["node"]["state"] == "bad"
    assert "127.0.0.1:9" in findings["node"]["says"]
    assert "--rpc-url" in findings["node"]["remedy"]
    assert findings["key"]["state"] == "warning"
    assert "FPIN_PRIVATE_KEY" in findings["key"]["remedy"]


def test_a_node_of_another_chain_is_bad(tenant: Tenant) -> None:
    chain = tenant.world.urls.chain
    outcome = tenant.here("doctor", "--network", "calibration", "--rpc-url", chain, "--json")
    assert (outcome.code, found(outcome)["node"]["state"]) == (1, "bad")
    assert "314159" in found(outcome)["node"]["says"]


def test_a_clock_that_is_wrong_is_bad(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = SimpleNamespace(time=lambda: time.time() + 600, perf_counter=time.perf_counter)
    monkeypatch.setattr(checkup, "time", ahead)
    outcome = tenant.here("doctor", "--json")
    assert (outcome.code, found(outcome)["clock"]["state"]) == (1, "bad")
    assert "ahead of the node" in found(outcome)["clock"]["says"]


def test_contracts_that_are_newer_than_fpin_are_a_warning(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fwss, "VERSION", "9.0.0")
    outcome = tenant.here("doctor", "--json")
    contracts = found(outcome)["contracts"]
    assert (outcome.code, contracts["state"]) == (0, "warning")
    assert "9.0.0" in contracts["says"]
    assert "newer fpin" in contracts["remedy"]


def test_silent_providers_and_indexers_are_told(tenant: Tenant) -> None:
    tenant.world.indexer.faults.stopped = True
    tenant.world.providers[2].faults.status_for["ping"] = (503, 99)
    outcome = tenant.here("doctor", "--json")
    findings = found(outcome)
    assert (outcome.code, findings["providers"]["state"], findings["indexer"]["state"]) == (
        0,
        "warning",
        "warning",
    )
    assert list(findings["providers"]["facts"]["silent"]) == ["3"]
    tenant.world.providers[1].faults.status_for["ping"] = (503, 99)
    assert found(tenant.here("doctor", "--json"))["providers"]["state"] == "bad"


def test_an_unreadable_key_is_bad_and_never_shown(here: Here) -> None:
    outcome = here(
        "doctor", "--network", "calibration", "--json", env={"FPIN_PRIVATE_KEY_FILE": "/absent/key"}
    )
    assert (outcome.code, found(outcome)["network"]["state"]) == (1, "bad")
    assert "/absent/key" in found(outcome)["network"]["says"]
