"""Which blocks answer a trustless request, in which order: path, scope and byte range over a block store.

Knows IPLD and UnixFS; knows nothing of CARs or HTTP. Trusts the store: the receiver hashes the blocks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Literal, Protocol

from fpin.devnet import dag
from fpin.ipld import cid as cids
from fpin.ipld import dagpb, hamt, unixfs
from fpin.ipld.dag import links
from fpin.values import dataclass

Scope = Literal["all", "entity", "block"]


class BlockStore(Protocol):
    """Blocks by multihash. Called from several threads at once."""

    def get(self, multihash: bytes) -> bytes | None:
        """The block's bytes, or None where it is not here."""

    def has(self, multihash: bytes) -> bool:
        """Whether `get` would find it; may ask an index only."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """``entity-bytes``: both ends inclusive, negative ones count from the end; *last* None: to the end."""

    first: int
    last: int | None

    def within(self, size: int) -> tuple[int, int]:
        """(first, last) byte in a file of *size* bytes; an empty range has last < first."""
        first = max(0, size + self.first) if self.first < 0 else self.first
        last = size - 1 if self.last is None else self.last
        return first, min(size - 1, size + last if last < 0 else last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for: *path* below *root*, then as much of the target as *scope* says."""

    root: bytes
    path: tuple[str, ...] = ()
    scope: Scope = "all"
    byte_range: ByteRange | None = None  # only used with scope `entity`
    duplicates: bool = True


class Missing(Exception):
    """A block that belongs to the answer is not in the store."""

    def __init__(self, cid: bytes) -> None:
        super().__init__(f"ipld: could not find {cids.format_cid(cid)}")


@dataclass(frozen=True, slots=True)
class Block:
    cid: bytes
    data: bytes


Blocks = Iterator[Block]


def traverse(store: BlockStore, request: Request) -> Blocks:
    """Yield the blocks of the answer, parents first, children in link order; identity CIDs never.

    A path that leads nowhere ends after the last node it reached, which proves just that. Raises `Missing`
    where a block is not there, ValueError where one does not decode.
    """
    walk = _Walk(store, once=not request.duplicates)
    found = walk.request(request)
    if request.duplicates:
        yield from found
        return
    sent: set[bytes] = set()
    for block in found:
        multihash = cids.multihash_of(block.cid)
        if multihash not in sent:
            sent.add(multihash)
            yield block


class _Walk:
    def __init__(self, store: BlockStore, *, once: bool) -> None:
        self._store = store
        self._once = once  # skip what was walked to its leaves before
        self._walked: set[bytes] = set()

    def request(self, request: Request) -> Blocks:
        targets = yield from self._resolve(request.root, request.path)
        for target in targets:
            if request.scope == "all":
                yield from self._all(target)
            elif request.scope == "block":
                yield from self._load(target)
            else:
                yield from self._entity(target, request.byte_range)

    def _resolve(self, root: bytes, path: tuple[str, ...]) -> Generator[Block, None, list[bytes]]:
        """Yield the nodes that *path* passes; return what it ends at (not yielded), nothing if absent.

        Where it ends inside a block, that is everything the value there links to.
        """
        at, left = root, path
        while left:
            block = yield from self._load(at)
            codec = cids.codec_of(at)
            if codec == cids.DAG_PB:
                found = yield from self._entry(dagpb.decode(block.data), left[0])
                if found is None:
                    return []
                at, left = found, left[1:]
            elif codec in (cids.DAG_CBOR, cids.DAG_JSON):
                decode = dag.decode_cbor if codec == cids.DAG_CBOR else dag.decode_json
                value, left = _descend(decode(block.data), left)
                if not isinstance(value, dag.Link):
                    return [] if left else _links_in(value)
                at = value.cid
            else:
                return []
        return [at]

    def _entry(self, node: dagpb.Node, name: str) -> Generator[Block, None, bytes | None]:
        """The CID of *name* in a directory; the shards on the way are yielded."""
        entity = unixfs.decode(node.data or b"")
        if entity.kind != unixfs.Kind.HAMT:
            if entity.kind != unixfs.Kind.DIRECTORY:
                return None
            return next((link.cid for link in node.links if link.name == name), None)
        level = 0
        while True:
            found = hamt.find(node, entity, name, level)
            if found is None or found[0]:
                return found[1].cid if found else None
            block = yield from self._load(found[1].cid)
            node, level = dagpb.decode(block.data), level + 1
            entity = unixfs.decode(node.data or b"")

    def _all(self, root: bytes) -> Blocks:
        stack = [root]
        while stack:
            at = stack.pop()
            if self._once and at in self._walked:
                continue
            self._walked.add(at)
            block = yield from self._load(at)
            stack += reversed(links(at, block.data))

    def _entity(self, root: bytes, byte_range: ByteRange | None) -> Blocks:
        block = yield from self._load(root)
        if cids.codec_of(root) != cids.DAG_PB:
            return
        node = dagpb.decode(block.data)
        entity = unixfs.decode(node.data or b"")
        if entity.kind == unixfs.Kind.HAMT:
            yield from self._shards(node, entity)
        elif entity.kind in (unixfs.Kind.FILE, unixfs.Kind.RAW):
            if byte_range is None:
                for link in node.links:
                    yield from self._all(link.cid)
            else:
                yield from self._part(node, entity, *byte_range.within(entity.filesize or 0))

    def _shards(self, node: dagpb.Node, shard: unixfs.UnixFs) -> Blocks:
        for name, link in hamt.entries(node, shard):
            if name is None:
                block = yield from self._load(link.cid)
                below = dagpb.decode(block.data)
                yield from self._shards(below, unixfs.decode(below.data or b""))

    def _part(self, node: dagpb.Node, entity: unixfs.UnixFs, first: int, last: int) -> Blocks:
        """The blocks below a file node that hold bytes from *first* to *last*, counted from its start."""
        start = len(entity.data)
        for link, size in zip(node.links, entity.blocksizes, strict=True):
            if start <= last and first < start + size:
                block = yield from self._load(link.cid)
                if cids.codec_of(link.cid) == cids.DAG_PB:
                    below = dagpb.decode(block.data)
                    inner = unixfs.decode(below.data or b"")
                    yield from self._part(below, inner, first - start, last - start)
            start += size

    def _load(self, cid: bytes) -> Generator[Block, None, Block]:
        inline = cids.identity_data(cid)
        if inline is not None:
            return Block(cid, inline)
        data = self._store.get(cids.multihash_of(cid))
        if data is None:
            raise Missing(cid)
        block = Block(cid, data)
        yield block
        return block


def _descend(value: dag.Value, path: tuple[str, ...]) -> tuple[dag.Value, tuple[str, ...]]:
    """Follow *path* inside one value, up to a link; (what was reached, what is left of the path)."""
    while path and not isinstance(value, dag.Link):
        if isinstance(value, dict) and path[0] in value:
            value = value[path[0]]
        elif isinstance(value, list) and path[0].isdecimal() and int(path[0]) < len(value):
            value = value[int(path[0])]
        else:
            return value, path
        path = path[1:]
    return value, path


def _links_in(value: dag.Value) -> list[bytes]:
    if isinstance(value, dag.Link):
        return [value.cid]
    inner = value if isinstance(value, list) else [*value.values()] if isinstance(value, dict) else []
    return [cid for item in inner for cid in _links_in(item)]
