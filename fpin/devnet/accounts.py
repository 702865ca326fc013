"""The accounts every devnet has: keys made from names, so that all devnets have the same ones.

Knows no chain and no amounts.
"""

from __future__ import annotations

import hashlib

from eth_account import Account


class DevAccount:
    """An account whose key everybody can compute from its *name*: worth nothing outside a devnet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = hashlib.sha256(f"fpin devnet {name}".encode()).digest()
        self.address: str = Account.from_key(self.key).address


PROVIDERS = tuple(DevAccount(f"PROVIDER_{number}") for number in (1, 2, 3))
# Ready to store, then with tokens but nothing deposited or approved, then with nothing at all.
USERS = tuple(DevAccount(f"USER_{number}") for number in (1, 2, 3))
DEPLOYER = DevAccount("DEPLOYER")
