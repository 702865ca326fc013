"""Asking a person for a key at a terminal, where what is typed is not shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fpin.errors import NoKey

if TYPE_CHECKING:
    from fpin.keys import Secret


def can_ask() -> bool:
    """Tell whether somebody sits at a terminal, in front of both what is asked and what is typed."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())


def ask_for_key(noun: str, whose: str) -> Secret:
    """Ask for the key of *whose*, a network or a name; raises NoKey for an empty line."""
    import getpass

    from fpin.keys import Secret

    secret = Secret(getpass.getpass(f"{noun} for {whose} (not shown): ", stream=sys.stderr), "the prompt")
    if not secret.reveal():
        raise NoKey("no key was given", hint="a key is 0x and 64 hexadecimal digits")
    return secret
