"""The wait for a transaction to be executed, told once an epoch: what for, where the chain is, since when.

Two or three epochs are normal, for Filecoin executes a transaction in the epoch after it took it up.
"""

from __future__ import annotations

from fpin import events
from fpin.events import OnEvent


class Confirming:
    """Tells of the wait for *what*, whose transaction is *tx* (None where its hash is not known)."""

    def __init__(self, what: str, tx: str | None, on_event: OnEvent) -> None:
        self._what = what
        self._tx = tx
        self._on_event = on_event
        self._sent: int | None = None
        self._told: int | None = None

    def not_yet(self, epoch: int) -> None:
        """At height *epoch* it was not executed."""
        if self._sent is None:
            self._sent = self._told = epoch  # the first look comes at once
        if self._told is None or epoch > self._told:
            self._told = epoch
            self._on_event(
                events.Confirming(what=self._what, tx=self._tx, epoch=epoch, waited=epoch - self._sent)
            )
