"""One `put`: the places of a pin, served at the same time and each by a thread.

Knows what a failure at one place means for it and for the others. How a copy comes to be is `adding`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence

from fpin import events
from fpin.backends.base import Failed, Place
from fpin.backends.filecoin.account import Account
from fpin.backends.filecoin.adding import Adding, copy_at
from fpin.backends.filecoin.bringing import Bringing, Lanes
from fpin.backends.filecoin.relay import Relay
from fpin.backends.source import PieceSource
from fpin.chain.records import PriceList
from fpin.errors import (
    ChainError,
    FpinError,
    NodeUnavailable,
    NotFound,
    ProviderError,
    QuoteExpired,
    SourceError,
    Unavailable,
    VerificationFailed,
)
from fpin.events import Event, OnEvent
from fpin.store import UNDER_WAY, WAITING, Pin
from fpin.threads import Crew
from fpin.values import dataclass

# A source that changed is nobody's failure, but who has all the bytes already goes on without it.
_OF_THE_PLACE = (ProviderError, ChainError, NotFound, Unavailable, VerificationFailed, SourceError)
_OF_NO_PLACE = (NodeUnavailable, QuoteExpired)  # the others finish before it is raised


@dataclass(kw_only=True)
class Putting:
    """Brings *pin* to *places*. *prices* were quoted; the rest is as `Backend.put` has it."""

    account: Account
    pin: Pin
    sources: Mapping[str, PieceSource | None]
    places: Sequence[Place]
    prices: PriceList | None  # None: nothing was quoted in this run
    park_only: bool
    jobs: int
    on_event: OnEvent

    def run(self) -> tuple[Failed, ...]:
        """Serve every place; return those that could not be served, in their order."""
        self._plan()
        crew = Crew()
        relay = Relay([place.provider_id for place in self.places], crew)
        for piece in self._pin().pieces:
            for copy in piece.held:
                relay.hold(piece.piece_cid, copy.provider_id)
        lanes, tell = Lanes(self.jobs), _one_at_a_time(self.on_event, crew)
        tasks = [lambda place=place: self._serve(place, crew, relay, lanes, tell) for place in self.places]
        failures = [failure for failure in crew.run(tasks) if failure is not None]
        for failure in failures:
            if isinstance(failure.error, (SourceError, *_OF_NO_PLACE)):
                raise failure.error
        return tuple(failures)

    def _plan(self) -> None:
        for place in self.places:
            for piece in self.pin.pieces:
                if piece.piece_cid in self.sources and copy_at(piece, place.provider_id) is None:
                    self.account.store.plan_copy(
                        piece.piece,
                        provider_id=place.provider_id,
                        provider_url=place.provider_url,
                        why=place.reason,
                    )

    def _serve(self, place: Place, crew: Crew, relay: Relay, lanes: Lanes, tell: OnEvent) -> Failed | None:
        with self.account.for_thread(crew) as account:
            bringing = Bringing(
                account=account,
                provider_id=place.provider_id,
                sources=self.sources,
                crew=crew,
                lanes=lanes,
                on_event=tell,
            )
            adding = Adding(
                account=account,
                pin=account.store.pin(self.pin.pin),
                place=place,
                prices=self.prices,
                bringing=bringing,
                relay=relay,
                on_event=tell,
            )
            try:
                adding.fill(park_only=self.park_only)
            except _OF_THE_PLACE as exc:
                relay.leave(place.provider_id)
                if not isinstance(exc, _OF_NO_PLACE):
                    tell(events.CopyFailed(provider_id=place.provider_id, reason=exc.message))
                self._give_up(account, place, exc)
                return Failed(
                    provider_id=place.provider_id,
                    error=exc,
                    replaceable=self._replaceable(account, place, exc),
                )
        return None

    def _give_up(self, account: Account, place: Place, exc: FpinError) -> None:
        """Close copies that will not go on by themselves; what may still be under way stays open."""
        if isinstance(exc, Unavailable):
            return
        for copy in account.store.pin(self.pin.pin).copies:
            if copy.provider_id == place.provider_id and copy.state in WAITING:
                account.store.mark_failed(copy.copy, reason=exc.message)

    def _replaceable(self, account: Account, place: Place, exc: FpinError) -> bool:
        """Tell whether another provider may take over: it is this one's failure, and it adds nothing now."""
        copies = account.store.pin(self.pin.pin).copies
        adding = any(copy.provider_id == place.provider_id and copy.state in UNDER_WAY for copy in copies)
        return isinstance(exc, ProviderError | VerificationFailed) and not adding

    def _pin(self) -> Pin:
        return self.account.store.pin(self.pin.pin)


def _one_at_a_time(on_event: OnEvent, crew: Crew) -> OnEvent:
    """Hand on events of several threads one after the other; a thread that is to stop does so here."""
    lock = threading.Lock()

    def tell(event: Event) -> None:
        crew.check()
        with lock:
            on_event(event)

    return tell


def drop_others(account: Account, pin: Pin, wanted: Collection[int], reasons: Mapping[int, str]) -> None:
    """Close copies that no add was asked for, at providers which are not *wanted* any more."""
    for copy in account.store.pin(pin.pin).copies:
        if copy.provider_id not in wanted and copy.state in WAITING:
            reason = reasons.get(copy.provider_id, "another provider was chosen")
            account.store.mark_failed(copy.copy, reason=reason)
