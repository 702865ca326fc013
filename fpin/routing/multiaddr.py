"""Multiaddrs: text and binary forms, and the HTTP address that one stands for.

Knows the protocols that occur in IPNI records (spec routing-and-retrieval §1.8). Refuses to know records,
indexers or providers.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Callable

from fpin.ipld import varint
from fpin.routing import peer_id
from fpin.values import dataclass


@dataclass(frozen=True, slots=True)
class _Protocol:
    """*size* is the value's length in bytes: 0 none, None length-prefixed."""

    name: str
    code: int
    size: int | None
    encode: Callable[[str], bytes] = str.encode
    decode: Callable[[bytes], str] = bytes.decode


def _port(text: str) -> bytes:
    if not text.isdecimal() or int(text) > 0xFFFF:
        raise ValueError(f"not a port: {text!r}")
    return int(text).to_bytes(2, "big")


def _ip4(text: str) -> bytes:
    return ipaddress.IPv4Address(text).packed


def _ip6(text: str) -> bytes:
    return ipaddress.IPv6Address(text).packed


def _ip(value: bytes) -> str:
    return str(ipaddress.ip_address(value))


def _number(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))


def _escape(value: bytes) -> str:
    return urllib.parse.quote(value, safe="")


# /certhash and the like never lead to an HTTP address: their text is kept as it is, which only the binary
# form of such an address would notice.
_PROTOCOLS = [
    _Protocol("ip4", 4, 4, _ip4, _ip),
    _Protocol("tcp", 6, 2, _port, _number),
    _Protocol("ip6", 41, 16, _ip6, _ip),
    _Protocol("ip6zone", 42, None),
    _Protocol("dns", 53, None),
    _Protocol("dns4", 54, None),
    _Protocol("dns6", 55, None),
    _Protocol("dnsaddr", 56, None),
    _Protocol("udp", 273, 2, _port, _number),
    _Protocol("p2p-circuit", 290, 0),
    _Protocol("p2p", 421, None, peer_id.parse, peer_id.text_of),
    _Protocol("tls", 448, 0),
    _Protocol("sni", 449, None),
    _Protocol("quic", 460, 0),
    _Protocol("quic-v1", 461, 0),
    _Protocol("webtransport", 465, 0),
    _Protocol("certhash", 466, None),
    _Protocol("ws", 477, 0),
    _Protocol("wss", 478, 0),
    _Protocol("http", 480, 0),
    _Protocol("http-path", 481, None, urllib.parse.unquote_to_bytes, _escape),
    _Protocol("https", 443, 0),
]
_BY_NAME = {protocol.name: protocol for protocol in _PROTOCOLS}
_BY_NAME["ipfs"] = _BY_NAME["p2p"]  # the older name, still met
_BY_CODE = {protocol.code: protocol for protocol in _PROTOCOLS}
_HOSTS = ("dns", "dns4", "dns6", "ip4", "ip6")


@dataclass(frozen=True, slots=True)
class Multiaddr:
    """An address as ``(protocol name, binary value)`` parts; the value is empty where there is none."""

    parts: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, text: str) -> Multiaddr:
        """Return the address written as *text*; ValueError for unknown protocols and bad values."""
        words = text.split("/")
        if words[0] != "" or len(words) < 2:
            raise ValueError(f"not a multiaddr: {text!r}")
        rest = iter(words[1:-1] if words[-1] == "" else words[1:])
        parts = []
        for name in rest:
            protocol = _BY_NAME.get(name)
            if protocol is None:
                raise ValueError(f"unknown protocol {name!r} in multiaddr {text!r}")
            value = b""
            if protocol.size != 0:
                word = next(rest, "")
                if not word:
                    raise ValueError(f"multiaddr {text!r} ends where {name} needs a value")
                value = protocol.encode(word)
            parts.append((protocol.name, value))
        return cls(tuple(parts))

    @classmethod
    def from_bytes(cls, data: bytes) -> Multiaddr:
        """Return the address in its binary form; ValueError when it is damaged."""
        offset, parts = 0, []
        while offset < len(data):
            code, offset = varint.decode(data, offset)
            protocol = _BY_CODE.get(code)
            if protocol is None:
                raise ValueError(f"unknown protocol code {code} in multiaddr {data.hex()}")
            size = protocol.size
            if size is None:
                size, offset = varint.decode(data, offset)
            if offset + size > len(data):
                raise ValueError(f"multiaddr {data.hex()} is cut short")
            parts.append((protocol.name, data[offset : offset + size]))
            offset += size
        return cls(tuple(parts))

    def to_bytes(self) -> bytes:
        out = b""
        for name, value in self.parts:
            protocol = _BY_NAME[name]
            out += varint.encode(protocol.code)
            out += varint.encode(len(value)) + value if protocol.size is None else value
        return out

    def __str__(self) -> str:
        out = ""
        for name, value in self.parts:
            protocol = _BY_NAME[name]
            out += f"/{name}" if protocol.size == 0 else f"/{name}/{protocol.decode(value)}"
        return out

    def to_url(self) -> str | None:
        """Return the normalised HTTP address; None when this is not one (libp2p, websockets).

        >>> Multiaddr.parse("/dns/sp.example.com/tcp/443/https").to_url()
        'https://sp.example.com'
        """
        host = port = ""
        path = b""
        for name, value in self.parts:
            if name in _HOSTS and not host:
                host = _BY_NAME[name].decode(value)
                host = f"[{host}]" if name == "ip6" else host
            elif name == "tcp" and not port:
                port = ":" + _number(value)
            elif name == "http-path":
                path = value
        scheme = self._scheme()
        if not host or scheme is None:
            return None
        return normalise_url(f"{scheme}://{host}{port}/{path.decode('utf-8', 'replace')}")

    def _scheme(self) -> str | None:
        names = [name for name, _ in self.parts]
        if "https" in names:
            return "https"
        if "http" not in names:
            return None
        return "https" if "tls" in names[: names.index("http")] else "http"


def of_url(url: str) -> Multiaddr:
    """Return the address of the origin of an HTTP *url*, its port always written; ValueError for others.

    >>> str(of_url("http://127.0.0.1:8080/x"))
    '/ip4/127.0.0.1/tcp/8080/http'
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"not an HTTP address: {url!r}")
    try:
        kind = f"ip{ipaddress.ip_address(parts.hostname).version}"
    except ValueError:
        kind = "dns"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Multiaddr.parse(f"/{kind}/{parts.hostname}/tcp/{port}/{parts.scheme}")


def normalise_url(url: str) -> str | None:
    """Return origin and path of an HTTP *url* in the one form to compare (rule R6); None for other URLs.

    Lower-case host, no default port, no repeated leading or trailing slash, no user, query or fragment.

    >>> normalise_url("HTTPS://SP.example.com:443//foo/")
    'https://sp.example.com/foo'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    host = f"[{host}]" if ":" in host else host.rstrip(".")
    default = 443 if parts.scheme == "https" else 80
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")
    path = parts.path.strip("/")
    return f"{origin}/{path}" if path else origin


def url_of(address: str) -> str | None:
    """Return the normalised HTTP address behind a record's *address*, a multiaddr or (rule R7) a URI."""
    if not address.startswith("/"):
        return normalise_url(address)
    try:
        return Multiaddr.parse(address).to_url()
    except ValueError:
        return None
