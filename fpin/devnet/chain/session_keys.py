"""SessionKeyRegistry: which temporary key may sign for a wallet, for what, until when (unix seconds).

Follows FilOzone/SessionKeyRegistry 74fc4e94.
"""

from __future__ import annotations

from fpin.devnet.chain.machine import Contract, Machine, external
from fpin.devnet.chain.storage import Mapping


class SessionKeyRegistry(Contract):
    name = "session_keys"
    groups = ("SessionKeyRegistry",)

    def __init__(self, machine: Machine, address: str) -> None:
        super().__init__(machine, address)
        self.expiries: Mapping[int] = Mapping(self.storage, (self.name, "expiry"), 0)

    @external("authorizationExpiry")
    def authorization_expiry(self, user: str, signer: str, permission: bytes) -> int:
        return self.expiries[user, signer, permission.hex()]

    @external("login")
    def login(self, signer: str, expiry: int, permissions: tuple[bytes, ...], origin: str) -> None:
        for permission in permissions:
            self.expiries[self.sender, signer, permission.hex()] = expiry
        self.emit("AuthorizationsUpdated", self.sender, signer, expiry, permissions, origin)

    @external("loginAndFund")
    def login_and_fund(self, signer: str, expiry: int, permissions: tuple[bytes, ...], origin: str) -> None:
        self.login(signer, expiry, permissions, origin)
        self.machine.transfer(self.address, signer, self.value)

    @external("revoke")
    def revoke(self, signer: str, permissions: tuple[bytes, ...], origin: str) -> None:
        self.login(signer, 0, permissions, origin)
