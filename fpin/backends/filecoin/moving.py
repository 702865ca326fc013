"""Providers that moved: the addresses that the store has, compared with those registered on chain.

Knows nothing of what a copy's state is otherwise, and asks no provider.
"""

from __future__ import annotations

from fpin.backends.filecoin.account import Account
from fpin.chain.provider_record import is_web_address
from fpin.errors import NotFound
from fpin.store import CopyState, Pin

ENDED = frozenset({CopyState.FAILED, CopyState.GONE})


def see_moves(account: Account, pin: Pin) -> None:
    """Write down where the providers of *pin* are reached now; the old address answers nobody any more."""
    copies = [copy for copy in pin.copies if copy.state not in ENDED]
    account.meet(copy.provider_id for copy in copies)
    for copy in copies:
        try:
            url = account.provider(copy.provider_id).service_url
        except NotFound:
            continue
        if url != copy.provider_url and is_web_address(url):
            account.store.mark_moved(copy.copy, provider_url=url)
