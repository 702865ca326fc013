"""`fpin provider` and `fpin data-set`: what the chain says of both. Only looks."""

from __future__ import annotations

import dataclasses

from fpin.cli import exits, options
from fpin.cli.output import print_json, print_table, print_text
from fpin.cli.session import Session
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_size


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
            "endorsed" if one.endorsed else "approved" if one.approved else "not approved",
            one.url,
            one.location,
            one.problem or "",
        )
        for one in found
    ]
    print_table(("ID", "NAME", "STANDING", "URL", "LOCATION", "PROBLEM"), rows)
    return exits.DONE


def data_set_ls(
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """List your data sets.

    Example: fpin data-set ls
    """
    from fpin.flows import inspect as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        found = flow.data_sets(services)
    if json:
        sets = [{**dataclasses.asdict(one), "metadata": dict(one.metadata)} for one in found]
        print_json("fpin.data-set.ls/1", {"network": network, "data_sets": sets})
        return exits.DONE
    if quiet:
        for one in found:
            print_text(str(one.data_set_id))
        return exits.DONE
    rows = [
        (
            str(one.data_set_id),
            str(one.provider_id),
            one.state,
            format_size(one.size),
            ", ".join(f"{key}={value}" if value else key for key, value in one.metadata),
        )
        for one in found
    ]
    print_table(("ID", "PROVIDER", "STATE", "SIZE", "METADATA"), rows)
    return exits.DONE
