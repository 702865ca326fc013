"""What pays for pins: looking at the account, filling it, and taking back what is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fpin.backends.base import AccountReport, Offer, Paid, StatementReport, Wish
from fpin.errors import NoKey, Unaffordable
from fpin.events import Noted, OnEvent, ignore
from fpin.flows.packing import Content, lay_out
from fpin.flows.services import Services
from fpin.store import Payment
from fpin.units import EPOCHS_PER_DAY, format_token, parse_token
from fpin.values import dataclass

OUTLOOK_DAYS = (30, 90, 365)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentResult:
    """What a payment did, or a look at the account. *amount* is a decimal number of the token."""

    network: str
    tx: str | None = None  # None: nothing had to be sent
    gas: str | None = None  # what it burned of the chain's own coin, if it is known
    amount: str = "0"  # what moved
    account: AccountReport  # afterwards
    statement: StatementReport | None = None  # only where it was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A payment that was worked out and not made. *amount* is in base units; 0 where nothing is needed.

    *ticket* makes sure that it is made once; None where the contract needs none.
    """

    network: str
    amount: int
    ticket: int | None
    account: AccountReport  # now


def account(services: Services) -> AccountReport:
    """Return the account; raises NoKey when there is none to look at."""
    return _known(services, services.backend.account())


def statement(
    services: Services,
    *,
    content: Content | None = None,
    sizes: Sequence[int] = (),
    wish: Wish | None = None,
    on_event: OnEvent = ignore,
) -> PaymentResult:
    """Return all about the account and where it will stand, with *content* or pieces of *sizes* added."""
    offer: Offer | None = None
    if content is not None:
        sizes = [piece.max_size for piece in lay_out(content, on_event=on_event).pieces]
    if sizes:
        offer = services.backend.offer(sizes, wish or Wish(), on_event=on_event)
    found = services.backend.statement(offer, days=OUTLOOK_DAYS)
    now, stated = _known(services, found)
    return PaymentResult(network=services.backend.network, account=now, statement=stated)


def setup(services: Services, amount: int, *, on_event: OnEvent = ignore) -> PaymentResult:
    """Let the storage service use the account, and deposit *amount* base units in the same transaction.

    What is so already is not paid for again.
    """

    def send() -> Paid | None:
        return services.backend.deposit(amount, approve=True, on_event=on_event)

    return _once(services, "setup", amount, send, on_event)


def deposit(
    services: Services, amount: int, *, ticket: int | None = None, on_event: OnEvent = ignore
) -> PaymentResult:
    """Move *amount* base units from the wallet into the payment account.

    A deposit of that much which an earlier run sent, and did not live to tell, is this one.
    """

    def send() -> Paid | None:
        return services.backend.deposit(amount, approve=False, ticket=ticket, on_event=on_event)

    return _once(services, "deposit", amount, send, on_event)


def withdraw(services: Services, amount: int, *, on_event: OnEvent = ignore) -> PaymentResult:
    """Move *amount* base units of what is free back to the wallet; raises Unaffordable for more.

    A withdrawal of that much which an earlier run sent, and did not live to tell, is this one.
    """

    def send() -> Paid | None:
        return services.backend.withdraw(amount, on_event=on_event)

    return _once(services, "withdraw", amount, send, on_event)


def propose_withdrawal(services: Services, *, on_event: OnEvent = ignore) -> Proposal:
    """Work out the withdrawal of everything that is free, less what the time until then will take."""
    services.backend.check_owner()
    with services.backend.paying(on_event=on_event) as earlier:
        _forget(services, earlier)
        now = account(services)
    if parse_token(now.debt):
        raise Unaffordable(
            f"nothing is free: the account owes {now.debt} {now.token}", hint="fpin payments fund --days 30"
        )
    amount = parse_token(now.withdrawable)
    return Proposal(network=services.backend.network, amount=amount, ticket=None, account=now)


def propose_funding(services: Services, days: int, *, on_event: OnEvent = ignore) -> Proposal:
    """Work out the deposit with which the account lasts *days* at its present rate; never a withdrawal."""
    services.backend.check_owner()
    with services.backend.paying(on_event=on_event) as earlier:
        _forget(services, earlier)
        lacking = services.backend.lacking(runway=days * EPOCHS_PER_DAY)
        now = account(services)
    return Proposal(
        network=services.backend.network, amount=lacking.deposit, ticket=lacking.ticket, account=now
    )


def acknowledge(services: Services, result: PaymentResult) -> None:
    """The user has been told of *result*: from now on the same is asked for as something new."""
    if result.tx is not None:
        services.backend.acknowledge(result.tx)


def nothing(services: Services, proposal: Proposal) -> PaymentResult:
    """Return the result of a proposal that asks for nothing."""
    return PaymentResult(network=services.backend.network, account=proposal.account)


def _once(
    services: Services, doing: str, amount: int, send: Callable[[], Paid | None], on_event: OnEvent
) -> PaymentResult:
    """Send, unless the very same was sent by an earlier run that did not live to tell."""
    services.backend.check_owner()
    # A setup of an account that the service may use already is written down as the deposit it comes to.
    doings = ("setup", "deposit") if doing == "setup" else (doing,)
    with services.backend.paying(on_event=on_event) as earlier:
        same = [one for one in earlier if one.doing in doings and one.amount == amount > 0]
        _forget(services, [one for one in earlier if one not in same[:1]])
        if same:
            on_event(Noted(text="that is what was asked for: nothing more is deposited or withdrawn"))
            paid: Paid | None = Paid(tx=same[0].tx, gas=None)
            if doing == "setup":
                services.backend.deposit(0, approve=True, on_event=on_event)
        else:
            paid = send()
        now = account(services)
    return PaymentResult(
        network=services.backend.network,
        tx=paid.tx if paid else None,
        gas=paid.gas if paid else None,
        amount=format_token(amount) if paid else "0",
        account=now,
    )


def _forget(services: Services, earlier: Sequence[Payment]) -> None:
    """Let what was told of payments of earlier runs be all about them: the account shows what they did."""
    for payment in earlier:
        services.backend.acknowledge(payment.tx)


def _known(services: Services, found: _T | None) -> _T:
    if found is None:
        raise NoKey(
            f"there is no key for {services.backend.network}, and no wallet named",
            hint="--wallet ADDRESS is enough to look; or set FPIN_PRIVATE_KEY or FPIN_PRIVATE_KEY_FILE",
        )
    return found
