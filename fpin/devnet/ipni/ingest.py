"""Reading one publisher's chain over HTTP and putting what it says into the index, in IPNI's order.

Trusts nothing it fetches: hashes, the head's signature and every advertisement's signature are checked on
arrival. Knows nothing of when to read; the indexer says that.
"""

from __future__ import annotations

from collections.abc import Callable

from fpin.devnet import fetch
from fpin.devnet.ipni import multiaddr
from fpin.devnet.ipni.advertisement import (
    NO_ENTRIES,
    Advertisement,
    Malformed,
    decode_advertisement,
    decode_chunk,
    open_head,
)
from fpin.devnet.ipni.identity import BadSignature
from fpin.devnet.ipni.index import Index, Pending
from fpin.errors import VerificationFailed
from fpin.ipld.cid import format_cid, hash_matches
from fpin.values import dataclass

_MAX_CHUNKS = 65_536  # the depth at which storetheindex stops


class Transient(Exception):
    """The chain cannot be read further now; the same request may work later."""


class Refused(Exception):
    """The chain is not acceptable; reading it again gives the same bytes."""


class Unusable(Exception):
    """This advertisement brings nothing and never will; the chain goes on after it."""


@dataclass(slots=True, kw_only=True)
class SyncStatus:
    """How the last, or current, reading of one publisher's chain went."""

    head: str | None
    started: float
    ended: float | None = None
    scanned: int = 0
    total: int = 0
    processed: int = 0
    error: str | None = None


class ChainReader:
    """Reads the chain of *pending*'s publisher into *index*."""

    def __init__(
        self,
        index: Index,
        pending: Pending,
        status: SyncStatus,
        clock: Callable[[], float],
        *,
        visible_chunks: int | None = None,
    ) -> None:
        """*visible_chunks*: so many of an advertisement's entries are taken in before reading breaks off."""
        base = multiaddr.to_url(pending.address)
        if base is None:
            raise Refused(f"{pending.address} is not an HTTP address")
        self._base = base
        self._visible_chunks = visible_chunks
        self._index, self._pending, self._status, self._clock = index, pending, status, clock

    def read(self) -> None:
        """Process everything new, oldest first; Transient or Refused where the chain blocks."""
        chain = self._scan()
        self._index.mark_pending(cid for cid, _ in chain)
        self._status.total = len(chain)
        removed = _removed_later(chain)
        for number, (cid, ad) in enumerate(reversed(chain), 1):
            self._process(cid, ad, superseded=cid in removed, lag=len(chain) - number)
            self._status.processed = number

    def _scan(self) -> list[tuple[str, Advertisement]]:
        """The advertisements not processed yet, newest first, every one verified."""
        head = self._fetch_head()
        chain: list[tuple[str, Advertisement]] = []
        at: bytes | None = head
        while at is not None and not self._index.is_processed(format_cid(at)):
            ad = self._fetch_ad(at)
            chain.append((format_cid(at), ad))
            self._status.scanned = len(chain)
            at = ad.previous
        announced = self._pending.head
        if announced and announced not in dict(chain) and not self._index.is_processed(announced):
            raise Transient(f"the announced advertisement {announced} is not on the chain yet")
        return chain

    def _fetch_head(self) -> bytes:
        answer = self._get("head", {})
        if answer.status != 200:
            raise Transient(f"the signed head: HTTP {answer.status}")
        self._index.saw_publisher(self._pending.publisher, self._pending.address, self._clock())
        try:
            head, signer = open_head(answer.body)
        except (Malformed, BadSignature) as exc:
            raise Refused(f"the signed head: {exc}") from exc
        if signer != self._pending.publisher:
            raise Refused(f"the head is signed by {signer}, announced was {self._pending.publisher}")
        self._status.head = format_cid(head)
        return head

    def _fetch_ad(self, cid: bytes) -> Advertisement:
        try:
            ad = decode_advertisement(cid, self._fetch_block(cid, "Advertisement"))
            signer = ad.signer()
        except _NotFound as exc:
            raise Transient(str(exc)) from exc
        except (Malformed, BadSignature) as exc:
            raise Refused(f"advertisement {format_cid(cid)}: {exc}") from exc
        if signer not in (ad.provider, self._pending.publisher):
            raise Refused(
                f"advertisement {format_cid(cid)}: {signer} has no permission to sign for {ad.provider}"
            )
        return ad

    def _process(self, cid: str, ad: Advertisement, *, superseded: bool, lag: int) -> None:
        self._index.put_provider(ad.provider, self._pending.publisher, ad.addresses)
        self._index.set_lag(ad.provider, lag + 1)
        skipped = None
        try:
            if not superseded:
                self._apply(ad)
        except Unusable as exc:
            skipped = str(exc)
        self._index.mark_processed(cid, ad.provider, skipped=skipped, lag=lag, now=self._clock())

    def _apply(self, ad: Advertisement) -> None:
        if ad.extension is not None:
            if ad.extension.override and not ad.context_id:
                raise Unusable("it overrides the extended providers of a context and names none")
            self._index.set_extension(ad.provider, ad.extension)
        if ad.is_rm:
            self._index.remove_context(ad.provider, ad.context_id)
        elif ad.entries == NO_ENTRIES:
            if ad.metadata:
                self._index.put_context(ad.provider, ad.context_id, ad.metadata)
        elif not ad.metadata:
            raise Unusable("it has entries and no metadata")
        else:
            self._index_entries(ad)

    def _index_entries(self, ad: Advertisement) -> None:
        """Chunks become visible one by one, as on the public indexers."""
        context = self._index.put_context(ad.provider, ad.context_id, ad.metadata)
        at: bytes | None = ad.entries
        for number in range(_MAX_CHUNKS):
            if at is None:
                return
            if number == self._visible_chunks:
                raise Transient(f"no more than {number} chunks are taken in now")
            try:
                multihashes, following = decode_chunk(at, self._fetch_block(at, "EntryChunk"))
            except (_NotFound, Malformed) as exc:
                raise Unusable(f"entries {format_cid(at)}: {exc}") from exc
            self._index.put_entries(context, multihashes)
            at = following

    def _fetch_block(self, cid: bytes, kind: str) -> bytes:
        answer = self._get(format_cid(cid), {"Ipni-Cid-Schema-Type": kind})
        if answer.status == 404:
            raise _NotFound(f"{format_cid(cid)}: content not found")
        if answer.status != 200:
            raise Transient(f"{format_cid(cid)}: HTTP {answer.status}")
        if len(answer.body) > fetch.MAX_BODY or not _is_block(cid, answer.body):
            raise Transient(f"{format_cid(cid)}: the bytes served have another hash")
        return answer.body

    def _get(self, name: str, headers: dict[str, str]) -> fetch.Answer:
        try:
            return fetch.request("GET", f"{self._base}/ipni/v1/ad/{name}", headers=headers)
        except fetch.NoAnswer as exc:
            raise Transient(str(exc)) from exc


class _NotFound(Exception):
    """The publisher says that it has no such block."""


def _is_block(cid: bytes, body: bytes) -> bool:
    try:
        return hash_matches(cid, body)
    except VerificationFailed:
        return False


def _removed_later(chain: list[tuple[str, Advertisement]]) -> set[str]:
    """Additions, out of *chain* (newest first), that a later removal makes pointless: never fetched."""
    gone: set[tuple[str, bytes]] = set()
    superseded = set()
    for cid, ad in chain:
        key = (ad.provider, ad.context_id)
        if ad.is_rm:
            gone.add(key)
        elif key in gone:
            superseded.add(cid)
    return superseded
