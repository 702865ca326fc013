"""Keychain: the keys that fpin keeps in the system's keyring, and in a file beside them their addresses.

An address is public. Knowing it without the key lets everything be looked at while the keyring stays locked,
and tells which entries there are, which no keyring does.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from fpin.errors import FpinError, LocalError, NoKey
from fpin.keys.secret import Secret
from fpin.settings import make_folder

SERVICE = "fpin"


class Keychain:
    """Named keys in the keyring; *path* is the file with their addresses."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def addresses(self) -> dict[str, str]:
        """Return the address of each key that was put here, by name; asks no keyring."""
        try:
            found = json.loads(self._path.read_bytes())["addresses"]
            return {str(name): str(address) for name, address in found.items()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise LocalError(
                f"{self._path} cannot be read: {getattr(exc, 'strerror', None) or type(exc).__name__}",
                hint="delete it, and name the key again with fpin key set",
                path=str(self._path),
            ) from exc

    def get(self, name: str) -> Secret:
        """Return the key called *name*; raises NoKey where there is none or it cannot be had."""
        try:
            with _keyring("read") as keyring:
                text = keyring.get_password(SERVICE, name)
        except LocalError as exc:
            raise NoKey(exc.message, hint=exc.hint) from None
        if not text:
            raise NoKey(f"the keyring has no key called {name}", hint=f"fpin key set {name}", name=name)
        return Secret(text, f"the keyring's entry {name}")

    def put(self, name: str, key: Secret, address: str) -> None:
        """Keep *key* as *name*; raises LocalError where there is no keyring that takes it."""
        with _keyring("written") as keyring:
            keyring.set_password(SERVICE, name, key.reveal())
            kept = keyring.get_password(SERVICE, name) == key.reveal()
        if not kept:  # a backend that stores nothing says nothing
            raise LocalError("the keyring did not keep the key", hint=_WAY_OUT)
        self._write({**self.addresses(), name: address})

    def remove(self, name: str) -> None:
        """Forget the key called *name*; one that the keyring has lost already is no failure."""
        with _keyring("changed") as keyring:
            if keyring.get_password(SERVICE, name) is not None:
                keyring.delete_password(SERVICE, name)
        self._write({one: address for one, address in self.addresses().items() if one != name})

    def _write(self, addresses: dict[str, str]) -> None:
        text = json.dumps({"addresses": addresses}, indent=1)
        folder = make_folder(self._path.parent)
        try:
            descriptor, part = tempfile.mkstemp(dir=folder, prefix=".fpin-keys-")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(part, self._path)
            finally:
                Path(part).unlink(missing_ok=True)
        except OSError as exc:
            raise LocalError(f"cannot write {self._path}: {exc.strerror}", path=str(self._path)) from exc


_WAY_OUT = (
    "keep the key in a file that only you can read and set FPIN_PRIVATE_KEY_FILE, "
    "or have a command print it: FPIN_PRIVATE_KEY_COMMAND"
)


@contextmanager
def _keyring(done: str) -> Iterator[ModuleType]:
    """Give the keyring library; what goes wrong with it is a LocalError that quotes nothing."""
    import keyring  # 60 ms, and most commands of most users have no use for it
    from keyring.errors import KeyringLocked, NoKeyringError

    try:
        yield keyring
    except FpinError:
        raise
    except NoKeyringError:
        raise LocalError("this machine has no keyring that can be used", hint=_WAY_OUT) from None
    except KeyringLocked:
        raise LocalError("the keyring is locked", hint=f"unlock it, or {_WAY_OUT}") from None
    except Exception as exc:  # noqa: BLE001  (backends raise what they like, and it may hold the key)
        raise LocalError(
            f"the keyring cannot be {done}: {type(exc).__name__}", hint=f"make it work, or {_WAY_OUT}"
        ) from None
