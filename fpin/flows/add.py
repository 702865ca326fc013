"""`add` and `import`: from content to copies on Filecoin that routing finds."""

from __future__ import annotations

import contextlib
from collections.abc import Container
from dataclasses import field, replace
from decimal import Decimal

from fpin import events
from fpin.backends.base import Cost, Offer, Wish
from fpin.errors import Unavailable, UsageError
from fpin.events import OnEvent, ignore
from fpin.flows.funding import Ceilings, grant
from fpin.flows.packing import Content, lay_out
from fpin.flows.placing import Means, Placing, held_at, quoted
from fpin.flows.report import PieceReport, report_pieces
from fpin.flows.route import NOT_ASKED, RoutingReport, check_routing, urls
from fpin.flows.services import Services
from fpin.flows.sources import Hashed, LaidOut, Source
from fpin.ipld.cid import format_cid
from fpin.settings import JOBS
from fpin.store import ON_CHAIN, UNDER_WAY, Copy, CopyState, NewPiece, Pin
from fpin.units import format_token
from fpin.values import dataclass

GOALS = ("parked", "confirmed", "advertised", "retrievable")

# Blocks asked about besides the root, for each piece: chunks of an advertisement become visible one by one,
# so the root alone proves little about the rest (spec routing-and-retrieval §4.5).
SAMPLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRequest:
    content: Source
    wish: Wish = field(default_factory=Wish)
    name: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()  # of each piece, on chain
    max_cost: Decimal | None = None  # tokens a month
    auto_fund: bool = False  # deposit what is missing, and let the storage service use the account
    ceilings: Ceilings = field(default_factory=Ceilings)  # of what is deposited unasked
    wait_for: str = "advertised"
    dry_run: bool = False
    jobs: int = JOBS  # pieces that are sent at a time

    @property
    def means(self) -> Means:
        return Means(max_cost=self.max_cost, auto_fund=self.auto_fund, ceilings=self.ceilings)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddResult:
    """What became of an add. *root_cid* is None and *pieces* are empty after a dry run, which reads no data.

    *complete*: as many copies as asked for are on chain, and routing came as far as was asked for.
    """

    network: str
    chain_id: int
    name: str | None
    root_cid: str | None
    size: int
    files: int
    car_size: int  # bytes; "at most" after a dry run
    complete: bool
    dry_run: bool
    pieces: tuple[PieceReport, ...]
    routing: RoutingReport
    urls: tuple[str, ...]
    cost: Cost  # of what this run did: nothing where it was stored already


def add(services: Services, request: AddRequest, *, on_event: OnEvent = ignore) -> AddResult:
    """Store content and wait until it is as far as *request* asks.

    Running the same request again continues where the last one ended, and neither uploads nor pays for what
    is there. Raises before the first byte is sent for everything that can be known by then.
    """
    if request.wait_for not in GOALS:
        raise UsageError(f"cannot wait for {request.wait_for!r}", hint=f"one of: {', '.join(GOALS)}")
    _check_names(services, request)
    laid_out = request.content.lay_out(on_event=on_event)
    offer = services.backend.offer(laid_out.piece_sizes, request.wish, on_event=on_event)
    quoted(offer, on_event)
    # What was added from here before may need nothing more; only its root CID can tell.
    if not _known_path(services, request) or request.dry_run:
        request.means.check(offer)
        if not request.dry_run:
            _check_rights(services, offer, request)
    if request.dry_run:
        if request.auto_fund and offer.funding.deposit:
            amount = format_token(grant(offer.funding, request.ceilings, offer.cost.token))
            on_event(events.Noted(text=f"{amount} {offer.cost.token} would be deposited"))
        return _planned(services, request, laid_out, offer)
    hashed = laid_out.hash(on_event=on_event)
    _check_names(services, request, format_cid(hashed.root_cid))
    on_event(
        events.Packed(
            root_cid=format_cid(hashed.root_cid),
            piece_cids=tuple(str(piece.piece_cid) for piece in hashed.pieces),
        )
    )
    pin = _record(services, request, hashed, offer.seed)
    if (request.name or request.metadata) and pin.metadata != _piece_metadata(
        request, format_cid(hashed.root_cid)
    ):
        on_event(
            events.Noted(
                text="--name and --metadata on chain stay as they were signed first; "
                "only a removal and a new add change them"
            )
        )
    sources = {str(piece.piece_cid): piece for piece in hashed.pieces}
    with services.alone(pin, on_event):
        services.backend.settle(pin, on_event=on_event)
        pin = services.store.pin(pin.pin)
        before = {copy.copy for copy in pin.copies if copy.state in ON_CHAIN}
        placing = Placing(
            services=services,
            pin=pin,
            sources=sources,
            sizes={piece_cid: piece.size for piece_cid, piece in sources.items()},
            wish=replace(request.wish, seed=pin.seed),
            means=request.means,
            park_only=request.wait_for == "parked",
            jobs=request.jobs,
            on_event=on_event,
        )
        rest = placing.run(offer)
    return _finish(services, request, pin.pin, sources, rest, before, on_event)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostResult:
    """What storing costs, before anything is read. *shortfalls* says what the account lacks for it."""

    network: str
    size: int
    files: int
    car_size: int  # bytes at most
    pieces: int
    copies: int
    new_data_sets: int
    cost: Cost
    shortfalls: tuple[str, ...]
    remedy: str | None
    missing: str  # decimal amount to deposit; "0" when there is enough
    runway: int | None  # epochs that the account lasts afterwards, without a deposit; None: nothing spends


