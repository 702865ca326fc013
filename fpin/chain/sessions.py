"""Session keys: what a wallet can allow another key to sign, and what it has allowed.

Pure; reads and sends nothing. None of these permissions moves money out of the account: a deposit, a
withdrawal, an approval and a direct termination are transactions, which only the wallet's own key sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fpin.values import dataclass

SCOPES: Mapping[str, str] = {
    "create-data-set": "CreateDataSet",
    "add": "AddPieces",
    "remove": "SchedulePieceRemovals",
    "terminate": "TerminateService",
}
"""Permissions (`typed_data.PERMISSIONS`) by scope. The reference client wants a key that has all four."""

STORING = ("create-data-set", "add", "remove")  # what fpin signs with a session key

# Blocks carry times 30 s apart, and what is signed has to be mined before the key expires.
MARGIN = 300  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What *session* may sign for *wallet*, as the chain had it at Unix time *now*."""

    wallet: str
    session: str
    now: int
    expiries: Mapping[str, int]  # by scope, in Unix seconds; 0: never allowed, or revoked

    @property
    def live(self) -> tuple[str, ...]:
        """The scopes that can be used now."""
        return tuple(scope for scope, expiry in self.expiries.items() if expiry > self.now)

    def missing(self, scopes: Iterable[str]) -> tuple[str, ...]:
        """Return those of *scopes* that cannot be used long enough for a transaction to be mined."""
        return tuple(scope for scope in scopes if self.expiries[scope] <= self.now + MARGIN)
