"""One look at the indexer that everybody reads, once content was found at another one (§4.6, at its end).

Knows what its answer means, and that it must not be asked twice. Refuses to look before the gate is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fpin.ipld.cid import format_cid
from fpin.routing import match
from fpin.routing.checker import Peers
from fpin.routing.gate import GatewayClosed
from fpin.routing.indexer import Indexer
from fpin.routing.match import Copy
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What the global index says: ``confirmed``, ``stale`` (others only), ``pending``, or ``unknown``."""

    state: Literal["confirmed", "stale", "pending", "unknown"]
    indexer: str
    sentence: str


def confirm(cid: bytes, copies: Sequence[Copy], peers: Peers) -> tuple[Confirmation, ...]:
    """Ask each confirming indexer for *cid*, once.

    Raises GatewayClosed while *cid* is not found: the question itself would hide it from everybody.
    """
    for indexer in peers.confirm:
        if peers.gate.guards(indexer.url) and not peers.gate.is_open(cid):
            raise GatewayClosed(f"{indexer.url} is not asked for {format_cid(cid)} before it is found")
    return tuple(_confirmation(indexer, cid, copies) for indexer in peers.confirm)


def _confirmation(indexer: Indexer, cid: bytes, copies: Sequence[Copy]) -> Confirmation:
    url, answer = indexer.url, indexer.find(cid)
    if answer.state == "inconclusive":
        words = f"{url} gave no usable answer ({answer.reason})."
        return Confirmation(state="unknown", indexer=url, sentence=words)
    if answer.state == "absent":
        words = f"{url} does not list it yet, and may repeat that for 20 minutes: do not ask it before then."
        return Confirmation(state="pending", indexer=url, sentence=words)
    if all(match.best(answer.records, copy) is None for copy in copies):
        words = (
            f"{url} lists others for it and not these copies, and may do so for hours: an answer from before "
            "is kept there. The providers' own URLs work now."
        )
        return Confirmation(state="stale", indexer=url, sentence=words)
    return Confirmation(state="confirmed", indexer=url, sentence=f"{url} lists it too.")
