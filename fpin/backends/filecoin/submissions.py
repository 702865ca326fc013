"""What became of signed adds: the chain is asked by the nonce that was written down before each was signed.

Knows how an answer is written down. Sends nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from fpin import events
from fpin.backends.filecoin.account import Account
from fpin.chain.records import NonceUse
from fpin.events import OnEvent
from fpin.store import UNDER_WAY, CopyState, Pin, Submission
from fpin.units import Epoch

# Given up, or shown to a provider that was to fetch the pieces: nobody asks for these adds, but whoever saw
# the signature could have them carried out, and then they are paid for.
DORMANT = frozenset({CopyState.PULLING, CopyState.PARKED, CopyState.FAILED})


def of_pin(account: Account, pin: Pin, states: Collection[CopyState] = UNDER_WAY) -> list[Submission]:
    """Return the adds, oldest first, that the copies of *pin* in *states* wait for."""
    rows = {copy.submission for copy in pin.copies if copy.state in states}
    return [account.store.submission(row) for row in sorted(row for row in rows if row is not None)]


def use(account: Account, submission: Submission) -> NonceUse | None:
    """Return what the add became on chain; None while its nonce is unused."""
    return use_by(account, submission)[1]


def use_by(account: Account, submission: Submission) -> tuple[Epoch, NonceUse | None]:
    """Return a height, and what the add became on chain by then."""
    epoch, (found,) = account.chain.nonce_uses([(submission.payer, submission.nonce)])
    return epoch, found


def landed(account: Account, submission: Submission, on_event: OnEvent) -> bool:
    """Ask the chain whether the add was carried out, and write it down if it was."""
    found = use(account, submission)
    if found is not None:
        record(account, submission, found, on_event)
    return found is not None


def record(account: Account, submission: Submission, found: NonceUse, on_event: OnEvent) -> None:
    """Write down that the chain holds the pieces of *submission*."""
    first = found.first_piece_id(len(submission.copies))
    account.store.mark_confirmed(
        submission.submission, data_set_id=found.data_set_id, first_piece_id=first, epoch=found.epoch
    )
    on_event(
        events.Confirmed(
            provider_id=submission.provider_id,
            data_set_id=found.data_set_id,
            piece_ids=tuple(range(first, first + len(submission.copies))),
        )
    )


def settle(account: Account, pin: Pin, on_event: OnEvent) -> None:
    """Find out what became of every add of *pin* that may have been carried out meanwhile."""
    waiting = of_pin(account, pin, UNDER_WAY | DORMANT)
    if not waiting:
        return
    _, uses = account.chain.nonce_uses([(one.payer, one.nonce) for one in waiting])
    for submission, found in zip(waiting, uses, strict=True):
        if found is not None:
            record(account, submission, found, on_event)
