"""How often a command asks the node: many values in one request, and nothing twice without a reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fpin.chain.rpc import JsonRpc
from tests.cli.conftest import Tenant

PATIENCE = 3  # looks at a transaction that a busy machine has not executed yet


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node is asked from now on, a batch as one."""
    post, found = JsonRpc._post, []

    def counted(rpc: JsonRpc, body: Any) -> Any:
        found.append("batch" if isinstance(body, Sequence) else body["method"])
        return post(rpc, body)

    monkeypatch.setattr(JsonRpc, "_post", counted)
    return found


@pytest.fixture
def notes(tenant: Tenant, tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.txt" for number in range(4)]
    for path in paths:
        path.write_text(f"{path.name} of {tenant.wallet}")
    return paths


def counted(tenant: Tenant, asked: list[str], *args: str | Path) -> int:
    """Run a command and return how often it asked; the first time finds out about chain and contracts."""
    del asked[:]
    outcome = tenant.here(*args)
    assert outcome.code == 0, outcome.stderr
    assert (asked[0], set(asked[1:])) == ("batch", {"eth_call"})
    return len(asked) - 1


def test_an_add_asks_twice_what_it_costs_and_once_for_each_copy_what_became_of_it(
    tenant: Tenant, notes: list[Path], asked: list[str]
) -> None:
    # Providers and account before anything is read, and again before anything is paid.
    # Once more for data sets before one is made: another run may have made it meanwhile. And at the end
    # whether the add is there still, whether that is final, its data set and its pieces.
    assert counted(tenant, asked, "add", notes[0], "--copies", "1") <= 4 + 1 + 1 + 4 + PATIENCE
    # One more each time for the data set that there is now, and one each for what is in it and its number.
    assert counted(tenant, asked, "add", notes[1], "--copies", "1") <= 6 + 3 + 4 + PATIENCE


def test_status_asks_once_for_the_account_and_once_for_all_proofs(
    tenant: Tenant, notes: list[Path], asked: list[str]
) -> None:
    for note in notes:
        assert tenant.here("add", note, "--copies", "2").code == 0
    assert counted(tenant, asked, "status") == 2
    # Providers, data sets and pieces; then proofs and account. What became of the add is final here.
    assert counted(tenant, asked, "status", notes[0], "--refresh") == 5
