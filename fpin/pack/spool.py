"""Bytes that can be read only once, kept in a file for as long as they are needed; knows nothing of CIDs.

A spool file is locked while it is in use, and the operating system releases the lock of a process that
dies. So a file that can be locked is a leftover, and is deleted by whoever looks next.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fpin.errors import LocalError, SourceError
from fpin.temporary import try_lock

_SUFFIX = ".spool"
_CHUNK = 2**20
_ATTEMPTS = 16
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def spool(stream: BinaryIO, folder: Path, *, progress: Callable[[int], None] | None = None) -> Iterator[Path]:
    """Copy *stream* into a new file in *folder* and give its path; the file is gone afterwards.

    Leftovers of earlier processes are deleted first. *progress* is told the bytes copied so far. Raises
    LocalError when the file cannot be written, SourceError when *stream* cannot be read.
    """
    sweep(folder)
    descriptor, path = _create(folder)
    try:
        _copy(stream, descriptor, path, progress)
        yield path
    finally:
        _discard(descriptor, path)


def sweep(folder: Path) -> None:
    """Delete the spool files in *folder* that nobody uses any more."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                _delete_if_unused(Path(entry.path))


def _delete_if_unused(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _FLAGS)
        if try_lock(descriptor):
            _discard(descriptor, path)
        else:
            os.close(descriptor)


def _create(folder: Path) -> tuple[int, Path]:
    """Return a new file, locked."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS):
            path = folder / f"{secrets.token_hex(8)}{_SUFFIX}"
            descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            # Another process may have taken it for a leftover between these two lines.
            if try_lock(descriptor) and path.exists():
                return descriptor, path
            _discard(descriptor, path)
    except OSError as exc:
        raise _unusable(folder, exc) from exc
    raise LocalError(
        f"files in {folder} cannot be locked",
        hint="set FPIN_HOME to a folder on a file system with locks",
        folder=str(folder),
    )


def _copy(stream: BinaryIO, descriptor: int, path: Path, progress: Callable[[int], None] | None) -> None:
    done = 0
    while chunk := _read(stream):
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as exc:
            raise _unusable(path.parent, exc) from exc
        done += len(chunk)
        if progress:
            progress(done)


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as exc:
        raise SourceError(f"the input cannot be read: {exc.strerror or exc}") from exc


def _discard(descriptor: int, path: Path) -> None:
    # Deleted before the lock is released; but Windows deletes no open file, so once more afterwards.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    os.close(descriptor)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _unusable(folder: Path, exc: OSError) -> LocalError:
    return LocalError(
        f"the input cannot be kept in {folder}: {exc.strerror or exc}",
        hint="make room, or set FPIN_HOME to a folder with more",
        folder=str(folder),
    )
