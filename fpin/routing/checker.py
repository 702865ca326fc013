"""Waiting until a new upload can be found: the algorithm of spec routing-and-retrieval §4.6.

Asks the polling indexer by the safe order of questions, climbs down the ladder of evidence of
upstream-changes.md where that indexer is of no use, and opens the gate (rule R8) when everything was found.
Refuses to know the chain and uploads: who should have what comes in as `Subject`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import Protocol

from fpin.errors import ProviderError, VerificationFailed
from fpin.ipld import cid as cids
from fpin.routing import match, report
from fpin.routing.delegated import Router
from fpin.routing.gate import Gate
from fpin.routing.indexer import NOT_ASKED, Indexer, Record
from fpin.routing.match import Copy, Match
from fpin.routing.pace import AddPace, Clock, add_delays, jittered
from fpin.routing.panel import Panel
from fpin.routing.publisher import Publisher
from fpin.routing.results import (
    Asked,
    AskedState,
    Evidence,
    Finding,
    OnAttempt,
    PairState,
    RoutingAttempt,
    RoutingResult,
    RoutingState,
)
from fpin.values import dataclass

_NOT_YET = ("pending", "indexing", "creating_ad")  # piece states before the advertisement exists


class PieceStatus(Protocol):
    """What the checker reads of a provider's piece status."""

    @property
    def status(self) -> str: ...
    @property
    def advertised(self) -> bool: ...
    @property
    def synced(self) -> bool | None: ...
    @property
    def ad_cid(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A block, and the copies of pieces that hold it."""

    cid: bytes
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """Whom the checker may ask. *publisher* and *piece_status* return None for "cannot be asked"."""

    poll: tuple[Indexer, ...]  # these keep no empty answers, so they may be asked early and often
    confirm: tuple[Indexer, ...]  # asked about advertisements at any time, about content only once found
    gate: Gate
    publisher: Callable[[Copy], Publisher | None]
    piece_status: Callable[[Copy], PieceStatus | None] = lambda _copy: None
    routers: tuple[Router, ...] = ()  # asked from whom content is to be had, never by the checker

    def safely(self) -> Peers:
        """Return these peers with no guarded indexer among those to poll, whoever configured it so."""
        guarded = tuple(indexer for indexer in self.poll if self.gate.guards(indexer.url))
        if not guarded:
            return self
        known = {indexer.url for indexer in self.confirm}
        return replace(
            self,
            poll=tuple(indexer for indexer in self.poll if indexer not in guarded),
            confirm=(*self.confirm, *(indexer for indexer in guarded if indexer.url not in known)),
        )


@dataclass(slots=True)
class _Pair:
    """What is known about one copy's record for one CID."""

    cid: bytes
    copy: Copy
    state: PairState
    match: Match | None = None
    evidence: Evidence | None = None
    proved_at: float | None = None  # when there was first evidence other than a record
    ad_cid: bytes | None = None
    status: PieceStatus | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def unadvertised(self) -> bool:
        """Whether the provider says that it has not advertised the piece yet."""
        return self.status is not None and self.status.status in _NOT_YET and not self.status.advertised

    def note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)

    def finding(self) -> Finding:
        return Finding(
            cid=self.cid,
            copy=self.copy,
            state=self.state,
            strength=self.match.strength if self.match else "exact" if self.state == "found" else None,
            evidence=self.evidence if self.state == "found" else None,
            ad_cid=self.ad_cid,
            context_id=self.match.record.context_id if self.match else None,
            provider_status=self.status.status if self.status else None,
            notes=tuple(self.notes),
        )


def check_added(
    subjects: Sequence[Subject],
    peers: Peers,
    *,
    pace: AddPace,
    clock: Clock | None = None,
    on_attempt: OnAttempt | None = None,
) -> RoutingResult:
    """Wait until every subject is found at every copy expected to hold it, and say how that ended.

    The first subject is the root: the others are asked about once it is found. Subjects whose CID carries
    its own content are left out, since nobody indexes them. Opens *peers*' gate for all of them on "found",
    for none otherwise. Raises nothing for what indexers and providers do wrong.
    """
    indexed = [subject for subject in subjects if cids.identity_data(subject.cid) is None]
    return _Check(indexed, peers.safely(), pace, clock or Clock(), on_attempt or (lambda _event: None)).run()


