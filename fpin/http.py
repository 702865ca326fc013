"""HTTP as the rest of fpin sees it: the only import of httpx outside the devnet.

Knows time-outs, redirects, proxies and how transport failures become `Unavailable`. Knows nothing of
providers, nodes or indexers: a caller says what to call the peer in messages and which error to raise.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fpin._version import __version__
from fpin.errors import FpinError, Unavailable
from fpin.ipld.jsonbytes import read_json
from fpin.values import dataclass

if TYPE_CHECKING:
    import httpx

USER_AGENT = f"fpin/{__version__}"

Guard = Callable[[str], None]
"""Called with the URL of each request, redirects included, before anything is sent; raises to refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON; raises ValueError when it is not, or is nested absurdly deep."""
        return read_json(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReply:
    """An answer whose body is still on the wire. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    url: str


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds to wait: for a connection, and for each single read or write. None waits for ever."""

    connect: float = 10.0
    io: float | None = 30.0


class Http:
    """A connection pool. Safe to share between threads; close it, or use it in a ``with``.

    *guard* sees every URL before it is asked. Nothing is retried here: whether a request may be
    repeated is the protocol's knowledge, not the transport's.
    """

    def __init__(self, *, guard: Guard | None = None) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self._clients: dict[bool, httpx.Client] = {}  # with TLS, and without

    def _client(self, url: str) -> httpx.Client:
        secure = url[:5].lower() != "http:"
        with self._lock:
            return self._clients.get(secure) or self._clients.setdefault(secure, self._make(secure))

    def _make(self, secure: bool) -> httpx.Client:
        import httpx  # 0.1 s to import; `fpin --help` and offline commands never need it

        def before(request: httpx.Request) -> None:
            if self._guard is not None:
                self._guard(str(request.url))

        return httpx.Client(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            event_hooks={"request": [before]},
            follow_redirects=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            verify=secure,  # without TLS the authorities are not read, which takes 0.03 s
        )

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        json: object = None,
        timeout: Timeout | None = None,
        peer: str | None = None,
        error: type[FpinError] = Unavailable,
        max_body: int = 64 * 2**20,
    ) -> Reply:
        """Send a request and read the whole answer, whatever its status.

        Raises *error* with a message that starts with *peer* (default: the URL) when there is no
        complete answer, or one of more than *max_body* bytes. Redirects are not followed: the
        answer is returned as it is.
        """
        with self.stream(
            method, url, headers=headers, content=content, json=json, timeout=timeout, peer=peer, error=error
        ) as reply:
            parts: list[bytes] = []
            size = 0
            for chunk in reply.chunks:
                size += len(chunk)
                if size > max_body:
                    raise error(f"{peer or url}: the answer is larger than {max_body} bytes")
                parts.append(chunk)
            return Reply(status=reply.status, headers=reply.headers, body=b"".join(parts), url=reply.url)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        json: object = None,
        timeout: Timeout | None = None,
        peer: str | None = None,
        error: type[FpinError] = Unavailable,
    ) -> Iterator[StreamReply]:
        """Send a request and hand out the answer while its body arrives.

        Transport failures raise *error*, also those met while the caller reads ``chunks``.
        """
        import httpx

        name = peer or url
        limits = timeout or Timeout()
        all_headers = dict(headers or {})
        if json is not None:
            content = jsonlib.dumps(json, separators=(",", ":")).encode()
            all_headers.setdefault("Content-Type", "application/json")
        with (
            transport_errors(name, error),
            self._client(url).stream(
                method,
                url,
                headers=all_headers,
                content=content,
                timeout=httpx.Timeout(limits.io, connect=limits.connect),
            ) as response,
        ):
            yield StreamReply(
                status=response.status_code,
                headers={key.lower(): value for key, value in response.headers.items()},
                chunks=response.iter_bytes(),
                url=str(response.url),
            )


@contextlib.contextmanager
def transport_errors(peer: str, error: type[FpinError]) -> Iterator[None]:
    """Turn httpx's failures to get an answer into *error*, once, keeping the cause."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as exc:
        raise error(f"{peer} did not answer in time") from exc
    except httpx.UnsupportedProtocol as exc:
        raise error(f"{peer}: not an http or https address") from exc
    except (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError) as exc:
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(exc))
        raise error(f"{peer} cannot be reached: {why or type(exc).__name__}") from exc


def was_never_sent(error: FpinError) -> bool:
    """Tell whether *error* is proof that no byte of the request reached the peer.

    Only then may a request that changes something be repeated without asking what became of it.
    """
    import httpx

    before = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
    return isinstance(error.__cause__, (*before, httpx.InvalidURL))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for; None without a usable one."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None
