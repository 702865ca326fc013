"""Waiting until a removed piece is out of routing: the algorithm of spec routing-and-retrieval §4.7.

Chain first, then the provider's own advertisement chain, then the indexer. A record that stays is not an
error: the same piece may be held for somebody else. Refuses to know how the removal was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from fpin.errors import ProviderError, VerificationFailed
from fpin.ipld import cid as cids
from fpin.routing import match
from fpin.routing.checker import Peers
from fpin.routing.indexer import Answer, Indexer
from fpin.routing.match import Copy
from fpin.routing.pace import Clock, RemovalPace, jittered, removal_delays
from fpin.routing.publisher import Publisher
from fpin.routing.results import Holder, OnLook, RemovalLook, RemovalResult, RemovalState
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A copy that was scheduled for removal.

    *cids* are its root and a sample of its blocks. *live* asks the chain whether the piece is still live.
    *shared* says that another live data set holds the same piece at this provider. *was_present* is what
    `present` said before the removal; None when nobody asked.
    """

    copy: Copy
    cids: tuple[bytes, ...]
    live: Callable[[], bool]
    shared: bool = False
    was_present: bool | None = None


def present(indexers: Sequence[Indexer], copy: Copy, blocks: Sequence[bytes]) -> bool | None:
    """Tell whether any of *indexers* has this record for one of *blocks*; None when one could not say."""
    here = [_present([indexer.find(cid) for cid in _indexed(blocks)], copy) for indexer in indexers]
    if any(here):
        return True
    return None if None in here or not here else False


@dataclass(slots=True)
class _Indexed:
    """One polling indexer while a removal is watched."""

    indexer: Indexer
    answers: list[Answer] = field(default_factory=list)  # the newest, one for each block
    here: bool | None = None  # its last conclusive answer
    empty: int = 0  # conclusive empty answers in a row

    def look(self, blocks: Sequence[bytes], copy: Copy) -> None:
        self.answers = [self.indexer.find(cid) for cid in blocks]
        here = _present(self.answers, copy)
        if here is not None:
            self.here = here
            self.empty = 0 if here else self.empty + 1


def check_removed(
    removal: Removal,
    peers: Peers,
    *,
    pace: RemovalPace,
    clock: Clock | None = None,
    on_look: OnLook | None = None,
) -> RemovalResult:
    """Follow a removal until its record is gone or *pace*'s deadline; `pace.LOOK_ONCE` waits for nothing.

    "Gone" takes the indexer's empty answer, *pace.answers* times, and that the provider does not advertise
    the piece any more, or cannot be asked. Raises what *live* raises, and nothing else.
    """
    return _Watch(removal, peers.safely(), pace, clock or Clock(), on_look or (lambda _event: None)).run()


