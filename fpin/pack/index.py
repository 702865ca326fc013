"""Where blocks stand in CAR files, and what they say together: is the DAG whole, which paths does it hold.

About 200 bytes a block are kept in memory; blocks are read again when they are asked for. Knows not how
files are read or whether their blocks are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from fpin.errors import VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dag, dagpb, hamt, unixfs
from fpin.pack.scanning import Section
from fpin.values import dataclass

MAX_DEPTH = 128  # directories inside each other, as readers of gateways allow


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A path inside a DAG. *size* is the content's, or None where it is not known without reading more."""

    path: str  # empty for the root
    cid: bytes
    kind: unixfs.Kind | None  # None: a block that is not UnixFS
    size: int | None
    target: str | None = None  # of a symbolic link


class BlockIndex:
    """Blocks by their multihash, in files that stay open elsewhere."""

    def __init__(self) -> None:
        self._files: list[BinaryIO] = []
        self._places: dict[bytes, int] = {}  # multihash -> file, offset and size in one number

    def open_file(self, file: BinaryIO) -> int:
        """Take *file*, which must be there as long as blocks are asked for, and return its number."""
        self._files.append(file)
        return len(self._files) - 1

    def note(self, file: int, sections: Sequence[Section]) -> int:
        """Note where blocks stand; return how many of them stood somewhere already."""
        before = len(self._places)
        for section in sections:
            place = file << 88 | section.offset << 24 | section.size
            self._places.setdefault(cids.multihash_of(section.cid), place)
        return len(sections) - (len(self._places) - before)

    def __len__(self) -> int:
        """How many different blocks there are."""
        return len(self._places)

    def holds(self, cid: bytes) -> bool:
        """Tell whether the block of *cid* stands in a file."""
        return cids.multihash_of(cid) in self._places

    def __contains__(self, cid: bytes) -> bool:
        return self.holds(cid) or cids.identity_data(cid) is not None

    def get(self, cid: bytes) -> bytes | None:
        """Return the block of *cid*, whatever version and codec that names; None if it is in no file."""
        place = self._places.get(cids.multihash_of(cid))
        if place is None:
            return cids.identity_data(cid)
        file, offset, size = place >> 88, place >> 24 & (1 << 64) - 1, place & (1 << 24) - 1
        self._files[file].seek(offset)
        return self._files[file].read(size)

    def size_of(self, cid: bytes) -> int | None:
        """Return the size of the block of *cid* without reading it; None if it is in no file."""
        place = self._places.get(cids.multihash_of(cid))
        if place is not None:
            return place & (1 << 24) - 1
        inline = cids.identity_data(cid)
        return None if inline is None else len(inline)

    def missing(self, roots: Sequence[bytes]) -> list[bytes]:
        """Return the blocks that *roots* lead to and that are not there.

        An empty list means that the DAG is whole. Raises VerificationFailed for a block that does not decode.
        """
        seen: set[bytes] = set()
        absent: list[bytes] = []
        waiting = list(reversed(roots))
        while waiting:
            cid = waiting.pop()
            key = cid if cids.codec_of(cid) != cids.RAW else cids.multihash_of(cid)
            if key in seen:
                continue
            seen.add(key)
            if cids.codec_of(cid) == cids.RAW:
                if cid not in self:
                    absent.append(cid)
                continue
            block = self.get(cid)
            if block is None:
                absent.append(cid)
            else:
                waiting.extend(reversed(_links(cid, block)))
        return absent

    def entries(self, root: bytes) -> Iterator[Entry]:
        """Yield every path below *root*, directories before what they hold, in the order of their links.

        Stops short at blocks that are not there. Raises VerificationFailed for what does not decode.
        """
        waiting: list[tuple[str, bytes, int]] = [("", root, 0)]
        while waiting:
            path, cid, depth = waiting.pop()
            entry, children = self._entry(path, cid)
            yield entry
            if children and depth >= MAX_DEPTH:
                raise _too_deep(repr(path))
            prefix = f"{path}/" if path else ""
            waiting.extend((prefix + name, link.cid, depth + 1) for name, link in reversed(children))

    def measure(self, root: bytes) -> tuple[int, int]:
        """Return how many files are below *root*, itself included, and how many bytes they hold.

        What is linked twice counts twice. Raises VerificationFailed as `entries` does.
        """
        known: dict[bytes, tuple[int, int]] = {}

        def below(cid: bytes, depth: int) -> tuple[int, int]:
            if cid not in known:
                entry, children = self._entry("", cid)
                if children and depth >= MAX_DEPTH:
                    raise _too_deep(cids.format_cid(cid))
                counts = [below(link.cid, depth + 1) for _, link in children]
                file = entry.kind in (unixfs.Kind.RAW, unixfs.Kind.FILE)
                known[cid] = (
                    sum(files for files, _ in counts) + file,
                    sum(size for _, size in counts) + (entry.size or 0 if file else 0),
                )
            return known[cid]

        return below(root, 0)

    def _entry(self, path: str, cid: bytes) -> tuple[Entry, list[tuple[str, dagpb.Link]]]:
        codec = cids.codec_of(cid)
        block = self.get(cid) if codec == cids.DAG_PB else None
        if block is None:
            kind = unixfs.Kind.RAW if codec == cids.RAW else None
            return Entry(path=path, cid=cid, kind=kind, size=self.size_of(cid)), []
        node, message = _unixfs(cid, block)
        size, target, children = message.filesize, None, list[tuple[str, dagpb.Link]]()
        if message.kind is unixfs.Kind.SYMLINK:
            target = message.data.decode("utf-8", "surrogateescape")
            size = len(message.data)
        elif message.kind is unixfs.Kind.DIRECTORY:
            children = [(link.name, link) for link in node.links]
        elif message.kind is unixfs.Kind.HAMT:
            children = sorted(self._shard_entries(cid, node, message, 0), key=_name_bytes)
        return Entry(path=path, cid=cid, kind=message.kind, size=size, target=target), children

    def _shard_entries(
        self, cid: bytes, node: dagpb.Node, message: unixfs.UnixFs, level: int
    ) -> Iterator[tuple[str, dagpb.Link]]:
        if level >= hamt.MAX_LEVELS or message.kind is not unixfs.Kind.HAMT:
            raise VerificationFailed(f"{cids.format_cid(cid)} is not a shard that can stand where it does")
        try:
            entries = list(hamt.entries(node, message))
        except ValueError as exc:
            raise VerificationFailed(f"{cids.format_cid(cid)}: {exc}") from exc
        for name, link in entries:
            if name is not None:
                yield name, link
            elif (block := self.get(link.cid)) is not None:
                yield from self._shard_entries(link.cid, *_unixfs(link.cid, block), level + 1)


def _too_deep(what: str) -> VerificationFailed:
    return VerificationFailed(f"{what} is nested deeper than {MAX_DEPTH} directories")


def _links(cid: bytes, block: bytes) -> list[bytes]:
    try:
        return dag.links(cid, block)
    except ValueError as exc:
        raise VerificationFailed(f"block {cids.format_cid(cid)} does not decode: {exc}") from exc


def _unixfs(cid: bytes, block: bytes) -> tuple[dagpb.Node, unixfs.UnixFs]:
    try:
        node = dagpb.decode(block)
        return node, unixfs.decode(node.data or b"")
    except ValueError as exc:
        raise VerificationFailed(f"block {cids.format_cid(cid)} does not decode: {exc}") from exc


def _name_bytes(item: tuple[str, dagpb.Link]) -> bytes:
    return item[0].encode("utf-8", "surrogateescape")
