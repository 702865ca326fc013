"""Payment accounts in time: what an account, stored as of some past epoch, amounts to now.

Pure; the arithmetic is FilecoinPayV1's, rounding included.
"""

from __future__ import annotations

from fpin.chain.records import Account
from fpin.units import Epoch, Epochs, UsdfcUnits
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A payment account at a given epoch.

    *available* can be spent or withdrawn; *runway* is how long it lasts and *gross_cover* how long all funds
    would, None meaning that nothing is spending; *debt* must be deposited before anything else counts.
    """

    available: UsdfcUnits
    runway: Epochs | None
    gross_cover: Epochs | None
    debt: UsdfcUnits
    lockup_rate: UsdfcUnits


def standing(account: Account, epoch: Epoch) -> Standing:
    """Bring *account* to *epoch* as `getAccountInfoIfSettled` does."""
    funds, rate = account.funds, account.lockup_rate
    owed = account.lockup_current + rate * max(0, epoch - account.settled_at)
    runway = gross_cover = None
    settled_at: int = max(epoch, account.settled_at)
    if rate:
        # The chain cannot have funds below lockup; `max` keeps Python's floor division from going below zero.
        funded_until = account.settled_at + max(0, funds - account.lockup_current) // rate
        settled_at = min(funded_until, settled_at)
        runway, gross_cover = Epochs(max(0, funded_until - epoch)), Epochs(funds // rate)
    locked = account.lockup_current + rate * (settled_at - account.settled_at)
    return Standing(
        available=UsdfcUnits(max(0, funds - locked)),
        runway=runway,
        gross_cover=gross_cover,
        debt=UsdfcUnits(max(0, owed - funds)),
        lockup_rate=rate,
    )
