"""Content from disk as CAR sections: read once, hashed, and held against what the tree says of the file.

Knows nothing of pieces. A section is written straight into its place in one buffer, so that hashing and
sending copy nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
from dataclasses import dataclass
from io import FileIO

from fpin.errors import SourceChanged, SourceError
from fpin.ipld import varint
from fpin.pack.layout import Layout
from fpin.pack.nodes import DIGEST
from fpin.pack.shape import leaf_frame
from fpin.pack.tree import FILE
from fpin.piece.leaves import sha256_many

_SMALL = 2**16  # bytes of a file: larger ones are read straight into their places, and hashed side by side
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


def read_sections(layout: Layout, start: int, stop: int, buffer: Room | None = None) -> Sections:
    """Read and hash what the blocks *start* to *stop* hold of files, into *buffer* if it is large enough.

    Raises SourceChanged, naming the file, when it is not the one the tree was made from, and SourceError
    when it cannot be read.
    """
    size = layout.offset(stop) - layout.offset(start)  # more than needed where directories stand between
    if buffer is None or len(buffer) < size:
        buffer = room(size)
    reader = _Reader(layout, memoryview(buffer))
    reader.read(start, stop)
    return reader.finish()


class _Reader:
    def __init__(self, layout: Layout, view: memoryview) -> None:
        self.layout = layout
        self.tree = layout.tree
        self.profile = layout.profile
        self.view = view
        self.position = 0
        self.digests: list[bytes] = []
        self.unhashed: list[
            tuple[int, int, int]
        ] = []  # row of the digest; start and end of the block in the view
        self.content = 0

    def read(self, start: int, stop: int) -> None:
        tree, firsts = self.tree, self.layout.first_blocks
        small = min(self.profile.chunk_size, _SMALL)
        folder, parent = b"", -1
        for entry in range(self.layout.entry_at(start), self.layout.entry_at(stop - 1) + 1):
            if tree.kinds[entry] != FILE:
                continue
            path = tree.bases.get(entry)
            if path is None:
                if tree.parents[entry] != parent:
                    parent = tree.parents[entry]
                    folder = os.path.join(tree.source_path(parent), b"")
                path = folder + tree.names[entry]
            if tree.sizes[entry] <= small:
                self._small(entry, path)
            else:
                self._large(entry, path, start - firsts[entry], stop - firsts[entry])

    def _small(self, entry: int, path: bytes) -> None:
        size = self.tree.sizes[entry]
        descriptor = _open(path)
        try:
            data = os.read(descriptor, size + 1)
            while 0 < len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
            self._check(entry, path, os.fstat(descriptor), len(data) == size)
        except OSError as exc:
            raise _unreadable(path, exc) from exc
        finally:
            os.close(descriptor)
        if not self.profile.raw_leaves:
            before, after = leaf_frame(self.profile, size)
            data = before + data + after
        digest = hashlib.sha256(data).digest()
        section = varint.encode(self.profile.cid_size + len(data)) + self.profile.leaf_prefix + digest + data
        end = self.position + len(section)
        self.view[self.position : end] = section
        self.position = end
        self.digests.append(digest)
        self.content += size

    def _large(self, entry: int, path: bytes, start: int, stop: int) -> None:
        """Read those leaves of a file that are among its blocks *start* to *stop*, straight into place."""
        shape = self.layout.shape(entry)
        leaf, end = shape.leaf_at_or_after(max(start, 0)), shape.leaf_at_or_after(stop)
        if leaf == end:
            return
        descriptor = _open(path)
        try:
            self._check(entry, path, os.fstat(descriptor), True)  # else it may be a pipe, which cannot seek
            os.lseek(descriptor, leaf * self.profile.chunk_size, os.SEEK_SET)
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                whole = all(self._leaf(file, shape.content_size(0, index)) for index in range(leaf, end))
            self._check(entry, path, os.fstat(descriptor), whole)
        except OSError as exc:
            raise _unreadable(path, exc) from exc
        finally:
            os.close(descriptor)

    def _leaf(self, file: FileIO, size: int) -> bool:
        """Read the next *size* bytes into their section; tell whether there were as many."""
        before, after = leaf_frame(self.profile, size)
        block_size = len(before) + size + len(after)
        head = varint.encode(self.profile.cid_size + block_size) + self.profile.leaf_prefix
        view, cid_end = self.view, self.position + len(head) + DIGEST
        data, end = cid_end + len(before), cid_end + block_size
        view[self.position : cid_end - DIGEST] = head
        view[cid_end:data] = before
        view[data + size : end] = after
        while data < end - len(after):
            count = file.readinto(view[data : end - len(after)])
            if not count:
                return False
            data += count
        self.position = end
        self.unhashed.append((len(self.digests), cid_end, end))
        self.digests.append(b"")
        self.content += size
        return True

    def finish(self) -> Sections:
        """Hash the large blocks side by side, put the digests in their places, and return what was read."""
        view = self.view
        hashed = sha256_many([view[start:end] for _, start, end in self.unhashed])
        for place, (row, start, _) in enumerate(self.unhashed):
            digest = hashed[place * DIGEST : (place + 1) * DIGEST]
            self.digests[row] = view[start - DIGEST : start] = digest
        return Sections(view[: self.position], b"".join(self.digests), self.content)

    def _check(self, entry: int, path: bytes, status: os.stat_result, whole: bool) -> None:
        tree = self.tree
        if (
            not whole
            or status.st_size != tree.sizes[entry]
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
