"""Is this record the one we wait for: evidence and strength of a match (spec routing-and-retrieval §4.4).

Pure: records and expectations in, judgements out. Refuses to know indexers, time and the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from fpin.piece import PieceCid
from fpin.routing import metadata
from fpin.routing.indexer import Record
from fpin.routing.multiaddr import normalise_url, url_of
from fpin.routing.publisher import IPFS_CONTEXT
from fpin.values import dataclass

Strength = Literal["exact", "provider", "foreign"]
"""``exact``: this upload's record. ``provider``: this provider has the CID, maybe from another piece.
``foreign``: another provider's or another network's, which says nothing about ours (gotcha G3)."""

_ORDER: tuple[Strength, ...] = ("exact", "provider", "foreign")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One copy of a piece at one provider: whom we expect to find, and by what.

    *not_expected* says why nothing will ever show up in indexers, such as a data set without indexing.
    """

    provider_id: int
    service_url: str
    piece_cid: PieceCid
    peer_id: bytes | None = None  # from the provider's ipniPeerId capability; None: it has none
    not_expected: str | None = None

    @property
    def context_id(self) -> bytes:
        return IPFS_CONTEXT + self.piece_cid.to_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The best record for a copy, why it counts, and what is odd about it."""

    strength: Strength
    record: Record
    warnings: tuple[str, ...] = ()


def judge(record: Record, copy: Copy) -> Strength:
    """Return how strongly *record* stands for *copy*."""
    ours = normalise_url(copy.service_url)
    same_peer = copy.peer_id is not None and record.peer_id == copy.peer_id
    same_url = ours is not None and any(url_of(address) == ours for address in record.addresses)
    if not same_peer and not same_url:
        return "foreign"
    return "exact" if record.context_id == copy.context_id else "provider"


def best(records: Iterable[Record], copy: Copy) -> Match | None:
    """Return the strongest match for *copy*; None when all *records* are foreign."""
    judged = [(judge(record, copy), record) for record in records]
    if not judged:
        return None
    strength, record = min(judged, key=lambda pair: _ORDER.index(pair[0]))
    if strength != "foreign":
        warnings = (*_oddities(record, copy, strength), *_warnings(record))
        return Match(strength=strength, record=record, warnings=warnings)
    if copy.peer_id is None and normalise_url(copy.service_url) is None:
        # Nothing to tell this provider by: the only question left is whether anybody has it (§4.4).
        words = (
            f"provider {copy.provider_id} registered neither a peer ID nor a usable URL; any record counts"
        )
        return Match(strength="provider", record=record, warnings=(words, *_warnings(record)))
    return None


def foreign(records: Iterable[Record], copies: Sequence[Copy]) -> tuple[Record, ...]:
    """Return the records that belong to none of *copies*, for the diagnosis."""
    return tuple(record for record in records if all(judge(record, copy) == "foreign" for copy in copies))


def of_this_upload(record: Record, copy: Copy) -> bool:
    """Tell whether *record* is the one that a removal of *copy* must make disappear (§4.7).

    By provider and ContextID. A provider that is known by its URL alone is compared by that.
    """
    return judge(record, copy) == "exact"


def weakest(strengths: Iterable[Strength]) -> Strength | None:
    """Return the strength that all of *strengths* reach; None for none."""
    return max(strengths, key=_ORDER.index, default=None)


def _oddities(record: Record, copy: Copy, strength: Strength) -> Iterator[str]:
    """Yield what about a match is weaker, or other, than one would take it for."""
    if strength == "provider":  # gotcha G7
        yield (
            f"the record is that of {_context(record.context_id)}, not of this piece: the provider has the "
            "block, and it may go when that goes"
        )
    if copy.peer_id is None or record.peer_id != copy.peer_id:  # gotcha G8
        yield (
            f"the record is known by its address only, and belongs to peer {record.provider}: indexers show "
            "a provider's newest addresses with all its records, so it shows the provider, not the upload"
        )
        return
    ours = normalise_url(copy.service_url)
    urls = [url for address in record.addresses if (url := url_of(address))]
    if urls and ours not in urls:  # gotcha G11
        yield f"the record leads to {', '.join(urls)}, the registry to {copy.service_url}; they are one peer"


def _context(context_id: bytes) -> str:
    try:
        if context_id.startswith(IPFS_CONTEXT):
            return f"piece {PieceCid.from_bytes(context_id[len(IPFS_CONTEXT) :])}"
    except ValueError:
        pass
    return f"context {context_id.hex() or 'nothing'}"


def _warnings(record: Record) -> tuple[str, ...]:
    words = []
    if not metadata.decode(record.metadata).http_retrievable:
        words.append("the record lists no HTTP retrieval protocol")
    elif not any(url_of(address) for address in record.addresses):
        words.append("the record lists no HTTP address")
    return tuple(words)
