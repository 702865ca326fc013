"""CARs from servers that are not trusted: only the blocks that were asked for, in order, each one hashed.

Knows the order and duplicates a trustless gateway promises (spec routing-and-retrieval §5.6). Refuses to know
HTTP and files. The end of the bytes is never success (rule R13): success is that nothing is missing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from fpin.errors import GatewayUnavailable, VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dag
from fpin.ipld.car import Block, CarTruncated, read_car

MAX_BLOCK = 2 * 2**20  # bytes; what gateways exchange (spec §5.4)
_MAX_SECTION = MAX_BLOCK + 4 + 2 * 9 + cids.MAX_DIGEST  # with the longest CID in front

Order = Literal["dfs", "unk"]
Dups = Literal["y", "n", "unk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one DAG may cost. Valid hashes do not make content harmless."""

    depth: int = 128  # of links (spec §5.6)
    blocks: int = 10**7  # 10 TiB of 1 MiB leaves, and a bound for trees that are all branches
    content: int | None = None  # bytes of file content; None: what the disk holds


class Incomplete(GatewayUnavailable):
    """The CAR ended before the block that is needed next."""


class Repeated(Exception):  # no error, and never leaves this room
    """The block came earlier and was not kept; it has to be asked for by itself."""


class BlockCache:
    """The blocks used last, up to *capacity* bytes: what is needed again soon is not fetched again."""

    def __init__(self, capacity: int = 64 * 2**20) -> None:
        self._capacity = capacity
        self._size = 0
        self._blocks: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, multihash: bytes) -> bytes | None:
        data = self._blocks.get(multihash)
        if data is not None:
            self._blocks.move_to_end(multihash)
        return data

    def put(self, multihash: bytes, data: bytes) -> None:
        if multihash in self._blocks:
            return
        self._blocks[multihash] = data
        self._size += len(data)
        while self._size > self._capacity:
            _, dropped = self._blocks.popitem(last=False)
            self._size -= len(dropped)


class CarStream:
    """A CAR as it arrives, asked for one block after the other, parents before children.

    *order* and *dups* are what the server says it sends; `take` holds it to that. Memory is one section, the
    *cache*, and 16 bytes for each block seen.
    """

    def __init__(self, chunks: Iterable[bytes], *, order: Order, dups: Dups, cache: BlockCache) -> None:
        self._sections = _sections(chunks)
        self._order, self._dups, self._cache = order, dups, cache
        self._seen: set[bytes] = set()
        self._ahead: Block | None = None  # read, and not what was asked for yet

    def take(self, cid: bytes) -> bytes:
        """Return the block of *cid*.

        Raises `Incomplete` when the CAR ends before it, `Repeated` when it came before and is not at hand any
        more, VerificationFailed when another block stands in its place or a block is not what its CID says.
        Multihashes are compared: codec and version are the caller's.
        """
        wanted = cids.multihash_of(cid)
        while True:
            block = self._peek()
            found = cids.multihash_of(block.cid) if block else None
            if block and found == wanted:
                self._ahead = None
                self._remember(wanted, block.data)
                return block.data
            if (data := self._cache.get(wanted)) is not None:
                return data
            if _short(wanted) in self._seen:
                raise Repeated
            if block is None or found is None:
                raise Incomplete(
                    f"the CAR ends before block {cids.format_cid(cid)}", cid=cids.format_cid(cid)
                )
            self._ahead = None
            if self._dups != "n" and _short(found) in self._seen:
                continue  # sent again, for a use of it that came out of the cache
            if self._order == "dfs":
                raise VerificationFailed(
                    f"block {cids.format_cid(block.cid)} stands where {cids.format_cid(cid)} belongs",
                    cid=cids.format_cid(cid),
                )
            self._remember(found, block.data)

    def finish(self) -> None:
        """Raise VerificationFailed when blocks follow that nothing asked for.

        Servers that promise neither order nor duplicates may send what they like.
        """
        if self._order == "dfs" and self._dups != "unk" and (block := self._peek()) is not None:
            raise VerificationFailed(f"block {cids.format_cid(block.cid)} belongs to nothing asked for")

    def _peek(self) -> Block | None:
        if self._ahead is None:
            try:
                self._ahead = next(self._sections, None)
            except CarTruncated as exc:
                raise Incomplete(exc.message) from exc
            if self._ahead is not None and len(self._ahead.data) > MAX_BLOCK:
                raise VerificationFailed(
                    f"block {cids.format_cid(self._ahead.cid)} is over {MAX_BLOCK} bytes"
                )
        return self._ahead

    def _remember(self, multihash: bytes, data: bytes) -> None:
        self._seen.add(_short(multihash))
        self._cache.put(multihash, data)


def verify_car(
    chunks: Iterable[bytes],
    root_cid: bytes,
    *,
    order: Order = "dfs",
    dups: Dups = "n",
    limits: Limits | None = None,
) -> Iterator[Block]:
    """Yield every block of the DAG below *root_cid*, verified, parents first, under the CID it was linked by.

    Identity CIDs yield the block they carry; a block that occurs again is yielded again only with *dups* y.
    Raises `Incomplete` when one is missing at the end of the bytes, VerificationFailed for anything that is
    wrong or too much. A CAR in order ``unk`` must fit the cache of 64 MiB.
    """
    limits = limits or Limits()
    # In order, nothing is kept: a block seen before was walked before, and leads to nothing new.
    stream = CarStream(chunks, order=order, dups=dups, cache=BlockCache(0 if order == "dfs" else 64 * 2**20))
    walked: set[bytes] = set()
    stack = [(root_cid, 0)]
    for _ in range(limits.blocks):
        if not stack:
            stream.finish()
            return
        cid, depth = stack.pop()
        if depth > limits.depth:
            raise VerificationFailed(f"the DAG is more than {limits.depth} links deep")
        data = cids.identity_data(cid)
        multihash = cids.multihash_of(cid)
        if data is None:
            if multihash in walked and dups != "y":
                continue
            try:
                data = stream.take(cid)
            except Repeated:
                continue
            walked.add(multihash)
        yield Block(cid, data)
        stack += [(link, depth + 1) for link in reversed(links_of(cid, data))]
    raise VerificationFailed(f"the DAG has more than {limits.blocks} blocks")


def links_of(cid: bytes, data: bytes) -> list[bytes]:
    """Return the links of a verified block; VerificationFailed when it does not decode."""
    try:
        return dag.links(cid, data)
    except ValueError as exc:
        raise VerificationFailed(f"block {cids.format_cid(cid)} does not decode: {exc}") from exc


def _sections(chunks: Iterable[bytes]) -> Iterator[Block]:
    yield from read_car(chunks, max_section=_MAX_SECTION)  # which reads the header at once: not before asked


def _short(multihash: bytes) -> bytes:
    # Enough to tell blocks apart: a false "seen" costs one more request, and nothing is trusted for it.
    return multihash[-16:]
