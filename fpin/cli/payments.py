"""`fpin payments`: the account that pays."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.declare import Argument, Option
from fpin.cli.output import print_json, print_text, short
from fpin.cli.session import Session
from fpin.errors import UsageError
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_epochs, parse_token

if TYPE_CHECKING:
    from fpin.flows.payments import PaymentResult


def payments_status(
    network: options.Network = DEFAULT_NETWORK, rpc_url: options.RpcUrl = None, json: options.Json = False
) -> int:
    """Show wallet, deposit and how long it lasts."""
    from fpin.flows import payments as flow

    session = Session(network=network, rpc_url=rpc_url, json=json)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.account(services)
    return _show(result, json)


def payments_deposit(
    amount: Annotated[str, Argument(metavar="USDFC", help="How much to move into the account.")],
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
) -> int:
    """Move USDFC from the wallet into the payment account."""
    return _deposit(amount, approve=False, network=network, rpc_url=rpc_url, json=json)


def payments_setup(
    deposit: Annotated[str, Option(metavar="USDFC", help="How much to deposit at the same time.")] = "0",
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
) -> int:
    """Let the storage service use the payment account, once for each wallet."""
    return _deposit(deposit, approve=True, network=network, rpc_url=rpc_url, json=json)


def _deposit(text: str, *, approve: bool, network: str, rpc_url: str | None, json: bool) -> int:
    from fpin.flows import payments as flow

    try:
        amount = parse_token(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is not an amount of USDFC", hint="a number such as 2.5") from exc
    if not amount and not approve:
        raise UsageError("a deposit of 0 moves nothing", hint="name how much, such as 2.5")
    session = Session(network=network, rpc_url=rpc_url, json=json)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.deposit(services, amount, approve=approve, on_event=printer)
    return _show(result, json)


def _show(result: PaymentResult, json: bool) -> int:
    if json:
        print_json("fpin.payments/1", dataclasses.asdict(result))
        return exits.DONE
    account = result.account
    if result.tx:
        print_text(f"sent      transaction {result.tx}")
    print_text(f"account   {account.address} on {result.network}")
    print_text(f"wallet    {short(account.wallet)} {account.token}, {short(account.gas)} FIL for gas")
    print_text(f"deposited {short(account.funds)} {account.token}, of it {short(account.available)} free")
    runway = "nothing is spending" if account.runway is None else format_epochs(account.runway)
    print_text(f"spending  {short(account.per_month)} {account.token} a month; lasts: {runway}")
    print_text(
        f"service   {'may use the account' if account.approved else 'may not use it: fpin payments setup'}"
    )
    return exits.DONE
