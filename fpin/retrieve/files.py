"""Content written to disk, or to a stream, so that nothing half-done stands under its final name.

Takes the parts of `fpin.retrieve.content` in order. Writes into a temporary place beside the destination and
renames at the end; what an earlier attempt left in that place is used again, each leaf hashed before it
counts. Refuses to know where content comes from, and to follow any symbolic link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Generator, Iterable, Iterator
from dataclasses import field
from pathlib import Path
from typing import BinaryIO

from fpin.errors import LocalError, Unavailable, UsageError, VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dagpb, unixfs
from fpin.retrieve import content
from fpin.retrieve.content import Directory, File, FileEnd, Kept, Part, Symlink
from fpin.retrieve.verify import MAX_BLOCK
from fpin.temporary import discard
from fpin.values import dataclass

# O_EXCL and O_NOFOLLOW: every file is one that this process made just now, never something a hostile name
# (or a file system that takes "A" and "a" for the same) led to.
_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN

_LISTED = 100  # links that were not made are named, up to this many


@dataclass(slots=True)
class Written:
    """What was written so far."""

    bytes: int = 0
    files: int = 0
    skipped: list[str] = field(default_factory=list)  # links out of the content, the first hundred
    kept: int = 0  # of the bytes, those that an earlier attempt had brought


def write_stream(parts: Iterable[Part], out: BinaryIO) -> Generator[Written, None, None]:
    """Write one file's bytes to *out* as they come, yielding after each part.

    Raises UsageError when the content is not a file. Every byte was verified, but a failure later on leaves
    those that were written.
    """
    written = Written()
    for part in parts:
        if isinstance(part, Directory | Symlink | Kept):
            raise UsageError("the content is not a file, so it cannot go to one stream", hint="use -o FOLDER")
        if isinstance(part, bytes):
            with _local("standard output"):
                out.write(part)
            written.bytes += len(part)
        elif isinstance(part, FileEnd):
            with _local("standard output"):
                out.flush()
            written.files += 1
        yield written


class Tree:
    """Content on its way to *out*, a path that does not exist yet or is an empty folder.

    *out* appears in one step, when everything was verified and written. *workplace* is where it grows
    until then, by default a new name beside *out*; what stands there already is taken for the beginning
    of the same content, and not believed before it was hashed. Use it in a ``with``: what ends it early
    leaves nothing behind, unless *workplace* was given and going on later makes sense, after a source
    that did not answer or an interrupt. Raises LocalError for what this machine refuses.
    """

    def __init__(self, out: Path, workplace: Path | None = None) -> None:
        self.written = Written()
        self._out = out.absolute()
        _require_free(self._out)
        with _local(self._out):
            self._out.parent.mkdir(parents=True, exist_ok=True)
        self._resumable = workplace is not None
        self.workplace = workplace or workplace_beside(self._out, secrets.token_hex(6))
        self._file: BinaryIO | None = None
        self._mode: int | None = None  # of the file that is open
        self._at = self.workplace
        self._folders: list[tuple[content.Path, int | None]] = []  # those that are open, and their modes
        self.resumes = os.path.lexists(self.workplace) and _take_up(self.workplace)

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(LocalError):
            self._close()
        stays = kind is not None and issubclass(kind, Unavailable | KeyboardInterrupt)
        if not (self._resumable and stays):
            discard(self.workplace)

    def keep(self, path: content.Path, at: int, size: int | None, cid: bytes) -> int | None:
        """Return how many bytes of the leaf *cid* stand at *at* in the file at *path*; see `content.Keep`."""
        if not self.resumes:
            return None
        place = self._place(path)
        try:
            with os.fdopen(os.open(place, os.O_RDONLY | _OPEN), "rb") as file:
                there = os.fstat(file.fileno())
                if not stat.S_ISREG(there.st_mode) or (size is None and not _left_over(there)):
                    return None
                if (size if size is not None else there.st_size) > MAX_BLOCK:
                    return None
                file.seek(at)
                data = file.read(MAX_BLOCK + 1 if size is None else size)
        except OSError:
            return None
        return len(data) if _is_leaf(cid, data) else None

    def write(self, part: Part) -> None:
        """Take the next part of the content."""
        if isinstance(part, bytes | Kept):
            with _local(self._at):
                assert self._file is not None
                self._take(part)
        elif isinstance(part, FileEnd):
            self._finish_file()
        else:
            self._leave_folders(part.path)
            self._at = self._place(part.path)
            with _local(self._at, _clash(part.path)):
                self._begin(part)

    def publish(self) -> None:
        """Give the content its name."""
        self._leave_folders(None)
        if not os.path.lexists(self.workplace):
            raise UsageError(
                f"the content is a symbolic link that leads out of it: {self.written.skipped[0]}"
            )
        with _local(self._out):
            if self.resumes:
                _drop_left_over(self.workplace)
            if self._out.is_dir() and self.workplace.is_dir():
                self._out.rmdir()  # empty, as was checked; not every system renames onto it
            os.replace(self.workplace, self._out)

    def _take(self, part: bytes | Kept) -> None:
        assert self._file is not None
        if isinstance(part, Kept):
            self._file.seek(part.size, os.SEEK_CUR)
            self.written.kept += part.size
            self.written.bytes += part.size
        else:
            self._file.write(part)
            self.written.bytes += len(part)

    def _begin(self, part: Directory | File | Symlink) -> None:
        if isinstance(part, Symlink):
            self._link(part)
        elif isinstance(part, Directory):
            if not (self.resumes and stat.S_ISDIR(_lstat_mode(self._at))):
                self._at.mkdir()
            self._folders.append((part.path, part.mode))
        else:
            self._require_space(part.size)
            self._file, self._mode = self._open(), part.mode

    def _open(self) -> BinaryIO:
        """Return the file that begins here, a new one or what an earlier attempt left of it."""
        if self.resumes:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(self._at, os.O_RDWR | _OPEN)
                file = os.fdopen(descriptor, "r+b")
                # One of this attempt would mean that two names are one to this file system.
                if _left_over(os.fstat(descriptor)):
                    os.utime(descriptor if os.utime in os.supports_fd else self._at)
                    return file
                file.close()
        return os.fdopen(os.open(self._at, _CREATE, 0o666), "wb")

    def _finish_file(self) -> None:
        with _local(self._at):
            if self._file is not None and self.resumes:
                self._file.truncate()
        self._close()
        if self._mode is not None:
            with _local(self._at):
                self._at.chmod(self._mode & 0o777)
        self.written.files += 1

    def _leave_folders(self, path: content.Path | None) -> None:
        """Set the modes of folders that are full: only then may one become read-only. None: of all."""
        while self._folders:
            folder, mode = self._folders[-1]
            if path is not None and path[: len(folder)] == folder:
                return
            self._folders.pop()
            if mode is not None:
                place = self._place(folder)
                with _local(place):
                    place.chmod(mode & 0o777)

    def _link(self, link: Symlink) -> None:
        if not _stays_inside(link):
            if len(self.written.skipped) < _LISTED:
                self.written.skipped.append(f"{'/'.join(link.path) or '.'} -> {link.target[:1000]}")
            return
        os.symlink(link.target, self._at)
        self.written.files += 1

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with _local(self._at):
                file.close()

    def _place(self, path: content.Path) -> Path:
        if os.name == "nt" and any(set(name) & set('\\:*?"<>|') for name in path):
            raise LocalError(f"{'/'.join(path)!r} cannot be a file name on this system")
        return self.workplace.joinpath(*path)

    def _require_space(self, size: int) -> None:
        # Cheap, and it stops content that claims to be huge before it fills the disk.
        free = shutil.disk_usage(self.workplace.parent).free + _size_of(self._at if self.resumes else None)
        if size > free:
            raise LocalError(
                f"not enough space for {self._at.name}: it holds {size} bytes, {free} are free",
                needed=size,
                free=free,
            )


def write_tree(parts: Iterable[Part], tree: Tree) -> Generator[Written, None, None]:
    """Write *parts* to *tree*, which its owner closes, and publish it; yield after each part."""
    for part in parts:
        tree.write(part)
        yield tree.written
    tree.publish()


def workplace_beside(out: Path, key: str) -> Path:
    """Return the temporary place for *out* that *key* tells from others."""
    return out.parent / f".{out.name[:100]}.fpin-{key}"


# A file that an earlier attempt left is told from those of this one by its time: so much is kept of any
# number of files without memory.
_LEFT = 1  # second after 1970


def _left_over(info: os.stat_result) -> bool:
    return int(info.st_mtime) == _LEFT


def _take_up(base: Path) -> bool:
    """Mark what an earlier attempt left at *base* and make it writable; tell whether anything is left.

    Only plain files and folders are: whatever else stands there is removed.
    """
    with _local(base):
        if base.is_dir() and not base.is_symlink():
            base.chmod(0o700 | stat.S_IMODE(base.stat().st_mode))
            for folder, names, files in os.walk(base):
                for name in names:
                    _mark(Path(folder, name))
                for name in files:
                    _mark(Path(folder, name))
        else:
            _mark(base)
    return os.path.lexists(base)


def _mark(path: Path) -> None:
    info = path.lstat()
    if stat.S_ISDIR(info.st_mode):
        path.chmod(0o700 | stat.S_IMODE(info.st_mode))
    elif stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
        path.chmod(0o600 | stat.S_IMODE(info.st_mode))
        os.utime(path, (_LEFT, _LEFT))
    else:
        path.unlink()


def _drop_left_over(base: Path) -> None:
    """Remove files that an earlier attempt left and this one did not come by: nobody hashed them."""
    for folder, _, files in os.walk(base):
        for name in files:
            path = Path(folder, name)
            if _left_over(path.lstat()):
                path.unlink()


def _is_leaf(cid: bytes, data: bytes) -> bool:
    """Tell whether *cid* is that of a leaf with the bytes *data*, in any of the forms importers write."""
    if cids.codec_of(cid) == cids.RAW:
        return cids.identity_data(cid) is None and cids.hash_matches(cid, data)
    if cids.codec_of(cid) != cids.DAG_PB:
        return False
    messages = (
        unixfs.UnixFs(kind=kind, data=data, filesize=len(data))
        for kind in (unixfs.Kind.FILE, unixfs.Kind.RAW)
    )
    return any(
        cids.hash_matches(cid, dagpb.encode(dagpb.Node(data=unixfs.encode(message)))) for message in messages
    )


def _lstat_mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _size_of(path: Path | None) -> int:
    try:
        return path.lstat().st_size if path else 0
    except OSError:
        return 0


def _stays_inside(link: Symlink) -> bool:
    """Tell whether *link* cannot lead out of the content, whatever other links it meets on its way.

    Its ``..`` must all come first: then they climb real folders only, and what follows can only descend or
    meet links that were held to the same rule. A link in place of the whole content leads out by nature.
    """
    if not link.path or not link.target or link.target.startswith(("/", "\\")) or "\0" in link.target:
        return False
    if os.name == "nt" and (":" in link.target or "\\" in link.target):
        return False
    steps = [step for step in link.target.split("/") if step not in ("", ".")]
    ups = next((index for index, step in enumerate(steps) if step != ".."), len(steps))
    return ".." not in steps[ups:] and ups < len(link.path)


def _require_free(out: Path) -> None:
    hint = "name another place with -o, or move it away first"
    with _local(out):
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise LocalError(f"{out} exists already", hint=hint, path=str(out))
        if out.is_dir() and any(out.iterdir()):
            raise LocalError(f"{out} exists already and is not empty", hint=hint, path=str(out))


def _clash(path: content.Path) -> str:
    return f"{'/'.join(path)!r} and another name in the content are one and the same to this file system"


@contextlib.contextmanager
def _local(path: Path | str, clash: str | None = None) -> Iterator[None]:
    """Turn what the operating system refuses into a `LocalError` that names *path*."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of standard output went away, which is its right
    except FileExistsError as exc:
        raise LocalError(clash or f"{path} exists already", path=str(path)) from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space and run it again"
            raise LocalError(f"no space left while writing {path}", hint=hint, path=str(path)) from exc
        raise LocalError(f"cannot write {path}: {exc.strerror or exc}", path=str(path)) from exc
    except ValueError as exc:  # a NUL byte, or a name that cannot be encoded here
        raise VerificationFailed(f"the content has a name that no file can have: {path}") from exc
