"""`fpin repair`: as many copies as were asked for, again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fpin.cli import add, exits, options
from fpin.cli.declare import Argument, Option
from fpin.cli.output import count, print_json, print_text
from fpin.cli.session import Session
from fpin.errors import UsageError
from fpin.settings import DEFAULT_NETWORK, JOBS

if TYPE_CHECKING:
    from fpin.flows.repair import RepairedPin


def repair(
    what: Annotated[
        str | None, Argument(metavar="[WHAT]", help="Root CID, piece CID, path or name; all without.")
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    source: Annotated[
        str | None, Option(metavar="PATH", help="Where the content lies now, should no provider give it.")
    ] = None,
    replace_silent: Annotated[
        bool,
        Option(
            "--replace-silent",
            help="Replace providers that do not answer now, even where no proof is overdue.",
        ),
    ] = False,
    exclude_provider: add.Excluded = None,
    max_cost: add.MaxCost = None,
    auto_fund: add.AutoFund = False,
    max_deposit: add.MaxDeposit = None,
    max_balance: add.MaxBalance = None,
    jobs: add.Jobs = JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Finish what is incomplete, and make copies elsewhere of those that are gone.

    Bytes come from a provider that still has them, else from the path that they were made from. What it
    costs is said first.

    Example: fpin repair site
    """
    from fpin.flows import repair as flow
    from fpin.flows.placing import Means

    if source is not None and what is None:
        raise UsageError(
            "--source is the content of one pin", hint="say which: fpin repair WHAT --source PATH"
        )
    if source is not None and not Path(source).exists():
        raise UsageError(f"--source {source} is not there")
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    request = flow.RepairRequest(
        what=what,
        source=Path(source) if source else None,
        replace_silent=replace_silent,
        exclude_provider_ids=tuple(exclude_provider or ()),
        means=Means(
            max_cost=add.amount(max_cost),
            auto_fund=auto_fund,
            ceilings=add.ceilings_of(max_deposit, max_balance),
        ),
        jobs=jobs,
    )
    with session.printer() as printer, session.services(printer) as services:
        result = flow.repair(services, request, on_event=printer)
    if json:
        print_json("fpin.repair/1", dataclasses.asdict(result))
    elif not quiet:
        for pin in result.pins:
            _show(pin)
        if not result.pins:
            print_text("nothing to repair")
    return exits.DONE if result.complete else exits.PARTIAL


def _show(pin: RepairedPin) -> None:
    there = pin.copies_wanted - pin.missing
    print_text(f"root CID  {pin.root_cid}")
    print_text(f"copies    {there} of {pin.copies_wanted} that count")
    for provider_id, reason, gone in dict.fromkeys(
        (copy.provider_id, copy.reason, copy.replaced) for copy in pin.lost
    ):
        print_text(f"  {'lost  ' if gone else 'silent'}  provider {provider_id}: {reason}")
    if pin.problem:
        print_text(f"  problem {pin.problem}")
    if pin.missing:
        print_text(
            f"not complete: {count(pin.missing, 'copy', 'copies')} missing; the same command continues"
        )
