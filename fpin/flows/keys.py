"""`key`: keeping the wallet's key in the keyring, and saying which would be used. Shows addresses only."""

from __future__ import annotations

from collections.abc import Callable

from fpin.backends.filecoin import Identity
from fpin.chain.signer import Signer
from fpin.errors import NotFound
from fpin.keys import Credentials, Keychain, Secret, Source
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """A key in the keyring."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedKey:
    """A key that would be used now, by its address."""

    origin: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysResult:
    """*wallet* is the address that was named; None where it is that of the key."""

    network: str
    wallet: str | None
    key: UsedKey | None
    session: UsedKey | None
    kept: tuple[KeptKey, ...]


def keep(
    keychain: Keychain, name: str, secret: Secret, *, may_replace: Callable[[str, str], None]
) -> KeptKey:
    """Put *secret* into the keyring as *name*.

    *may_replace* is called with the old and the new address before another key is overwritten, and raises to
    keep it.
    """
    address = Signer.from_secret(secret).address
    before = keychain.addresses().get(name)
    if before not in (None, address):
        may_replace(str(before), address)
    keychain.put(name, secret, address)
    return KeptKey(name=name, address=address)


def forget(keychain: Keychain, name: str, *, agree: Callable[[str], None]) -> KeptKey:
    """Take the key called *name* out of the keyring; *agree* is called with its address and may raise."""
    address = keychain.addresses().get(name)
    if address is None:
        known = ", ".join(keychain.addresses()) or "none"
        raise NotFound(f"fpin keeps no key called {name}", hint=f"there are: {known}", name=name)
    agree(address)
    keychain.remove(name)
    return KeptKey(name=name, address=address)


def used(keychain: Keychain, credentials: Credentials, network: str) -> KeysResult:
    """Return which keys would be used on *network*, and those that are kept."""
    return KeysResult(
        network=network,
        wallet=Identity(credentials, network).wallet,
        key=_used(credentials.key),
        session=_used(credentials.session),
        kept=tuple(
            KeptKey(name=name, address=address) for name, address in sorted(keychain.addresses().items())
        ),
    )


def _used(source: Source | None) -> UsedKey | None:
    if source is None:
        return None
    address = source.address or Signer.from_secret(source.read()).address
    return UsedKey(origin=source.origin, address=address)
