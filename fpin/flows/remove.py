"""`rm`: has copies removed, and follows them until routing has forgotten them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Literal

from fpin import events
from fpin.chain.networks import DEVNET_CHAIN_ID
from fpin.errors import NoKey, NotFound, Unavailable
from fpin.events import OnEvent, ignore
from fpin.flows.resolve import describe, resolve_own
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid, parse_cid
from fpin.routing import LOOK_ONCE, Removal, RemovalLook, RemovalResult, RemovalState, check_removed, present
from fpin.routing.multiaddr import url_of
from fpin.settings import Folders
from fpin.store import LEAVING, ON_CHAIN, UNDER_WAY, WAITING, Copy, CopyState, Piece, Pin, Store
from fpin.values import dataclass

_QUEUED = LEAVING - {CopyState.REMOVING}  # the chain has it in its queue, or it is past that


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderReport:
    """Somebody whose record of the content may stay; other_piece is one of the same provider."""

    kind: Literal["other_piece", "other"]
    peer_id: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedCopy:
    """One copy on its way out: *state* is scheduled, removed, unadvertised or gone when all went well.

    *record* says more of the indexers' side; still_present_shared: another data set holds the piece there.
    """

    piece_cid: str
    provider_id: int
    data_set_id: int
    piece_id: int
    tx: str | None
    state: CopyState
    removal_ad_cid: str | None
    record: RemovalState | None  # None: not looked at yet
    holders: tuple[HolderReport, ...]
    note: str | None  # why a record may stay, or what is still to come


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveResult:
    """*remaining* names copies of the same content that were not asked to go, or whose record stays."""

    network: str
    root_cid: str
    pieces: tuple[RemovedCopy, ...]
    remaining: tuple[str, ...]
    complete: bool  # as far as was asked for: scheduled, or gone when waited for


def remove(services: Services, what: str, *, wait: bool = False, on_event: OnEvent = ignore) -> RemoveResult:
    """Remove what *what* names from every provider that has it.

    Returns when the chain has the removals in its queue; with *wait*, when routing has forgotten them.
    Running it again continues.
    """
    target = resolve_own(services, what)
    with services.alone(target.pin, on_event):
        services.backend.settle(target.pin, on_event=on_event)
        copies = _now(services, target.copies)
        shared = _release_shared(services, copies)
        leaving = [copy for copy in copies if copy.state in ON_CHAIN | LEAVING and copy.copy not in shared]
        dropped = _drop_waiting(services, copies, on_event)
        listed = _listed(services, target.pin, leaving)
        if leaving:
            services.backend.remove(leaving, on_event=on_event)
    _refuse_under_way(target.pin, copies)
    if not (leaving or dropped or shared):
        raise NotFound(
            f"{describe(target.pin)} is removed already", hint="fpin status shows what is left of it"
        )
    # What could not be asked for is not waited for.
    asked_for = [copy for copy in _now(services, leaving) if copy.state in _QUEUED]
    results = follow(services, target.pin, asked_for, wait=wait, listed=listed, on_event=on_event)
    pin = services.store.pin(target.pin.pin)
    asked = {copy.copy for copy in leaving}
    reports = [
        _report(piece, copy, results.get(copy.copy))
        for piece in pin.pieces
        for copy in piece.copies
        if copy.copy in asked
    ]
    return RemoveResult(
        network=services.backend.network,
        root_cid=format_cid(pin.root_cid),
        pieces=tuple(reports),
        remaining=(*shared.values(), *_remaining(pin, results)),
        complete=all(_done(report, wait=wait) for report in reports),
    )


def _done(report: RemovedCopy, *, wait: bool) -> bool:
    """Tell whether a copy is as far out as was asked for; a record that may stay is nothing to wait for."""
    if report.state == CopyState.GONE or report.record == "still_present_shared":
        return True
    return not wait and report.state in _QUEUED


def _listed(services: Services, pin: Pin, copies: Sequence[Copy]) -> dict[int, bool | None]:
    """Return which of *copies* an indexer lists before they are removed; None where it could not say."""
    indexers = services.backend.peers(services.gate).safely().poll
    if not indexers:
        return {}
    return {
        copy.copy: present(indexers, services.backend.routed(copy, piece.piece_cid), _blocks(pin, piece))
        for piece in pin.pieces
        for copy in piece.copies
        if copy.state in ON_CHAIN and copy.copy in {one.copy for one in copies}
    }


def _blocks(pin: Pin, piece: Piece) -> tuple[bytes, ...]:
    """The blocks of *piece* by which its record is looked for: the root where it is in it, and its sample."""
    roots = (pin.root_cid,) if piece == pin.pieces[-1] else ()
    return (*roots, *map(parse_cid, piece.sample))


def _release_shared(services: Services, copies: Sequence[Copy]) -> dict[int, str]:
    """End the copies whose very piece another pin keeps; return by copy row what is to be said of each."""
    kept = {}
    for copy in copies:
        if copy.state in ON_CHAIN and (other := services.store.release(copy.copy)) is not None:
            kept[copy.copy] = (
                f"provider {copy.provider_id} keeps piece {services.store.piece_cid(copy.copy)}, which "
                f"{format_cid(other)} needs too; fpin rm {format_cid(other)} removes it"
            )
    return kept


def _drop_waiting(services: Services, copies: Sequence[Copy], on_event: OnEvent) -> bool:
    """Close the copies that nothing was signed for: the provider drops by itself what it holds of them."""
    waiting = [copy for copy in copies if copy.state in WAITING]
    for copy in waiting:
        services.store.mark_failed(copy.copy, reason="removed before it was stored")
        on_event(events.Noted(text=f"the copy at provider {copy.provider_id} was not stored yet: given up"))
    return bool(waiting)


def _refuse_under_way(pin: Pin, copies: Sequence[Copy]) -> None:
    """Raise when a copy may be on chain any moment: there is no piece yet to remove, but it will cost."""
    adding = sorted({copy.provider_id for copy in copies if copy.state in UNDER_WAY})
    if adding:
        raise Unavailable(
            f"adding {describe(pin)} at provider {', '.join(map(str, adding))} is still under way, so that "
            "copy cannot be removed yet",
            hint="run it again in a few minutes; where that does not help, fpin add finishes it first",
        )


def follow(
    services: Services,
    pin: Pin,
    copies: Sequence[Copy],
    *,
    wait: bool,
    listed: Mapping[int, bool | None] | None = None,
    on_event: OnEvent = ignore,
) -> dict[int, RemovalResult]:
    """See how far the removal of *copies* is, on chain, at the provider and at the indexer; by copy row.

    With *wait*, until each is gone or the network's patience ends; else one look. *listed* tells, by copy
    row, which had a record before they were removed.
    """
    results = {}
    for piece in pin.pieces:
        for copy in _now(services, [one for one in piece.copies if one.copy in {c.copy for c in copies}]):
            if copy.state in LEAVING:
                was_listed = (listed or {}).get(copy.copy)
                results[copy.copy] = _follow_one(
                    services, pin, piece, copy, wait=wait, was_listed=was_listed, on_event=on_event
                )
    return results


def forget_devnet(folders: Folders) -> int:
    """Forget every pin on a devnet that was deleted; returns how many there were."""
    if not folders.store.exists():
        return 0
    with Store(folders.store) as store:
        return store.forget(DEVNET_CHAIN_ID)


def _follow_one(
    services: Services,
    pin: Pin,
    piece: Piece,
    copy: Copy,
    *,
    wait: bool,
    was_listed: bool | None,
    on_event: OnEvent,
) -> RemovalResult:
    told: set[str] = set()

    def looked(look: RemovalLook) -> None:
        if look.state not in told:
            told.add(look.state)
            if (text := _WAITING.get(look.state)) is not None and wait:
                on_event(events.Waiting(what=text.format(provider=copy.provider_id)))

    def live() -> bool:
        alive = services.backend.is_live(copy)
        if not alive and services.store.copy(copy.copy).state in (CopyState.REMOVING, CopyState.SCHEDULED):
            services.store.mark_removed(copy.copy)
            on_event(
                events.RemovalSeen(provider_id=copy.provider_id, piece_id=copy.piece_id or 0, state="removed")
            )
        return alive

    # The chain knows of data sets that this store does not; without a key the store's word has to do.
    shared = services.store.live_holders(pin.chain_id, piece.piece_cid, copy) > 0
    with contextlib.suppress(NoKey):
        shared = shared or services.backend.held_beside(copy, piece.piece_cid)
    result = check_removed(
        Removal(
            copy=services.backend.routed(copy, piece.piece_cid),
            cids=_blocks(pin, piece),
            live=live,
            shared=shared,
            was_present=was_listed,
        ),
        services.backend.peers(services.gate),
        pace=services.pace.removal if wait else LOOK_ONCE,
        on_look=looked,
    )
    _write_down(services, copy, result, on_event)
    return result


_WAITING = {
    "chain_pending": "provider {provider}'s next proving period, when the piece leaves the chain",
    "pending_gc": "provider {provider} to clean up and advertise the removal",
    "unadvertised": "the indexer to process the removal advertisement of provider {provider}",
}


def _write_down(services: Services, copy: Copy, result: RemovalResult, on_event: OnEvent) -> None:
    state = services.store.copy(copy.copy).state
    ad_cid = format_cid(result.removal_ad_cid) if result.removal_ad_cid else None
    if ad_cid and state is CopyState.REMOVED:
        services.store.mark_unadvertised(copy.copy, ad_cid=ad_cid)
        on_event(
            events.RemovalSeen(
                provider_id=copy.provider_id,
                piece_id=copy.piece_id or 0,
                state="unadvertised",
                removal_ad_cid=ad_cid,
            )
        )
        state = CopyState.UNADVERTISED
    if result.gone and state in (CopyState.REMOVED, CopyState.UNADVERTISED):
        services.store.mark_gone(copy.copy)
        on_event(events.RemovalSeen(provider_id=copy.provider_id, piece_id=copy.piece_id or 0, state="gone"))


def _report(piece: Piece, copy: Copy, result: RemovalResult | None) -> RemovedCopy:
    return RemovedCopy(
        piece_cid=piece.piece_cid,
        provider_id=copy.provider_id,
        data_set_id=copy.data_set_id or 0,
        piece_id=copy.piece_id or 0,
        tx=copy.removal_tx,
        state=copy.state,
        removal_ad_cid=copy.removal_ad_cid,
        record=result.state if result else None,
        holders=tuple(
            HolderReport(
                kind="other_piece" if holder.same_provider else "other",
                peer_id=holder.record.provider,
                addresses=holder.record.addresses,
            )
            for holder in (result.others if result else ())
        ),
        note=" ".join(result.sentences) or None if result else None,
    )


def _remaining(pin: Pin, results: dict[int, RemovalResult]) -> tuple[str, ...]:
    kept = [
        f"provider {copy.provider_id} still holds piece {piece.piece_cid}"
        for piece in pin.pieces
        for copy in piece.copies
        if copy.state in ON_CHAIN or copy.state is CopyState.REMOVING
    ]
    # Copies are followed one after the other: while the first goes, the indexer still lists the next.
    leaving = {copy.provider_url for copy in pin.copies if copy.state in LEAVING | {CopyState.GONE}}
    others = {
        f"{'another piece at the same provider' if holder.same_provider else 'another provider'} has this "
        f"content too: {', '.join(holder.record.addresses) or 'no address'}"
        for result in results.values()
        for holder in result.others
        if holder.same_provider or not leaving & set(map(url_of, holder.record.addresses))
    }
    return (*kept, *sorted(others))


def _now(services: Services, copies: Sequence[Copy]) -> list[Copy]:
    return [services.store.copy(copy.copy) for copy in copies]
