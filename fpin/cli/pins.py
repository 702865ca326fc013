"""`fpin status`, `ls`, `get`, `check` and `rm`: what is stored, back again, findable, gone."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.declare import Argument, Option
from fpin.cli.output import clear, count, flush, print_json, print_table, print_text, short
from fpin.cli.session import Session
from fpin.errors import LocalError, NotFound, UsageError
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_epochs, format_size

if TYPE_CHECKING:
    from fpin.flows.report import PinReport
    from fpin.flows.route import IndexerReport
    from fpin.flows.status import StatusResult

What = Annotated[str, Argument(metavar="WHAT", help="Root CID, piece CID, path or name.")]


def status(
    what: Annotated[
        str | None, Argument(metavar="[WHAT]", help="Root CID, piece CID, path or name; all without.")
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    refresh: Annotated[bool, Option(help="Ask chain, providers and indexers anew.")] = False,
    watch: Annotated[
        int | None,
        Option(
            min=1,
            metavar="SECONDS",
            help="Show it again and again until Ctrl-C; with --refresh, until nothing is pending.",
        ),
    ] = None,
    urls: Annotated[
        bool, Option("--urls", help="Print only the URLs of WHAT that are safe to open now, best first.")
    ] = False,
    open_url: Annotated[
        bool, Option("--open", help="Open WHAT in a browser, at the URL that shows most of it.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show the account and every pin, or one pin with each piece and copy.

    Example: fpin status site --refresh
    """
    from fpin.flows import status as flow

    if watch and json:
        raise UsageError(
            "--json is one object, and --watch never ends", hint="run it again and again instead"
        )
    if (urls or open_url) and what is None:
        raise UsageError("--urls and --open are of one pin", hint="name it: fpin status WHAT --urls")
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    with session.printer() as printer, session.services(printer) as services:
        while True:
            result = flow.status(services, what, refresh=refresh, on_event=printer)
            if watch:
                clear()
            if urls and not json:
                for url in result.urls:
                    print_text(url)
            else:
                _show_status(result, what, json=json, quiet=quiet)
            if open_url:
                _open(result)
                open_url = False  # once, however often it is shown
            if not watch or (refresh and not result.pending):
                return exits.DONE
            flush()
            try:
                time.sleep(watch)
            except KeyboardInterrupt:  # the way out, and no failure
                return exits.DONE


def _show_status(result: StatusResult, what: str | None, *, json: bool, quiet: bool) -> None:
    if json:
        print_json("fpin.status/1", dataclasses.asdict(result))
    elif quiet:
        for pin in result.pins:
            print_text(f"{pin.root_cid} {pin.state}")
    else:
        _show_account(result)
        if what is None:
            _show_pins(result)
        else:
            for pin in result.pins:
                _show_pin(pin, result.account.address if result.account else None)


def _open(result: StatusResult) -> None:
    import webbrowser  # asks the environment what there is, which only this option needs

    from fpin.keys import kept_from_children

    url = result.browser_url
    if url is None:
        raise NotFound("no provider holds it now, so there is nothing to open")
    with kept_from_children():
        opened = webbrowser.open(url)
    if not opened:
        raise LocalError(f"no browser could be started for {url}", hint="open it by hand, or set BROWSER")


def ls(
    network: options.Network = DEFAULT_NETWORK, json: options.Json = False, quiet: options.Quiet = False
) -> int:
    """List the pins in the store; nothing is asked of the network.

    Example: fpin ls --quiet
    """
    from fpin.flows import status as flow

    session = Session(network=network, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer, offline=True) as services:
        result = flow.ls(services)
    if json:
        print_json(
            "fpin.ls/1", {"network": result.network, "pins": [dataclasses.asdict(p) for p in result.pins]}
        )
    elif quiet:
        for pin in result.pins:
            print_text(pin.root_cid)
    else:
        _show_pins(result)
    return exits.DONE


