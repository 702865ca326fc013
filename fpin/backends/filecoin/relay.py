"""Who holds which piece, and whose turn it is to get it from us: known to all threads of one `put`.

A piece is sent from here once, to the first provider in line; the others fetch it from there. Where the first
one fails, the next one in line gets it. Asks nobody anything.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fpin.threads import Crew

_LOOK = 0.1  # seconds between looks at whether the work is still wanted


class Relay:
    """The pieces of one `put` on their way through the providers in *line*."""

    def __init__(self, line: Sequence[int], crew: Crew) -> None:
        self._line = list(line)
        self._crew = crew
        self._holders: dict[str, list[int]] = {}
        self._changed = threading.Condition()

    def hold(self, piece_cid: str, provider_id: int) -> None:
        """Say that a provider has a piece and gives it to others."""
        with self._changed:
            holders = self._holders.setdefault(piece_cid, [])
            if provider_id not in holders:
                holders.append(provider_id)
            self._changed.notify_all()

    def leave(self, provider_id: int) -> None:
        """Say that a provider failed: nobody waits for it any more. What it was given it may still have."""
        with self._changed:
            if provider_id in self._line:
                self._line.remove(provider_id)
            self._changed.notify_all()

    def holders(self, piece_cid: str, provider_id: int) -> tuple[int, ...]:
        """Wait until another provider than *provider_id* holds the piece, and return all that do.

        Returns none when it is the turn of *provider_id* itself.
        """
        with self._changed:
            while True:
                self._crew.check()
                others = [holder for holder in self._holders.get(piece_cid, ()) if holder != provider_id]
                if others or self._line[:1] == [provider_id]:
                    return tuple(others)
                self._changed.wait(_LOOK)
