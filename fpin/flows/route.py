"""Is a pin findable: asks routing about its root and sampled blocks, and writes down what was seen."""

from __future__ import annotations

from typing import Literal

from fpin import events
from fpin.errors import GatewayUnavailable, ProviderError, VerificationFailed
from fpin.events import OnEvent, ignore
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid, parse_cid, to_v1
from fpin.retrieve import Gateway, NotServed
from fpin.routing import (
    ASK_ONCE,
    Announced,
    Asked,
    AskedState,
    Confirmation,
    Evidence,
    Finding,
    PairState,
    RoutingAttempt,
    RoutingResult,
    RoutingState,
    Strength,
    Subject,
    announce,
    chain_address,
    check_added,
    confirm,
)
from fpin.store import Copy, CopyState, Piece, Pin
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingReport:
    """What routing shows of one block at one provider."""

    cid: str
    provider_id: int
    provider_url: str
    state: PairState
    strength: Strength | None  # None: no record was seen
    evidence: Evidence | None
    ad_cid: str | None
    context_id: str | None  # of the record, in hexadecimal
    provider_status: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReport:
    """Another provider's record for the root."""

    peer_id: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexerReport:
    """What one configured indexer said. *state* is found, partial or absent of one that is polled; processed,
    partial or pending of one that confirms; inconclusive or not_asked of both."""

    indexer: str
    role: Literal["poll", "confirm"]
    state: AskedState
    questions: int
    status: int | None  # HTTP, of its last answer about content; None: there was none
    reason: str | None  # why that answer was of no use
    age: str | None  # how old that answer was in a cache on the way, in seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingReport:
    """How routing stands."""

    state: RoutingState
    indexer: str | None
    indexers: tuple[IndexerReport, ...]
    evidence: Evidence | None  # the weakest for a copy that was found; None: none was
    strength: Strength | None
    checked: tuple[str, ...]
    ad_cid: str | None
    attempts: int
    elapsed: float  # seconds
    findings: tuple[FindingReport, ...]
    foreign: tuple[ForeignReport, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Whether a provider gives out the root block, which is another matter than whether it is listed."""

    provider_id: int
    provider_url: str
    serves: bool
    reason: str | None  # why not


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """That a provider's newest advertisement was announced to an indexer by fpin."""

    provider_id: int
    indexer: str
    head_cid: str
    accepted: bool
    reason: str | None  # why not


NOT_ASKED = RoutingReport(
    state="skipped",
    indexer=None,
    indexers=(),
    evidence=None,
    strength=None,
    checked=(),
    ad_cid=None,
    attempts=0,
    elapsed=0.0,
    findings=(),
    foreign=(),
    notes=("routing was not asked",),
)


def check_routing(
    services: Services, pin: Pin, *, wait: bool = True, on_event: OnEvent = ignore
) -> RoutingReport:
    """Wait until every copy of *pin* that is on chain can be found, as long as the network's pace allows.

    Without *wait* everything is asked once. Never a failure of the pin: what is stored stays stored (spec
    routing-and-retrieval §4.3, R10).
    """

    def attempted(attempt: RoutingAttempt) -> None:
        on_event(events.RoutingAsked(attempt=attempt.attempt, found=attempt.found, expected=attempt.expected))

    try:
        result = check_added(
            _subjects(services, pin),
            services.backend.peers(services.gate),
            pace=services.pace.add if wait else ASK_ONCE,
            on_attempt=attempted,
        )
    except KeyboardInterrupt:
        again = f"fpin check {format_cid(pin.root_cid)} --network {services.backend.network}"
        on_event(events.Noted(text=f"what is stored stays stored; whether it can be found says: {again}"))
        raise
    _write_down(services, pin, result)
    on_event(events.RoutingEnded(state=result.state, indexer=result.indexer, evidence=result.evidence))
    return RoutingReport(
        state=result.state,
        indexer=result.indexer,
        indexers=tuple(map(_asked, result.asked)),
        evidence=result.evidence,
        strength=result.strength,
        checked=tuple(format_cid(cid) for cid in result.checked),
        ad_cid=format_cid(result.ad_cid) if result.ad_cid else None,
        attempts=result.attempts,
        elapsed=round(result.elapsed, 3),
        findings=tuple(map(_finding, result.findings)),
        foreign=tuple(
            ForeignReport(peer_id=record.provider, addresses=record.addresses) for record in result.foreign
        ),
        notes=(*result.sentences, *_held_before(pin, result)),
    )


def announce_pin(services: Services, pin: Pin, *, on_event: OnEvent = ignore) -> tuple[Announcement, ...]:
    """Tell every configured indexer of the advertisements of *pin*, where its providers have made them.

    For providers that advertise and announce nothing, or whose announcement was lost. An advertisement that
    is not on the provider's own signed chain can be announced by nobody: that is noted.
    """
    peers = services.backend.peers(services.gate)
    indexers = dict.fromkeys(indexer.base for indexer in (*peers.poll, *peers.confirm))
    made: list[Announcement] = []
    for copy, piece in _one_of_each_provider(pin):
        routed = services.backend.routed(copy, piece.piece_cid)
        publisher = peers.publisher(routed)
        try:
            head = publisher.head() if publisher else None
            published = publisher.newest(routed.context_id) if publisher and head else None
        except (ProviderError, VerificationFailed) as exc:
            on_event(events.Noted(text=exc.message))
            continue
        if publisher is None or head is None or published is None or not published.advertised:
            words = f"provider {copy.provider_id} has not advertised piece {piece.piece_cid} itself"
            on_event(events.Noted(text=f"{words}: there is nothing to announce"))
            continue
        address = chain_address(routed.service_url, publisher.peer_id)
        for url in indexers:
            heard = announce(url, services.http, head=head, address=address)
            made.append(_announcement(copy, head, heard))
    return tuple(made)


def confirm_pin(services: Services, pin: Pin) -> tuple[Confirmation, ...]:
    """Look for the root of *pin* at the indexers that everybody reads: once, and only after it was found."""
    copies = [services.backend.routed(copy, pin.pieces[-1].piece_cid) for copy in pin.pieces[-1].held]
    return confirm(pin.root_cid, copies, services.backend.peers(services.gate))


def serving(services: Services, pin: Pin) -> tuple[Serving, ...]:
    """Ask each provider of the root for its block; safe at any time."""
    found = []
    for copy in pin.pieces[-1].held:
        reason = None
        try:
            Gateway(copy.provider_url, services.http).block(pin.root_cid)
        except (GatewayUnavailable, VerificationFailed) as exc:
            reason = exc.message
            if isinstance(exc, NotServed):
                reason = f"{reason}, so it has the piece and does not serve its blocks"
        found.append(
            Serving(
                provider_id=copy.provider_id,
                provider_url=copy.provider_url,
                serves=reason is None,
                reason=reason,
            )
        )
    return tuple(found)


def explain(routing: RoutingReport, served: tuple[Serving, ...]) -> tuple[str, ...]:
    """Return what it means where being listed and being served do not go together."""
    listed = {finding.provider_id for finding in routing.findings if finding.state == "found"}
    words = []
    for one in served:
        who = f"Provider {one.provider_id} ({one.provider_url})"
        if one.serves and one.provider_id not in listed and routing.state != "skipped":
            words.append(f"{who} serves the root: only the indexer's record is missing.")
        elif not one.serves and one.provider_id in listed:
            # Gotchas G4 and G5: a record outlives what it leads to.
            words.append(
                f"{who} is listed and does not serve the root: {one.reason}. Indexers keep a provider's "
                "records for about eight days after it was last heard of, and those of one that lost its "
                "index for as long as it answers; only a removal advertisement takes them away."
            )
        elif not one.serves:
            words.append(f"{who} does not serve the root: {one.reason}.")
    return tuple(words)


def urls(services: Services, pin: Pin) -> tuple[str, ...]:
    """Return the retrieval URLs of *pin* that are safe to open now, best first.

    Providers' own always work once the piece is indexed there, and are verified by whoever reads a CAR. A
    public gateway's is given only after routing found every copy, now or earlier: opened before, it would
    make caches remember that nothing is there (R9).
    """
    root = format_cid(pin.root_cid)
    holders = dict.fromkeys(copy.provider_url for copy in pin.pieces[-1].held)
    direct = [f"{url}/ipfs/{root}?format=car" for url in holders]
    return (*direct, *_public(services, pin))


def piece_urls(pin: Pin) -> tuple[str, ...]:
    """Return where each piece of *pin* is to be had as it was uploaded, a CAR; safe at any time."""
    places = (f"{copy.provider_url}/piece/{piece.piece_cid}" for piece in pin.pieces for copy in piece.held)
    return tuple(dict.fromkeys(places))


def browser_url(services: Services, pin: Pin) -> str | None:
    """Return the one of `urls` that shows most in a browser; None when there is none.

    A public gateway shows files; a provider, which serves CARs and blocks only, has the browser save a CAR.
    """
    return next(iter((*_public(services, pin), *urls(services, pin))), None)


# Verifies in the page what it shows. For browsers only: programs get a page from it, and no blocks.
_IN_BROWSER = "https://inbrowser.link/ipfs/{cid}/{path}"


def _public(services: Services, pin: Pin) -> list[str]:
    """Return the public URLs, if routing has found the root in this run, or every copy in an earlier one."""
    found = services.gate.is_open(pin.root_cid)
    found = found or all(
        piece.held and all(copy.state is CopyState.ADVERTISED for copy in piece.held) for piece in pin.pieces
    )
    if not found or not services.gateways:
        return []
    v1 = format_cid(to_v1(pin.root_cid))
    return [template.format(cid=v1, path="") for template in (*services.gateways, _IN_BROWSER)]


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


def _one_of_each_provider(pin: Pin) -> list[tuple[Copy, Piece]]:
    """Return a copy at each provider, of the last piece that it holds: its chain is announced as a whole."""
    return list({copy.provider_id: (copy, piece) for piece in pin.pieces for copy in piece.held}.values())


def _announcement(copy: Copy, head: bytes, heard: Announced) -> Announcement:
    return Announcement(
        provider_id=copy.provider_id,
        indexer=heard.indexer,
        head_cid=format_cid(head),
        accepted=heard.accepted,
        reason=heard.reason or None,
    )


def _held_before(pin: Pin, result: RoutingResult) -> list[str]:
    """Say of pieces that are not listed, and may have been there before, that nobody advertises them anew.

    Gotcha G6. Where they are listed, the record of the earlier advertisement is as good as any.
    """
    waiting = {
        finding.copy.provider_id
        for finding in result.findings
        if finding.state not in ("found", "not_expected")
    }
    had = {copy.provider_id for copy in pin.copies if not copy.uploaded}
    return [
        f"Provider {provider_id} did not get the piece from here: one that it had before is not advertised "
        "again, and the record of its earlier advertisement counts."
        for provider_id in sorted(waiting & had)
    ]


def _asked(asked: Asked) -> IndexerReport:
    return IndexerReport(
        indexer=asked.indexer,
        role=asked.role,
        state=asked.state,
        questions=asked.questions,
        status=asked.status,
        reason=asked.reason or None,
        age=asked.age,
    )


def _finding(finding: Finding) -> FindingReport:
    return FindingReport(
        cid=format_cid(finding.cid),
        provider_id=finding.copy.provider_id,
        provider_url=finding.copy.service_url,
        state=finding.state,
        strength=finding.strength,
        evidence=finding.evidence,
        ad_cid=format_cid(finding.ad_cid) if finding.ad_cid else None,
        context_id=finding.context_id.hex() if finding.context_id is not None else None,
        provider_status=finding.provider_status,
        notes=finding.notes,
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
