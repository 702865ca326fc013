"""`session`: keys that may add and remove for a wallet and move no money: made, listed, ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fpin.backends.base import Paid, SessionReport
from fpin.chain.keccak import checksum_address
from fpin.chain.sessions import SCOPES, STORING
from fpin.chain.signer import Signer
from fpin.errors import FpinError, LocalError, NotFound, Unavailable, UsageError
from fpin.events import Noted, OnEvent, ignore
from fpin.flows.services import Services
from fpin.keys import Keychain, Secret
from fpin.values import dataclass

DEFAULT_SECONDS = 30 * 86400
LONGEST = 366 * 86400  # a key that is lost is one day of no use to anybody


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """A session key and what was sent about it. *kept* says where the key is; "" where fpin never had it."""

    network: str
    session: SessionReport
    kept: str
    tx: str | None  # None: nothing had to be sent
    gas: str | None  # what it burned of the chain's own coin, if it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSession:
    """A session key that was made here, or is in use here."""

    session: SessionReport
    kept: str
    in_use: bool  # it signs here


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsResult:
    network: str
    wallet: str
    sessions: tuple[ListedSession, ...]


def parse_scopes(text: str) -> tuple[str, ...]:
    """Return the scopes that a list between commas names; ``all`` is every one.

    >>> parse_scopes("remove, add")
    ('add', 'remove')
    """
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    if wanted == {"all"}:
        return tuple(SCOPES)
    strange = sorted(wanted - SCOPES.keys())
    if strange or not wanted:
        raise UsageError(
            f"--scope {', '.join(strange) or 'of nothing'}: there is no such scope",
            hint=f"one or several of: {', '.join(SCOPES)}; or all",
        )
    return tuple(scope for scope in SCOPES if scope in wanted)


def create(
    services: Services,
    *,
    scopes: Sequence[str] = STORING,
    seconds: int = DEFAULT_SECONDS,
    out: Path | Keychain,
    name: str,
    on_event: OnEvent = ignore,
) -> SessionResult:
    """Make a key, put it into the file *out* or as *name* into a keychain, and allow it *scopes*.

    The key is kept before it is allowed: one that was lost in between would be good for nothing, and still
    allowed. Where the wallet's transaction is refused it is thrown away again.
    """
    _check(services, seconds)
    signer, raw = Signer.new()
    secret = Secret("0x" + raw.hex(), "fpin")
    if isinstance(out, Keychain) and name in out.addresses():
        raise UsageError(
            f"the keyring has a session key called {name} already, {out.addresses()[name]}",
            hint="fpin session revoke ends it; or --out FILE keeps this one elsewhere",
        )
    kept = str(out.absolute()) if isinstance(out, Path) else f"keyring:{name}"
    if isinstance(out, Path):
        _write(out, secret)
    else:
        _record(services, signer.address, kept)  # first, so that revoke finds it whenever this run is killed
        out.put(name, secret, signer.address)
    try:
        return _allow(services, signer.address, scopes, seconds, kept, on_event)
    except Unavailable:
        on_event(Noted(text=f"the session key {signer.address} is kept in {kept}: it may be allowed by now"))
        raise
    except FpinError:
        if isinstance(out, Path):
            out.unlink(missing_ok=True)
        else:
            out.remove(name)
        raise


def allow(
    services: Services,
    address: str,
    *,
    scopes: Sequence[str] = STORING,
    seconds: int = DEFAULT_SECONDS,
    on_event: OnEvent = ignore,
) -> SessionResult:
    """Allow *scopes* to a key that somebody else has, or prolong them: fpin sees its address only."""
    _check(services, seconds)
    return _allow(services, session_address(address), scopes, seconds, "", on_event)


def ls(services: Services, addresses: Sequence[str] = ()) -> SessionsResult:
    """Return the session keys of the wallet that are known here, and those at *addresses*."""
    wallet = services.backend.wallet
    kept = {one.address: one.kept for one in services.store.sessions(services.backend.chain_id, wallet)}
    using = services.backend.session
    wanted = dict.fromkeys([*kept, *([using] if using else []), *map(session_address, addresses)])
    return SessionsResult(
        network=services.backend.network,
        wallet=wallet,
        sessions=tuple(
            ListedSession(session=one, kept=kept.get(one.address, ""), in_use=one.address == using)
            for one in services.backend.sessions(list(wanted))
        ),
    )


def revoke(
    services: Services, address: str, *, keychain: Keychain, on_event: OnEvent = ignore
) -> SessionResult:
    """Take everything from a session key; one that is kept in the keyring is deleted there."""
    services.backend.check_owner()
    session, wallet = session_address(address), services.backend.wallet
    known = {one.address: one.kept for one in services.store.sessions(services.backend.chain_id, wallet)}
    with services.backend.paying(on_event=on_event) as earlier:
        for payment in earlier:
            services.backend.acknowledge(payment.tx)
        [before] = services.backend.sessions([session])
        if not before.scopes and session not in known:
            raise NotFound(
                f"{session} was never allowed anything by {wallet}", hint="fpin session ls shows your keys"
            )
        paid = services.backend.revoke_session(session, on_event=on_event)
    kept = known.get(session, "")
    for name, at in keychain.addresses().items():
        if kept == f"keyring:{name}" and at == session:
            keychain.remove(name)
    return _result(services, session, kept, paid)


def session_address(text: str) -> str:
    """Return an address of the command line; raises UsageError without repeating what may be a key."""
    try:
        return checksum_address(text.strip())
    except ValueError:
        raise UsageError(
            "a session key is named by its address, and this is none",
            hint="0x and 40 hexadecimal digits; fpin session ls shows them",
            option="address",
        ) from None


def _check(services: Services, seconds: int) -> None:
    services.backend.check_owner()
    if not 0 < seconds <= LONGEST:
        raise UsageError("a session key lasts a year at most, and more than no time", hint="--expires 30d")


def _allow(
    services: Services, address: str, scopes: Sequence[str], seconds: int, kept: str, on_event: OnEvent
) -> SessionResult:
    _record(services, address, kept)
    with services.backend.paying(on_event=on_event) as earlier:
        for payment in earlier:
            services.backend.acknowledge(payment.tx)
        paid = services.backend.allow_session(address, scopes, seconds, on_event=on_event)
    return _result(services, address, kept, paid)


def _record(services: Services, address: str, kept: str) -> None:
    services.store.record_session(
        chain_id=services.backend.chain_id, wallet=services.backend.wallet, address=address, kept=kept
    )


def _result(services: Services, address: str, kept: str, paid: Paid | None) -> SessionResult:
    if paid is not None:
        services.backend.acknowledge(paid.tx)
    [session] = services.backend.sessions([address])
    return SessionResult(
        network=services.backend.network,
        session=session,
        kept=kept,
        tx=paid.tx if paid else None,
        gas=paid.gas if paid else None,
    )


def _write(path: Path, secret: Secret) -> None:
    try:
        # Never over another file, and from its first moment for its owner only.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret.reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as exc:
        raise UsageError(f"{path} is there already", hint="name another file with --out") from exc
    except OSError as exc:
        raise LocalError(f"cannot write {path}: {exc.strerror}", path=str(path)) from exc
