"""UnixFS content, read block by block: path resolution, directories, files in order.

Pulls each block it needs through a function, parents before children, so the blocks may come from a CAR
while it arrives. Checks what a valid hash does not prove: that sizes are true and names are names (spec
routing-and-retrieval §5.6, §5.7). Refuses to know where blocks come from and where content goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fpin.errors import NotFound, UsageError, VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dagpb, hamt
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.ipld.unixfs import decode as decode_unixfs
from fpin.retrieve.verify import Limits

GetBlock = Callable[[bytes], bytes]
"""Returns the verified block of a CID; identity CIDs are never asked for."""

Path = tuple[str, ...]


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


Part = Directory | File | FileEnd | Symlink | bytes


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

    def __init__(self, root_cid: bytes, get: GetBlock, limits: Limits | None = None) -> None:
        self.root_cid = root_cid
        self._get = get
        self._limits = limits or Limits()
        self._blocks = 0
        self._content = 0

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

    def parts(self, cid: bytes) -> Iterator[Part]:
        """Return the content of *cid*, itself at path (), depth first in the order of the links."""
        return self._below(cid, (), 0)

    # -- directories ---------------------------------------------------------------------------------

    def _directory(self, node: _Node, path: Path, depth: int) -> Iterator[Part]:
        names: set[str] = set()
        # Each entry is read to its end before the next is looked at: the order in which a CAR brings them.
        for name, link in self._entries(node, depth):
            parts = self._below(link, (*path, _checked(name, node.cid)), depth + 1)
            if name in names:
                # The first of a name wins; the blocks of the others are read all the same, as a CAR has them.
                for _ in parts:
                    pass
                continue
            names.add(name)
            yield from parts

    def _below(self, cid: bytes, path: Path, depth: int) -> Iterator[Part]:
        node = self._node(cid, depth)
        if node.fs.kind in (Kind.DIRECTORY, Kind.HAMT):
            yield Directory(path, node.fs.mode)
            yield from self._directory(node, path, depth)
        else:
            yield from self._leaf(node, path, depth)

    def _entries(self, node: _Node, depth: int, level: int = 0) -> Iterator[tuple[str, bytes]]:
        if node.fs.kind == Kind.DIRECTORY:
            for link in node.node.links:
                yield link.name, link.cid
            return
        if level >= hamt.MAX_LEVELS:
            raise _wrong(node.cid, f"is a HAMT of more than {hamt.MAX_LEVELS} levels")
        for name, link in _shard_entries(node):
            if name is not None:
                yield name, link.cid
                continue
            shard = self._node(link.cid, depth)
            if shard.fs.kind != Kind.HAMT:
                raise _wrong(link.cid, "stands where a shard of a directory belongs")
            yield from self._entries(shard, depth, level + 1)

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

    def _leaf(self, node: _Node, path: Path, depth: int) -> Iterator[Part]:
        if node.fs.kind == Kind.SYMLINK:
            yield Symlink(path, node.fs.data.decode("utf-8", "surrogateescape"))
            return
        size = _file_size(node)
        yield File(path, size, node.fs.mode)
        yield from self._file(node, depth)
        yield FileEnd(path)

    def _file(self, first: _Node, depth: int) -> Iterator[bytes]:
        """Yield the bytes of a file. That each node says how large its children are is held against them."""
        stack: list[tuple[_Node | bytes, int, int]] = [(first, _file_size(first), depth)]
        while stack:
            item, size, depth = stack.pop()
            node = item if isinstance(item, _Node) else self._node(item, depth)
            if _file_size(node) != size:
                raise _wrong(node.cid, f"holds {_file_size(node)} bytes where its parent says {size}")
            if node.fs.data:
                self._count(len(node.fs.data))
                yield node.fs.data
            children = zip(node.node.links, node.fs.blocksizes, strict=True)
            stack += [(link.cid, length, depth + 1) for link, length in reversed(list(children))]

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
        return _decode(cid, self._get(cid) if data is None else data)


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


def _shard_entries(node: _Node) -> Iterator[tuple[str | None, dagpb.Link]]:
    try:
        yield from hamt.entries(node.node, node.fs)
    except ValueError as exc:
        raise _wrong(node.cid, f"is no directory: {exc}") from exc


def _checked(name: str, directory: bytes) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise _wrong(directory, f"has an entry called {name!r}, which is no name for a file")
    return name


def _wrong(cid: bytes, words: str) -> VerificationFailed:
    text = cids.format_cid(cid)
    return VerificationFailed(f"block {text} {words}", cid=text)
