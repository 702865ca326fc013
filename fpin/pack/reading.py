"""Content from disk as CAR sections: read, and held against what the tree says of the file.

The first time they are hashed; when they are read again, each has to be what it was. Knows nothing of pieces.
A section is written straight into its place in one buffer, so that hashing and sending copy nothing.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import FileIO
from itertools import chain

from fpin.errors import SourceChanged, SourceError
from fpin.ipld import varint
from fpin.pack.layout import Layout
from fpin.pack.nodes import DIGEST
from fpin.pack.seals import Seals
from fpin.pack.shape import leaf_frame
from fpin.pack.tree import FILE
from fpin.piece.leaves import sha256_many
from fpin.values import dataclass

# Not a pipe that took a file's place: opening one would wait for its other end for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections of the leaves of files, in order; other blocks that stand between them are left out."""

    data: memoryview
    digests: bytes  # 32 bytes for each of them
    content: int  # bytes of files in them


Room = bytearray | mmap.mmap
"""Memory to read into."""

_Place = tuple[int, int]  # where a block starts and ends

_HUGE = 2**21  # bytes of a huge page


def room(size: int) -> Room:
    """Return *size* bytes to read into: in huge pages where the system has them, and untouched until then.

    Sixteen leaves are hashed side by side, so sixteen places are walked through at once: with pages of 4 KiB
    the processor looks up addresses all the time.
    """
    if size < _HUGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return bytearray(size)
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        area.madvise(mmap.MADV_HUGEPAGE)
    return area


def read_sections(layout: Layout, start: int, stop: int, buffer: Room, seals: Seals | None) -> Sections:
    """Read and hash what the blocks *start* to *stop* hold of files, into *buffer* if it is large enough.

    They are sealed too, with *seals*. Raises SourceChanged, naming the file, when it is not the one the tree
    was made from, and SourceError when it cannot be read.
    """
    reader = _Reader(layout, start, stop, buffer)
    places, blocks = [], []
    for number, (low, high) in zip(_leaves(layout, start, stop), reader.read(), strict=True):
        block = reader.view[low:high]
        if seals:
            seals.put(number, block)
        places.append(low)
        blocks.append(block)
    digests = sha256_many(blocks)
    for place, low in enumerate(places):
        reader.view[low - DIGEST : low] = digests[place * DIGEST : (place + 1) * DIGEST]
    return Sections(reader.view[: reader.position], digests, reader.content)


def read_again(
    layout: Layout, start: int, stop: int, buffer: Room, digests: bytes | bytearray, seals: Seals | None
) -> memoryview:
    """Return what `read_sections` made of the same blocks, read anew, if every one still is what it was.

    *digests* are of all blocks of the layout; with *seals* they need not be computed again. Raises as
    `read_sections`; a file whose content changed is named too.
    """
    reader = _Reader(layout, start, stop, buffer)
    for number, (low, high) in zip(_leaves(layout, start, stop), reader.read(), strict=True):
        block, digest = reader.view[low:high], digests[number * DIGEST : (number + 1) * DIGEST]
        if not (seals.fits(number, block) if seals else sha256(block).digest() == digest):
            raise changed(layout.tree.source_path(layout.entry_at(number)))
        reader.view[low - DIGEST : low] = digest
    return reader.view[: reader.position]


def _leaves(layout: Layout, start: int, stop: int) -> Iterator[int]:
    """Iterate over the numbers of the leaves among the blocks *start* to *stop*."""
    return chain.from_iterable(range(*run) for run in layout.leaf_runs(start, stop))


