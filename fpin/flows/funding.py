"""Funding: how much may be deposited for what an offer lacks, and depositing it once.

Knows ceilings. What is lacking is for the backend to say, and how a deposit is made.
"""

from __future__ import annotations

from collections.abc import Sequence

from fpin.backends.base import Funding, Offer
from fpin.errors import Unaffordable
from fpin.events import Noted, OnEvent
from fpin.flows.services import Services
from fpin.store import Payment
from fpin.units import floor_token, format_epochs, format_token, short_token
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """How far deposits that nobody is asked about may go, in base units; None: as far as is needed."""

    max_deposit: int | None = None  # in one run
    max_balance: int | None = None  # deposited in all, afterwards
    deposited: int = 0  # by this run, before


def grant(funding: Funding, ceilings: Ceilings, token: str) -> int:
    """Return how much to deposit: all that is advised, or what the ceilings leave of it.

    Raises Unaffordable when that is not enough for the request itself, or the wallet does not hold it. A
    runway that was wished for is shortened by the ceilings; it is no reason to refuse.
    """
    allowed, limit = funding.deposit, ""
    if ceilings.max_deposit is not None and ceilings.max_deposit - ceilings.deposited < allowed:
        allowed = max(0, ceilings.max_deposit - ceilings.deposited)
        limit = f"--max-deposit {format_token(ceilings.max_deposit)}"
    if ceilings.max_balance is not None and ceilings.max_balance - funding.funds < allowed:
        allowed = max(0, ceilings.max_balance - funding.funds)
        limit = f"--max-balance {format_token(ceilings.max_balance)}"
    if allowed < funding.required:
        raise Unaffordable(
            f"{short_token(funding.deposit)} {token} would have to be deposited, more than {limit} allows",
            hint="raise the limit, or store less",
            missing=format_token(funding.deposit),
            required=format_token(funding.required),
            token=token,
        )
    if allowed > funding.wallet:
        raise Unaffordable(
            f"{short_token(allowed)} {token} are to be deposited, and the wallet holds "
            f"{floor_token(funding.wallet)}",
            hint=f"send {token} to the wallet",
            missing=format_token(allowed),
            wallet=format_token(funding.wallet),
            token=token,
        )
    return allowed


def top_up(
    services: Services, offer: Offer, ceilings: Ceilings, earlier: Sequence[Payment], *, on_event: OnEvent
) -> int:
    """Deposit what *offer* lacks, as far as *ceilings* allow, and let the service use the account.

    Returns how much was deposited, in base units.

    Call it within `Backend.paying`, in which *offer* was made too. Nothing is deposited for what earlier
    deposits cover, so none of them has to be remembered any longer.
    """
    for payment in earlier:
        services.backend.acknowledge(payment.tx)
    funding = offer.funding
    amount = grant(funding, ceilings, offer.cost.token)
    if not amount and not funding.approve:
        if funding.deposit:
            on_event(Noted(text=_cut_short(offer, 0)))
        return 0
    paid = services.backend.deposit(amount, approve=funding.approve, ticket=funding.ticket, on_event=on_event)
    if paid is not None:
        services.backend.acknowledge(paid.tx)
    if amount < funding.deposit:
        on_event(Noted(text=_cut_short(offer, amount)))
    return amount


def _cut_short(offer: Offer, amount: int) -> str:
    wished = format_epochs(offer.wish.runway)
    return (
        f"{short_token(offer.funding.deposit)} {offer.cost.token} would make the account last {wished}; "
        f"the limits allow {floor_token(amount)}"
    )
