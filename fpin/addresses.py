"""Web addresses as they may be shown: tokens hide in the user part, the query and the path."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import SplitResult, parse_qsl, urlsplit

HIDDEN = "…"
_LONGEST_WORD = 7  # what is longer in a path, such as rpc/v1, may be a token


def host_of(url: str) -> str | None:
    """Return host and port of a web address; None for what is none.

    >>> host_of("https://me:secret@node.example:8443/rpc/v1?token=secret")
    'node.example:8443'
    >>> host_of("node.example")
    """
    parts = _split(url)
    if parts is None:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port}" if parts.port else host


def shown(url: str) -> str:
    """Return *url* with everything hidden that may be a secret; what is no web address is hidden whole.

    >>> shown("https://me:secret@node.example:8443/rpc/v1/0123456789abcdef?token=secret")
    'https://…@node.example:8443/rpc/v1/…?…'
    >>> shown("https://node.example/rpc/v1")
    'https://node.example/rpc/v1'
    """
    parts = _split(url)
    if parts is None:
        return HIDDEN
    user = f"{HIDDEN}@" if "@" in parts.netloc else ""
    path = "/".join(HIDDEN if len(one) > _LONGEST_WORD else one for one in parts.path.split("/"))
    return f"{parts.scheme}://{user}{host_of(url)}{path}{'?' + HIDDEN if parts.query else ''}"


def hide_secrets(text: str, url: str) -> str:
    """Return *text*, which whoever is at *url* wrote, without the secrets of *url* in it.

    >>> hide_secrets("no access to /rpc/0123456789abcdef", "https://node.example/rpc/0123456789abcdef")
    'no access to /rpc/…'
    """
    parts = _split(url)
    for secret in sorted(_secrets(parts), key=len, reverse=True) if parts else ():
        text = text.replace(secret, HIDDEN)
    return text


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # an impossible port, or half an IPv6 address
        return None
    return parts if usable else None


def _secrets(parts: SplitResult) -> Iterator[str]:
    yield from (one for one in (parts.username, parts.password, parts.query) if one)
    yield from (value for _, value in parse_qsl(parts.query) if value)
    yield from (one for one in parts.path.split("/") if len(one) > _LONGEST_WORD)
