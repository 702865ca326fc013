"""The shared devnet of the command line's tests, and the services that a flow works with there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fpin.flows.services import Services, connect
from fpin.keys import Secret
from fpin.settings import folders
from tests.cli.conftest import Tenant, here, shared_world, tenant, wallets, witness

__all__ = ["here", "shared_world", "tenant", "wallets", "witness"]


@pytest.fixture
def services(tenant: Tenant) -> Iterator[Services]:
    with connect(
        network="devnet",
        rpc_url=None,
        folders=folders(tenant.fpin.env),
        key=Secret(tenant.fpin.wallet.key.hex(), "the test"),
        devnet_info=tenant.world.info_path,
    ) as connected:
        yield connected
