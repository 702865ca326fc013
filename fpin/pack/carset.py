"""CAR files looked at together: is every block what it claims, is the DAG whole, which paths does it hold.

A DAG cut into pieces is whole only in all its CARs at once. Where each block stands is kept in memory
(about 200 bytes a block), blocks are read again when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from fpin.errors import SourceError, VerificationFailed
from fpin.ipld import car, dag, dagpb, hamt, unixfs
from fpin.ipld import cid as cids

MAX_DEPTH = 128  # directories inside each other, as readers of gateways allow


@dataclass(frozen=True, kw_only=True)
class CarFile:
    """One CAR file, every block of it hashed."""

    path: Path
    version: int
    roots: tuple[bytes, ...]
    blocks: int
    duplicates: int  # of its blocks, those that are in it or a file before it already
    size: int  # bytes of all blocks


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A path inside a DAG. *size* is the content's, or None where it is not known without reading more."""

    path: str  # empty for the root
    cid: bytes
    kind: unixfs.Kind | None  # None: a block that is not UnixFS
    size: int | None
    target: str | None = None  # of a symbolic link


class CarSet:
    """The blocks of one or several CAR files. Close it, or use it in a ``with`` statement."""

    files: tuple[CarFile, ...]

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read and verify every block of all files.

        Raises SourceError for a file that cannot be read, VerificationFailed, naming file and offset, for one
        that is damaged.
        """
        self._stack = ExitStack()
        self._files: list[BinaryIO] = []
        self._places: dict[bytes, int] = {}  # multihash -> file, offset and size in one number
        try:
            self.files = tuple(self._read(path) for path in paths)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> CarSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def __len__(self) -> int:
        """How many different blocks there are."""
        return len(self._places)

    def __contains__(self, cid: bytes) -> bool:
        return cids.multihash_of(cid) in self._places or cids.identity_data(cid) is not None

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The roots that the headers name, each once."""
        return tuple(dict.fromkeys(root for file in self.files for root in file.roots))

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

    def missing(self, roots: Sequence[bytes] | None = None) -> list[bytes]:
        """Return the blocks that *roots* (those of the headers by default) lead to and that are not there.

        An empty list means that the DAG is whole. Raises VerificationFailed for a block that does not decode.
        """
        seen: set[bytes] = set()
        absent: list[bytes] = []
        waiting = list(reversed(self.roots if roots is None else roots))
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
                raise VerificationFailed(f"{path!r} is nested deeper than {MAX_DEPTH} directories")
            prefix = f"{path}/" if path else ""
            waiting.extend((prefix + name, link.cid, depth + 1) for name, link in reversed(children))

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

    def _read(self, path: Path) -> CarFile:
        try:
            file = self._stack.enter_context(path.open("rb"))
        except OSError as exc:
            raise SourceError(f"{str(path)!r} cannot be read: {exc.strerror or exc}", path=str(path)) from exc
        number, blocks, duplicates, size = len(self._files), 0, 0, 0
        self._files.append(file)
        try:
            reader = car.read_car(file)
            for block in reader:
                blocks += 1
                size += len(block.data)
                multihash = cids.multihash_of(block.cid)
                if multihash in self._places:
                    duplicates += 1
                    continue
                place = reader.offset - len(block.data)
                self._places[multihash] = number << 88 | place << 24 | len(block.data)
        except VerificationFailed as exc:
            raise type(exc)(f"{str(path)!r}: {exc.message}", hint=exc.hint, **exc.values) from exc
        except OSError as exc:
            raise SourceError(f"{str(path)!r} cannot be read: {exc.strerror or exc}", path=str(path)) from exc
        return CarFile(
            path=path,
            version=reader.version,
            roots=reader.roots,
            blocks=blocks,
            duplicates=duplicates,
            size=size,
        )


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
