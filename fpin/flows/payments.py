"""What pays for pins: looking at the account, depositing, and letting the storage service use it."""

from __future__ import annotations

from dataclasses import dataclass

from fpin.backends.base import AccountReport
from fpin.errors import NoKey
from fpin.events import OnEvent, Waiting, ignore
from fpin.flows.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentResult:
    network: str
    tx: str | None  # None: nothing had to be sent
    account: AccountReport


def account(services: Services) -> PaymentResult:
    """Return the account; raises NoKey when there is none to look at."""
    report = services.backend.account()
    if report is None:
        raise NoKey(
            f"there is no key for {services.backend.network}",
            hint="set FPIN_PRIVATE_KEY or FPIN_PRIVATE_KEY_FILE",
        )
    return PaymentResult(network=services.backend.network, tx=None, account=report)


def deposit(
    services: Services, amount: int, *, approve: bool = False, on_event: OnEvent = ignore
) -> PaymentResult:
    """Move *amount* base units from the wallet into the payment account.

    With *approve* the storage service may use the account from then on, in the same transaction.
    """
    on_event(Waiting(what="the deposit to be confirmed"))
    tx = services.backend.deposit(amount, approve=approve)
    return PaymentResult(network=services.backend.network, tx=tx, account=account(services).account)