class _Check:
    def __init__(
        self, subjects: Sequence[Subject], peers: Peers, pace: AddPace, clock: Clock, on_attempt: OnAttempt
    ) -> None:
        self.peers, self.pace, self.clock, self.on_attempt = peers, pace, clock, on_attempt
        self.pairs = [
            [
                _Pair(cid=subject.cid, copy=copy, state="not_expected" if copy.not_expected else "polling")
                for copy in subject.copies
            ]
            for subject in subjects
        ]
        self.publishers: dict[int, Publisher | None] = {}
        self.polled, self.confirming = Panel(peers.poll), Panel(peers.confirm)
        self.listed: dict[str, set[tuple[bytes, int]]] = {}  # by indexer: CID and provider of its records
        self.processed: dict[bytes, set[str]] = {}  # advertisements, and the indexers that processed them
        self.foreign: tuple[Record, ...] = ()
        self.last = NOT_ASKED
        self.attempts = 0
        self.extended = False

    def run(self) -> RoutingResult:
        started = self.started = self.clock.now()
        if not self.polled and not self.confirming:
            return self._end("skipped", report.NO_INDEXER)
        if not any(pair.state == "polling" for pairs in self.pairs for pair in pairs):
            return self._end("skipped", report.NOTHING_EXPECTED)
        ceiling = started + self.pace.ceiling
        root, *children = range(len(self.pairs))
        self._settle(root, min(started + self.pace.deadline, ceiling), first=self.pace.first)
        if self._settled(root):
            end = min(self.clock.now() + self.pace.children, ceiling)
            for child in children:
                self._settle(child, end, first=0.0)
        for pair in self.pairs[root]:
            self._name_advertisement(pair)
        return self._end(self._state())

    # -- one subject ---------------------------------------------------------------------------------

    def _settled(self, index: int) -> bool:
        return all(pair.state in ("found", "not_expected") for pair in self.pairs[index])

    def _settle(self, index: int, end: float, *, first: float) -> None:
        """Ask about one subject until all of its copies are found, or until *end*."""
        delays = add_delays(self.pace)
        next(delays)
        delay = first
        while not self._settled(index):
            self.clock.sleep(min(jittered(delay, self.clock.chance), max(0.0, end - self.clock.now())))
            self._ask(index)
            if self._settled(index):
                break
            end = self._extended(index, end)
            if self.clock.now() >= end or self._hopeless():
                self._give_up(index)
                break
            asked = min(self.last.retry_after or 0.0, self.pace.longest_retry_after)
            delay = max(next(delays), asked)

    def _ask(self, index: int) -> None:
        pairs = [pair for pair in self.pairs[index] if pair.state not in ("found", "not_expected")]
        polled = self._poll(index, pairs)
        for pair in pairs:
            if pair.state != "found":
                self._ask_provider(pair)
                self._weigh(pair)
        self.on_attempt(
            RoutingAttempt(
                cid=self.pairs[index][0].cid,
                index=index + 1,
                total=len(self.pairs),
                attempt=self.attempts,
                elapsed=self.clock.now() - self.started,
                answer=self.last.state if polled else "not asked",
                found=sum(pair.state == "found" for pair in self.pairs[index]),
                expected=sum(pair.state != "not_expected" for pair in self.pairs[index]),
            )
        )

    def _poll(self, index: int, pairs: Sequence[_Pair]) -> bool:
        """Ask those to poll, once for all copies; a record seen once counts for good (answers flap)."""
        if not self.polled or self.polled.refused:
            return False
        self.last = self.polled.find(self.pairs[index][0].cid)
        self.attempts = max(self.polled.questions.values())
        self._notice_flapping(index)
        for url, answer in self.polled.last.items():
            shown = [pair for pair in self.pairs[index] if match.best(answer.records, pair.copy)]
            self.listed.setdefault(url, set()).update((pair.cid, pair.copy.provider_id) for pair in shown)
        if index == 0 and self.last.records:
            self.foreign = match.foreign(self.last.records, [pair.copy for pair in self.pairs[0]])
        for pair in pairs:
            pair.match = match.best(self.last.records, pair.copy)
            if pair.match:
                pair.state, pair.evidence = "found", "record"
                for words in pair.match.warnings:
                    pair.note(words)
            else:
                pair.state = "inconclusive" if self.last.state == "inconclusive" else "polling"
        return True

    def _notice_flapping(self, index: int) -> None:
        """A record that was there stays found when a later answer lacks it; that is worth a word (G10)."""
        for url, answer in self.polled.last.items():
            for pair in self.pairs[index]:
                listed = (pair.cid, pair.copy.provider_id) in self.listed.get(url, ())
                if listed and answer.state != "inconclusive" and not match.best(answer.records, pair.copy):
                    pair.note(report.FLAPPING)

    # -- the rest of the ladder ----------------------------------------------------------------------

    def _ask_provider(self, pair: _Pair) -> None:
        """Look for evidence besides a record: the advertisement was processed, or the provider says so."""
        try:
            pair.status = self.peers.piece_status(pair.copy)
        except ProviderError as exc:
            pair.note(exc.message)
        if pair.unadvertised:
            pair.state = "wait_sp"
        self._name_advertisement(pair)
        if self._is_processed(pair.ad_cid):
            pair.evidence = "processed"
        elif pair.status and pair.status.synced:
            pair.evidence = "synced"
        if pair.evidence and pair.proved_at is None:
            pair.proved_at = self.clock.now()

    def _name_advertisement(self, pair: _Pair) -> None:
        """Find out which advertisement is this piece's, from the provider's word or its signed chain."""
        # That an advertisement is not there would be found out by reading a long chain for a long time.
        if pair.ad_cid is not None or pair.unadvertised or pair.state == "not_expected":
            return
        if pair.status and pair.status.ad_cid:
            pair.ad_cid = pair.status.ad_cid
            return
        try:
            publisher = self._publisher(pair.copy)
            published = publisher.newest(pair.copy.context_id) if publisher else None
        except (ProviderError, VerificationFailed) as exc:
            pair.note(exc.message)
            return
        if published and published.ad and published.advertised:
            pair.ad_cid = published.ad.cid
        elif published and published.withdrawn and pair.state != "found":
            pair.note(report.WITHDRAWN)

    def _publisher(self, copy: Copy) -> Publisher | None:
        if copy.provider_id not in self.publishers:
            self.publishers[copy.provider_id] = self.peers.publisher(copy)
        return self.publishers[copy.provider_id]

    def _is_processed(self, ad_cid: bytes | None) -> bool:
        if ad_cid is None:
            return False
        if not self.processed.get(ad_cid):
            states = self.confirming.ad_states(ad_cid)
            self.processed[ad_cid] = {url for url, state in states.items() if state == "indexed"}
        return bool(self.processed[ad_cid])

    def _weigh(self, pair: _Pair) -> None:
        """Accept lesser evidence where the polling indexer is of no use, or had its time."""
        if pair.proved_at is None:
            return
        # An indexer that has closed down may answer everything with an empty 200; one at work says 404.
        empty = self.last.state == "absent" and self.last.status == 200
        useless = not self.polled or self.last.state == "inconclusive" or empty
        if useless or self.clock.now() - pair.proved_at >= self.pace.grace:
            pair.state = "found"

    # -- endings -------------------------------------------------------------------------------------

    def _extended(self, index: int, end: float) -> float:
        """Return *end*, later by the extension the first time a provider is still busy when it comes."""
        busy = any(pair.state == "wait_sp" for pair in self.pairs[index])
        if self.extended or not busy or self.clock.now() < end:
            return end
        self.extended = True
        return min(end + self.pace.extension, self.started + self.pace.ceiling)

    def _hopeless(self) -> bool:
        """Tell whether those who are there refuse the question itself: asking on is of no use."""
        polled = {indexer.url for indexer in self.peers.poll}
        return self.polled.refused and all(indexer.url in polled for indexer in self.peers.confirm)

    def _give_up(self, index: int) -> None:
        for pair in self.pairs[index]:
            if pair.state == "polling":
                pair.state = "timeout"

    def _state(self) -> RoutingState:
        pairs = [pair for group in self.pairs for pair in group if pair.state != "not_expected"]
        found = sum(pair.state == "found" for pair in pairs)
        if found == len(pairs):
            return "found"
        if found:
            return "partial"
        return "timeout" if self.polled.conclusive | self.confirming.conclusive else "unreachable"

    def _end(self, state: RoutingState, *sentences: str) -> RoutingResult:
        findings = tuple(pair.finding() for group in self.pairs for pair in group)
        found = [finding for finding in findings if finding.state == "found"]
        checked = tuple(
            group[0].cid
            for index, group in enumerate(self.pairs)
            if self._settled(index) and any(pair.state == "found" for pair in group)
        )
        if state == "found":
            self.peers.gate.open(checked)
        result = RoutingResult(
            state=state,
            indexer=self._source(found),
            strength=match.weakest(finding.strength for finding in found if finding.strength),
            checked=checked,
            ad_cid=next((finding.ad_cid for finding in findings if finding.ad_cid), None),
            attempts=self.attempts,
            elapsed=self.clock.now() - self.started,
            findings=findings,
            foreign=self.foreign,
            asked=(*map(self._polling, self.peers.poll), *map(self._confirming, self.peers.confirm)),
            sentences=sentences,
        )
        return result if sentences else report.with_sentences(result, self.peers.poll)

    def _polling(self, indexer: Indexer) -> Asked:
        """Return what a polling indexer had to say about all that it was asked for."""
        wanted = {
            (pair.cid, pair.copy.provider_id)
            for group in self.pairs
            for pair in group
            if pair.state != "not_expected"
        }
        answer, listed = self.polled.last.get(indexer.url), self.listed.get(indexer.url, set())
        state: AskedState = "not_asked" if answer is None else "absent"
        if wanted and wanted <= listed:
            state = "found"
        elif listed:
            state = "partial"
        elif answer is not None and indexer.url not in self.polled.conclusive:
            state = "inconclusive"
        return Asked(
            indexer=indexer.url,
            role="poll",
            state=state,
            questions=self.polled.questions[indexer.url],
            status=answer.status if answer else None,
            reason=answer.reason if answer else "",
            age=answer.age if answer else None,
        )

    def _confirming(self, indexer: Indexer) -> Asked:
        """Return what a confirming indexer had to say about the advertisements that it was asked for."""
        done = [indexer.url in urls for urls in self.processed.values()]
        state: AskedState = "not_asked"
        if any(done):
            state = "processed" if all(done) else "partial"
        elif done:
            state = "pending" if indexer.url in self.confirming.conclusive else "inconclusive"
        questions = self.confirming.questions[indexer.url]
        return Asked(indexer=indexer.url, role="confirm", state=state, questions=questions)

    def _source(self, found: Sequence[Finding]) -> str | None:
        """Return the URL of the indexer behind the evidence, or of the one that was asked.

        None where providers say that one has it: they do not say which.
        """
        proved = {finding.evidence for finding in found}
        if proved == {"synced"}:
            return None
        asked = [indexer.url for indexer in (*self.peers.poll, *self.peers.confirm)]
        behind = [url for url in asked if self.listed.get(url)]
        if "record" not in proved:
            behind = [url for url in asked if any(url in urls for urls in self.processed.values())]
        return next(iter((*behind, *asked)), None)