class _Reader:
    """The sections of the leaves among some blocks, in *view*, which is *buffer* if that is large enough."""

    def __init__(self, layout: Layout, start: int, stop: int, buffer: Room) -> None:
        size = layout.offset(stop) - layout.offset(start)  # more than needed where directories stand between
        self.view = memoryview(buffer if len(buffer) >= size else room(size))
        self.layout, self.start, self.stop = layout, start, stop
        self.tree = layout.tree
        self.profile = layout.profile
        self.position = 0  # in the view: where the next section begins
        self.frames: dict[int, tuple[bytes, bytes, bytes]] = {}  # by size of content
        self.content = 0

    def read(self) -> Iterator[_Place]:
        """Yield each block's place while what was read is in the cache; digests are left out."""
        tree, firsts = self.tree, self.layout.first_blocks
        folder, parent = b"", -1
        paths: list[bytes] = []  # of files of one leaf that follow each other, read together
        first, last = self.layout.entry_at(self.start), self.layout.entry_at(self.stop - 1)
        for entry in range(first, last + 1):
            small = tree.kinds[entry] == FILE and tree.sizes[entry] <= self.profile.chunk_size
            if not small and paths:
                yield from self._small(entry - len(paths), paths)
                paths = []
            if tree.kinds[entry] != FILE:
                continue
            path = tree.bases.get(entry)
            if path is None:
                if tree.parents[entry] != parent:
                    parent = tree.parents[entry]
                    folder = os.path.join(tree.source_path(parent), b"")
                path = folder + tree.names[entry]
            if small:
                paths.append(path)
            else:
                yield from self._large(entry, path, self.start - firsts[entry], self.stop - firsts[entry])
        if paths:
            yield from self._small(last + 1 - len(paths), paths)

    def _small(self, first: int, paths: list[bytes]) -> Sequence[_Place]:
        """Read files of one leaf, the entries from *first* on, straight into place."""
        tree, end = self.tree, first + len(paths)
        sizes = tree.sizes[first:end]
        contents, blocks = zip(*map(self._section, sizes), strict=True)
        same = tree.mtimes[first:end], tree.inodes[first:end]
        if read_files is not read_each:
            for path in paths:  # which whoever audits the interpreter would not see
                sys.audit("open", path, None, _FLAGS)
        done = read_files(tuple(paths), sizes, *same, array("Q", contents), self.view, _FLAGS)
        if done < len(paths):
            raise _reason(paths[done], tree.sizes[first + done])
        return blocks

    def _large(self, entry: int, path: bytes, start: int, stop: int) -> Iterator[_Place]:
        """Read those leaves of a file that are among its blocks *start* to *stop*, straight into place."""
        shape = self.layout.shape(entry)
        leaf, end = shape.leaf_at_or_after(max(start, 0)), shape.leaf_at_or_after(stop)
        if leaf == end:
            return
        descriptor = _open(path)
        try:
            self._check(entry, path, os.fstat(descriptor))  # else it may be a pipe, which cannot seek
            os.lseek(descriptor, leaf * self.profile.chunk_size, os.SEEK_SET)
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                for index in range(leaf, end):
                    size = shape.content_size(0, index)
                    content, block = self._section(size)
                    if not _fill(file, self.view[content : content + size]):
                        raise changed(path)
                    yield block
            self._check(entry, path, os.fstat(descriptor))
        except OSError as exc:
            raise _unreadable(path, exc) from exc
        finally:
            os.close(descriptor)

    def _section(self, size: int) -> tuple[int, _Place]:
        """Make the next leaf's section but for content and digest; return where content and block go."""
        head, before, after = self.frames.get(size) or self._frame(size)
        view, cid_end = self.view, self.position + len(head) + DIGEST
        content = cid_end + len(before)
        end = content + size + len(after)
        view[self.position : cid_end - DIGEST] = head
        if before:
            view[cid_end:content] = before
            view[content + size : end] = after
        self.position = end
        self.content += size
        return content, (cid_end, end)

    def _frame(self, size: int) -> tuple[bytes, bytes, bytes]:
        before, after = leaf_frame(self.profile, size)
        length = varint.encode(self.profile.cid_size + len(before) + size + len(after))
        frame = self.frames[size] = length + self.profile.leaf_prefix, before, after
        return frame

    def _check(self, entry: int, path: bytes, status: os.stat_result) -> None:
        tree = self.tree
        if (
            status.st_size != tree.sizes[entry]
            or status.st_mtime_ns != tree.mtimes[entry]
            or status.st_ino != tree.inodes[entry]
        ):
            raise changed(path)


def check_symlink(layout: Layout, entry: int) -> None:
    """Raise SourceChanged unless the symbolic link still has the target it had."""
    path = layout.tree.source_path(entry)
    try:
        same = os.readlink(path) == layout.tree.targets[entry]
    except OSError:
        same = False
    if not same:
        raise changed(path)


def read_each(
    paths: tuple[bytes, ...],
    sizes: array[int],
    mtimes: array[int],
    inodes: array[int],
    places: array[int],
    out: memoryview,
    flags: int,
    /,
) -> int:
    """Read files to their *places* in *out* until one is not as it should be; return how many were.

    That is to say, it can be read, and has that size, that time (ns) and that inode afterwards.
    """
    done = 0
    for path, size, mtime, inode, place in zip(paths, sizes, mtimes, inodes, places, strict=True):
        try:
            with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, flags)) as file:
                whole, status = _fill(file, out[place : place + size]), os.fstat(file.fileno())
        except OSError:
            break
        if not whole or (status.st_size, status.st_mtime_ns, status.st_ino) != (size, mtime, inode):
            break
        done += 1
    return done


read_files = read_each
with contextlib.suppress(ImportError):  # installed without a C compiler, or not POSIX
    from fpin.pack._files import read_files  # the same, compiled


def _fill(file: FileIO, out: memoryview) -> bool:
    """Read until *out* is full; tell whether there was enough."""
    while out:
        count = file.readinto(out)
        if not count:
            return False
        out = out[count:]
    return True


def _reason(path: bytes, size: int) -> SourceError | SourceChanged:
    """Return why a file was not as it should be: what happens when it is read again, or that it changed."""
    descriptor = _open(path)
    try:
        os.read(descriptor, size)
    except OSError as exc:
        return _unreadable(path, exc)
    finally:
        os.close(descriptor)
    return changed(path)


def _open(path: bytes) -> int:
    try:
        return os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise changed(path, "is gone") from exc
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def changed(path: bytes, what: str = "changed after it was looked at") -> SourceChanged:
    """Return the error that names the file."""
    name = os.fsdecode(path)
    return SourceChanged(
        f"{name!r} {what}", hint="run the command again when nothing writes to it", path=name
    )


def _unreadable(path: bytes, exc: OSError) -> SourceError:
    name = os.fsdecode(path)
    return SourceError(f"{name!r} cannot be read: {exc.strerror or exc}", path=name)
