"""Is a pin findable: asks routing about its root and sampled blocks, and writes down what was seen."""

from __future__ import annotations

from dataclasses import dataclass

from fpin import events
from fpin.events import OnEvent, ignore
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid, parse_cid, to_v1
from fpin.routing import RoutingAttempt, RoutingResult, Subject, check_added
from fpin.store import Copy, Piece, Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingReport:
    """How routing stands. *state* is found, partial, timeout, unreachable or skipped."""

    state: str
    indexer: str | None
    strength: str | None
    checked: tuple[str, ...]
    ad_cid: str | None
    attempts: int
    notes: tuple[str, ...]


NOT_ASKED = RoutingReport(
    state="skipped",
    indexer=None,
    strength=None,
    checked=(),
    ad_cid=None,
    attempts=0,
    notes=("routing was not asked",),
)


def check_routing(services: Services, pin: Pin, *, on_event: OnEvent = ignore) -> RoutingReport:
    """Wait until every copy of *pin* that is on chain can be found, as long as the network's pace allows.

    Never a failure of the pin: what is stored stays stored (spec routing-and-retrieval §4.3, R10).
    """

    def attempted(attempt: RoutingAttempt) -> None:
        on_event(events.RoutingAsked(attempt=attempt.attempt, found=attempt.found, expected=attempt.expected))

    result = check_added(
        _subjects(services, pin),
        services.backend.peers(services.gate),
        pace=services.pace.add,
        on_attempt=attempted,
    )
    _write_down(services, pin, result)
    on_event(events.RoutingEnded(state=result.state, indexer=result.indexer))
    return RoutingReport(
        state=result.state,
        indexer=result.indexer,
        strength=result.strength,
        checked=tuple(format_cid(cid) for cid in result.checked),
        ad_cid=format_cid(result.ad_cid) if result.ad_cid else None,
        attempts=result.attempts,
        notes=result.sentences,
    )


def urls(services: Services, pin: Pin) -> tuple[str, ...]:
    """Return the retrieval URLs of *pin* that are safe to open now, best first.

    Providers' own always work once the piece is indexed there. A public gateway's is given only after
    routing found the root: opening it earlier would make caches remember that nothing is there (R9).
    """
    root = format_cid(pin.root_cid)
    holders = dict.fromkeys(copy.provider_url for copy in pin.pieces[-1].held)
    direct = [f"{url}/ipfs/{root}?format=car" for url in holders]
    public = services.gateways if services.gate.is_open(pin.root_cid) else ()
    v1 = format_cid(to_v1(pin.root_cid))
    return (*direct, *(template.format(cid=v1, path="") for template in public))


def _subjects(services: Services, pin: Pin) -> list[Subject]:
    """The root first, then the sampled blocks, each with the copies of the piece that holds it."""
    subjects = [_subject(services, pin.root_cid, pin.pieces[-1])]
    for piece in pin.pieces:
        cids = [parse_cid(cid) for cid in piece.sample]
        subjects += [_subject(services, cid, piece) for cid in cids if cid != pin.root_cid]
    return [subject for subject in subjects if subject.copies]


def _subject(services: Services, cid: bytes, piece: Piece) -> Subject:
    return Subject(
        cid=cid,
        copies=tuple(services.backend.routed(copy, piece.piece_cid) for copy in piece.held),
    )


def _write_down(services: Services, pin: Pin, result: RoutingResult) -> None:
    """Mark the copies of which every question was answered with "found"."""
    for piece in pin.pieces:
        for copy in piece.held:
            about = [
                finding
                for finding in result.findings
                if finding.copy.provider_id == copy.provider_id
                and str(finding.copy.piece_cid) == piece.piece_cid
            ]
            if about and all(finding.state == "found" for finding in about):
                ad_cid = next((finding.ad_cid for finding in about if finding.ad_cid), None)
                _mark(services, copy, ad_cid)


def _mark(services: Services, copy: Copy, ad_cid: bytes | None) -> None:
    text = format_cid(ad_cid) if ad_cid else None
    if copy.state != "advertised" or (text and text != copy.ad_cid):
        services.store.mark_advertised(copy.copy, ad_cid=text)