class _Watch:
    def __init__(
        self, removal: Removal, peers: Peers, pace: RemovalPace, clock: Clock, on_look: OnLook
    ) -> None:
        self.removal, self.peers, self.pace, self.clock, self.on_look = removal, peers, pace, clock, on_look
        self.publisher: Publisher | None = peers.publisher(removal.copy)
        self.removal_ad: bytes | None = None
        self.still_advertised = False
        self.polled = [_Indexed(indexer) for indexer in peers.poll]
        self.attempts = 0
        self.note = ""

    def run(self) -> RemovalResult:
        self.started = self.clock.now()
        end = self.started + self.pace.deadline
        while self.removal.live():
            self._tell("chain_pending")
            if self.clock.now() >= end:
                return self._end("chain_pending")
            self._pause(self.pace.chain, end)
        if self.removal.shared:
            return self._end("still_present_shared")
        for delay in removal_delays(self.pace):
            self._look()
            state = self._state()
            self._tell(state)
            if state == "gone" or self.clock.now() >= end:
                return self._end(state)
            self._pause(self.pace.spacing if any(one.empty for one in self.polled) else delay, end)
        raise AssertionError("delays never end")

    def _pause(self, delay: float, end: float) -> None:
        self.clock.sleep(min(jittered(delay, self.clock.chance), max(0.0, end - self.clock.now())))

    # -- looking -------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._read_chain()
        self.attempts += 1
        for one in self.polled:
            one.look(_indexed(self.removal.cids), self.removal.copy)

    def _read_chain(self) -> None:
        """Look for the removal on the provider's own chain of advertisements."""
        if self.publisher is None or self.removal_ad is not None:
            return
        try:
            published = self.publisher.newest(self.removal.copy.context_id)
        except (ProviderError, VerificationFailed) as exc:
            self.note = exc.message
            return
        self.note = ""
        self.still_advertised = published.advertised
        if published.ad is not None and published.withdrawn:
            self.removal_ad = published.ad.cid

    def _state(self) -> RemovalState:
        """Return the state; "gone" stands for all of its kinds until the end."""
        # One that never gave a usable answer holds nothing up, and is named at the end.
        useful = [one for one in self.polled if one.here is not None]
        emptied = all(one.empty >= self.pace.answers for one in useful)
        if useful and emptied and not self.still_advertised:
            return "gone"
        if not useful and self._processed():
            return "gone"
        if self.removal_ad is not None:
            return "unadvertised"
        return "unknown" if not useful and not self.still_advertised else "pending_gc"

    def _processed(self) -> bool:
        """Where no polling indexer helps: have all confirming ones processed the removal advertisement?"""
        if self.removal_ad is None or not self.peers.confirm:
            return False
        return all(one.ad_state(self.removal_ad) == "indexed" for one in self.peers.confirm)

    # -- telling -------------------------------------------------------------------------------------

    def _tell(self, state: RemovalState) -> None:
        self.on_look(
            RemovalLook(
                copy=self.removal.copy,
                state=state,
                attempt=self.attempts,
                elapsed=self.clock.now() - self.started,
                removal_ad_cid=self.removal_ad,
            )
        )

    def _end(self, state: RemovalState) -> RemovalResult:
        others = self._others()
        if state == "gone" and others:
            state = "gone_other_holders"
        elif state == "gone" and self.removal.was_present is False and self.removal_ad is None:
            state = "already_absent"
        silent = not any(one.here is not None for one in self.polled)
        asked = self.peers.confirm if silent and state == "gone" else self.peers.poll
        return RemovalResult(
            state=state,
            indexer=asked[0].url if asked else None,
            removal_ad_cid=self.removal_ad,
            others=others,
            attempts=self.attempts,
            elapsed=self.clock.now() - self.started,
            sentences=tuple(self._sentences(state)),
        )

    def _said(self, one: _Indexed) -> str:
        """Return what one of several polling indexers has to say."""
        if one.here is None:
            reason = next((answer.reason for answer in one.answers if answer.reason), "none at all")
            return f"{one.indexer.url} gave no usable answer ({reason})."
        return f"{one.indexer.url} {'still lists it' if one.here else 'does not list it any more'}."

    def _others(self) -> tuple[Holder, ...]:
        found: dict[tuple[str, bytes], Holder] = {}
        for answer in (answer for one in self.polled for answer in one.answers):
            for record in answer.records:
                strength = match.judge(record, self.removal.copy)
                if strength != "exact":
                    holder = Holder(record=record, same_provider=strength == "provider")
                    found.setdefault((record.provider, record.context_id), holder)
        return tuple(found.values())

    def _sentences(self, state: RemovalState) -> list[str]:
        words = [_WORDS[state]]
        words += [self._said(one) for one in self.polled if len(self.polled) > 1 and one.answers]
        if state.startswith("gone"):
            guarded = [one.url for one in self.peers.confirm if self.peers.gate.guards(one.url)]
            words += [f"{url} may still answer from its cache for up to a day." for url in guarded]
        if self.note:
            words.append(f"The provider's advertisements could not be checked: {self.note}.")
        return words


_WORDS: dict[RemovalState, str] = {
    "already_absent": "Indexers had no record of it.",
    "chain_pending": "The removal is scheduled; the piece stays until the provider's proving period ends.",
    "pending_gc": "Removed on chain; the provider withdraws it from indexers at its next clean-up.",
    "unadvertised": "The provider has withdrawn it; the indexer has yet to follow.",
    "still_present_shared": "Removed from this data set; another one holds the same piece at this provider, "
    "so it stays findable.",
    "gone": "It cannot be found by CID any more.",
    "gone_other_holders": "The record of this copy is gone; the same content is still held elsewhere.",
    "unknown": "Removed on chain; whether it can still be found is not known, as no indexer could say.",
}


def _indexed(blocks: Sequence[bytes]) -> list[bytes]:
    return [cid for cid in blocks if cids.identity_data(cid) is None]


def _present(answers: Sequence[Answer], copy: Copy) -> bool | None:
    if any(match.of_this_upload(record, copy) for answer in answers for record in answer.records):
        return True
    if not answers or any(answer.state == "inconclusive" for answer in answers):
        return None
    return False
