"""DAGs for tests, right and wrong ones, and the CARs that a gateway would send for them."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from fpin.ipld import car, dag, dagpb, hamt, unixfs
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from tests.provider.peer import Answer, Peer, Request, answer

CAR_TYPE = "application/vnd.ipld.car; version=1; order=dfs; dups=n"


class Dag:
    """Blocks by CID; each method adds one node and returns its CID."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}

    def raw(self, data: bytes) -> bytes:
        return self._keep(cids.RAW, data)

    def node(self, fs: UnixFs, links: Sequence[tuple[str, bytes]] = (), *, codec: int = cids.DAG_PB) -> bytes:
        node = dagpb.Node(tuple(dagpb.Link(cid, name, 1) for name, cid in links), unixfs.encode(fs))
        return self._keep(codec, dagpb.encode(node))

    def file(self, *chunks: bytes, mode: int | None = None) -> bytes:
        sizes = tuple(len(chunk) for chunk in chunks)
        fs = UnixFs(kind=Kind.FILE, filesize=sum(sizes), blocksizes=sizes, mode=mode)
        return self.node(fs, [("", self.raw(chunk)) for chunk in chunks])

    def directory(
        self, entries: Mapping[str, bytes] | Sequence[tuple[str, bytes]], mode: int | None = None
    ) -> bytes:
        links = list(entries.items()) if isinstance(entries, Mapping) else list(entries)
        return self.node(UnixFs(kind=Kind.DIRECTORY, mode=mode), links)

    def symlink(self, target: str) -> bytes:
        return self.node(UnixFs(kind=Kind.SYMLINK, data=target.encode()))

    def sharded(self, entries: Mapping[str, bytes]) -> bytes:
        """Add a HAMT directory, its shards split as the specification says."""
        hashed = sorted((hamt.name_hash(name.encode()), name) for name in entries)
        return self._shard(hashed, entries, 0)

    def _shard(self, hashed: list[tuple[int, str]], entries: Mapping[str, bytes], level: int) -> bytes:
        buckets: dict[int, list[tuple[int, str]]] = {}
        for digest, name in hashed:
            buckets.setdefault(digest >> 56 - 8 * level & 255, []).append((digest, name))
        links = []
        for bucket, inside in sorted(buckets.items()):
            if len(inside) == 1:
                links.append((f"{bucket:02X}{inside[0][1]}", entries[inside[0][1]]))
            else:
                links.append((f"{bucket:02X}", self._shard(inside, entries, level + 1)))
        data = hamt.bitfield(buckets)
        fs = UnixFs(kind=Kind.HAMT, data=data, hash_type=hamt.HASH_TYPE, fanout=256)
        return self.node(fs, links)

    def _keep(self, codec: int, data: bytes) -> bytes:
        cid = cids.sha256_cid(codec, hashlib.sha256(data).digest())
        self.blocks[cid] = data
        return cid

    # -- what a gateway sends ------------------------------------------------------------------------

    def walk(self, cid: bytes, *, dups: bool = False, seen: set[bytes] | None = None) -> Iterator[bytes]:
        """Yield CIDs parents first; a missing block ends it all, as in a server that lost it."""
        try:
            yield from self._walk(cid, dups, set() if seen is None else seen)
        except KeyError:
            return

    def _walk(self, cid: bytes, dups: bool, seen: set[bytes]) -> Iterator[bytes]:
        data = cids.identity_data(cid)
        if data is None:
            if cid in seen and not dups:
                return
            data = self.blocks[cid]
            seen.add(cid)
            yield cid
        for link in dag.links(cid, data):
            yield from self._walk(link, dups, seen)

    def path_blocks(self, root: bytes, path: Sequence[str]) -> tuple[list[bytes], bytes | None]:
        """Return the blocks of the way to *path*, and its end; plain directories only."""
        way, at = [], root
        for name in path:
            way.append(at)
            node = dagpb.decode(self.blocks[at])
            links = {link.name: link.cid for link in node.links}
            if name not in links:
                return way, None
            at = links[name]
        return way, at

    def car(self, root: bytes, *, dups: bool = False, order: Sequence[bytes] | None = None) -> bytes:
        cid_list = list(self.walk(root, dups=dups)) if order is None else order
        return car_of((cid, self.blocks[cid]) for cid in cid_list)

    def serve(self, peer: Peer, *, base: str = "") -> None:
        """Answer `/ipfs/…` for every block here, as a trustless gateway."""
        for cid in list(self.blocks):
            peer.on("GET", f"{base}/ipfs/{cids.format_cid(cid)}", self.gateway)

    def gateway(self, request: Request) -> Answer:
        _, text, *path = (urllib.parse.unquote(part) for part in request.path.strip("/").split("/"))
        root = cids.parse_cid(text)
        if request.query["format"] == "raw" and root in self.blocks:
            return answer(200, self.blocks[root], Content_Type="application/vnd.ipld.raw")
        if root not in self.blocks:
            return answer(404, "ipld: could not find it")
        way, end = self.path_blocks(root, path)
        seen = set(way)
        inside = list(self.walk(end, seen=seen)) if end else []
        return answer(200, self.car(root, order=[*way, *inside]), Content_Type=CAR_TYPE)


def car_of(sections: Iterator[tuple[bytes, bytes]] | Sequence[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(car.section_prefix(cid, len(data)) + data for cid, data in sections)
    return car.header([]) + body


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def as_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