def price(services: Services, content: Content, wish: Wish, *, on_event: OnEvent = ignore) -> CostResult:
    """Return what storing *content* costs; reads names and sizes only."""
    layout = lay_out(content, on_event=on_event)
    offer = services.backend.offer([piece.max_size for piece in layout.pieces], wish, on_event=on_event)
    return CostResult(
        network=services.backend.network,
        size=layout.size,
        files=layout.files,
        car_size=layout.car_size,
        pieces=len(layout.pieces),
        copies=len(offer.places),
        new_data_sets=offer.new_data_sets,
        cost=offer.cost,
        shortfalls=offer.shortfalls,
        remedy=offer.remedy,
        missing=offer.missing,
        runway=offer.runway,
    )


def _finish(
    services: Services,
    request: AddRequest,
    row: int,
    asked: Container[str],
    rest: Offer,
    before: set[int],
    on_event: OnEvent,
) -> AddResult:
    pin = services.store.pin(row)
    routing, findable = NOT_ASKED, True
    if request.wait_for in ("advertised", "retrievable") and any(piece.held for piece in pin.pieces):
        routing = check_routing(services, pin, on_event=on_event)
        findable = routing.state in ("found", "skipped")
        pin = services.store.pin(row)
    if request.wait_for == "retrievable" and findable:
        from fpin.flows.get import probe

        findable = probe(services, pin, on_event=on_event)
    if routing is not NOT_ASKED and {copy.copy for copy in pin.copies if copy.state in ON_CHAIN} - before:
        # That took minutes where others share the network, and a fork may have taken back what was seen.
        with contextlib.suppress(Unavailable):  # the next run asks
            services.backend.settle(pin, on_event=on_event)
        pin = services.store.pin(row)

    def uploaded_now(copy: Copy) -> bool:
        return copy.uploaded and copy.copy not in before

    return AddResult(
        network=services.backend.network,
        chain_id=services.backend.chain_id,
        name=pin.name,
        root_cid=format_cid(pin.root_cid),
        size=pin.size,
        files=pin.files,
        car_size=pin.car_size,
        complete=findable and _reached(pin, asked, rest, request.wait_for),
        dry_run=False,
        pieces=report_pieces(pin, uploaded=uploaded_now),
        routing=routing,
        urls=urls(services, pin),
        cost=rest.cost,
    )


def _planned(services: Services, request: AddRequest, laid_out: LaidOut, offer: Offer) -> AddResult:
    return AddResult(
        network=services.backend.network,
        chain_id=services.backend.chain_id,
        name=request.name,
        root_cid=None,
        size=laid_out.size,
        files=laid_out.files,
        car_size=sum(laid_out.piece_sizes),
        complete=False,
        dry_run=True,
        pieces=(),
        routing=NOT_ASKED,
        urls=(),
        cost=offer.cost,
    )


def _reached(pin: Pin, asked: Container[str], rest: Offer, goal: str) -> bool:
    """Tell whether as many places as were wished for have every piece asked for."""
    states = ON_CHAIN | ({CopyState.PARKED} | UNDER_WAY if goal == "parked" else set())
    return len(rest.places) >= rest.wish.copies and held_at(pin, rest.places, asked, states)


def _record(services: Services, request: AddRequest, hashed: Hashed, seed: str) -> Pin:
    root_cid = format_cid(hashed.root_cid)
    return services.store.record_pin(
        chain_id=services.backend.chain_id,
        wallet=services.backend.wallet,
        root_cid=hashed.root_cid,
        name=request.name,
        default_name=request.content.default_name,
        path=request.content.stored_path,
        profile=request.content.profile,
        packing=request.content.packing,
        size=hashed.size,
        files=hashed.files,
        copies_wanted=request.wish.copies,
        seed=request.wish.seed or None,
        default_seed=seed,
        metadata=_piece_metadata(request, root_cid),
        pieces=[
            NewPiece(
                piece_cid=piece_cid,
                size=piece.size,
                sample=tuple(
                    format_cid(cid)
                    for cid in piece.sample(SAMPLE, seed=int.from_bytes(hashed.root_cid[-8:], "big"))
                ),
            )
            # Equal pieces, as long runs of zeros have them, are one: a provider refuses to add it twice.
            for piece_cid, piece in {str(piece.piece_cid): piece for piece in hashed.pieces}.items()
        ],
    )


def _piece_metadata(request: AddRequest, root_cid: str) -> tuple[tuple[str, str], ...]:
    own = [("ipfsRootCID", root_cid)]
    if request.name:
        own.append(("name", request.name))
    return (*own, *request.metadata)


def _check_names(services: Services, request: AddRequest, root_cid: str = "b" + 58 * "a") -> None:
    """Check what goes on chain beside a piece; before anything is read with a root CID as long as most."""
    services.backend.check_metadata(_piece_metadata(request, root_cid))


def _known_path(services: Services, request: AddRequest) -> bool:
    path = request.content.stored_path
    return path is not None and any(
        pin.path == path for pin in services.store.pins(services.backend.chain_id, services.backend.wallet)
    )


def _check_rights(services: Services, offer: Offer, request: AddRequest) -> None:
    """Raise PermissionMissing, or NoKey, when *offer* takes a signature that cannot be given."""
    services.backend.check_rights(new_data_sets=bool(offer.new_data_sets))
    if request.auto_fund and (offer.funding.deposit or offer.funding.approve):
        services.backend.check_owner()
