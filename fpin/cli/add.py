"""`fpin add` and `fpin cost`."""

from __future__ import annotations

import dataclasses
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.content import STDIN, contents
from fpin.cli.declare import Option
from fpin.cli.output import count, print_json, print_text, short
from fpin.cli.session import Session
from fpin.errors import UsageError
from fpin.settings import DEFAULT_NETWORK, JOBS
from fpin.units import format_epochs, parse_token

if TYPE_CHECKING:
    from fpin.backends.base import Wish
    from fpin.flows.add import AddResult, CostResult
    from fpin.flows.funding import Ceilings

Copies = Annotated[
    int | None,
    Option(min=1, help="Providers that will hold the data; 2 if none are named."),
]
Providers = Annotated[
    list[int] | None, Option("--provider", metavar="ID", help="Use this provider; may be repeated.")
]
Excluded = Annotated[
    list[int] | None,
    Option("--exclude-provider", metavar="ID", help="Never use this provider; may be repeated."),
]
Countries = Annotated[
    list[str] | None,
    Option("--country", metavar="CODE", help="Use providers in this country only, such as DE; repeatable."),
]
Regions = Annotated[
    list[str] | None,
    Option("--region", metavar="NAME", help="Use providers in this state or place only; repeatable."),
]
Spread = Annotated[
    str | None, Option(metavar="country|region", help="No two copies in the same country, or region.")
]
Seed = Annotated[
    str | None,
    Option(metavar="TEXT", help="Order of equally good providers; the wallet's own if none is given."),
]
DataSets = Annotated[
    list[int] | None, Option("--data-set", metavar="ID", help="Add to this data set; may be repeated.")
]
MaxCost = Annotated[
    str | None,
    Option(metavar="USDFC", help="Refuse to store it if a month costs more."),
]

AutoFund = Annotated[
    bool,
    Option(
        "--auto-fund",
        help="Deposit what is missing from the wallet, and let the storage service use the account.",
    ),
]
MinRunwayDays = Annotated[
    int,
    Option(
        min=0,
        metavar="N",
        help="Refuse, or with --auto-fund deposit, unless the account lasts N days afterwards.",
    ),
]
MaxDeposit = Annotated[
    str | None, Option(metavar="USDFC", help="With --auto-fund: deposit no more than this in one run.")
]
MaxBalance = Annotated[
    str | None,
    Option(metavar="USDFC", help="With --auto-fund: deposit no further than up to this balance."),
]

Name = Annotated[str | None, Option(metavar="NAME", help="Name of the pin; it is written on chain too.")]
Metadata = Annotated[
    list[str] | None, Option(metavar="KEY=VALUE", help="Written beside each piece on chain.")
]
Jobs = Annotated[int, Option(metavar="N", min=1, help="Pieces that are sent at a time.")]
WaitFor = Annotated[str, Option(metavar="STATE", help="parked, confirmed, advertised or retrievable.")]
DryRun = Annotated[
    bool, Option("--dry-run", "-n", help="Show places and price; read, sign and send nothing.")
]