def get(
    what: Annotated[str, Argument(metavar="CID[/PATH]", help="What to fetch; a pin's name works too.")],
    output: Annotated[
        str | None, Option("--output", "-o", metavar="OUT", help="Where to; - is standard output.")
    ] = None,
    span: Annotated[
        str | None,
        Option(
            "--range",
            metavar="A:B",
            help="Only bytes A to B of a file, both included; negative ones count from its end.",
        ),
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Fetch content from any place that has it, verify every block, write files.

    Example: fpin get site -o back
    """
    from fpin.flows import get as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    if json and output == "-":
        raise UsageError(
            "--json and -o - both write to standard output",
            hint="write to a file with -o, or leave out --json",
        )
    out = sys.stdout.buffer if output == "-" else Path(output) if output else None
    with session.printer() as printer, session.services(printer) as services:
        result = flow.get(services, what, out, span=span, on_event=printer)
    if output == "-":
        sys.stdout.buffer.flush()
    elif json:
        print_json("fpin.get/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.out or "")
    else:
        sources = ", ".join(result.sources) or "what was kept"
        kept = f" ({format_size(result.kept)} were here already)" if result.kept else ""
        print_text(
            f"{result.out}: {count(result.files, 'file')}, {format_size(result.bytes)}, verified, "
            f"from {sources}{kept}"
        )
    return exits.DONE


def check(
    what: What,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    announce: Annotated[
        bool,
        Option(
            "--announce", help="First tell the indexers of the providers' advertisements, in their place."
        ),
    ] = False,
    confirm: Annotated[
        bool, Option("--confirm", help="When it is found, look once at the indexer that everybody reads.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Ask routing again whether a pin can be found, and say why not.

    Example: fpin check site
    """
    from fpin.flows import status as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.check(services, what, announce=announce, confirm=confirm, on_event=printer)
    if json:
        print_json("fpin.check/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.routing.state)
    else:
        for one in result.announced:
            heard = "heard it" if one.accepted else f"did not take it: {one.reason}"
            print_text(f"announced provider {one.provider_id}'s {one.head_cid}: {one.indexer} {heard}")
        print_text(f"{result.root_cid}: {result.routing.state}")
        for note in result.routing.notes:
            print_text(f"  {note}")
        for indexer in result.routing.indexers:
            if indexer.state != "not_asked":
                print_text(f"  {_ROLES[indexer.role]} {indexer.indexer}: {_said(indexer)}")
        for confirmation in result.confirmations:
            print_text(f"  {confirmation.sentence}")
        for url in result.urls:
            print_text(f"  {url}")
    return exits.DONE if result.routing.state == "found" else exits.PARTIAL


def rm(
    what: What,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    wait: Annotated[bool, Option("--wait", help="Follow it until routing has forgotten it.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Remove a pin, or one piece of it, from every provider that holds it.

    Example: fpin rm site --wait
    """
    from fpin.flows import remove as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.remove(services, what, wait=wait, on_event=printer)
    if json:
        print_json("fpin.rm/1", dataclasses.asdict(result))
    elif not quiet:
        for piece in result.pieces:
            print_text(f"piece     {piece.piece_cid}")
            print_text(f"  copy    provider {piece.provider_id}, piece {piece.piece_id}: {piece.state}")
            if piece.removal_ad_cid:
                print_text(f"  advert  {piece.removal_ad_cid}")
            if piece.note and piece.state != "gone":
                print_text(f"  note    {piece.note}")
        for text in result.remaining:
            print_text(f"remaining {text}")
    return exits.DONE if result.complete else exits.PARTIAL


_ROLES = {"poll": "polled   ", "confirm": "confirms "}
_SAID = {
    "found": "lists all of it",
    "absent": "lists none of it",
    "processed": "has processed the advertisement",
    "pending": "has not processed the advertisement",
}


def _said(one: IndexerReport) -> str:
    if one.state == "partial":
        return "lists a part of it" if one.role == "poll" else "has processed a part of the advertisements"
    if one.state == "inconclusive":
        return f"no usable answer ({one.reason})" if one.reason else "no usable answer"
    if one.state == "absent" and one.status == 200:
        # One that has closed down may answer everything with an empty 200; one at work says 404.
        return "answers with nothing, and may be retired"
    return _SAID[one.state]


def _show_account(result: StatusResult) -> None:
    account = result.account
    if account is None:
        return
    runway = "nothing is spending" if account.runway is None else f"lasts {format_epochs(account.runway)}"
    print_text(f"account   {account.address} on {result.network}")
    print_text(
        f"funds     {short(account.available)} of {short(account.funds)} {account.token} free, "
        f"{short(account.per_month)} a month, {runway}"
    )
    if not account.approved:
        print_text("          the storage service may not use it yet: fpin payments setup")


def _show_pins(result: StatusResult) -> None:
    if not result.pins:
        whose = " by this wallet" if result.account else ""
        print_text(
            f"nothing is pinned on {result.network}{whose} yet: fpin add PATH --network {result.network}"
        )
        return
    # Whose they are is told where that differs: as a rule everything is one wallet's.
    several = len({pin.wallet for pin in result.pins} - {None}) > 1
    rows = [
        (
            pin.root_cid,
            *([pin.wallet or ""] if several else ()),
            pin.name or "",
            pin.state,
            format_size(pin.size),
            f"{min((piece.held for piece in pin.pieces), default=0)}/{pin.copies_wanted}",
            _when(pin.created),
        )
        for pin in result.pins
    ]
    print_table(
        ("ROOT CID", *(["WALLET"] if several else ()), "NAME", "STATE", "SIZE", "COPIES", "ADDED"), rows
    )
    for pin in result.pins:
        for copy in (copy for piece in pin.pieces for copy in piece.copies if copy.waits_for):
            since = f"{copy.state} since {_when(copy.changed)}"
            print_text(
                f"leaving   {pin.name or pin.root_cid} at provider {copy.provider_id}: {since}, waits for "
                f"{copy.waits_for}"
            )


def _show_pin(pin: PinReport, account: str | None) -> None:
    print_text(f"root CID  {pin.root_cid}")
    print_text(f"name      {pin.name or '-'}")
    print_text(f"path      {pin.path or '-'}")
    if pin.wallet != account and pin.wallet is not None:
        print_text(f"wallet    {pin.wallet}")
    print_text(f"state     {pin.state}")
    files = count(pin.files, "file")
    print_text(f"size      {format_size(pin.size)} in {files}; CAR {format_size(pin.car_size)}")
    for piece in pin.pieces:
        print_text(f"piece     {piece.piece_cid} ({format_size(piece.size)})")
        for copy in piece.copies:
            where = f", data set {copy.data_set_id}, piece {copy.piece_id}" if copy.data_set_id else ""
            print_text(
                f"  copy    provider {copy.provider_id} ({copy.provider_url}){where}: {copy.state}, "
                f"since {_when(copy.changed)}"
            )
            if copy.reason:
                print_text(f"    reason  {copy.reason}")
            if copy.waits_for:
                print_text(f"    waits   for {copy.waits_for}")
            if copy.tx:
                print_text(f"    added   transaction {copy.tx}")
            if copy.next_proof_due is not None:
                last = "not yet" if copy.last_proven is None else f"epoch {copy.last_proven}"
                print_text(f"    proved  {last}, due by epoch {copy.next_proof_due}")
            if copy.ad_cid:
                print_text(f"    advert  {copy.ad_cid}")
            if copy.removal_ad_cid:
                print_text(f"    removal {copy.removal_ad_cid}")


def _when(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
