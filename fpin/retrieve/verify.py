"""CARs from servers that are not trusted: only the blocks that were asked for, in order, each one hashed.

Knows the order and duplicates a trustless gateway promises (spec routing-and-retrieval §5.6). Refuses to know
HTTP and files. The end of the bytes is never success (rule R13): success is that nothing is missing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Literal

from fpin.errors import GatewayUnavailable, VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dag
from fpin.ipld.car import Block, CarTruncated, read_car
from fpin.values import dataclass

MAX_BLOCK = 2 * 2**20  # bytes; what gateways exchange (spec §5.4)
_MAX_SECTION = MAX_BLOCK + 4 + 2 * 9 + cids.MAX_DIGEST  # with the longest CID in front
_MAX_HEADER = 2**20  # bytes; a gateway names one root, and a list of them costs far more than its bytes
_CACHE = 8 * 2**20  # bytes of blocks that are kept, as some are needed again soon
_PATIENCE = 64 * 2**20  # bytes taken in without a block that was asked for
_ENTRY = 256  # bytes of memory that a cached block costs besides its own: many are tiny

Order = Literal["dfs", "unk"]
Dups = Literal["y", "n", "unk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one DAG may cost. Valid hashes do not make content harmless."""

    depth: int = 128  # of links (spec §5.6)
    blocks: int = 10**7  # 10 TiB of 1 MiB leaves, and a bound for trees that are all branches
    content: int | None = None  # bytes of file content; None: what the disk holds
    pending: int = 2**18  # links of nodes that are not read to their end: all that is kept of a tree
    repeats: int = 10**6  # entries that may be made of hardly any blocks before that is called a bomb


class Incomplete(GatewayUnavailable):
    """The CAR ended before the block that is needed next."""


class Repeated(Exception):  # no error, and never leaves this room
    """The block came earlier and was not kept; it has to be asked for by itself."""


class BlockCache:
    """The blocks used last, up to *capacity* bytes: what is needed again soon is not fetched again."""

    def __init__(self, capacity: int = _CACHE) -> None:
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
        self._size += len(data) + _ENTRY
        while self._size > self._capacity:
            _, dropped = self._blocks.popitem(last=False)
            self._size -= len(dropped) + _ENTRY


class SeenBlocks:
    """Which blocks were met before, in 4 MiB however many there are; right, or wrongly "yes".

    A Bloom filter of two bits a block: with a million of them one answer in three hundred is a false "yes",
    which costs a request for that block alone.
    """

    _BITS = 2**25

    def __init__(self) -> None:
        self._bits = bytearray(self._BITS // 8)  # zeros: the system gives memory where bits are set

    def __contains__(self, multihash: bytes) -> bool:
        return all(self._bits[at >> 3] & 1 << (at & 7) for at in self._places(multihash))

    def add(self, multihash: bytes) -> None:
        for at in self._places(multihash):
            self._bits[at >> 3] |= 1 << (at & 7)

    def _places(self, multihash: bytes) -> tuple[int, int]:
        # A digest is as good as random: its last bytes need no further hashing.
        number = int.from_bytes(multihash[-8:], "big")
        return number % self._BITS, (number >> 32) % self._BITS


class CarStream:
    """A CAR as it arrives, asked for one block after the other, parents before children.

    *order* and *dups* are what the server says it sends; `take` holds it to that. Memory is one section, the
    *cache* and the filter of `SeenBlocks`, however long the CAR is.
    """

    def __init__(self, chunks: Iterable[bytes], *, order: Order, dups: Dups, cache: BlockCache) -> None:
        self._sections = _sections(self._counted(chunks))
        self._order, self._dups, self._cache = order, dups, cache
        self._seen = SeenBlocks()
        self._ahead: Block | None = None  # read, and not what was asked for yet
        self._useless = 0  # bytes taken in since the last block that was asked for

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
                self._ahead, self._useless = None, 0
                self._remember(wanted, block.data)
                return block.data
            if (data := self._cache.get(wanted)) is not None:
                return data
            if wanted in self._seen:
                raise Repeated
            if block is None or found is None:
                raise Incomplete(
                    f"the CAR ends before block {cids.format_cid(cid)}", cid=cids.format_cid(cid)
                )
            self._ahead = None
            if self._dups != "n" and found in self._seen:
                continue  # sent again, for a use of it that came out of the cache
            if self._order == "dfs":
                raise VerificationFailed(
                    f"block {cids.format_cid(block.cid)} stands where {cids.format_cid(cid)} belongs",
                    cid=cids.format_cid(cid),
                )
            self._remember(found, block.data)

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

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Hand on *chunks* while something useful comes now and then: padding and repeats may be endless."""
        for chunk in chunks:
            self._useless += len(chunk)
            if self._useless > _PATIENCE + _MAX_SECTION:
                words = f"the CAR goes on for {_PATIENCE >> 20} MiB without a block that was asked for"
                if self._order == "dfs":
                    raise VerificationFailed(words)
                raise Incomplete(words)  # no promise is broken: what is in it may come later, or singly
            yield chunk

    def _remember(self, multihash: bytes, data: bytes) -> None:
        self._seen.add(multihash)
        self._cache.put(multihash, data)


def links_of(cid: bytes, data: bytes) -> list[bytes]:
    """Return the links of a verified block; VerificationFailed when it does not decode."""
    try:
        return dag.links(cid, data)
    except ValueError as exc:
        raise VerificationFailed(f"block {cids.format_cid(cid)} does not decode: {exc}") from exc


def _sections(chunks: Iterable[bytes]) -> Iterator[Block]:
    # `read_car` reads the header at once: not before a block is asked for.
    yield from read_car(chunks, max_section=_MAX_SECTION, max_header=_MAX_HEADER)
