"""Copies that cannot be counted on any more, though the chain has not let them go.

Knows which evidence is enough to pay for another copy. Writes nothing down.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

from fpin.backends.base import Loss
from fpin.backends.filecoin.account import Account
from fpin.errors import ProviderError, ProviderUnavailable, Unavailable
from fpin.piece import PieceCid
from fpin.store import ON_CHAIN, UNDER_WAY, Copy, Piece, Pin
from fpin.threads import Crew

_QUESTIONS = 8  # at once
_ATTEMPTS = 3  # before a provider counts as silent
_PAUSE = 1.0  # seconds between them
_SETTLED = 3600  # seconds after which an add that nobody heard of is not on its way any more


def losses(account: Account, pin: Pin) -> dict[int, Loss]:
    """Return by copy row what is wrong with the copies of *pin* that are on chain or under way."""
    copies = [(piece, copy) for piece in pin.pieces for copy in piece.copies]
    asked = [(piece, copy) for piece, copy in copies if copy.state in ON_CHAIN | UNDER_WAY]
    account.meet(copy.provider_id for _, copy in asked)
    ids = list(dict.fromkeys(copy.provider_id for _, copy in asked))
    crew = Crew()
    pings = [functools.partial(_silence, account, crew, one) for one in ids]
    answers = crew.run(pings, at_once=_QUESTIONS)
    silent = {one: reason for one, reason in zip(ids, answers, strict=True) if reason is not None}
    overdue = _overdue(account, [copy for _, copy in asked if copy.provider_id in silent])
    found: dict[int, Loss] = {}
    for piece, copy in asked:
        if copy.provider_id in silent:
            reason = silent[copy.provider_id]
            gone = account.provider(copy.provider_id).problem
            found[copy.copy] = Loss(
                reason=f"{reason}, and its proofs are overdue" if copy.data_set_id in overdue else reason,
                sure=gone is not None or copy.data_set_id in overdue or _forgotten(copy),
            )
        elif copy.state in ON_CHAIN and (missing := _missing(account, piece, copy)) is not None:
            found[copy.copy] = Loss(reason=missing, sure=True)
    return found


def _silence(account: Account, crew: Crew, provider_id: int) -> str | None:
    """Return why a provider cannot be asked, after several attempts; None when it answers."""
    problem = account.provider(provider_id).problem
    if problem is not None:
        return f"provider {provider_id} {problem}"
    reason: str | None = None
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            account.api(provider_id).ping()
        except ProviderUnavailable as exc:
            reason = exc.message
        except ProviderError as exc:
            return exc.message
        else:
            return None
        if attempt < _ATTEMPTS:
            crew.sleep(_PAUSE)
    return reason


def _overdue(account: Account, copies: Sequence[Copy]) -> set[int | None]:
    """Return the data sets that a proof is missing for; what is deleted is none, for it was seen before."""
    ids = {copy.data_set_id for copy in copies if copy.data_set_id is not None}
    statuses = account.chain.provings(ids) if ids else {}
    return {data_set_id for data_set_id, status in statuses.items() if status.state == "overdue"}


def _forgotten(copy: Copy) -> bool:
    return copy.state in UNDER_WAY and time.time() - copy.changed > _SETTLED


def _missing(account: Account, piece: Piece, copy: Copy) -> str | None:
    """Return what a provider says that it does not give the piece; None when it does, or says nothing."""
    api = account.api(copy.provider_id)
    try:
        size = api.head_piece(PieceCid.parse(piece.piece_cid))
    except Unavailable:
        return None
    except ProviderError as exc:
        return exc.message
    return None if size == piece.size else f"{api.name} does not have piece {piece.piece_cid}"
