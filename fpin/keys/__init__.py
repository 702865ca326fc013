"""Keys: the places they come from, and the text of one as something that never shows itself.

Knows variables, files, commands and the keyring. Does not know what a key is made of, or what it signs.
"""

from fpin.keys.keychain import Keychain
from fpin.keys.secret import Secret
from fpin.keys.sources import (
    SESSION,
    WALLET,
    Credentials,
    Role,
    Source,
    check_reference,
    find,
    given,
    kept_from_children,
    resolve,
)

__all__ = [
    "SESSION",
    "WALLET",
    "Credentials",
    "Keychain",
    "Role",
    "Secret",
    "Source",
    "check_reference",
    "find",
    "given",
    "kept_from_children",
    "resolve",
]
