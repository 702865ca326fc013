"""`fpin import`: what `fpin add` does, for a CAR file that exists already."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

from fpin.cli import add, options
from fpin.cli.content import STDIN, standard_input
from fpin.cli.declare import Argument, Option
from fpin.cli.session import Session
from fpin.errors import UsageError
from fpin.settings import DEFAULT_NETWORK, JOBS


def import_car(
    file: Annotated[
        str, Argument(metavar="FILE.car | -", help="A CAR file, version 1 or 2; - is standard input.")
    ],
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    copies: add.Copies = None,
    provider: add.Providers = None,
    exclude_provider: add.Excluded = None,
    country: add.Countries = None,
    region: add.Regions = None,
    spread: add.Spread = None,
    seed: add.Seed = None,
    data_set: add.DataSets = None,
    name: add.Name = None,
    metadata: add.Metadata = None,
    root: Annotated[
        str | None, Option(metavar="CID", help="The root to pin, where the file has several.")
    ] = None,
    allow_missing: Annotated[
        bool, Option("--allow-missing", help="Store it even if the DAG below the root has gaps.")
    ] = False,
    max_cost: add.MaxCost = None,
    auto_fund: add.AutoFund = False,
    min_runway_days: add.MinRunwayDays = 0,
    max_deposit: add.MaxDeposit = None,
    max_balance: add.MaxBalance = None,
    jobs: add.Jobs = JOBS,
    wait_for: add.WaitFor = "advertised",
    dry_run: add.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Store a CAR file on Filecoin as it is and wait until IPFS can find it.

    Every block is hashed, and the DAG below the root must be whole, before a byte is sent.

    Example: fpin import site.car
    """
    from fpin.flows import add as flow
    from fpin.flows.imports import CarContent

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    wish = add.make_wish(
        copies, provider, exclude_provider, data_set, country, region, spread, seed, min_runway_days
    )
    pairs = add.pairs_of(metadata)
    ceiling = add.amount(max_cost)
    ceilings = add.ceilings_of(max_deposit, max_balance)
    root_cid = _parse(root)
    with (
        session.printer() as printer,
        session.services(printer) as services,
        contextlib.ExitStack() as stack,
    ):
        spooled = file == STDIN
        path = stack.enter_context(standard_input(printer)) if spooled else Path(file)
        request = flow.AddRequest(
            content=CarContent(path=path, root_cid=root_cid, allow_missing=allow_missing, spooled=spooled),
            wish=wish,
            name=name,
            metadata=pairs,
            max_cost=ceiling,
            auto_fund=auto_fund,
            ceilings=ceilings,
            jobs=jobs,
            wait_for=wait_for,
            dry_run=dry_run,
        )
        result = flow.add(services, request, on_event=printer)
    return add.tell(session, result, wait_for)


def _parse(root: str | None) -> bytes | None:
    from fpin.ipld.cid import parse_cid

    try:
        return None if root is None else parse_cid(root)
    except ValueError as exc:
        raise UsageError(
            f"--root {root!r} is not a CID", hint="fpin car ls shows the roots of the file"
        ) from exc
