"""Telling an indexer that a provider's chain has something new, in the provider's place.

An announcement says where a chain is and what its head is, and nothing that would have to be believed: the
indexer fetches the chain and checks its signatures. So anybody may send one, such as a client whose provider
never did (spec routing-and-retrieval §3.8). Refuses to know what is on the chain.
"""

from __future__ import annotations

import base64
import urllib.parse

from fpin.addresses import shown
from fpin.errors import IndexerUnavailable
from fpin.http import Http
from fpin.ipld import cid as cids
from fpin.routing import peer_id
from fpin.routing.indexer import TIMEOUT
from fpin.routing.multiaddr import Multiaddr, of_url
from fpin.values import dataclass

# Each public indexer has its own: filecoinpin.contact the first, cid.contact the second. Curio's
# announce targets: market/ipni/ipni-provider/ipni-provider.go, spec §3.6.
_PATHS = ("announce", "ingest/announce")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What became of one announcement. *accepted* says that it was heard, not that anything was fetched."""

    indexer: str
    accepted: bool
    reason: str  # why not


def chain_address(service_url: str, publisher: bytes) -> Multiaddr:
    """Return where the chain of *publisher* at *service_url* is, in the form that announcements have.

    >>> key = peer_id.parse("12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB")
    >>> str(chain_address("https://sp.example.com", key))[:54]
    '/dns/sp.example.com/tcp/443/https/http-path/%2Fipni-pr'
    """
    path = urllib.parse.urlsplit(service_url).path.rstrip("/")
    path = f"{path}/ipni-provider/{peer_id.text_of(publisher)}"
    parts = (*of_url(service_url).parts, ("http-path", path.encode()), ("p2p", publisher))
    return Multiaddr(parts)


def announce(indexer_url: str, http: Http, *, head: bytes, address: Multiaddr) -> Announced:
    """Announce *head* of the chain at *address* to one indexer. Raises nothing for what indexers do wrong."""
    body = {
        "Cid": {"/": cids.format_cid(head)},
        "Addrs": [base64.b64encode(address.to_bytes()).decode()],
        "ExtraData": None,
        "OrigPeer": "",
    }
    reason, name = "", shown(indexer_url)
    for path in _PATHS:
        try:
            reply = http.request(
                "PUT",
                f"{indexer_url}/{path}",
                json=body,
                timeout=TIMEOUT,
                peer=f"indexer {name}",
                error=IndexerUnavailable,
            )
        except IndexerUnavailable as exc:
            return Announced(indexer=name, accepted=False, reason=exc.message)
        if reply.status in (200, 202, 204):
            return Announced(indexer=name, accepted=True, reason="")
        text = reply.text.strip()[:200]
        reason = f"HTTP {reply.status}" + (f": {text}" if text and "<" not in text else "")
        if reply.status not in (404, 405):
            break
    return Announced(indexer=name, accepted=False, reason=reason)
