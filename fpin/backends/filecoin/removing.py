"""The way out: asks providers to schedule removals, and sees them carried out on chain.

Knows the chain's side. That the advertisement is withdrawn and the indexer forgets is routing's to see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import groupby

from fpin import events
from fpin.backends.filecoin.account import Account, in_words, why_failed
from fpin.chain import typed_data
from fpin.chain.limits import MAX_PIECES_PER_REMOVAL, in_batches
from fpin.chain.records import DataSet
from fpin.errors import (
    ChainError,
    FpinError,
    NodeUnavailable,
    NoKey,
    NotFound,
    PermissionMissing,
    ProviderError,
    ProviderUnavailable,
    Unavailable,
)
from fpin.events import OnEvent
from fpin.piece import PieceCid
from fpin.provider.waiting import CONFIRMING, poll
from fpin.store import LEAVING, ON_CHAIN, Copy, CopyState

# Seconds after which a transaction that no node has heard of is taken for lost: ten epochs, as a provider
# waits before it replaces one that is stuck. Asking again is harmless: a piece is scheduled once, and another
# transaction for it reverts and costs the payer nothing.
LOST = 300.0

ASKED = frozenset({CopyState.REMOVING, CopyState.SCHEDULED})
LEFT = LEAVING - {CopyState.REMOVING}


def remove(account: Account, copies: Sequence[Copy], *, on_event: OnEvent) -> None:
    """Have *copies* scheduled for removal; returns when the chain has in its queue what could be asked for.

    Those whose removal is already under way are looked at, not asked for again. What fails in one data set
    keeps nothing in the others; raises the first failure when nothing is on its way out.
    """
    account.check_rights(["remove"])
    see_removals(account, copies, on_event=on_event)
    todo = [copy for copy in _now(account, copies) if copy.state in ON_CHAIN | {CopyState.REMOVING}]
    failure: FpinError | None = None
    for (provider_id, data_set_id), group in groupby(sorted(todo, key=_data_set), key=_data_set):
        try:
            for part in in_batches(list(group), MAX_PIECES_PER_REMOVAL):
                _remove_from(account, provider_id, data_set_id, part, on_event=on_event)
        except NodeUnavailable:
            raise  # it says nothing of this provider, and the next one needs the node as well
        except (ProviderError, ChainError, NotFound, PermissionMissing, Unavailable) as exc:
            failure = failure or exc
            on_event(events.CopyFailed(provider_id=provider_id, reason=exc.message))
    if failure is not None and not any(copy.state in LEFT for copy in _now(account, copies)):
        raise failure


def see_removals(account: Account, copies: Sequence[Copy], *, on_event: OnEvent) -> None:
    """Ask the chain whether *copies* are live or in the removal queue, and write down what changed."""
    looked_at = [
        (copy, (copy.data_set_id, copy.piece_id))
        for copy in copies
        if copy.data_set_id is not None and copy.piece_id is not None and copy.state in ON_CHAIN | ASKED
    ]
    presences = account.chain.presences([place for _, place in looked_at]) if looked_at else []
    for (copy, (data_set_id, piece_id)), presence in zip(looked_at, presences, strict=True):
        if not presence.live:
            account.store.mark_removed(copy.copy)
            on_event(events.RemovalSeen(provider_id=copy.provider_id, piece_id=piece_id, state="removed"))
        elif presence.leaving:
            if copy.state is not CopyState.SCHEDULED:
                account.store.mark_scheduled(copy.copy, tx=None)
        elif copy.state is CopyState.SCHEDULED and copy.removal_tx is not None:
            # Its block was replaced by one without it. Without a transaction the whole data set is leaving.
            account.store.mark_removing(copy.copy, tx=copy.removal_tx)
            on_event(
                events.Noted(
                    text=f"provider {copy.provider_id}: the chain went on without the removal of piece "
                    f"{piece_id} from data set {data_set_id}: fpin rm asks for it again"
                )
            )
        elif copy.state is CopyState.REMOVING and not _pending(account, copy):
            account.store.mark_on_chain(copy.copy, data_set_id=data_set_id, piece_id=piece_id)


def _now(account: Account, copies: Sequence[Copy]) -> list[Copy]:
    return [account.store.copy(copy.copy) for copy in copies]


def _data_set(copy: Copy) -> tuple[int, int]:
    return copy.provider_id, copy.data_set_id or 0


def _pending(account: Account, copy: Copy) -> bool:
    """True while the transaction that was to schedule the removal of *copy* may still be mined."""
    return copy.removal_tx is not None and account.chain.node.receipt(copy.removal_tx) is None


def _remove_from(
    account: Account, provider_id: int, data_set_id: int, copies: Sequence[Copy], *, on_event: OnEvent
) -> None:
    api = account.api(provider_id)
    piece_ids = [copy.piece_id for copy in copies if copy.piece_id is not None]
    data_set = account.chain.data_set(data_set_id)
    _check_payer(account, data_set)
    _check_pieces(account, data_set_id, copies)
    message = typed_data.schedule_piece_removals(data_set.client_data_set_id, piece_ids)
    signature = account.key.sign_digest(message.digest(account.chain.domain))
    for copy in copies:
        account.store.mark_removing(copy.copy)
    extra_data = typed_data.signature_extra_data(signature)
    tx: str | None = None
    try:
        tx = api.delete_pieces(data_set_id, piece_ids, extra_data=extra_data)
    except ProviderUnavailable:
        if not _queued(account, data_set_id, piece_ids):
            raise
    except ProviderError as exc:
        if not _queued(account, data_set_id, piece_ids):
            _still_here(account, copies)
            raise in_words(exc, f"removing from data set {data_set_id}") from exc
    if tx is not None:
        for copy in copies:
            account.store.mark_removing(copy.copy, tx=tx)

    def ask_again() -> str | None:
        text = f"{api.name}: no node knows transaction {tx}, which was to schedule the removal: asked again"
        on_event(events.Noted(text=text))
        again = api.delete_pieces(data_set_id, piece_ids, extra_data=extra_data)
        for copy in copies:
            account.store.mark_removing(copy.copy, tx=again)
        return again

    queued, tx = _wait_until_queued(account, api.name, data_set_id, piece_ids, tx, ask_again)
    if not queued:
        _still_here(account, copies)
        raise ProviderError(
            f"{api.name}: the removal failed on chain: {why_failed(account.chain, tx or '')}",
            hint="nothing was removed by it; run it again",
            tx=tx,
        )
    for copy in copies:
        account.store.mark_scheduled(copy.copy, tx=tx)
        on_event(
            events.RemovalScheduled(
                provider_id=provider_id, data_set_id=data_set_id, piece_id=copy.piece_id or 0, tx=tx
            )
        )


def _check_payer(account: Account, data_set: DataSet) -> None:
    if data_set.payer.lower() != account.payer.lower():
        raise NoKey(
            f"data set {data_set.data_set_id} is paid for by {data_set.payer}, and the key is that of "
            f"{account.payer}",
            hint="use the key of the wallet that added it",
        )


def _check_pieces(account: Account, data_set_id: int, copies: Sequence[Copy]) -> None:
    """Raise when a piece id means another piece than it did: on a chain that began again, ids do as well."""
    for copy in copies:
        piece_cid = account.store.piece_cid(copy.copy)
        found = account.chain.find_piece_ids(data_set_id, PieceCid.parse(piece_cid).to_bytes())
        if copy.piece_id not in found and account.chain.piece_live(data_set_id, copy.piece_id or 0):
            raise ChainError(
                f"piece {copy.piece_id} of data set {data_set_id} is not {piece_cid} any more",
                hint="this is not the chain that it was added on; nothing was removed",
            )


def _still_here(account: Account, copies: Sequence[Copy]) -> None:
    """Write down that the removal of *copies* was refused: they stay what they were."""
    for copy in copies:
        if copy.data_set_id is not None and copy.piece_id is not None:
            account.store.mark_on_chain(copy.copy, data_set_id=copy.data_set_id, piece_id=copy.piece_id)


def _queued(account: Account, data_set_id: int, piece_ids: Sequence[int]) -> bool:
    """True when the chain has all of *piece_ids* in its removal queue, or has removed them already."""
    queue = account.chain.scheduled_removals(data_set_id)
    return all(
        piece_id in queue or not account.chain.piece_live(data_set_id, piece_id) for piece_id in piece_ids
    )


def _wait_until_queued(
    account: Account,
    name: str,
    data_set_id: int,
    piece_ids: Sequence[int],
    tx: str | None,
    ask_again: Callable[[], str | None],
) -> tuple[bool, str | None]:
    """Wait for the chain to queue *piece_ids*; return whether it did, and by which transaction.

    False when *tx* failed there. Where it is lost on the way, *ask_again* makes another one, once.
    """
    lost_at: float | None = account.clock.now() + LOST

    def ask() -> bool | None:
        nonlocal tx, lost_at
        if _queued(account, data_set_id, piece_ids):
            return True
        receipt = account.chain.node.receipt(tx) if tx else None
        if receipt is not None:
            return None if receipt.succeeded else False
        overdue = lost_at is not None and account.clock.now() >= lost_at
        if tx and overdue and not account.chain.node.knows_transaction(tx):
            lost_at = None
            with contextlib.suppress(ProviderError):  # the wait goes on, and the chain has the last word
                tx = ask_again()
        return None

    queued = poll(ask, patience=CONFIRMING, clock=account.clock)
    if queued is None:
        raise ProviderUnavailable(
            f"{name}: the removal is not confirmed after {CONFIRMING / 60:.0f} minutes",
            hint="run it again: it asks the chain before it does anything",
            tx=tx,
        )
    return queued, tx
