"""`fpin payments`: the account that pays.

An amount that the command line names is moved; one that fpin works out is shown first, and needs a yes.
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.consent import agree
from fpin.cli.declare import Argument, Option
from fpin.cli.output import flush, print_json, print_sent, print_table, print_text, short
from fpin.cli.session import Session
from fpin.errors import UsageError
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_epochs, format_token, parse_size, parse_token

if TYPE_CHECKING:
    from fpin.backends.base import AccountReport, StatementReport
    from fpin.flows.payments import PaymentResult, Proposal
    from fpin.flows.services import Services


Yes = Annotated[
    bool, Option("--yes", "-y", help="Agree to the amount beforehand, whatever it turns out to be.")
]
# Content of a size that was named is priced as if it were cut into pieces of the largest size.
LARGEST_PIECE = 1_065_353_216
FAR = 365 * 1000  # days; a date that far off says nothing, and no calendar goes on for ever


def payments_status(
    planned: Annotated[
        str | None,
        Option(
            "--for", metavar="PATH|SIZE", help="Reckon with this being added too: a path, or a size as 10GiB."
        ),
    ] = None,
    copies: Annotated[int, Option(min=1, help="With --for: providers that would hold it.")] = 2,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show wallet, deposit, rails, prices, and how long it lasts.

    Example: fpin payments status
    """
    from fpin.backends.base import Wish
    from fpin.cli.content import contents
    from fpin.flows import payments as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    wish = Wish(copies=copies)
    with session.printer() as printer, session.services(printer) as services:
        if planned is None or not Path(planned).exists():
            sizes = () if planned is None else _pieces(planned)
            result = flow.statement(services, sizes=sizes, wish=wish, on_event=printer)
        else:
            with contents([planned], printer, profile="unixfs-v1-2025") as content:
                result = flow.statement(services, content=content, wish=wish, on_event=printer)
        return _tell(services, result, json, quiet)


