"""Where the copies of a pin go when something went wrong before, and what they cost then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fpin.backends.base import Wish
from fpin.backends.filecoin import FilecoinBackend
from fpin.chain.networks import load_network
from fpin.chain.signer import Signer
from fpin.chain.wallet import Wallet
from fpin.events import ignore
from fpin.flows.services import Services
from fpin.keys import Secret
from fpin.store import CopyState
from tests.cli.conftest import Tenant

ALWAYS = 10**6


@pytest.fixture
def note(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Content of its own for each test: the providers are shared, and keep what others uploaded."""
    path = tmp_path / "note.txt"
    path.write_text(f"{request.node.name}\n" * 40)
    return path


def providers_of(result: dict[str, Any]) -> dict[int, str]:
    [piece] = result["pieces"]
    return {copy["provider_id"]: copy["state"] for copy in piece["copies"]}


def test_a_provider_that_died_during_an_add_is_replaced_by_the_next_run(tenant: Tenant, note: Path) -> None:
    faults = tenant.world.provider(2).faults
    faults.status_for |= dict.fromkeys(("upload", "pull"), (503, ALWAYS))
    first = tenant.here("add", note, "--exclude-provider", "3", "--json")
    assert first.code == 3
    assert providers_of(first.json)[2] == "pulling"
    faults.status_for |= dict.fromkeys(tenant.world.provider(2).routes, (503, ALWAYS))
    again = tenant.here("add", note, "--json")
    assert again.code == 0, again.stderr
    assert providers_of(again.json) == {1: "advertised", 2: "failed", 3: "advertised"}


def test_an_excluded_provider_is_not_asked_again(tenant: Tenant, note: Path) -> None:
    tenant.world.provider(2).faults.status_for |= dict.fromkeys(("upload", "pull"), (503, ALWAYS))
    assert tenant.here("add", note, "--exclude-provider", "3", "--json").code == 3
    again = tenant.here("add", note, "--exclude-provider", "2", "--json")
    assert again.code == 0, again.stderr
    assert providers_of(again.json)[3] == "advertised"


def test_a_copy_elsewhere_makes_no_data_set_that_was_not_quoted(
    tenant: Tenant, note: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("another " + note.read_text())
    assert tenant.here("add", other, "--copies", "1").code == 0
    assert tenant.here("add", note, "--provider", "2", "--wait-for", "parked").code == 0
    added = tenant.here("add", note, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    sets = tenant.here("data-set", "ls", "--json").json["data_sets"]
    assert [one["provider_id"] for one in sets] == [1]
    assert providers_of(added.json) == {1: "advertised", 2: "failed"}


def test_a_named_provider_that_fails_is_not_made_up_for_by_copies_elsewhere(
    tenant: Tenant, note: Path
) -> None:
    assert tenant.here("add", note).code == 0  # at 1 and 2
    tenant.world.provider(3).faults.status_for |= dict.fromkeys(("upload", "pull"), (503, ALWAYS))
    added = tenant.here("add", note, "--provider", "1", "--provider", "3", "--json")
    assert added.code == 3
    assert added.json["complete"] is False


def test_more_copies_than_named_providers_is_a_usage_error(tenant: Tenant, note: Path) -> None:
    refused = tenant.here("add", note, "--copies", "3", "--provider", "1")
    assert refused.code == 2
    assert "3 copies" in refused.stderr


def test_provider_and_data_set_together_are_a_usage_error(tenant: Tenant, note: Path) -> None:
    refused = tenant.here("add", note, "--provider", "1", "--data-set", "1")
    assert refused.code == 2
    assert "--provider does not go with --data-set" in refused.stderr


def test_one_more_copy_costs_one_copy(tenant: Tenant, note: Path) -> None:
    one = tenant.here("add", note, "--copies", "1", "--json").json["cost"]
    more = tenant.here("add", note, "--copies", "2", "--json").json["cost"]
    nothing = tenant.here("add", note, "--copies", "2", "--max-cost", "0", "--json")
    assert more == one
    assert nothing.code == 0, nothing.stderr
    assert set(nothing.json["cost"].values()) == {"0", "USDFC"}


def test_copies_in_a_terminated_data_set_do_not_count(tenant: Tenant, note: Path) -> None:
    first = tenant.here("add", note, "--copies", "1", "--json").json
    [copy] = first["pieces"][0]["copies"]
    signer = Signer.from_key(Secret(tenant.fpin.wallet.key.hex(), "the test").reveal())
    Wallet(tenant.chain, signer).terminate(copy["data_set_id"])
    again = tenant.here("add", note, "--copies", "1", "--json")
    assert again.code == 0, again.stderr
    assert "terminated" in again.stderr
    live = [c for c in again.json["pieces"][0]["copies"] if c["state"] == "advertised"]
    assert [c["data_set_id"] for c in live] != [copy["data_set_id"]]
    assert len(live) == 1


def test_an_add_whose_transaction_vanished_is_sent_again_under_its_nonce(
    tenant: Tenant, services: Services, note: Path
) -> None:
    faults = tenant.world.provider(1).faults
    faults.status_for["add"] = faults.status_for["create-and-add"] = (503, ALWAYS)
    assert tenant.here("add", note, "--copies", "1").code == 5
    [pin] = services.store.pins(services.backend.chain_id)
    [copy] = pin.copies
    assert copy.state is CopyState.SIGNED
    assert copy.submission is not None
    nonce = services.store.submission(copy.submission).nonce
    # As if the provider had named a transaction that then never came to be.
    services.store.mark_submitted(copy.submission, tx="0x" + "ab" * 32)
    faults.status_for.clear()
    added = tenant.here("add", note, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    assert tenant.chain.nonce_use(tenant.wallet, nonce) is not None


def test_on_a_public_network_each_wallet_has_an_order_of_providers_of_its_own(services: Services) -> None:
    backend = services.backend
    assert isinstance(backend, FilecoinBackend)
    chain = backend._account.chain
    assert load_network("mainnet").seed is None
    chain.network = replace(chain.network, seed=load_network("mainnet").seed)
    offer = backend.offer([1000], Wish(), on_event=ignore)
    assert offer.seed == backend.wallet
    assert {place.reason for place in offer.places} == {f"next by seed {backend.wallet}"}
    assert backend.offer([1000], Wish(), on_event=ignore) == offer
