"""`get`: content back from wherever it is, every block verified; `probe`: does a pin come back at all."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from fpin.errors import GatewayUnavailable, IndexerUnavailable, LocalError, NotFound, Unavailable, UsageError
from fpin.events import Fetching, Noted, OnEvent, ignore
from fpin.flows.packing import absolute
from fpin.flows.resolve import resolve
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid, multihash_of, parse_cid
from fpin.retrieve import Gateway, Span, fetch, split_path
from fpin.retrieve.files import workplace_beside
from fpin.routing import Router
from fpin.routing.indexer import Answer
from fpin.store import THERE, Copy, Pin
from fpin.temporary import noted
from fpin.values import dataclass

_KEPT = 7 * 86400.0  # seconds that the beginning of a download waits for the same command


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResult:
    root_cid: str
    path: str  # inside the content; "" for all of it
    out: str | None  # None: standard output
    bytes: int
    files: int
    sources: tuple[str, ...]
    kept: int  # of the bytes, those that an earlier attempt had brought


def get(
    services: Services,
    what: str,
    out: Path | BinaryIO | None = None,
    *,
    span: str | None = None,
    on_event: OnEvent = ignore,
) -> GetResult:
    """Fetch *what* (``CID``, or a pin's name or path, and a ``/path`` in it) and write it to *out*.

    *out* None is a path in the working directory called as the content; it must not exist. *span*, such as
    ``0:99``, is the part of a file to fetch, both ends included. Nothing that was not verified reaches its
    final name; what an attempt that was ended brought is kept beside *out* for a week, hashed and used by the
    next. Sources in order: what is kept, the providers in the store, those that routing names, public
    gateways once routing found the content; for a block that none of them has, routing is asked again.
    """
    part = Span.parse(span) if span is not None else None
    root_cid, inside, pin = located(services, what)
    if out is None:
        if part is not None:
            raise UsageError("a part of a file has no name of its own", hint="give it one with -o")
        out = _default_name(root_cid, inside, pin)
    if isinstance(out, Path):
        out = absolute(out)
        _check_free(out)
    sources = list(_sources(services, root_cid, pin))
    if not sources:
        raise NotFound(
            f"nobody is known to have {format_cid(root_cid)}",
            hint=("no provider has a copy of the pin" if pin else "it is not in the store of this network")
            + ", and its indexer lists no provider with HTTP",
        )

    of_pin = pin.size if pin and not inside and part is None else None

    def moved(source: str, done: int, total: int | None) -> None:
        on_event(Fetching(source=source, done=done, total=of_pin if total is None else total))

    known = {source.url for source in sources}

    def more(cid: bytes) -> list[Gateway]:
        urls = routed(services, cid, pin, known=known)
        known.update(urls)
        return [Gateway(url, services.http) for url in urls]

    with _workplace(services, out, root_cid, inside, part) as workplace:
        fetched = fetch(
            root_cid, split_path(inside), sources, out, moved, span=part, workplace=workplace, more=more
        )
    for warning in fetched.warnings:
        on_event(Noted(text=warning))
    for link in fetched.skipped:
        on_event(Noted(text=f"a link that leads out of the content was not made: {link}"))
    return GetResult(
        root_cid=format_cid(root_cid),
        path=inside,
        out=str(out) if isinstance(out, Path) else None,
        bytes=fetched.bytes,
        files=fetched.files,
        sources=fetched.sources,
        kept=fetched.kept,
    )


def probe(services: Services, pin: Pin, *, on_event: OnEvent = ignore) -> bool:
    """Tell whether every provider that holds the root of *pin* gives out a root block that is right."""
    good = True
    for url in dict.fromkeys(copy.provider_url for copy in pin.pieces[-1].held):
        try:
            Gateway(url, services.http).block(pin.root_cid)
        except GatewayUnavailable as exc:
            on_event(Noted(text=f"not retrievable yet: {exc.message}"))
            good = False
    return good


def located(services: Services, what: str) -> tuple[bytes, str, Pin | None]:
    """Return the root CID of *what*, the path below it, and the pin, if it is one of ours.

    A pin's name or path may be followed by a path inside the content; the longest one that there is counts.
    """
    text, _, inside = what.removeprefix("ipfs://").removeprefix("/ipfs/").partition("/")
    try:
        root_cid = parse_cid(text)
    except ValueError:
        pin, inside = _pinned(services, what)
        return pin.root_cid, inside, pin
    return root_cid, inside, services.store.pin_of_root(services.backend.chain_id, root_cid)


def _pinned(services: Services, what: str) -> tuple[Pin, str]:
    chain_id = services.backend.chain_id
    try:
        return resolve(services.store, chain_id, what).pin, ""
    except NotFound as exc:
        name, slash, inside = what.rpartition("/")
        while slash and name and "matches" not in exc.values:
            with contextlib.suppress(NotFound):
                return resolve(services.store, chain_id, name).pin, inside
            name, slash, last = name.rpartition("/")
            inside = f"{last}/{inside}"
        raise


def _default_name(root_cid: bytes, inside: str, pin: Pin | None) -> Path:
    segments = split_path(inside)
    if segments:
        return Path(segments[-1])
    return Path(pin.name if pin and pin.name and "/" not in pin.name else format_cid(root_cid))


@contextlib.contextmanager
def _workplace(
    services: Services, out: Path | BinaryIO, root_cid: bytes, inside: str, part: Span | None
) -> Iterator[Path | None]:
    """Give the temporary place where *out* grows: the same for the same content, unless it is in use."""
    if not isinstance(out, Path):
        yield None
        return
    asked = b"\0".join(
        (multihash_of(root_cid), inside.encode("utf-8", "surrogateescape"), str(part).encode())
    )
    place = workplace_beside(out, hashlib.sha256(asked).hexdigest()[:12])
    with noted(services.folders.notes, place, keep=_KEPT) as ours:
        try:
            yield place if ours else None
        except Unavailable as exc:
            if ours and place.exists():
                exc.hint = "what was fetched is kept: run it again later, and it goes on from there"
            raise


def _check_free(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise LocalError(f"{out} is there already", hint="choose another place with -o", path=str(out))
    if not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist", hint="create it, or choose another place")


def _sources(services: Services, root_cid: bytes, pin: Pin | None) -> Iterator[Gateway]:
    urls: dict[str, None] = {}
    if pin is not None:
        # Every holder of any piece: content cut over several pieces may lie at several providers.
        urls |= dict.fromkeys(copy.provider_url for copy in _there(pin))
    urls |= dict.fromkeys(routed(services, root_cid, pin, urgent=not urls))
    yield from (Gateway(url, services.http) for url in urls)
    if services.gate.is_open(root_cid):
        # Once the root was found, so are the blocks below it that a broken-off CAR makes us ask for.
        yield from (
            Gateway(url, services.http, before=lambda cid: services.gate.open([cid]), last_resort=True)
            for url in services.gateways
        )


def _there(pin: Pin) -> list[Copy]:
    """Return the copies that providers still have, those in the piece with the root first."""
    return [copy for piece in reversed(pin.pieces) for copy in piece.copies if copy.state in THERE]


def routed(
    services: Services,
    cid: bytes,
    pin: Pin | None = None,
    *,
    urgent: bool = True,
    known: Collection[str] = (),
) -> list[str]:
    """Ask the indexers that keep no empty answers who serves *cid* over HTTP.

    *urgent*: nobody but those at the URLs *known* is known otherwise. Then delegated routers are asked where
    the indexers name nobody new, and IndexerUnavailable is raised where one of all of them did not answer and
    none helped. Opens the gate where public routers can do no harm by looking: for content of others that is
    found, and for a *pin* of ours that is found at one of its own providers. A record of somebody else's copy
    would make caches keep a list without ours (gotcha G2).
    """
    peers = services.backend.peers(services.gate).safely()
    answers = {indexer.url: indexer.find(cid) for indexer in peers.poll}
    urls = _urls_in(answers.values())
    own = {copy.provider_url for copy in pin.copies} if pin else set()
    if urls and (pin is None or own & set(urls)):
        services.gate.open([cid])
    if urgent and not set(urls) - set(known):
        asked = [router for router in peers.routers if _may_ask(services, router, cid)]
        answers |= {f"router {router.url}": router.find(cid) for router in asked}
        urls = _urls_in(answers.values())
    silent = {name: answer.reason for name, answer in answers.items() if answer.state == "inconclusive"}
    if urgent and silent and not urls:
        reasons = "; ".join(f"{name} gave no usable answer ({reason})" for name, reason in silent.items())
        raise IndexerUnavailable(
            f"who has {format_cid(cid)} is not known: {reasons}",
            hint="run it again later; for content in the store of fpin no indexer is needed",
        )
    return urls


def _urls_in(answers: Iterable[Answer]) -> list[str]:
    """Return where the records in *answers* say that blocks are to be had over HTTP, each place once."""
    records = (record for answer in answers for record in answer.records)
    return list(dict.fromkeys(url for record in records for url in record.http_urls))


def _may_ask(services: Services, router: Router, cid: bytes) -> bool:
    """Tell whether *router* may be asked now: a public one not before the content was found (rule R8)."""
    return not services.gate.guards(router.url) or services.gate.is_open(cid)
