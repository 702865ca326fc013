"""Sources: where a key can come from, in which order they are asked, and reading one.

Nothing is read before the key is needed. No message holds what was read, and no exception is chained to one
that might. A key is never an argument of the command line, so there is no source for that.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from fpin.errors import NoKey, UsageError
from fpin.keys.keychain import Keychain
from fpin.keys.secret import Secret
from fpin.values import dataclass

COMMAND_SECONDS = 60  # long enough for a password manager to ask for a finger


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What the variables and the setting are called that say where a key for one purpose is."""

    variable: str  # holds the key itself
    file: str  # holds a path
    command: str  # holds a command that prints the key
    common: str  # holds the key, as other tools call it
    setting: str  # in config.toml, where it holds a reference


WALLET = Role(
    variable="FPIN_PRIVATE_KEY",
    file="FPIN_PRIVATE_KEY_FILE",
    command="FPIN_PRIVATE_KEY_COMMAND",
    common="PRIVATE_KEY",
    setting="key",
)
SESSION = Role(
    variable="FPIN_SESSION_KEY",
    file="FPIN_SESSION_KEY_FILE",
    command="FPIN_SESSION_KEY_COMMAND",
    common="SESSION_KEY",
    setting="session-key",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place that holds a key. *read* fetches it and raises NoKey where it cannot."""

    origin: str
    read: Callable[[], Secret] = field(repr=False)
    address: str | None = None  # of the key; None where that takes reading it


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What there is to act with.

    *wallet* is the address whose account is meant; None: that of *key*. *session* is a key that the wallet
    allowed to sign some things for it. *prompt* asks a person for the wallet's key where there is none.
    """

    wallet: str | None = None
    key: Source | None = None
    session: Source | None = None
    prompt: Callable[[], Secret] | None = field(default=None, repr=False)


def given(secret: Secret) -> Source:
    """Return the source of a key that somebody has in hand."""
    return Source(origin=secret.origin, read=lambda: secret)


def find(
    role: Role,
    *,
    keychain: Keychain,
    reference: str | None = None,
    names: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Source | None:
    """Return where the key for *role* is; None when nothing names one.

    Asked in the order of the variables in `Role`, then *reference*, then the first of *names* under which
    *keychain* has a key.
    """
    env = os.environ if env is None else env
    if env.get(role.variable):
        return _from_variable(role.variable, env)
    if path := env.get(role.file):
        return _from_file(Path(path), f"{role.file}={path}")
    if command := env.get(role.command):
        return _from_command(command, role.command)
    if env.get(role.common):
        return _from_variable(role.common, env)
    if reference is not None:
        return resolve(reference, keychain)
    known = keychain.addresses()
    return next((_from_keychain(name, keychain) for name in names if name in known), None)


def resolve(reference: str, keychain: Keychain) -> Source:
    """Return the source that a reference means: ``keyring:NAME``, ``file:PATH`` or ``command:WORDS``.

    Raises UsageError for anything else, without repeating it: it may be a key.
    """
    kind, rest = check_reference(reference)
    if kind == "file":
        return _from_file(Path(rest), reference)
    if kind == "command":
        return _from_command(rest, "the command that config.toml names")
    return _from_keychain(rest, keychain)


def check_reference(reference: str) -> tuple[str, str]:
    """Return the kind of a reference and what it names; raises UsageError as `resolve` does."""
    kind, _, rest = reference.partition(":")
    if kind not in ("keyring", "file", "command") or not rest:
        raise UsageError(
            "a key is named by a reference, and this is none",
            hint="keyring:NAME, file:PATH or command:WORDS; a key itself does not belong into settings",
        )
    return kind, rest


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Have no key in the environment that programs started meanwhile are given."""
    held = {
        name: os.environ.pop(name)
        for role in (WALLET, SESSION)
        for name in (role.variable, role.common)
        if name in os.environ
    }
    try:
        yield
    finally:
        os.environ.update(held)


def _from_variable(name: str, env: Mapping[str, str]) -> Source:
    secret = Secret(env[name], name)
    return Source(origin=name, read=lambda: secret)


def _from_keychain(name: str, keychain: Keychain) -> Source:
    return Source(
        origin=f"the keyring's entry {name}",
        read=lambda: keychain.get(name),
        address=keychain.addresses().get(name),
    )


def _from_file(path: Path, origin: str) -> Source:
    return Source(origin=origin, read=lambda: _read_file(path.expanduser(), origin))


def _from_command(command: str, origin: str) -> Source:
    return Source(origin=origin, read=lambda: _run(command, origin))


def _read_file(path: Path, origin: str) -> Secret:
    try:
        with path.open("rb") as file:
            # Of the file that is read, not of what may stand under its name a moment later.
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(4096).decode("ascii")
    except OSError as exc:
        raise NoKey(
            f"the key file {path} cannot be read: {exc.strerror}",
            hint=f"it is named by {origin}",
            path=str(path),
        ) from exc
    except UnicodeDecodeError:
        # Not chained: the cause would carry the file's bytes.
        raise NoKey(
            f"the key file {path} holds no key", hint="it should hold 64 hexadecimal digits"
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise NoKey(
            f"the key file {path} can be read by other users of this machine",
            hint=f"chmod 600 {shlex.quote(str(path))}",
            path=str(path),
        )
    return Secret(text, origin)


def _run(command: str, origin: str) -> Secret:
    import subprocess  # hardly anybody needs it, and it takes 4 ms

    try:
        with kept_from_children():
            done = subprocess.run(
                shlex.split(command),
                stdout=subprocess.PIPE,  # what it says on standard error, such as a question, the user sees
                timeout=COMMAND_SECONDS,
                check=False,
            )
        code, secret = done.returncode, Secret(done.stdout.decode("ascii"), origin)
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
        raise NoKey(
            f"{origin} could not be run: {type(exc).__name__}",
            hint="it should print the key and nothing else",
        ) from None
    if code != 0 or not secret.reveal():
        raise NoKey(
            f"{origin} printed no key (exit code {code})",
            hint="run it by hand to see what it says",
        )
    return secret
