"""A trustless gateway: CARs and blocks over HTTP, believed only once they were hashed.

Knows requests, parameters and statuses (spec routing-and-retrieval §5.3, §5.4), of providers and of public
gateways alike. Refuses to know what the blocks mean.
"""

from __future__ import annotations

import contextlib
import io
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence

from fpin.errors import FpinError, GatewayUnavailable, VerificationFailed
from fpin.http import Http, StreamReply, Timeout, retry_after, transport_errors
from fpin.ipld import cid as cids
from fpin.retrieve.verify import MAX_BLOCK, Dups, Order
from fpin.values import dataclass

IDLE = Timeout(connect=10, io=30)  # a stream without a byte for 30 s is given up (spec §5.4)
MAX_REDIRECTS = 3
# A server that sends a byte now and then is never idle and never done. Seconds, and bytes a second.
_PATIENCE, _SLOWEST = 60.0, 1024

_CAR = "application/vnd.ipld.car"
_RAW = "application/vnd.ipld.raw"
# Both places say the same: servers differ in which of the two they read, and in their defaults (rule R12).
_ACCEPT_CAR = f"{_CAR}; version=1; order=dfs; dups=n"


class NotServed(GatewayUnavailable):
    """This gateway does not have the content, or does not give it out; another one may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarAnswer:
    """A CAR on its way, and what the server promises about it."""

    chunks: Iterator[bytes]
    order: Order
    dups: Dups


class Gateway:
    """The trustless gateway at *url*: a base such as a provider's service URL, or a template with ``{cid}``.

    *name* is what messages and results call it. *before* is told each CID just before it is asked for:
    content is found by its root, so whoever guards public gateways lets what the root leads to pass as
    well. *last_resort*: asked only for what nobody else has. Methods raise `NotServed`, or
    `GatewayUnavailable` with ``values["retry_after"]`` where the server named a time.
    """

    def __init__(
        self,
        url: str,
        http: Http,
        *,
        name: str | None = None,
        before: Callable[[bytes], None] | None = None,
        last_resort: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url.rstrip("/")
        self.name = name or self.url
        self._http = http
        self.last_resort = last_resort
        self._before = before
        self._now = now

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"

    @contextlib.contextmanager
    def car(self, cid: bytes, path: Sequence[str] = (), part: str | None = None) -> Iterator[CarAnswer]:
        """Ask for the blocks along *path* and all below its end, parents first.

        *part* asks for those of a file that hold these bytes (``entity-bytes``). A server may send more.
        """
        scope = f"entity&entity-bytes={part}" if part else "all"
        query = f"format=car&dag-scope={scope}&car-version=1&car-order=dfs&car-dups=n"
        with self._open(self._url(cid, path, query), _ACCEPT_CAR) as reply:
            promised = _promises(reply.headers)
            if promised is None:
                kind = reply.headers.get("content-type", "no type")
                raise NotServed(f"{self.name} answers with {kind} instead of a CAR")
            yield CarAnswer(chunks=self._chunks(reply), order=promised[0], dups=promised[1])

    def block(self, cid: bytes) -> bytes:
        """Return one block, verified. Raises VerificationFailed when it is not what *cid* says."""
        whole = io.BytesIO()  # a list of chunks would take the block's memory twice when it is joined
        with self._open(self._url(cid, (), "format=raw"), _RAW) as reply:
            for chunk in self._chunks(reply):
                whole.write(chunk)
                if whole.tell() > MAX_BLOCK:
                    raise self._lied(cid, f"more than {MAX_BLOCK} bytes")
        data = whole.getvalue()
        if not cids.hash_matches(cid, data):
            raise self._lied(cid, "other content")
        return data

    def _chunks(self, reply: StreamReply) -> Iterator[bytes]:
        waited, size, since = 0.0, 0, self._now()
        # A CAR is read far away from the `with` it was opened in, where its failures would go unmapped.
        with transport_errors(self.name, GatewayUnavailable):
            for chunk in reply.chunks:
                waited += self._now() - since
                size += len(chunk)
                if waited > _PATIENCE and size < waited * _SLOWEST:
                    raise GatewayUnavailable(f"{self.name} sends less than {_SLOWEST} bytes a second")
                yield chunk
                since = self._now()  # what the reader takes its time for is not the server's fault

    def _lied(self, cid: bytes, words: str) -> VerificationFailed:
        text = cids.format_cid(cid)
        return VerificationFailed(f"{self.name} sent {words} for block {text}", source=self.name, cid=text)

    def _url(self, cid: bytes, path: Sequence[str], query: str) -> str:
        if self._before is not None:
            self._before(cid)
        text = cids.format_cid(cids.to_v1(cid))  # a host name needs base32, and blocks are found by multihash
        rest = "/".join(urllib.parse.quote(name.encode("utf-8", "surrogateescape"), safe="") for name in path)
        if "{cid}" in self.url:
            url = self.url.replace("{cid}", text).replace("{path}", rest)
        else:
            url = f"{self.url}/ipfs/{text}/{rest}"
        return f"{url.rstrip('/')}?{query}"

    @contextlib.contextmanager
    def _open(self, url: str, accept: str) -> Iterator[StreamReply]:
        for _ in range(MAX_REDIRECTS + 1):
            with self._http.stream(
                "GET",
                url,
                headers={"Accept": accept},
                timeout=IDLE,
                peer=self.name,
                error=GatewayUnavailable,
            ) as reply:
                if reply.status not in (301, 302, 307, 308):
                    if reply.status != 200:
                        raise self._refusal(reply)
                    yield reply
                    return
                url = self._redirected(url, reply)
        raise NotServed(f"{self.name} redirects more than {MAX_REDIRECTS} times")

    def _redirected(self, url: str, reply: StreamReply) -> str:
        target = urllib.parse.urljoin(url, reply.headers.get("location", ""))
        if urllib.parse.urlsplit(target).scheme != urllib.parse.urlsplit(url).scheme:
            raise NotServed(f"{self.name} redirects to {target}, which is not followed")
        return target

    def _refusal(self, reply: StreamReply) -> FpinError:
        words = f"{self.name}: HTTP {reply.status}"
        if reply.status in (429, 500, 502, 503, 504):
            error = GatewayUnavailable(words, status=reply.status)
            if (seconds := retry_after(reply.headers)) is not None:
                error.values["retry_after"] = seconds
            return error
        return NotServed(words, status=reply.status)


def _promises(headers: Mapping[str, str]) -> tuple[Order, Dups] | None:
    """Return order and duplicates as the Content-Type of a CAR says; None when it is none, or not version 1.

    >>> _promises({"content-type": "application/vnd.ipld.car; version=1; order=dfs; dups=y"})
    ('dfs', 'y')
    """
    kind, *fields = headers.get("content-type", "").split(";")
    pairs = (entry.partition("=") for entry in fields)
    given = {key.strip().lower(): value.strip(' "').lower() for key, _, value in pairs}
    if kind.strip().lower() != _CAR or given.get("version", "1") != "1":
        return None
    order: Order = "dfs" if given.get("order") == "dfs" else "unk"
    dups: Dups = "y" if given.get("dups") == "y" else "n" if given.get("dups") == "n" else "unk"
    return order, dups
