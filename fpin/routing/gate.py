"""The gate of rule R8: nothing asks a public router for a CID before that CID was found.

One early question to cid.contact, or to anything that asks it, makes its caches answer "nothing there" to
everybody for twenty minutes (spec routing-and-retrieval §4.1, gotcha G1). So every request of fpin passes
here, as the `guard` of `fpin.http.Http`, and the checker opens the gate CID by CID.
"""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterable

from fpin.errors import FpinError
from fpin.ipld import cid as cids
from fpin.routing import peer_id
from fpin.routing.private import DBL_SHA2_256, second_hash

# Everything that looks content up at cid.contact, directly or through its own routers (spec §2.5), with all
# subdomains. Public gateways come and go: `Gate` takes those that a network or a user names on top.
PUBLIC_ROUTERS = frozenset(
    {
        "cid.contact",
        "delegated-ipfs.dev",
        "check.ipfs.network",
        "ipfs.io",
        "ipfs.network",
        "dweb.link",
        "trustless-gateway.link",
        "inbrowser.link",
        "inbrowser.dev",
        "w3s.link",
        "nftstorage.link",
        "storacha.link",
        "4everland.io",
        "cloudflare-ipfs.com",
        "cf-ipfs.com",
        "pinata.cloud",
        "filebase.io",
        "lighthouse.storage",
        "ipfs.cyou",
        "eth.limo",
    }
)

# What may be asked of a guarded indexer at any time: these paths name an advertisement, a provider, the
# metadata of a record that was found, or nothing, never content, so no cache entry for a CID is made (spec
# §1.6, §1.7, upstream-changes.md).
_HARMLESS = ("/sync/status", "/providers", "/metadata", "/health", "/stats", "/announce", "/ingest/announce")


class GatewayClosed(FpinError):
    """fpin was about to ask a public router for a CID that is not found yet. A bug, stopped in time."""


class Gate:
    """Call it with a URL before the request is sent; it raises `GatewayClosed` or lets it pass.

    *guarded* are further hosts (``host`` or ``host:port``) to treat as public routers: a devnet's stand-in
    for cid.contact, a gateway from the configuration. Safe to share between threads.
    """

    def __init__(self, guarded: Iterable[str] = ()) -> None:
        self._guarded = PUBLIC_ROUTERS | {host.lower() for host in guarded}
        self._open: set[bytes] = set()

    def open(self, found: Iterable[bytes]) -> None:
        """Let requests for the CIDs *found* pass from now on."""
        multihashes = [cids.multihash_of(cid) for cid in found]
        self._open.update(multihashes)
        self._open.update(map(second_hash, multihashes))  # by which a double-hashed indexer is asked

    def is_open(self, cid: bytes) -> bool:
        return cids.multihash_of(cid) in self._open

    def guards(self, url: str) -> bool:
        """Tell whether *url* is at a public router."""
        parts = urllib.parse.urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        labels = host.split(".")
        names = {".".join(labels[start:]) for start in range(len(labels))}
        return bool(self._guarded & (names | {parts.netloc.rpartition("@")[2].lower()}))

    def __call__(self, url: str) -> None:
        if not self.guards(url):
            return
        # As a server would read it: "/providers/../cid/…" is no question about providers.
        path = posixpath.normpath(urllib.parse.unquote(urllib.parse.urlsplit(url).path) or "/")
        if any(path == prefix or path.startswith(prefix + "/") for prefix in _HARMLESS):
            return
        asked = _content_in(url)
        if asked and all(cid in self._open for cid in asked):
            return
        raise GatewayClosed(
            f"refused to ask {url}: it is not known yet whether this content can be found",
            hint="this is a bug of fpin, please report it; waiting until `fpin check` succeeds avoids it",
            url=url,
        )


def _content_in(url: str) -> set[bytes]:
    """Return the multihashes of every CID in host, path and query."""
    parts = urllib.parse.urlsplit(url)
    words = (parts.hostname or "").split(".") + urllib.parse.unquote(parts.path).split("/")
    words += [value for _, value in urllib.parse.parse_qsl(parts.query)]
    found = set()
    for word in words:
        try:
            found.add(cids.multihash_of(cids.parse_cid(word)))
        except ValueError:
            found |= _double_hashed(word)
    return found


def _double_hashed(word: str) -> set[bytes]:
    """Return the second hash that *word* is, if it is one."""
    try:
        multihash = peer_id.from_base58(word)
    except ValueError:
        return set()
    return {multihash} if len(multihash) == 34 and multihash[0] == DBL_SHA2_256 else set()
