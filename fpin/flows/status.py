"""`ls`, `status` and `check`: what is known of pins, and what the world says of them now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fpin.backends.base import AccountReport, Proof
from fpin.errors import Unavailable
from fpin.events import Noted, OnEvent, ignore
from fpin.flows.remove import follow
from fpin.flows.report import PinReport, report_pin
from fpin.flows.resolve import resolve
from fpin.flows.route import (
    Announcement,
    RoutingReport,
    Serving,
    announce_pin,
    browser_url,
    check_routing,
    confirm_pin,
    explain,
    piece_urls,
    serving,
    urls,
)
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid
from fpin.routing import Confirmation
from fpin.store import LEAVING, UNFINISHED, CopyState, Pin
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult:
    """*account* is None where there is no key, or no node answered."""

    network: str
    chain_id: int
    account: AccountReport | None
    pins: tuple[PinReport, ...]
    urls: tuple[str, ...]  # of the one pin that was named: safe to open now, best first, its pieces last
    browser_url: str | None  # … and the one that shows most in a browser
    pending: bool  # something is under way: a copy that is being added, is not yet listed, or is leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    network: str
    root_cid: str
    routing: RoutingReport
    serving: tuple[Serving, ...]  # whether providers give out the root, whoever lists them
    announced: tuple[Announcement, ...]  # by fpin, in the providers' place
    confirmations: tuple[Confirmation, ...]  # empty: not asked for, or there was nothing to confirm
    urls: tuple[str, ...]


_PENDING = UNFINISHED | LEAVING | {CopyState.CONFIRMED}


def ls(services: Services) -> StatusResult:
    """Return the pins in the store; asks nothing of the network."""
    return StatusResult(
        network=services.backend.network,
        chain_id=services.backend.chain_id,
        account=None,
        pins=tuple(report_pin(pin) for pin in services.store.pins(services.backend.chain_id)),
        urls=(),
        browser_url=None,
        pending=False,
    )


def status(
    services: Services, what: str | None = None, *, refresh: bool = False, on_event: OnEvent = ignore
) -> StatusResult:
    """Return the account and its pins, or the one that *what* names, with their proofs.

    *refresh* asks chain, providers and indexers about every copy under way, on chain or leaving, and
    writes down what they say. What cannot be asked is said as a note, and shown as the store has it.
    """
    chain_id, wallet = services.backend.chain_id, services.backend.known_wallet
    pins = services.store.pins(chain_id, wallet)
    if what is not None:
        pins = [resolve(services.store, chain_id, what, wallet).pin]
    if refresh:
        pins = [_refreshed(services, pin, on_event) for pin in pins]
    proofs = _proofs(services, pins, on_event)
    return StatusResult(
        network=services.backend.network,
        chain_id=chain_id,
        account=_account(services, on_event),
        pins=tuple(report_pin(pin, proofs) for pin in pins),
        urls=(*urls(services, pins[0]), *piece_urls(pins[0])) if what is not None else (),
        browser_url=browser_url(services, pins[0]) if what is not None else None,
        pending=any(copy.state in _PENDING for pin in pins for copy in pin.copies),
    )


def check(
    services: Services,
    what: str,
    *,
    announce: bool = False,
    confirm: bool = False,
    on_event: OnEvent = ignore,
) -> CheckResult:
    """Ask routing again whether the pin that *what* names can be found, and its providers for its root.

    *announce* first tells the configured indexers of the providers' advertisements. *confirm* looks once at
    the indexer that everybody reads, when it was found.
    """
    pin = resolve(services.store, services.backend.chain_id, what).pin
    services.backend.settle(pin, on_event=on_event)
    pin = services.store.pin(pin.pin)
    announced = announce_pin(services, pin, on_event=on_event) if announce else ()
    routing = check_routing(services, pin, on_event=on_event)
    served = serving(services, pin)
    return CheckResult(
        network=services.backend.network,
        root_cid=format_cid(pin.root_cid),
        routing=replace(routing, notes=(*routing.notes, *explain(routing, served))),
        serving=served,
        announced=announced,
        confirmations=confirm_pin(services, pin) if confirm and routing.state == "found" else (),
        urls=urls(services, pin),
    )


def _refreshed(services: Services, pin: Pin, on_event: OnEvent) -> Pin:
    try:
        _ask(services, pin, on_event)
    except Unavailable as exc:
        shown = pin.name or format_cid(pin.root_cid)
        on_event(Noted(text=f"{shown} is shown as the store has it: {exc.message}"))
    return services.store.pin(pin.pin)


def _ask(services: Services, pin: Pin, on_event: OnEvent) -> None:
    services.backend.settle(pin, on_event=on_event)
    pin = services.store.pin(pin.pin)
    if any(piece.held for piece in pin.pieces):
        check_routing(services, pin, wait=False, on_event=on_event)
    follow(services, pin, pin.copies, wait=False, on_event=on_event)


def _account(services: Services, on_event: OnEvent) -> AccountReport | None:
    try:
        return services.backend.account()
    except Unavailable as exc:
        on_event(Noted(text=f"the account is not shown: {exc.message}"))
        return None


def _proofs(services: Services, pins: Sequence[Pin], on_event: OnEvent) -> dict[int, Proof]:
    try:
        return services.backend.proofs(pins)
    except Unavailable as exc:
        on_event(Noted(text=f"proofs are not shown: {exc.message}"))
        return {}
