"""`fpin session`: keys that add and remove for a wallet, and move no money."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.declare import Argument, Option
from fpin.cli.keys import keychain, name_of
from fpin.cli.output import print_json, print_sent, print_table, print_text
from fpin.cli.session import Session
from fpin.errors import UsageError
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_time, parse_duration

if TYPE_CHECKING:
    from fpin.backends.base import SessionReport
    from fpin.flows.sessions import SessionResult


def session_create(
    scope: Annotated[
        str,
        Option(metavar="LIST", help="What it may sign: create-data-set, add, remove, terminate; or all."),
    ] = "create-data-set,add,remove",
    expires: Annotated[str, Option(metavar="TIME", help="How long, such as 12h, 30d or 4w.")] = "30d",
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Write the key into this new file, not into the keyring.")
    ] = None,
    address: Annotated[
        str | None,
        Option(metavar="ADDRESS", help="Allow or prolong a key that is somewhere already."),
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Make a session key and allow it to act for your wallet; takes the wallet's own key and a little gas.

    Whoever has it can store and remove on your account, and cannot move money. It signs from then on where
    the keyring holds it; elsewhere, FPIN_SESSION_KEY_FILE and FPIN_WALLET_ADDRESS bring it in.

    Example: fpin session create --out session.key
    """
    from fpin.flows import sessions as flow

    if out is not None and address is not None:
        raise UsageError("--address allows a key that there is, so --out has nothing to write")
    scopes, seconds = flow.parse_scopes(scope), _seconds(expires)
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        if address is not None:
            result = flow.allow(services, address, scopes=scopes, seconds=seconds, on_event=printer)
        else:
            result = flow.create(
                services,
                scopes=scopes,
                seconds=seconds,
                out=out or keychain(),
                name=f"session-{name_of(None, network)}",
                on_event=printer,
            )
    if json:
        print_json("fpin.session.create/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.session.address)
    else:
        _show(result)
        _show_use(result, out)
    return exits.DONE


def session_ls(
    address: Annotated[
        list[str] | None,
        Option("--address", metavar="ADDRESS", help="A key made elsewhere; may be repeated."),
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """List session keys: what each may sign, until when, and which are live.

    The chain cannot list them: shown are those made on this machine, the one in use, and those named.

    Example: fpin session ls
    """
    from fpin.flows import sessions as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.ls(services, address or ())
    if json:
        print_json("fpin.session.ls/1", dataclasses.asdict(result))
    elif quiet:
        for one in result.sessions:
            if one.session.live:
                print_text(one.session.address)
    elif not result.sessions:
        print_text(f"no session key of {result.wallet} on {network} is known here: fpin session create")
    else:
        rows = [
            (
                one.session.address,
                "live" if one.session.live else "ended",
                _scopes(one.session),
                _until(one.session),
                one.kept or "-",
                "in use" if one.in_use else "",
            )
            for one in result.sessions
        ]
        print_table(("SESSION KEY", "STATE", "MAY", "UNTIL", "KEPT IN", ""), rows)
    return exits.DONE


def session_revoke(
    address: Annotated[str, Argument(metavar="ADDRESS", help="Which one; fpin session ls shows them.")],
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """End a session key: it may sign nothing any more; takes the wallet's own key.

    Example: fpin session revoke 0x0E2A03eA2E1f9Aa0b4eF3ab1cC1A3E8a3dE8e5d4
    """
    from fpin.flows import sessions as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.revoke(services, address, keychain=keychain(), on_event=printer)
    if json:
        print_json("fpin.session.revoke/1", dataclasses.asdict(result))
    elif not quiet:
        if result.tx is None:
            print_text("nothing was needed: it could not sign anything already")
        _show(result)
        if result.kept and not result.kept.startswith("keyring:"):
            print_text(f"file      {result.kept} can be deleted: the key is good for nothing now")
    return exits.DONE


def _seconds(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise UsageError(
            f"--expires {text!r} is not a time", hint="a number and min, h, d or w, such as 30d"
        ) from exc


def _show(result: SessionResult) -> None:
    session = result.session
    if result.tx:
        print_sent(result.tx, result.gas)
    print_text(f"session   {session.address} for {session.wallet} on {result.network}")
    print_text(f"may       {_scopes(session)}")
    if session.live:
        print_text(f"until     {_until(session)}")


def _show_use(result: SessionResult, out: Path | None) -> None:
    if out is not None:
        print_text(f"key       {result.kept}, which only you can read")
        print_text(
            f"use it    FPIN_WALLET_ADDRESS={result.session.wallet} FPIN_SESSION_KEY_FILE={result.kept}"
        )
    elif result.kept:
        print_text(f"key       {result.kept}; it signs from now on")


def _scopes(session: SessionReport) -> str:
    return ", ".join(one.scope for one in session.scopes if one.live) or "nothing"


def _until(session: SessionReport) -> str:
    ends = sorted(
        {one.expires for one in session.scopes if one.live} or {one.expires for one in session.scopes}
    )
    if not ends:
        return "-"
    if len(ends) == 1:
        return format_time(ends[0])
    return ", ".join(f"{one.scope} {format_time(one.expires)}" for one in session.scopes)