def add(
    paths: options.Sources,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    copies: Copies = None,
    provider: Providers = None,
    exclude_provider: Excluded = None,
    country: Countries = None,
    region: Regions = None,
    spread: Spread = None,
    seed: Seed = None,
    data_set: DataSets = None,
    name: Name = None,
    metadata: Metadata = None,
    profile: options.Profile = "unixfs-v1-2025",
    wrap: options.Wrap = False,
    hidden: options.Hidden = False,
    exclude: options.Exclude = None,
    max_cost: MaxCost = None,
    auto_fund: AutoFund = False,
    min_runway_days: MinRunwayDays = 0,
    max_deposit: MaxDeposit = None,
    max_balance: MaxBalance = None,
    jobs: Jobs = JOBS,
    wait_for: WaitFor = "advertised",
    dry_run: DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Store PATH on Filecoin and wait until IPFS can find it.

    Running the same command again continues where it ended, and pays nothing twice.

    Example: fpin add site --copies 2 --max-cost 1
    """
    from fpin.flows import add as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    wish = make_wish(
        copies, provider, exclude_provider, data_set, country, region, spread, seed, min_runway_days
    )
    pairs = pairs_of(metadata)
    ceiling = amount(max_cost)
    ceilings = ceilings_of(max_deposit, max_balance)
    with (
        session.printer() as printer,
        session.services(printer) as services,
        contents(
            paths, printer, name=name, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile
        ) as content,
    ):
        request = flow.AddRequest(
            content=content,
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
    return tell(session, result, wait_for)


def cost(
    paths: options.Sources,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    copies: Copies = None,
    provider: Providers = None,
    exclude_provider: Excluded = None,
    country: Countries = None,
    region: Regions = None,
    spread: Spread = None,
    seed: Seed = None,
    data_set: DataSets = None,
    profile: options.Profile = "unixfs-v1-2025",
    wrap: options.Wrap = False,
    hidden: options.Hidden = False,
    exclude: options.Exclude = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show what storing PATH costs. Reads names and sizes only.

    Example: fpin cost site --copies 3
    """
    from fpin.flows import add as flow

    if STDIN in paths:
        raise UsageError(
            "standard input says nothing about its size",
            hint="fpin add - --dry-run reads it and shows the price",
        )
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    wish = make_wish(copies, provider, exclude_provider, data_set, country, region, spread, seed)
    with (
        session.printer() as printer,
        session.services(printer) as services,
        contents(paths, printer, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile) as content,
    ):
        result = flow.price(services, content, wish, on_event=printer)
    if json:
        print_json("fpin.cost/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.cost.per_month)
    else:
        _show_cost(result)
    return exits.DONE


def _show_cost(result: CostResult) -> None:
    cost = result.cost
    new = f" for {count(result.new_data_sets, 'new data set')}" if result.new_data_sets else ""
    flat = f", {short(cost.flat_per_month)} of it flat{new}" if parse_token(cost.flat_per_month) else ""
    print_text(f"a month   {short(cost.per_month)} {cost.token}{flat}")
    print_text(f"fees now  {short(cost.fees)} {cost.token}")
    if parse_token(cost.earlier_fees):
        print_text(f"          {short(cost.earlier_fees)} {cost.token} of earlier removals becomes due too")
    print_text(
        f"locked    {short(cost.locked)} {cost.token}, fees included; the rest is yours again when it ends"
    )
    if result.runway is not None and not result.shortfalls:
        print_text(f"lasts     {format_epochs(result.runway)} with what is deposited now")
    for sentence in result.shortfalls:
        print_text(f"not yet:  {sentence}")
    if result.remedy:
        print_text(f"          {result.remedy}")


def tell(session: Session, result: AddResult, wait_for: str) -> int:
    """Print what became of an add and return the exit code."""
    if session.json:
        print_json("fpin.add/1", dataclasses.asdict(result))
    elif session.quiet:
        print_text(result.root_cid or "")
    else:
        _show(result, wait_for)
    return exits.DONE if result.complete or result.dry_run else exits.PARTIAL


def _show(result: AddResult, wait_for: str) -> None:
    if result.dry_run:
        print_text("dry run: nothing was read, signed or sent")
        return
    print_text(f"root CID  {result.root_cid}")
    for piece in result.pieces:
        print_text(f"piece     {piece.piece_cid}")
        for copy in piece.copies:
            where = f", data set {copy.data_set_id}, piece {copy.piece_id}" if copy.data_set_id else ""
            why = f": {copy.reason}" if copy.reason else ""
            print_text(f"  copy    provider {copy.provider_id}{where}, {copy.state}{why}")
    for url in result.urls:
        print_text(f"URL       {url}")
    if result.routing.state not in ("found", "skipped") or not result.complete:
        for note in result.routing.notes:
            print_text(f"routing   {note}")
    if not result.complete:
        states = {copy.state for piece in result.pieces for copy in piece.copies}
        also = "" if states <= {"confirmed", "advertised"} else ", and so does fpin repair"
        print_text(f"not complete: not everything is {wait_for} yet; the same command continues{also}")


def make_wish(
    copies: int | None,
    provider: list[int] | None,
    exclude: list[int] | None,
    data_set: list[int] | None,
    country: list[str] | None,
    region: list[str] | None,
    spread: str | None,
    seed: str | None,
    min_runway_days: int = 0,
) -> Wish:
    """Return where copies are to be, as the options say."""
    from fpin import api

    return api.wish(
        copies=copies,
        providers=provider or (),
        exclude_providers=exclude or (),
        data_sets=data_set or (),
        countries=country or (),
        regions=region or (),
        spread=spread,
        seed=seed,
        min_runway_days=min_runway_days,
    )


def ceilings_of(max_deposit: str | None, max_balance: str | None) -> Ceilings:
    """Return how far --auto-fund may go; both options mean nothing without it."""
    from fpin.flows.funding import Ceilings

    return Ceilings(
        max_deposit=None if max_deposit is None else options.usdfc(max_deposit, "--max-deposit"),
        max_balance=None if max_balance is None else options.usdfc(max_balance, "--max-balance"),
    )


def pairs_of(texts: list[str] | None) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--metadata {text!r} is not KEY=VALUE")
        pairs.append((key, value))
    return tuple(pairs)


def amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise UsageError(f"--max-cost {text!r} is not an amount", hint="a number such as 0.5")
    return amount
