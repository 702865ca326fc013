"""One HTTP request to another peer of the devnet, without proxies and without following redirects.

Knows neither what is asked nor what an answer means.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from fpin.values import dataclass

MAX_BODY = 8 << 20
_TIMEOUT = 10.0  # seconds; the client time-out of go-libipni


class NoAnswer(OSError):
    """The peer refused, hung up, or sent something that is not HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes  # cut at MAX_BODY + 1 bytes


def request(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """Ask and read the whole answer; NoAnswer where there is none."""
    parts = urlsplit(url)
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    connection = _connect(parts.scheme, parts.hostname or "", parts.port)
    try:
        connection.request(method, target, body=body, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.read(MAX_BODY + 1))
    except (OSError, http.client.HTTPException) as exc:
        raise NoAnswer(f"{url}: {exc or type(exc).__name__}") from exc
    finally:
        connection.close()


def _connect(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
