"""Forks: adds that were seen on chain in blocks which may still be replaced, asked for until they cannot be.

A copy counts as on chain from its executed transaction on, as with the reference client. A heavier fork can
still take that away for some minutes, and as a rule runs the transaction again; so every later look asks what
became of the nonce, until the block is final. Knows nothing of how an add is sent.
"""

from __future__ import annotations

from fpin import events
from fpin.backends.filecoin.account import Account
from fpin.chain.records import NonceUse
from fpin.chain.rpc import RpcError
from fpin.events import OnEvent
from fpin.store import ON_CHAIN, Pin, Submission


def see_forks(account: Account, pin: Pin, on_event: OnEvent) -> frozenset[int]:
    """Write down which adds of *pin* are final, which got other ids, and which the chain took back.

    Returns the copies of which the node can say nothing, because it has not come as far as they have.
    """
    there = {copy.copy for copy in pin.copies if copy.state in ON_CHAIN}
    # What is on its way out again is followed there.
    waiting = [one for one in account.store.unsettled(pin.pin) if set(one.copies) <= there]
    if not waiting:
        return frozenset()
    epoch, uses = account.chain.nonce_uses([_number(one) for one in waiting])
    held: list[Submission] = []
    unknown: set[int] = set()
    for submission, use in zip(waiting, uses, strict=True):
        if use is not None:
            _keep(account, submission, use)
            held.append(submission)
        elif submission.epoch is None or epoch >= submission.epoch:
            _take_back(account, submission, on_event)
        else:
            unknown |= set(submission.copies)
    for submission in _final(account, held):
        account.store.mark_final(submission.submission)
    return frozenset(unknown)


def _number(submission: Submission) -> tuple[str, int]:
    return submission.payer, submission.nonce


def _final(account: Account, held: list[Submission]) -> list[Submission]:
    if not held:
        return []
    try:
        _, uses = account.chain.nonce_uses([_number(one) for one in held], final=True)
    except RpcError:
        return []  # a node that cannot tell: they are asked for again next time
    return [submission for submission, use in zip(held, uses, strict=True) if use is not None]


def _keep(account: Account, submission: Submission, use: NonceUse) -> None:
    """See to it that the ids are those of the block that stayed."""
    first = account.store.copy(submission.copies[0])
    first_piece_id = use.first_piece_id(len(submission.copies))
    if (first.data_set_id, first.piece_id) != (use.data_set_id, first_piece_id):
        account.store.mark_confirmed(
            submission.submission,
            data_set_id=use.data_set_id,
            first_piece_id=first_piece_id,
            epoch=use.epoch,
        )


def _take_back(account: Account, submission: Submission, on_event: OnEvent) -> None:
    # The data set may have been made by this add, or by one that was taken back with it.
    sets = account.chain.client_data_sets(submission.payer)
    same = [one for one in sets if one.live and one.client_data_set_id == submission.client_data_set_id]
    account.store.mark_taken_back(submission.submission, data_set_id=same[0].data_set_id if same else None)
    on_event(
        events.Noted(
            text=f"provider {submission.provider_id}: the chain went on without the block of transaction "
            f"{submission.tx}: what it added is not stored, and fpin add sends it again under the same number"
        )
    )
