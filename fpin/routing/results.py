"""What the checker found, as frozen values, and the events on the way.

A wait for an addition ends in one `RoutingResult`, a wait for a removal in one `RemovalResult`. States of one
copy's record for one CID:

    not_expected   this provider or data set is not indexed at all
    wait_sp        the provider has not advertised it yet
    polling        asked, not there yet
    inconclusive   the last answers were errors
    found          seen, or proved otherwise (`Finding.evidence`)
    timeout        the deadline passed

Evidence for "found", strongest first (upstream-changes.md): ``record``, the indexer has it; ``processed``,
an indexer has processed the advertisement; ``synced``, the provider says that one has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fpin.routing.indexer import Record
from fpin.routing.match import Copy, Strength
from fpin.values import dataclass

PairState = Literal["not_expected", "wait_sp", "polling", "inconclusive", "found", "timeout"]
Evidence = Literal["record", "processed", "synced"]
_LADDER: tuple[Evidence, ...] = ("record", "processed", "synced")
RoutingState = Literal["found", "partial", "timeout", "unreachable", "skipped"]
AskedState = Literal[
    "found",  # listed everything it was to list
    "processed",  # has processed the advertisements that it was asked for
    "partial",  # some of it
    "absent",  # answered, and lists none of it
    "pending",  # answered, and has processed none of them
    "inconclusive",  # gave no usable answer
    "not_asked",  # what others said was enough, or there was nothing to ask
]
RemovalState = Literal[
    "already_absent",  # no record, and there was none before
    "chain_pending",  # still live on chain
    "pending_gc",  # not live any more; the provider has not withdrawn it
    "unadvertised",  # the provider's removal advertisement is out; the indexer has yet to follow
    "still_present_shared",  # another live data set holds the same piece at this provider
    "gone",  # no record
    "gone_other_holders",  # no record of ours; others hold the same content
    "unknown",  # nobody gave a conclusive answer
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one copy's record for one CID."""

    cid: bytes
    copy: Copy
    state: PairState
    strength: Strength | None = None  # None: no record was seen
    evidence: Evidence | None = None
    ad_cid: bytes | None = None
    context_id: bytes | None = None  # of the record that was seen
    provider_status: str | None = None  # the provider's own word, such as "announced"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one indexer had to say, in one of its roles."""

    indexer: str
    role: Literal["poll", "confirm"]
    state: AskedState
    questions: int  # those that it put off, with 429 or 503, not counted
    status: int | None = None  # HTTP, of its last answer about content
    reason: str = ""  # why that answer was no use
    age: str | None = None  # … and how old it was in a cache on the way, in seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingResult:
    """How the wait for routing ended. Never says anything about the upload itself (rule R10)."""

    state: RoutingState
    indexer: str | None  # that the evidence comes from, or that was asked last; None: providers speak for one
    strength: Strength | None = None  # what all found copies reach
    checked: tuple[bytes, ...] = ()  # CIDs found at every copy expected to have them
    ad_cid: bytes | None = None  # of the first copy whose advertisement is known
    attempts: int = 0
    elapsed: float = 0.0  # seconds
    findings: tuple[Finding, ...] = ()
    foreign: tuple[Record, ...] = ()  # other providers' records for the root
    asked: tuple[Asked, ...] = ()  # each configured indexer
    sentences: tuple[str, ...] = ()  # for people; the last ones say what to do

    @property
    def evidence(self) -> Evidence | None:
        """The weakest evidence for a copy that was found; None where none was."""
        proofs = [finding.evidence for finding in self.findings if finding.evidence]
        return max(proofs, key=_LADDER.index, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Somebody who still has the content of a removed piece, legitimately."""

    record: Record
    same_provider: bool  # another piece at the same provider


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalResult:
    """How far a removal is out of routing."""

    state: RemovalState
    indexer: str | None
    removal_ad_cid: bytes | None = None
    others: tuple[Holder, ...] = ()
    attempts: int = 0
    elapsed: float = 0.0
    sentences: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        return self.state in ("gone", "gone_other_holders", "already_absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingAttempt:
    """An indexer was asked about *cid*, the *index*-th of *total*."""

    cid: bytes
    index: int
    total: int
    attempt: int
    elapsed: float
    answer: str  # found, absent, inconclusive, or "not asked"
    found: int  # copies found so far
    expected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalLook:
    """Chain, provider and indexer were looked at."""

    copy: Copy
    state: RemovalState
    attempt: int
    elapsed: float
    removal_ad_cid: bytes | None


OnAttempt = Callable[[RoutingAttempt], None]
OnLook = Callable[[RemovalLook], None]
