"""What is to be stored: names, sizes and kinds of a tree of files, in columns; reads no content.

An entry is an index. Children stand before their parent, sorted by the bytes of their names, and the
root is last: the order in which blocks are made. A row costs about 100 bytes, name included.
"""

from __future__ import annotations

import enum
import os
from array import array
from collections.abc import Sequence

from fpin.errors import SourceError

_NO_NAMES = (b"", b".", b"..")
MAX_NAME = 255  # bytes: what Linux, macOS and most other systems can write back


class EntryKind(enum.IntEnum):
    """What an entry is."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2


FILE, DIRECTORY, SYMLINK = map(int, EntryKind)


class Tree:
    """A tree of entries; `name` is what the root is called, the other attributes are columns.

    *sizes* are bytes of content (0 for a directory, of its target for a symlink); *mtimes* (ns) and *inodes*
    tell whether a file is still the one that was looked at. *follow*: symlinks were followed, not kept.
    """

    def __init__(self, name: str, *, follow: bool = False) -> None:
        self.name = name
        self.follow = follow
        self.names: list[bytes] = []
        self.kinds = bytearray()
        self.sizes = array("Q")
        self.mtimes = array("q")
        self.inodes = array("Q")
        self.parents = array("I")
        self.firsts = array("I")  # index of the first entry below; an entry's own index where there is none
        self.targets: dict[int, bytes] = {}  # of symlinks
        self.bases: dict[int, bytes] = {}  # where on disk an entry is, for those not named by their parent

    def __len__(self) -> int:
        return len(self.names)

    @property
    def root(self) -> int:
        """The index of the root: the last entry."""
        return len(self.names) - 1

    @property
    def size(self) -> int:
        """Bytes of content of all files."""
        return sum(size for size, kind in zip(self.sizes, self.kinds, strict=True) if kind == FILE)

    @property
    def files(self) -> int:
        """How many entries are files."""
        return self.kinds.count(FILE)

    def add_leaf(self, name: bytes, kind: int, stat: os.stat_result, target: bytes | None = None) -> int:
        """Append a file, or a symlink to *target*, and return its index."""
        index = len(self.names)
        self.names.append(name)
        self.kinds.append(kind)
        self.parents.append(0)
        self.firsts.append(index)
        self.sizes.append(stat.st_size if target is None else len(target))
        self.mtimes.append(stat.st_mtime_ns)
        self.inodes.append(stat.st_ino & (1 << 64) - 1)
        if target is not None:
            self.targets[index] = target
        return index

    def add_directory(self, name: bytes, first: int) -> int:
        """Append the directory whose entries are those from index *first* on, and return its index."""
        index = len(self.names)
        self.names.append(name)
        self.kinds.append(DIRECTORY)
        self.parents.append(0)
        self.firsts.append(first)
        self.sizes.append(0)
        self.mtimes.append(0)
        self.inodes.append(0)
        for child in self.children(index):
            self.parents[child] = index
        return index

    def children(self, index: int) -> list[int]:
        """Return the entries of the directory *index* in the order of their names."""
        found, child, first = [], index - 1, self.firsts[index]
        while child >= first:
            found.append(child)
            child = self.firsts[child] - 1
        found.reverse()
        return found

    def source_path(self, index: int) -> bytes:
        """Return where on disk the entry is."""
        names = []
        while index not in self.bases:
            names.append(self.names[index])
            index = self.parents[index]
        return os.path.join(self.bases[index], *reversed(names))

    def path(self, index: int) -> str:
        """Return the entry's path inside the tree, with ``/``; empty for the root."""
        names = []
        while index != self.root:
            names.append(self.names[index].decode())
            index = self.parents[index]
        return "/".join(reversed(names))


def check_name(name: bytes, where: bytes) -> None:
    """Raise SourceError, naming *where*, for a name that no UnixFS directory can hold."""
    if not name.isascii():
        try:
            name.decode()
        except UnicodeDecodeError as exc:
            raise SourceError(
                f"{os.fsdecode(where)!r} has a name that is not UTF-8",
                hint="rename it, or leave it out with --exclude",
            ) from exc
    if len(name) > MAX_NAME or b"/" in name or b"\0" in name or name in _NO_NAMES:
        raise SourceError(
            f"{os.fsdecode(where)!r} has a name that cannot be stored",
            hint=f"use 1 to {MAX_NAME} bytes, no '/'",
        )


def file_tree(name: str, path: str | os.PathLike[str]) -> Tree:
    """Return the tree of one file called *name* whose bytes are in *path*, such as spooled standard input."""
    tree = Tree(name)
    root = tree.add_leaf(b"", FILE, os.stat(path))
    tree.bases[root] = os.fsencode(path)
    return tree


def wrap(trees: Sequence[Tree], name: str) -> Tree:
    """Return one tree whose root is a directory, on no disk, that holds the roots of *trees* by their names.

    Raises SourceError when two have the same name.
    """
    out = Tree(name, follow=any(tree.follow for tree in trees))
    by_name = {os.fsencode(tree.name): tree for tree in trees}
    if len(by_name) != len(trees):
        raise SourceError("two of the paths have the same name", hint="store them one by one")
    for root_name, tree in sorted(by_name.items()):
        check_name(root_name, root_name)
        _graft(out, tree, root_name)
    out.add_directory(b"", 0)
    return out


def _graft(out: Tree, tree: Tree, root_name: bytes) -> None:
    shift = len(out)
    out.names += tree.names
    out.names[-1] = root_name
    out.kinds += tree.kinds
    out.sizes += tree.sizes
    out.mtimes += tree.mtimes
    out.inodes += tree.inodes
    out.parents.extend(parent + shift for parent in tree.parents)
    out.firsts.extend(first + shift for first in tree.firsts)
    out.targets.update((index + shift, target) for index, target in tree.targets.items())
    out.bases.update((index + shift, base) for index, base in tree.bases.items())
