"""From a path to a `Tree`: what is there, by name and size; opens no file, takes no path for a pattern."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from fpin.errors import SourceError
from fpin.pack.tree import FILE, SYMLINK, Tree, check_name

_DOT = ord(".")
_SPECIAL = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def walk(path: Path, *, hidden: bool = False, exclude: Sequence[str] = (), follow: bool = False) -> Tree:
    """Return what is stored when *path* is: a file, or a directory with all that is below it.

    Symbolic links are kept as links, *path* itself included, unless *follow*. Entries whose name begins
    with a dot are left out unless *hidden*, and so is what a pattern of *exclude* matches: the shell's
    ``* ? []``, held against the name and against the path below *path*; a final ``/`` means directories
    only. *path* itself is never left out.

    Raises SourceError, naming the entry, for what cannot be read or stored.
    """
    walker = _Walker(os.fsencode(os.path.abspath(path)), hidden=hidden, exclude=exclude, follow=follow)
    return walker.walk()


class _Walker:
    def __init__(self, base: bytes, *, hidden: bool, exclude: Sequence[str], follow: bool) -> None:
        self.base = base
        self.hidden = hidden
        self.excluded = _pattern([glob for glob in exclude if not glob.endswith("/")])
        self.excluded_folders = _pattern([glob[:-1] for glob in exclude if glob.endswith("/")])
        self.stat = os.stat if follow else os.lstat
        self.tree = Tree(os.path.basename(os.fsdecode(base)) or "root", follow=follow)
        self.open: set[tuple[int, int]] = set()  # device and inode of the directories we are in

    def walk(self) -> Tree:
        status = self._status(self.base)
        if stat.S_ISDIR(status.st_mode):
            root = self._directories(status)
        else:
            root = self._leaf(self.base, b"", status)
        self.tree.bases[root] = self.base
        return self.tree

    def _directories(self, status: os.stat_result) -> int:
        """Walk everything below the base; no recursion, as folders may be nested deeper than Python calls."""
        stack = [self._enter(self.base, b"", status)]
        while True:
            folder = stack[-1]
            below = self._next_folder(folder)
            if below:
                stack.append(below)
                continue
            stack.pop()
            self.open.discard(folder.identity)
            index = self.tree.add_directory(folder.name, folder.first)
            if not stack:
                return index

    def _next_folder(self, folder: _Folder) -> _Folder | None:
        """Take the entries of *folder* up to its next directory, and return that one; None at the end."""
        prefix, names = os.path.join(folder.path, b""), folder.names
        while names:
            name = names.pop()
            path = prefix + name
            if (not self.hidden and name[0] == _DOT) or self._matches(self.excluded, path, name):
                continue
            check_name(name, path)
            status = self._status(path)
            if not stat.S_ISDIR(status.st_mode):
                self._leaf(path, name, status)
            elif not self._matches(self.excluded_folders, path, name):
                return self._enter(path, name, status)
        return None

    def _matches(self, pattern: re.Pattern[str] | None, path: bytes, name: bytes) -> bool:
        if pattern is None:
            return False
        relative = os.fsdecode(path[len(self.base) :]).replace(os.sep, "/").lstrip("/")
        return bool(pattern.match(relative) or pattern.match(os.fsdecode(name)))

    def _enter(self, path: bytes, name: bytes, status: os.stat_result) -> _Folder:
        try:
            names = os.listdir(path)
        except OSError as exc:
            raise _unreadable(path, "folder", exc) from exc
        names.sort(reverse=True)  # taken from the end
        identity = (status.st_dev, status.st_ino)
        if self.tree.follow:
            if identity in self.open:
                raise SourceError(
                    f"{os.fsdecode(path)!r} leads back to a folder that holds it",
                    hint="do not follow symbolic links, or leave this one out with --exclude",
                )
            self.open.add(identity)
        return _Folder(path, name, names, len(self.tree), identity)

    def _leaf(self, path: bytes, name: bytes, status: os.stat_result) -> int:
        mode = status.st_mode
        if stat.S_ISREG(mode):
            # Asked only where the mode leaves it open: it costs as much as everything else here.
            if mode & 0o444 != 0o444 and not os.access(path, os.R_OK):
                raise _unreadable(path, "file", PermissionError())
            return self.tree.add_leaf(name, FILE, status)
        if stat.S_ISLNK(mode):
            try:
                return self.tree.add_leaf(name, SYMLINK, status, os.readlink(path))
            except OSError as exc:
                raise _unreadable(path, "symbolic link", exc) from exc
        kind = _SPECIAL.get(stat.S_IFMT(mode), "neither a file nor a folder")
        raise SourceError(f"{os.fsdecode(path)!r} is {kind}", hint="leave it out with --exclude")

    def _status(self, path: bytes) -> os.stat_result:
        try:
            return self.stat(path)
        except FileNotFoundError as exc:
            raise SourceError(f"{os.fsdecode(path)!r} does not exist") from exc
        except OSError as exc:
            raise _unreadable(path, "entry", exc) from exc


class _Folder:
    """A directory being walked; *names* are those still to come, last first."""

    __slots__ = ("first", "identity", "name", "names", "path")

    def __init__(
        self, path: bytes, name: bytes, names: list[bytes], first: int, identity: tuple[int, int]
    ) -> None:
        self.path, self.name, self.names, self.first, self.identity = path, name, names, first, identity


def _pattern(globs: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(fnmatch.translate, globs))) if globs else None


def _unreadable(path: bytes, what: str, exc: OSError) -> SourceError:
    reason = exc.strerror.lower() if exc.strerror else "permission denied"
    return SourceError(
        f"{what} {os.fsdecode(path)!r} cannot be read: {reason}",
        hint="change its permissions, or leave it out with --exclude",
        path=os.fsdecode(path),
    )
