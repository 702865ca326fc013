"""A provider that changed its address after a copy was planned there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpin.backends.filecoin import Account, Identity
from fpin.backends.filecoin.moving import see_moves
from fpin.flows.services import Services
from fpin.keys import Credentials
from tests.cli.conftest import Tenant

OLD = "http://127.0.0.1:9"


def test_a_copy_is_where_its_provider_is_registered_now(
    tenant: Tenant, services: Services, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    note = tmp_path / "note.txt"
    note.write_text(request.node.name)
    added = tenant.here("add", note, "--provider", "1", "--provider", "2", "--json")
    assert added.code == 0, added.stderr
    [pin] = services.store.pins(services.backend.chain_id)
    first, second = pin.copies
    services.store.mark_moved(first.copy, provider_url=OLD)
    services.store.mark_failed(second.copy, reason="of an earlier run")
    services.store.mark_moved(second.copy, provider_url=OLD)
    nobody = Identity(Credentials(), "devnet")
    account = Account(chain=tenant.chain, store=services.store, http=services.http, identity=nobody)
    see_moves(account, services.store.pin(pin.pin))
    moved, ended = services.store.pin(pin.pin).copies
    assert (moved.provider_url, moved.state) == (first.provider_url, first.state)
    assert ended.provider_url == OLD  # history, not a place to ask
