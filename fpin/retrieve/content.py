"""UnixFS content, read block by block: path resolution, directories, files in order, or a part of one.

Pulls each block it needs through a function, parents before children, so the blocks may come from a CAR
while it arrives. Checks what a valid hash does not prove: that sizes are true and names are names (spec
routing-and-retrieval §5.6, §5.7). Refuses to know where blocks come from and where content goes.

Memory is bounded whatever the content is: by `Limits.pending` links of the nodes on the way to where it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

from fpin.errors import NotFound, UsageError, VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dagpb, hamt
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.ipld.unixfs import decode as decode_unixfs
from fpin.retrieve.verify import MAX_BLOCK, Limits, SeenBlocks
from fpin.values import dataclass

GetBlock = Callable[[bytes], bytes]
"""Returns the verified block of a CID; identity CIDs are never asked for."""

Path = tuple[str, ...]

LOOKAHEAD = 16  # leaves of a file that are named before they are needed


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory begins; its entries follow."""

    path: Path
    mode: int | None


@dataclass(frozen=True, slots=True)
class File:
    """A file begins; its `bytes` follow, *size* in all, and then its `FileEnd`."""

    path: Path
    size: int
    mode: int | None


@dataclass(frozen=True, slots=True)
class FileEnd:
    path: Path


