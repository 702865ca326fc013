"""From what a user typed to a pin: a root CID, a piece CID, a path or a name.

Asks the store only.
"""

from __future__ import annotations

from fpin.errors import NoKey, NotFound
from fpin.flows.packing import spelled
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid, multihash_of, parse_cid
from fpin.piece import PieceCid, parse_v1
from fpin.store import Copy, Pin, Store
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pin, and which of its pieces were meant (all of them unless a piece CID was given)."""

    pin: Pin
    piece_cids: frozenset[str]

    @property
    def copies(self) -> tuple[Copy, ...]:
        return tuple(
            copy for piece in self.pin.pieces if piece.piece_cid in self.piece_cids for copy in piece.copies
        )


def resolve(store: Store, chain_id: int, text: str, wallet: str | None = None) -> Target:
    """Return what *text* names on *chain_id*, first of all among the pins of *wallet*.

    Of the same content in several wallets the one with the most copies is meant. Raises NotFound when nothing
    or more than one thing answers to it; the message lists what there is.
    """
    pins = store.pins(chain_id)
    mine = [pin for pin in pins if pin.wallet in (wallet, "")]
    found = _of_several_wallets(_matches(mine, text) or _matches(pins, text))
    if len(found) == 1:
        return found[0]
    if not found:
        known = ", ".join(describe(pin) for pin in pins[-5:]) or "nothing is pinned yet"
        raise NotFound(
            f"nothing here is called {text}",
            hint=f"a root CID, a piece CID, a path or a name; the newest pins: {known}",
            argument=text,
        )
    raise NotFound(
        f"{text} names {len(found)} pins: " + ", ".join(describe(target.pin) for target in found),
        hint="use the root CID",
        argument=text,
        matches=[format_cid(target.pin.root_cid) for target in found],
    )


def resolve_own(services: Services, text: str) -> Target:
    """Return what *text* names, to change something of it.

    Raises NoKey when another wallet pays for it than the one that acts.
    """
    wallet = services.backend.known_wallet
    target = resolve(services.store, services.backend.chain_id, text, wallet)
    payer = target.pin.wallet
    if wallet is not None and payer not in (wallet, ""):
        raise NoKey(
            f"{describe(target.pin)} is paid for by the wallet {payer}, and this is {wallet}",
            hint="use the key of that wallet",
            payer=payer,
            wallet=wallet,
        )
    return target


def describe(pin: Pin) -> str:
    """Return a pin in words: its root CID and its name, if it has one."""
    return format_cid(pin.root_cid) + (f" ({pin.name})" if pin.name else "")


def _matches(pins: list[Pin], text: str) -> list[Target]:
    # A CID says what it is, so it wins over a file or a name that happens to look the same.
    for candidates in (
        _by_root(pins, text),
        _by_piece(pins, text),
        _by_path(pins, text),
        _by_name(pins, text),
    ):
        if candidates:
            return candidates
    return []


def _of_several_wallets(found: list[Target]) -> list[Target]:
    if len({(target.pin.root_cid, target.piece_cids) for target in found}) > 1:
        return found
    return [max(found, key=lambda target: target.pin.held)] if found else []


def _by_root(pins: list[Pin], text: str) -> list[Target]:
    try:
        digest = multihash_of(parse_cid(text))
    except ValueError:
        return []
    return [_whole(pin) for pin in pins if multihash_of(pin.root_cid) == digest]


def _by_piece(pins: list[Pin], text: str) -> list[Target]:
    try:
        root = PieceCid.parse(text).root
    except ValueError:
        try:
            root = parse_v1(text)
        except ValueError:
            return []
    return [
        Target(pin=pin, piece_cids=frozenset({piece.piece_cid}))
        for pin in pins
        for piece in pin.pieces
        if PieceCid.parse(piece.piece_cid).root == root
    ]


def _by_path(pins: list[Pin], text: str) -> list[Target]:
    path = spelled(text)
    return _present([pin for pin in pins if pin.path == path])


def _by_name(pins: list[Pin], text: str) -> list[Target]:
    return _present([pin for pin in pins if pin.name == text])


def _present(pins: list[Pin]) -> list[Target]:
    """Prefer pins that are there to those that failed, and these to what was removed: a path passes on."""
    for gone in (("removed", "failed"), ("removed",), ()):
        if there := [_whole(pin) for pin in pins if pin.state not in gone]:
            return there
    return []


def _whole(pin: Pin) -> Target:
    return Target(pin=pin, piece_cids=frozenset(piece.piece_cid for piece in pin.pieces))
