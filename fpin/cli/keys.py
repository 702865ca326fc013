"""`fpin key`: keeping the wallet's key in the keyring.

A key is read from a prompt or from standard input, and never shown.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import TYPE_CHECKING, Annotated

import click

from fpin.cli import exits, options
from fpin.cli.asking import ask_for_key, can_ask
from fpin.cli.command import CONFIG
from fpin.cli.consent import agree
from fpin.cli.declare import Argument, Option
from fpin.cli.output import print_json, print_text
from fpin.cli.session import DEVNET, Session
from fpin.errors import NoKey, UsageError
from fpin.settings import DEFAULT_NETWORK, folders

if TYPE_CHECKING:
    from fpin.keys import Keychain, Secret

Name = Annotated[
    str | None,
    Argument(metavar="[NAME]", help="What it is called; else the profile in use, else the network."),
]
Yes = Annotated[bool, Option("--yes", "-y", help="Agree beforehand.")]


def key_set(
    name: Name = None,
    yes: Yes = False,
    network: options.Network = DEFAULT_NETWORK,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Put the wallet's key into the keyring: asked for at a terminal, else read from standard input.

    A key called as the profile in use, or as the network, is used there; in config.toml, key = "keyring:NAME"
    names another.

    Example: fpin key set calibration < key.txt
    """
    from fpin.flows import keys as flow

    chosen = name_of(name, network)
    secret = _asked(chosen, json=json)

    def may_replace(before: str, after: str) -> None:
        agree(f"replace the key of {before} that is kept as {chosen} by that of {after}", yes=yes, json=json)

    kept = flow.keep(keychain(), chosen, secret, may_replace=may_replace)
    if json:
        print_json("fpin.key.set/1", dataclasses.asdict(kept))
    elif not quiet:
        print_text(f"kept in the keyring as {kept.name}: the key of {kept.address}")
    return exits.DONE


def key_show(
    network: options.Network = DEFAULT_NETWORK,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show the address of the key that would be used, and where the key comes from; never the key.

    Example: fpin key show
    """
    from fpin.flows import keys as flow

    session = Session(network=network, json=json, quiet=quiet)
    result = flow.used(keychain(), session.credentials(), network)
    if json:
        print_json("fpin.key.show/1", dataclasses.asdict(result))
        return exits.DONE
    if quiet:
        if result.wallet or result.key:
            print_text(result.wallet or (result.key.address if result.key else ""))
        return exits.DONE
    if result.wallet:
        print_text(f"wallet    {result.wallet}")
    if result.key:
        print_text(f"key       {result.key.address} from {result.key.origin}")
    if result.session:
        print_text(f"session   {result.session.address} from {result.session.origin}")
    if not (result.wallet or result.key or result.session):
        nobody = "none named: the devnet's first user signs" if network == DEVNET else "none: fpin key set"
        print_text(f"key       {nobody}")
    for kept in result.kept:
        print_text(f"keyring   {kept.name}: {kept.address}")
    return exits.DONE


def key_rm(
    name: Name = None,
    yes: Yes = False,
    network: options.Network = DEFAULT_NETWORK,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Take a key out of the keyring; asks, or needs --yes.

    Example: fpin key rm calibration --yes
    """
    from fpin.flows import keys as flow

    chosen = name_of(name, network)

    def agreed(address: str) -> None:
        agree(
            f"delete the key of {address} that is kept as {chosen}: without another copy of it, what that "
            "wallet holds is lost",
            yes=yes,
            json=json,
        )

    gone = flow.forget(keychain(), chosen, agree=agreed)
    if json:
        print_json("fpin.key.rm/1", dataclasses.asdict(gone))
    elif not quiet:
        print_text(f"{gone.name} is out of the keyring: the key of {gone.address}")
    return exits.DONE


def keychain() -> Keychain:
    """Return this user's keychain."""
    from fpin.keys import Keychain

    return Keychain(folders().keys)


def name_of(given: str | None, network: str) -> str:
    """Return what a key is to be called; raises UsageError without repeating what may be a key."""
    if given is None:
        return str(click.get_current_context().meta[CONFIG].profile or network)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", given):
        raise UsageError(
            "that is no name for a key: it has up to 40 letters, digits, dots, dashes and underscores",
            hint="a key itself is never an argument: it is asked for, or read from standard input",
        )
    return given


def _asked(name: str, *, json: bool) -> Secret:
    from fpin.keys import Secret

    if can_ask() and not json:
        return ask_for_key("private key", name)
    text = sys.stdin.read(4096) if sys.stdin and not sys.stdin.isatty() else ""
    secret = Secret(text, "standard input")
    if not secret.reveal():
        raise NoKey("no key came on standard input", hint=f"fpin key set {name} < FILE")
    return secret
