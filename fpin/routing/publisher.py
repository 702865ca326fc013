"""A provider's own chain of advertisements: what did it advertise, and withdraw, for which piece.

Fetches heads and advertisements, checks every hash and signature, and remembers what it has walked. Refuses
to know indexers: the chain is the provider's word, an indexer's answer is another matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from fpin.errors import ProviderError, ProviderUnavailable, VerificationFailed
from fpin.http import Http, Reply, Timeout
from fpin.ipld import cid as cids
from fpin.routing import advertisement, peer_id
from fpin.routing.advertisement import Advertisement
from fpin.values import dataclass

TIMEOUT = Timeout(connect=10, io=10)
MAX_AD = 2**20  # bytes; Curio's are under 1 KiB
MAX_STEPS = 2000  # advertisements read in one walk; an add or removal of ours is near the head
MAX_SECONDS = 20.0

IPFS_CONTEXT = b"\x01"  # kind byte of a ContextID for IPFS content, before the piece CID (spec §3.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The newest word of a provider on one ContextID.

    *ad* None and *complete* True: it never advertised it. *complete* False: the walk ended at its bounds,
    and older advertisements were not looked at.
    """

    ad: Advertisement | None
    complete: bool

    @property
    def advertised(self) -> bool:
        return self.ad is not None and not self.ad.is_rm

    @property
    def withdrawn(self) -> bool:
        return self.ad is not None and self.ad.is_rm


class Publisher:
    """The advertisement chain of the provider at *service_url*, signed by *peer* (spec §3.5).

    Keep one while waiting: each question reads only what was published since the last one.
    """

    def __init__(
        self,
        service_url: str,
        peer: bytes,
        http: Http,
        *,
        max_steps: int = MAX_STEPS,
        max_seconds: float = MAX_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.peer_id = peer
        self.base = f"{service_url.rstrip('/')}/ipni-provider/{peer_id.text_of(peer)}/ipni/v1/ad"
        self._name = f"the advertisement chain at {service_url}"
        self._http = http
        self._max_steps = max_steps
        self._max_seconds = max_seconds
        self._now = now
        self._newest: dict[bytes, Advertisement] = {}  # ContextID -> newest advertisement walked
        self._top: bytes | None = None  # where the walk began
        self._below: bytes | None = None  # where it goes on; None: the end was reached

    def newest(self, context_id: bytes) -> Published:
        """Return the newest advertisement or removal for *context_id*.

        Raises `ProviderUnavailable` when the chain cannot be read, VerificationFailed when a hash, link or
        signature on it is wrong.
        """
        head = self.head()
        steps = self._steps()
        if head != self._top:
            self._prepend(head, steps)
        while context_id not in self._newest and self._below is not None and next(steps, None) is not None:
            ad = self.read(self._below)
            self._newest.setdefault(ad.context_id, ad)
            self._below = ad.previous
        return Published(ad=self._newest.get(context_id), complete=self._below is None)

    def head(self) -> bytes | None:
        """Return the CID of the newest advertisement; None when there is none."""
        reply = self._get("head")
        if reply.status == 204:
            return None
        if reply.status != 200:
            raise ProviderUnavailable(f"{self._name}: HTTP {reply.status} for its head", status=reply.status)
        signed = advertisement.decode_head(reply.body)
        if signed.signer != self.peer_id:
            raise VerificationFailed(
                f"{self._name} is signed by {peer_id.text_of(signed.signer)}, "
                f"not by {peer_id.text_of(self.peer_id)} as registered"
            )
        return signed.head

    def read(self, cid: bytes) -> Advertisement:
        """Return one advertisement, its hash and signature checked."""
        text = cids.format_cid(cid)
        reply = self._get(text)
        if reply.status in (204, 404):  # 204 is Curio's way of saying so (spec §3.5)
            raise ProviderError(f"{self._name}: advertisement {text} is missing from it", ad_cid=text)
        if reply.status != 200:
            raise ProviderUnavailable(f"{self._name}: HTTP {reply.status} for advertisement {text}")
        ad = advertisement.decode(cid, reply.body)
        if ad.verify() != self.peer_id:
            raise VerificationFailed(f"advertisement {text} is signed by somebody else", ad_cid=text)
        return ad

    def _prepend(self, head: bytes | None, steps: Iterator[int]) -> None:
        """Take in what was published since the last walk, or start anew where that is too much."""
        fresh: dict[bytes, Advertisement] = {}
        at = head
        while self._top is not None and at is not None and at != self._top and next(steps, None) is not None:
            ad = self.read(at)
            fresh.setdefault(ad.context_id, ad)
            at = ad.previous
        if self._top is None or at != self._top:
            # First walk; or a gap remains below which what is known may be out of date; or another chain.
            self._newest, self._below = {}, at
        self._newest = self._newest | fresh
        self._top = head

    def _steps(self) -> Iterator[int]:
        """Count the advertisements that one question may read."""
        end = self._now() + self._max_seconds
        for step in range(self._max_steps):
            if self._now() > end:
                return
            yield step

    def _get(self, name: str) -> Reply:
        return self._http.request(
            "GET",
            f"{self.base}/{name}",
            headers={"Accept": "application/json", "Ipni-Cid-Schema-Type": "Advertisement"},
            timeout=TIMEOUT,
            peer=self._name,
            error=ProviderUnavailable,
            max_body=MAX_AD,
        )
