"""The devnet that the tests of the command line share serves the pages too."""

from tests.cli.conftest import here, shared_world, tenant, wallets, witness

__all__ = ["here", "shared_world", "tenant", "wallets", "witness"]
