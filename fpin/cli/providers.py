"""`fpin provider`: what the chain says of the storage providers, and whether they answer. Only looks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.declare import Argument
from fpin.cli.output import print_json, print_table, print_text
from fpin.cli.session import Session
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_size

if TYPE_CHECKING:
    from fpin.backends.base import ProviderReport


def provider_ls(
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """List the active providers.

    Example: fpin provider ls
    """
    from fpin.flows import inspect as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        found = flow.providers(services)
    if json:
        print_json(
            "fpin.provider.ls/1", {"network": network, "providers": [dataclasses.asdict(p) for p in found]}
        )
        return exits.DONE
    if quiet:
        for one in found:
            print_text(str(one.provider_id))
        return exits.DONE
    rows = [
        (
            str(one.provider_id),
            one.name,
            _standing(one),
            one.url,
            one.location,
            one.problem or "",
        )
        for one in found
    ]
    print_table(("ID", "NAME", "STANDING", "URL", "LOCATION", "PROBLEM"), rows)
    return exits.DONE


def provider_show(
    provider_id: Annotated[int, Argument(metavar="ID", help="Number of the provider.")],
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show all that the registry knows of a provider, and your data sets there.

    Example: fpin provider show 1
    """
    from fpin.flows import inspect as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.provider(services, provider_id)
    if json:
        print_json("fpin.provider.show/1", dataclasses.asdict(result))
        return exits.DONE
    detail, known = result.provider, result.provider.provider
    if quiet:
        print_text(known.url)
        return exits.DONE
    print_text(f"provider  {known.provider_id} {known.name}, {_standing(known)}")
    if known.problem:
        print_text(f"problem   {known.problem}")
    print_text(f"URL       {known.url}")
    print_text(f"about     {detail.description or '-'}; {known.location or 'no location'}")
    print_text(f"pieces    {format_size(detail.smallest_piece)} to {format_size(detail.largest_piece)}")
    print_text(f"payee     {detail.payee}, sends from {detail.sends_from}")
    ipfs = "advertised" if detail.advertises_ipfs else "not advertised"
    print_text(f"IPFS      {ipfs}, by {detail.peer_id or '-'}")
    if detail.data_sets:
        print_text(f"yours     data set {', '.join(map(str, detail.data_sets))}")
    print_table(("CAPABILITY", "VALUE"), list(detail.capabilities.items()))
    return exits.DONE


def provider_ping(
    provider_ids: Annotated[
        list[int] | None, Argument(metavar="[ID…]", help="Numbers of providers; all active ones without.")
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Ask providers whether they are well; exit code 5 when one that was named, or all, are not.

    Example: fpin provider ping 1 2
    """
    from fpin.flows import inspect as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.ping(services, provider_ids or ())
    if json:
        print_json("fpin.provider.ping/1", dataclasses.asdict(result))
    elif quiet:
        for one in result.providers:
            if one.problem is None:
                print_text(str(one.provider_id))
    else:
        rows = [
            (str(one.provider_id), one.problem or f"well, {one.milliseconds} ms", one.url)
            for one in result.providers
        ]
        print_table(("ID", "STATE", "URL"), rows)
    return exits.DONE if result.well else exits.TEMPORARY


def _standing(one: ProviderReport) -> str:
    return "endorsed" if one.endorsed else "approved" if one.approved else "not approved"
