"""From what a user typed to a pin: a root CID, a piece CID, a path or a name.

Asks the store only.
"""

from __future__ import annotations

from dataclasses import dataclass

from fpin.errors import NotFound
from fpin.flows.packing import spelled
from fpin.ipld.cid import format_cid, multihash_of, parse_cid
from fpin.piece import PieceCid, parse_v1
from fpin.store import Copy, Pin, Store


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


def resolve(store: Store, chain_id: int, text: str) -> Target:
    """Return what *text* names on *chain_id*.

    Raises NotFound when nothing or more than one thing answers to it; the message lists what there is.
    """
    pins = store.pins(chain_id)
    found = _matches(pins, text)
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