@dataclass(frozen=True, slots=True)
class Symlink:
    path: Path
    target: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The next *size* bytes of the file stand already where they belong, and were hashed there."""

    size: int


Part = Directory | File | FileEnd | Symlink | Kept | bytes

Keep = Callable[[Path, int, int | None, bytes], int | None]
"""Tells how many bytes of a file stand already at its place: asked with the file's path, where in the file a
leaf begins, its size (None: it is all of the file) and its CID. None: they do not, or not these."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file, as ``entity-bytes`` of trustless gateways names it.

    Both ends belong to it; negative ones count from the end of the file; *last* None is the end.
    """

    first: int
    last: int | None = None

    @classmethod
    def parse(cls, text: str) -> Span:
        """Return the span written ``A:B``; UsageError when it is none.

        >>> Span.parse("-100:")
        Span(first=-100, last=None)
        """
        match = _SPAN.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r} is no range of bytes",
                hint="write the first and the last byte, 0:99; negative ones count from the end, -100:",
            )
        span = cls(int(match[1] or "0"), None if match[2] in (None, "*") else int(match[2]))
        if span.last is not None and (span.first < 0) == (span.last < 0) and span.last < span.first:
            raise UsageError(f"the range {text} ends before it begins")
        return span

    def __str__(self) -> str:
        return f"{self.first}:{'*' if self.last is None else self.last}"

    def within(self, size: int) -> tuple[int, int]:
        """Return ``(start, stop)`` in a file of *size* bytes, *stop* not included; equal for nothing."""
        first = max(0, size + self.first) if self.first < 0 else self.first
        stop = size if self.last is None else (size if self.last < 0 else 0) + self.last + 1
        stop = min(size, stop)
        return min(first, size), max(min(first, size), stop)


_SPAN = re.compile(r"(-?\d{1,18})?:(-?\d{1,18}|\*)?")


@dataclass(frozen=True, slots=True)
class _Node:
    """A decoded block: what it is, its links, its own bytes."""

    cid: bytes
    fs: UnixFs
    node: dagpb.Node


def split_path(text: str) -> Path:
    """Return the segments of a path inside a DAG, ``.`` and ``..`` resolved; UsageError above its root."""
    segments: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            if not segments:
                raise UsageError(f"{text!r} leads above the root of the content")
            segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    return tuple(segments)


class Content:
    """The UnixFS tree below *root_cid*. Raises VerificationFailed for blocks that make no sense."""

    def __init__(
        self,
        root_cid: bytes,
        get: GetBlock,
        limits: Limits | None = None,
        *,
        keep: Keep = lambda _path, _at, _size, _cid: None,
        ahead: Callable[[Sequence[bytes], bool], None] = lambda _cids, _large: None,
    ) -> None:
        """*keep* says what need not be fetched again; *ahead* is told which blocks will be asked for next.

        Its second argument tells leaves of a large file from small files side by side.
        """
        self.root_cid = root_cid
        self._get, self._keep, self._ahead = get, keep, ahead
        self._limits = limits or Limits()
        self._blocks = 0
        self._content = 0
        self._pending = 0
        self._entries_met = 0
        self._met = SeenBlocks()
        self._distinct = 0

    def resolve(self, path: Sequence[str]) -> bytes:
        """Return the CID at *path*. Raises NotFound where a verified directory proves that it is not there.

        Symbolic links are not followed, as trustless gateways do not.
        """
        at = self.root_cid
        for index, name in enumerate(path):
            link = self._lookup(at, name)
            if link is None:
                where = "/".join(path[: index + 1])
                root = cids.format_cid(self.root_cid)
                raise NotFound(f"there is no {where!r} in {root}", cid=root, path="/".join(path))
            at = link
        return at

    def parts(self, cid: bytes, span: Span | None = None) -> Iterator[Part]:
        """Return the content of *cid*, itself at path (), depth first in the order of the links.

        With *span* only that part of it, which must be a file.
        """
        if span is None:
            yield from self._below(cid, (), 0)
            return
        node = self._node(cid, 0)
        if node.fs.kind not in (Kind.FILE, Kind.RAW):
            raise UsageError("a range of bytes can be had of a file only", hint="name a file: CID/path")
        yield from self._part_of_file(node, (), 0, *span.within(_file_size(node)))

    # -- directories ---------------------------------------------------------------------------------

    def _directory(self, node: _Node, path: Path, depth: int) -> Iterator[Part]:
        # Of one plain directory, whose names fit a block; in a HAMT no name can occur twice.
        names: set[str] = set()
        # Each entry is read to its end before the next is looked at: the order in which a CAR brings them.
        for name, link in self._entries(node, depth):
            parts = self._below(link, (*path, _checked(name, node.cid)), depth + 1)
            if name in names:
                # The first of a name wins; the blocks of the others are read all the same, as a CAR has them.
                for _ in parts:
                    pass
                continue
            if node.fs.kind == Kind.DIRECTORY:
                names.add(name)
            yield from parts

    def _below(self, cid: bytes, path: Path, depth: int) -> Iterator[Part]:
        self._count_entry()
        if (size := self._keep(path, 0, None, cid)) is not None:
            self._meet(cid)
            self._count(size)
            yield from (File(path, size, None), Kept(size), FileEnd(path))
            return
        node = self._node(cid, depth)
        if node.fs.kind in (Kind.DIRECTORY, Kind.HAMT):
            yield Directory(path, node.fs.mode)
            yield from self._directory(node, path, depth)
        elif node.fs.kind == Kind.SYMLINK:
            yield Symlink(path, node.fs.data.decode("utf-8", "surrogateescape"))
        else:
            yield from self._part_of_file(node, path, depth, 0, _file_size(node))

    def _entries(
        self, node: _Node, depth: int, place: tuple[int, int] = (0, 0)
    ) -> Iterator[tuple[str, bytes]]:
        links = node.node.links
        with self._holding(len(links)):
            if node.fs.kind == Kind.DIRECTORY:
                for index, link in enumerate(links):
                    self._name_ahead(links, index)
                    yield link.name, link.cid
                return
            for index, (name, link, below) in enumerate(_shard_entries(node, place)):
                if name is not None:
                    self._name_ahead(links, index)
                    yield name, link.cid
                    continue
                shard = self._node(link.cid, depth)
                if shard.fs.kind != Kind.HAMT:
                    raise _wrong(link.cid, "stands where a shard of a directory belongs")
                yield from self._entries(shard, depth, below)

    def _name_ahead(self, links: Sequence[dagpb.Link], index: int) -> None:
        coming = (link.cid for link in links[index : index + LOOKAHEAD])
        self._ahead([cid for cid in coming if cids.codec_of(cid) == cids.RAW], False)

    @contextlib.contextmanager
    def _holding(self, count: int) -> Iterator[None]:
        """Keep *count* links for later, if that is not too many with those that are kept already."""
        self._pending += count
        self._check_pending(0)
        try:
            yield
        finally:
            self._pending -= count

    def _check_pending(self, more: int) -> None:
        if self._pending + more > self._limits.pending:
            raise VerificationFailed(
                f"the content branches into more than {self._limits.pending} links at once"
            )

    def _count_entry(self) -> None:
        self._entries_met += 1
        if self._entries_met > max(self._limits.repeats, 1000 * self._distinct):
            raise VerificationFailed(
                f"the content makes more than {self._limits.repeats} entries of {self._distinct} blocks: "
                "it is made to fill disks"
            )

    def _lookup(self, cid: bytes, name: str) -> bytes | None:
        node = self._node(cid, 0)
        if node.fs.kind == Kind.DIRECTORY:
            return next((link.cid for link in node.node.links if link.name == name), None)
        for level in range(hamt.MAX_LEVELS):
            if node.fs.kind != Kind.HAMT:
                return None
            try:
                found = hamt.find(node.node, node.fs, name, level)
            except ValueError as exc:
                raise _wrong(node.cid, f"is no directory: {exc}") from exc
            if found is None:
                return None
            is_entry, link = found
            if is_entry:
                return link.cid
            node = self._node(link.cid, 0)
        return None

    # -- files ---------------------------------------------------------------------------------------

    def _part_of_file(self, node: _Node, path: Path, depth: int, start: int, stop: int) -> Iterator[Part]:
        yield File(path, stop - start, node.fs.mode)
        yield from self._file(node, path, depth, start, stop)
        yield FileEnd(path)

    def _file(self, first: _Node, path: Path, depth: int, start: int, stop: int) -> Iterator[Part]:
        """Yield the bytes of a file from *start* to *stop*.

        That each node says how large its children are is held against them.
        """
        total = _file_size(first)
        stack: list[tuple[_Node | bytes, int, int, int]] = [(first, total, depth, 0)]
        while stack:
            item, size, depth, at = stack.pop()
            if isinstance(item, bytes):
                if (at + size <= start or at >= stop) and (start, stop) != (0, total):
                    continue
                if size <= MAX_BLOCK and start <= at and at + size <= stop:
                    kept = self._keep(path, at - start, size, item)
                    if kept is not None:
                        self._count(kept)
                        yield Kept(kept)
                        continue
                    coming = [
                        cid
                        for cid, length, _, begin in reversed(stack[1 - LOOKAHEAD :])
                        if isinstance(cid, bytes) and length <= MAX_BLOCK and begin < stop
                    ]
                    self._ahead([item, *coming], stop - start > MAX_BLOCK)
            node = item if isinstance(item, _Node) else self._node(item, depth)
            if _file_size(node) != size:
                raise _wrong(node.cid, f"holds {_file_size(node)} bytes where its parent says {size}")
            if data := node.fs.data[max(0, start - at) : max(0, stop - at)]:
                self._count(len(data))
                yield data
            at += len(node.fs.data)
            children: list[tuple[_Node | bytes, int, int, int]] = []
            for link, length in zip(node.node.links, node.fs.blocksizes, strict=True):
                children.append((link.cid, length, depth + 1, at))
                at += length
            stack += reversed(children)
            self._check_pending(len(stack))

    def _count(self, size: int) -> None:
        self._content += size
        if self._limits.content is not None and self._content > self._limits.content:
            raise VerificationFailed(f"the content is larger than {self._limits.content} bytes")

    # -- blocks --------------------------------------------------------------------------------------

    def _node(self, cid: bytes, depth: int) -> _Node:
        self._blocks += 1
        if depth > self._limits.depth:
            raise VerificationFailed(f"the content is nested more than {self._limits.depth} links deep")
        if self._blocks > self._limits.blocks:
            raise VerificationFailed(f"the content has more than {self._limits.blocks} blocks")
        data = cids.identity_data(cid)
        if data is None:
            data = self._get(cid)
            self._meet(cid)
        return _decode(cid, data)

    def _meet(self, cid: bytes) -> None:
        """Count the block of *cid*, unless it was met before."""
        multihash = cids.multihash_of(cid)
        if multihash not in self._met:
            self._met.add(multihash)
            self._distinct += 1


def _decode(cid: bytes, data: bytes) -> _Node:
    codec = cids.codec_of(cid)
    if codec == cids.RAW:
        return _Node(cid, UnixFs(kind=Kind.FILE, data=data, filesize=len(data)), dagpb.Node())
    if codec != cids.DAG_PB:
        raise _wrong(cid, f"is neither a file nor a directory (codec 0x{codec:x})")
    try:
        node = dagpb.decode(data)
        fs = decode_unixfs(node.data or b"")
    except ValueError as exc:
        raise _wrong(cid, f"does not decode: {exc}") from exc
    if fs.kind == Kind.METADATA:
        raise _wrong(cid, "is UnixFS metadata, which nobody writes")
    if fs.kind in (Kind.FILE, Kind.RAW) and len(node.links) != len(fs.blocksizes):
        raise _wrong(cid, f"has {len(node.links)} links and {len(fs.blocksizes)} sizes for them")
    return _Node(cid, fs, node)


def _file_size(node: _Node) -> int:
    """Return the size of a file node, from its parts; what it says about itself must agree."""
    if node.fs.kind not in (Kind.FILE, Kind.RAW):
        raise _wrong(node.cid, "is not a part of a file, where one belongs")
    size = len(node.fs.data) + sum(node.fs.blocksizes)
    if node.fs.filesize is not None and node.fs.filesize != size:
        raise _wrong(node.cid, f"says it holds {node.fs.filesize} bytes, and its parts hold {size}")
    return size


def _shard_entries(
    node: _Node, place: tuple[int, int]
) -> Iterator[tuple[str | None, dagpb.Link, tuple[int, int]]]:
    try:
        yield from hamt.placed_entries(node.node, node.fs, place)
    except ValueError as exc:
        raise _wrong(node.cid, f"is no directory: {exc}") from exc


def _checked(name: str, directory: bytes) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise _wrong(directory, f"has an entry called {name!r}, which is no name for a file")
    return name


def _wrong(cid: bytes, words: str) -> VerificationFailed:
    text = cids.format_cid(cid)
    return VerificationFailed(f"block {text} {words}", cid=text)
