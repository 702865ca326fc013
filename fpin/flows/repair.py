"""`repair`: finishes what is incomplete, and makes copies elsewhere of those that are gone.

Knows which copies count and where their bytes may still come from. Placing them is `placing`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from fpin.backends.base import Loss, Wish
from fpin.backends.source import PieceSource
from fpin.errors import NodeUnavailable, NotFound, ProviderError, SourceError, Unavailable, VerificationFailed
from fpin.events import Noted, OnEvent, ignore
from fpin.flows.imports import CarContent
from fpin.flows.packing import Content
from fpin.flows.placing import Means, Placing
from fpin.flows.report import PieceReport, report_pieces
from fpin.flows.resolve import describe, resolve_own
from fpin.flows.services import Services
from fpin.flows.sources import Source
from fpin.ipld.cid import format_cid
from fpin.piece import PieceCid
from fpin.settings import JOBS
from fpin.store import LEAVING, ON_CHAIN, Copy, CopyState, Piece, Pin
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequest:
    """What to repair: the pin that *what* names, or all. *source* is where its content lies now."""

    what: str | None = None
    source: Path | None = None
    replace_silent: bool = False  # replace providers that do not answer, whatever their proofs say
    exclude_provider_ids: tuple[int, ...] = ()
    means: Means = field(default_factory=Means)
    jobs: int = JOBS


@dataclass(frozen=True, slots=True, kw_only=True)
class LostCopy:
    """A copy that is not counted on. *replaced* is False where its provider only does not answer now."""

    piece_cid: str
    provider_id: int
    data_set_id: int | None
    reason: str
    replaced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairedPin:
    """*missing* is how many copies are still wanting; *problem* says why."""

    root_cid: str
    name: str | None
    copies_wanted: int
    missing: int
    lost: tuple[LostCopy, ...]
    pieces: tuple[PieceReport, ...]
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairResult:
    network: str
    complete: bool
    pins: tuple[RepairedPin, ...]


def repair(services: Services, request: RepairRequest, *, on_event: OnEvent = ignore) -> RepairResult:
    """Bring pins back to as many copies as were asked for.

    A copy counts if the chain holds it, nobody asked to remove it, and its provider still gives it. What
    more copies cost is told before, as in `add`. Raises what keeps a pin that was named from being repaired.
    """
    store, chain_id = services.store, services.backend.chain_id
    if request.what is not None:
        pins = [resolve_own(services, request.what).pin]
    else:
        mine = store.pins(chain_id, services.backend.wallet)
        pins = [pin for pin in mine if _wanted(pin) and pin.state != "failed"]
    reports = []
    for pin in pins:
        if request.what is not None and not _wanted(pin):
            raise NotFound(f"{describe(pin)} was removed", hint="fpin add stores it again")
        try:
            reports.append(_repair(services, pin, request, on_event))
        except NodeUnavailable:
            raise  # without the node nothing can be said of any of them
        except (ProviderError, SourceError, Unavailable, VerificationFailed) as exc:
            if request.what is not None:
                raise
            on_event(Noted(text=f"{describe(pin)} is not repaired: {exc.message}"))
            reports.append(_report(store.pin(pin.pin), {}, frozenset(), exc.message))
    return RepairResult(
        network=services.backend.network,
        complete=not any(report.missing or report.problem for report in reports),
        pins=tuple(reports),
    )


def _repair(services: Services, pin: Pin, request: RepairRequest, on_event: OnEvent) -> RepairedPin:
    with services.alone(pin, on_event):
        services.backend.settle(pin, on_event=on_event)
        pin = services.store.pin(pin.pin)
        losses = services.backend.losses(pin)
        gone = {row for row, loss in losses.items() if loss.sure or request.replace_silent}
        _tell(pin, losses, gone, on_event)
        if not _missing(pin, gone):
            return _report(pin, losses, gone, None)
        problem = _bring_back(services, pin, gone, request, on_event)
    return _report(services.store.pin(pin.pin), losses, gone, problem)


def _bring_back(
    services: Services, pin: Pin, gone: set[int], request: RepairRequest, on_event: OnEvent
) -> str | None:
    """Make the copies that are missing; return what kept some of them from being made."""
    lost = [copy.provider_id for copy in pin.copies if copy.copy in gone]
    excluded = dict.fromkeys([*request.exclude_provider_ids, *lost])
    pieces = _wanted(pin)
    recorded = _Recorded(_source(pin, request.source), on_event)
    placing = Placing(
        services=services,
        pin=pin,
        sources={piece.piece_cid: _RecordedPiece(piece, recorded) for piece in pieces},
        sizes={piece.piece_cid: piece.size for piece in pieces},
        wish=Wish(copies=pin.copies_wanted, exclude_provider_ids=tuple(excluded), seed=pin.seed or None),
        means=request.means,
        jobs=request.jobs,
        on_event=on_event,
    )
    try:
        placing.run()
    except (ProviderError, SourceError, VerificationFailed) as exc:
        if not any(copy.state in ON_CHAIN and copy.copy not in gone for copy in pin.copies):
            raise
        return exc.message
    return None


# What counts


def _wanted(pin: Pin) -> list[Piece]:
    """Return the pieces that somebody wants: not those that were removed by fpin and not added since."""
    return [piece for piece in pin.pieces if not _was_removed(piece)]


def _was_removed(piece: Piece) -> bool:
    newest = max((copy.copy for copy in piece.copies if copy.state is not CopyState.FAILED), default=None)
    return any(copy.copy == newest and _by_us(copy) for copy in piece.copies)


def _by_us(copy: Copy) -> bool:
    """Tell whether the copy leaves, or left, because fpin was asked to remove it.

    Data sets that end take their copies with them, and no removal is sent; so does a provider that fails.
    """
    if copy.state is CopyState.REMOVING or (copy.state is CopyState.GONE and copy.data_set_id is None):
        return True
    return copy.state in LEAVING | {CopyState.GONE} and copy.removal_tx is not None


def _missing(pin: Pin, gone: set[int] | frozenset[int]) -> int:
    """Return how many copies, of whole providers, *pin* lacks when those in rows *gone* do not count."""
    there = [
        len({copy.provider_id for copy in piece.held if copy.copy not in gone}) for piece in _wanted(pin)
    ]
    return max(0, pin.copies_wanted - min(there, default=pin.copies_wanted))


def _tell(pin: Pin, losses: Mapping[int, Loss], gone: set[int], on_event: OnEvent) -> None:
    seen = set()
    for copy in pin.copies:
        loss = losses.get(copy.copy)
        if loss is None or (copy.provider_id, loss.reason) in seen:
            continue
        seen.add((copy.provider_id, loss.reason))
        if copy.copy not in gone:
            on_event(
                Noted(
                    text=f"{loss.reason}; no proof is overdue, so its copy stays "
                    "(--replace-silent replaces it all the same)"
                )
            )
        elif copy.state in ON_CHAIN:
            on_event(
                Noted(
                    text=f"{loss.reason}: its copy does not count, but is paid for until data set "
                    f"{copy.data_set_id} ends"
                )
            )
        else:
            on_event(Noted(text=f"{loss.reason}: its copy does not count"))


def _report(
    pin: Pin, losses: Mapping[int, Loss], gone: set[int] | frozenset[int], problem: str | None
) -> RepairedPin:
    return RepairedPin(
        root_cid=format_cid(pin.root_cid),
        name=pin.name,
        copies_wanted=pin.copies_wanted,
        missing=_missing(pin, gone),
        lost=tuple(
            LostCopy(
                piece_cid=piece.piece_cid,
                provider_id=copy.provider_id,
                data_set_id=copy.data_set_id,
                reason=losses[copy.copy].reason,
                replaced=copy.copy in gone,
            )
            for piece in pin.pieces
            for copy in piece.copies
            if copy.copy in losses
        ),
        pieces=report_pieces(pin),
        problem=problem,
    )


# Where the bytes come from when no provider gives them


def _source(pin: Pin, given: Path | None) -> Source | None:
    path = given or (Path(pin.path) if pin.path else None)
    if path is None or not path.exists():
        return None
    if pin.profile == "car":
        return CarContent(path=path, root_cid=pin.root_cid, allow_missing=True)
    how = pin.packing
    return Content(paths=(path,), profile=pin.profile, wrap=how.wrap, hidden=how.hidden, exclude=how.exclude)


class _Recorded:
    """The content of a pin as it lies on this machine now; read when, and only if, its bytes are needed."""

    def __init__(self, source: Source | None, on_event: OnEvent) -> None:
        self._source = source
        self._on_event = on_event
        self._lock = threading.Lock()
        self._pieces: Mapping[str, PieceSource] | None = None

    def piece(self, piece_cid: str) -> PieceSource:
        """Return the piece; raises SourceError when the content is gone or is not what it was."""
        with self._lock:
            if self._pieces is None:
                self._pieces = {str(piece.piece_cid): piece for piece in self._hashed()}
        found = self._pieces.get(piece_cid)
        if found is None:
            raise SourceError(
                f"no provider gives piece {piece_cid}, and the path that it was made from does not either",
                hint="fpin add stores the content again; --source names where it lies now",
                piece_cid=piece_cid,
            )
        return found

    def _hashed(self) -> Sequence[PieceSource]:
        if self._source is None:
            return ()
        self._on_event(Noted(text="no provider gives the bytes: the path that they came from is read again"))
        return self._source.lay_out(on_event=ignore).hash(on_event=ignore).pieces


class _RecordedPiece:
    """A piece that a provider may have and this machine may still be able to make."""

    def __init__(self, piece: Piece, recorded: _Recorded) -> None:
        self._recorded = recorded
        self.piece_cid = PieceCid.parse(piece.piece_cid)
        self.size = piece.size

    def open(self, offset: int = 0) -> Iterator[bytes]:
        return self._recorded.piece(str(self.piece_cid)).open(offset)
