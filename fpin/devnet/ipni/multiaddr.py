"""Multiaddrs of HTTP services: text to bytes and back, text to URL and back.

Knows the protocols that HTTP addresses are made of and no others; dials nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

from fpin.devnet.ipni.identity import base58_decode, base58_encode
from fpin.ipld import varint

_CODES = {
    "ip4": 4, "tcp": 6, "ip6": 41, "dns": 53, "dns4": 54, "dns6": 55, "dnsaddr": 56, "p2p": 421,
    "https": 443, "tls": 448, "sni": 449, "ws": 477, "wss": 478, "http": 480, "http-path": 481,
}  # fmt: skip
_NAMES = {code: name for name, code in _CODES.items()}
_FLAGS = frozenset({"https", "tls", "ws", "wss", "http"})
_FIXED = {"ip4": 4, "tcp": 2, "ip6": 16}
_HOSTS = ("dns", "dns4", "dns6", "ip4", "ip6")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def from_url(url: str) -> str:
    """The multiaddr of an ``http(s)`` URL as Curio writes it: the port always, a path as `http-path`.

    >>> from_url("http://127.0.0.1:7001")
    '/ip4/127.0.0.1/tcp/7001/http'
    >>> from_url("https://sp.example.com/ipni-provider/12D3")
    '/dns/sp.example.com/tcp/443/https/http-path/%2Fipni-provider%2F12D3'
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    address = f"/{_host_kind(parts.hostname)}/{parts.hostname}/tcp/{port}/{parts.scheme}"
    path = parts.path.rstrip("/")
    return address + (f"/http-path/{quote(unquote(path), safe='')}" if path else "")


def to_url(address: str) -> str | None:
    """The URL behind a multiaddr, or None where it is not an HTTP one.

    >>> to_url("/dns4/h/tcp/443/tls/http/http-path/foo%2Fbar/p2p/12D3")
    'https://h/foo/bar'
    """
    found = dict(reversed([*_components(address)]))  # the first of each name wins
    host = next((found[name] for name in found if name in _HOSTS), None)
    names = [name for name, _ in _components(address)]
    if host is None or not {"http", "https"} & set(names) or {"ws", "wss"} & set(names):
        return None
    secure = "https" in names or ("tls" in names and names.index("tls") < names.index("http"))
    scheme = "https" if secure else "http"
    port = int(found.get("tcp", _DEFAULT_PORTS[scheme]))
    netloc = f"[{host}]" if ":" in host else host.lower()
    netloc += "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    path = unquote(found.get("http-path", "")).strip("/")
    return f"{scheme}://{netloc}" + (f"/{path}" if path else "")


def peer_of(address: str) -> str | None:
    """The peer id that the multiaddr ends with, or None."""
    last = [*_components(address)][-1:]
    return last[0][1] if last and last[0][0] == "p2p" else None


def to_bytes(address: str) -> bytes:
    """The binary form; ValueError for protocols or values this module does not know."""
    out = bytearray()
    for name, value in _components(address):
        out += varint.encode(_CODES[name]) + _value_bytes(name, value)
    return bytes(out)


def from_bytes(data: bytes) -> str:
    """The text form of a binary multiaddr; ValueError where it cannot be read."""
    text, at = "", 0
    while at < len(data):
        code, at = varint.decode(data, at)
        if code not in _NAMES:
            raise ValueError(f"multiaddr protocol 0x{code:x} is not known here")
        name = _NAMES[code]
        size = _FIXED.get(name, 0)
        if name not in _FIXED and name not in _FLAGS:
            size, at = varint.decode(data, at)
        raw = data[at : at + size]
        if len(raw) != size:
            raise ValueError("the multiaddr ends in the middle of a value")
        text += f"/{name}" + (f"/{_value_text(name, raw)}" if name not in _FLAGS else "")
        at += size
    return text


def _host_kind(host: str) -> str:
    try:
        return f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        return "dns"


def _components(address: str) -> Iterator[tuple[str, str]]:
    parts = iter(address.split("/")[1:])
    if not address.startswith("/"):
        raise ValueError(f"{address[:80]!r} is not a multiaddr")
    for name in parts:
        if name not in _CODES:
            raise ValueError(f"multiaddr protocol {name[:40]!r} is not known here")
        value = "" if name in _FLAGS else next(parts, "")
        if not value and name not in _FLAGS:
            raise ValueError(f"/{name} needs a value")
        yield name, value


def _value_bytes(name: str, value: str) -> bytes:
    if name in _FLAGS:
        return b""
    if name in ("ip4", "ip6"):
        return ipaddress.ip_address(value).packed
    if name == "tcp":
        return int(value).to_bytes(2, "big")
    # In text the path is percent-encoded, because a slash would end it; its bytes are plain.
    raw = (
        base58_decode(value) if name == "p2p" else (unquote(value) if name == "http-path" else value).encode()
    )
    return varint.encode(len(raw)) + raw


def _value_text(name: str, raw: bytes) -> str:
    if name in ("ip4", "ip6"):
        return str(ipaddress.ip_address(raw))
    if name == "tcp":
        return str(int.from_bytes(raw, "big"))
    if name == "p2p":
        return base58_encode(raw)
    return quote(raw.decode(), safe="") if name == "http-path" else raw.decode()