def payments_setup(
    deposit: Annotated[
        str, Option(metavar="USDFC", help="How much to deposit in the same transaction.")
    ] = "0",
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Let the storage service use the payment account, once for each wallet.

    Example: fpin payments setup --deposit 2
    """
    from fpin.flows import payments as flow

    amount = options.usdfc(deposit)
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.setup(services, amount, on_event=printer)
        return _tell(
            services,
            result,
            json,
            quiet,
            none="nothing was needed: the storage service may use the account already",
        )


def payments_deposit(
    amount: Annotated[str, Argument(metavar="USDFC", help="How much to move into the account.")],
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Move USDFC from the wallet into the payment account.

    Example: fpin payments deposit 2.5
    """
    from fpin.flows import payments as flow

    units = positive(amount, "a deposit of 0 moves nothing")
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.deposit(services, units, on_event=printer)
        return _tell(services, result, json, quiet)


def payments_withdraw(
    amount: Annotated[
        str | None, Argument(metavar="[USDFC]", help="How much to move back to the wallet.")
    ] = None,
    everything: Annotated[bool, Option("--all", help="All that is free; asks, or needs --yes.")] = False,
    yes: Yes = False,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Move free USDFC back to the wallet; what is locked for stored data stays.

    Example: fpin payments withdraw 1
    """
    from fpin.flows import payments as flow

    if (amount is None) is not everything:
        raise UsageError("name an amount, or --all, and not both", hint="fpin payments withdraw 2.5")
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    units = None if amount is None else positive(amount, "a withdrawal of 0 moves nothing")
    with session.printer() as printer, session.services(printer) as services:
        if units is None:
            proposal = flow.propose_withdrawal(services, on_event=printer)
            if not proposal.amount:
                return _tell(services, flow.nothing(services, proposal), json, quiet, none="nothing is free")
            printer.close()
            _ask_to_withdraw(proposal, yes=yes, json=json)
            units = proposal.amount
        result = flow.withdraw(services, units, on_event=printer)
        return _tell(services, result, json, quiet)


def payments_fund(
    days: Annotated[
        int | None,
        Option(min=1, metavar="N", help="Deposit what it takes to last N days; asks, or needs --yes."),
    ] = None,
    amount: Annotated[str | None, Option(metavar="USDFC", help="Deposit this much.")] = None,
    yes: Yes = False,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Top the account up, for a time at its present rate or by an amount; never takes anything out.

    Example: fpin payments fund --days 30 --yes
    """
    from fpin.flows import payments as flow

    if (days is None) is (amount is None):
        raise UsageError("name either --days or --amount", hint="fpin payments fund --days 90")
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    units = None if amount is None else positive(amount, "an amount of 0 moves nothing")
    with session.printer() as printer, session.services(printer) as services:
        if days is None:
            assert units is not None  # one of the two is there
            return _tell(services, flow.deposit(services, units, on_event=printer), json, quiet)
        proposal = flow.propose_funding(services, days, on_event=printer)
        if not proposal.amount:
            return _tell(
                services, flow.nothing(services, proposal), json, quiet, none=_enough(proposal.account, days)
            )
        printer.close()
        _ask_to_fund(services, proposal, days, yes=yes, json=json)
        result = flow.deposit(services, proposal.amount, ticket=proposal.ticket, on_event=printer)
        return _tell(services, result, json, quiet)


def positive(text: str, says: str) -> int:
    """Return the base units of an amount that has to be something; *says* what is wrong with 0."""
    amount = options.usdfc(text)
    if not amount:
        raise UsageError(says, hint="name how much, such as 2.5")
    return amount


def _ask_to_withdraw(proposal: Proposal, *, yes: bool, json: bool) -> None:
    account = proposal.account
    effect = "" if account.runway is None else "; what is stored is then paid for out of what is locked only"
    agree(
        f"withdraw {format_token(proposal.amount)} {account.token} to the wallet {account.address} on "
        f"{proposal.network}{effect}",
        yes=yes,
        json=json,
    )


def _ask_to_fund(services: Services, proposal: Proposal, days: int, *, yes: bool, json: bool) -> None:
    account = proposal.account
    if parse_token(account.wallet) >= proposal.amount:  # else the deposit is refused with the numbers
        agree(
            f"deposit {format_token(proposal.amount)} {account.token} from the wallet {account.address} on "
            f"{services.backend.network}, so that the account lasts {days} days",
            yes=yes,
            json=json,
        )


def _enough(account: AccountReport, days: int) -> str:
    if account.runway is None:
        return "nothing is needed: nothing is spending"
    return f"nothing is needed for {days} days: the account lasts {format_epochs(account.runway)}"


def _pieces(text: str) -> list[int]:
    """Return the sizes of pieces that hold content of the size that *text* names."""
    try:
        size = parse_size(text)
    except ValueError as exc:
        raise UsageError(
            f"--for {text!r} is neither a path nor a size",
            hint="a file, a directory, or a size such as 10GiB",
        ) from exc
    if not 0 < size <= 2**60:
        raise UsageError(f"--for {text!r} cannot be priced", hint="a size such as 10GiB")
    full, rest = divmod(size, LARGEST_PIECE)
    return [LARGEST_PIECE] * full + ([max(rest, 127)] if rest else [])


def _tell(services: Services, result: PaymentResult, json: bool, quiet: bool, *, none: str = "") -> int:
    """Print what a payment did, or *none* where nothing had to be sent; only then is it over."""
    from fpin.flows.payments import acknowledge

    if json:
        print_json("fpin.payments/1", dataclasses.asdict(result))
    elif quiet:
        _show_briefly(result)
    else:
        _show(result, none)
    flush()
    acknowledge(services, result)
    return exits.DONE


def _show_briefly(result: PaymentResult) -> None:
    if result.statement:
        print_text(result.account.available)
    elif result.tx:
        print_text(result.tx)


def _show(result: PaymentResult, none: str) -> None:
    if result.tx:
        print_sent(result.tx, result.gas)
    elif none:
        print_text(none)
    _show_account(result.network, result.account)
    if result.statement:
        _show_statement(result.account.token, result.statement)


def _show_account(network: str, account: AccountReport) -> None:
    token = account.token
    print_text(f"account   {account.address} on {network}")
    print_text(f"wallet    {short(account.wallet)} {token}, {short(account.gas)} FIL for gas")
    print_text(
        f"deposited {short(account.funds)} {token}: {short(account.available)} free, "
        f"{short(account.locked)} locked"
    )
    print_text(f"spending  {short(account.per_month)} {token} a month; {_lasts(account)}")
    if parse_token(account.debt):
        print_text(f"debt      {short(account.debt)} {token}: deposit more than that before it is too late")
    print_text(
        f"service   {'may use the account' if account.approved else 'may not use it: fpin payments setup'}"
    )


def _lasts(account: AccountReport) -> str:
    if account.runway is None:
        return "nothing is spending"
    until = ""
    if account.runs_dry is not None and account.runway < FAR * 2880:
        day = datetime.datetime.fromtimestamp(account.runs_dry, datetime.UTC).date()
        until = f", until {day}"
    return f"lasts {format_epochs(account.runway)}{until}"


def _show_statement(token: str, statement: StatementReport) -> None:
    allowance = statement.allowance
    if allowance.approved and not allowance.unlimited:
        print_text(
            f"  limits  {_limit(allowance.per_epoch)} an epoch ({allowance.per_epoch_used} used), "
            f"{_limit(allowance.lockup)} locked ({short(allowance.lockup_used)} used), "
            f"{allowance.lockup_days} days"
        )
    prices = statement.prices
    print_text(
        f"prices    {short(prices.storage_per_tib_month)} {token} a TiB and month; each data set "
        f"{short(prices.data_set_per_month)} a month"
    )
    print_text(
        f"  fees    {short(prices.create_data_set)} a new data set, {short(prices.add_pieces)} an add and "
        f"{short(prices.add_piece)} a piece, {short(prices.schedule_removals)} a removal"
    )
    print_text(
        f"  locked  {short(prices.reserve)} a data set and the rent of {prices.lockup_days} days; "
        "yours again when it ends"
    )
    if statement.rails:
        print_text(f"unsettled {short(statement.unsettled)} {token} spent and not yet paid out")
        _show_rails(statement)
    if statement.adding:
        print_text(
            f"adding it {short(statement.adding.per_month)} {token} a month more, "
            f"{short(statement.adding.fees)} in fees, {short(statement.adding.locked)} locked"
        )
    for outlook in statement.outlook:
        left = (
            f"{short(outlook.missing)} are missing"
            if parse_token(outlook.missing)
            else f"{short(outlook.available)} left free"
        )
        print_text(f"in {outlook.days:>3} d  {short(outlook.spent)} {token} spent, {left}")


def _show_rails(statement: StatementReport) -> None:
    rows = [
        (
            str(rail.rail_id),
            "-" if rail.data_set_id is None else f"{rail.kind}, data set {rail.data_set_id}",
            "-" if rail.provider_id is None else str(rail.provider_id),
            short(rail.per_month),
            short(rail.locked),
            f"epoch {rail.settled_up_to}",
            "-" if rail.ended is None else f"epoch {rail.ended}",
        )
        for rail in statement.rails
    ]
    print_table(("RAIL", "FOR", "PROVIDER", "A MONTH", "LOCKED", "PAID UP TO", "ENDS"), rows)


def _limit(amount: str | None) -> str:
    return "no limit" if amount is None else short(amount)
