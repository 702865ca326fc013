"""Temporary names beside the user's own files, written down before they are made.

A process that is killed cannot tidy up, and nobody would find its temporary names again in folders all over a
disk. So each is named in a note in one folder of fpin's own, which is locked while the name is in use: a note
that can be locked is a leftover. Knows nothing of what stands under a name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fpin.settings import make_folder

_SUFFIX = ".note"
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_MARKS = (".fpin-", ".part")  # one of them is in every temporary name that fpin makes


@contextlib.contextmanager
def noted(notes: Path, place: Path, *, keep: float = 0.0) -> Iterator[bool]:
    """Have *place* noted in the folder *notes* while it is in use; False when another process uses it.

    What still stands there afterwards is left for `sweep`, which leaves it alone for *keep* seconds.
    """
    path = make_folder(notes) / (hashlib.sha256(os.fsencode(place)).hexdigest()[:32] + _SUFFIX)
    descriptor, ours = _open(path)
    try:
        if ours:
            _write(descriptor, place, time.time() + keep)
        yield ours
    finally:
        if ours and not os.path.lexists(place):
            _forget(path)
        os.close(descriptor)


def sweep(notes: Path) -> None:
    """Remove the temporary names that nobody uses and that were kept long enough."""
    with contextlib.suppress(OSError), os.scandir(notes) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                _settle(Path(entry.path))


def discard(path: Path) -> None:
    """Remove what stands at *path*; read-only folders in it become writable first."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process; tell whether nobody else has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # Windows lets nobody read locked bytes, so one far behind the content is locked.
            os.lseek(descriptor, 2**62, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _open(path: Path) -> tuple[int, bool]:
    """Return the note at *path*, open, and whether it is locked for this process."""
    while True:
        descriptor = os.open(path, _FLAGS | os.O_CREAT, 0o600)
        if not try_lock(descriptor):
            return descriptor, False
        # Another process may have taken it for a leftover between these two lines.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor, True
        os.close(descriptor)


def _write(descriptor: int, place: Path, until: float) -> None:
    note = json.dumps({"place": os.fsencode(place).hex(), "keep_until": int(until)}).encode()
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, note)


def _settle(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, _FLAGS)
        try:
            if try_lock(descriptor) and _remove(os.read(descriptor, 2**16)):
                _forget(path)
        finally:
            os.close(descriptor)


def _remove(note: bytes) -> bool:
    """Remove what *note* names, if its time has come; tell whether the note has served its purpose."""
    try:
        facts = json.loads(note)
        place, until = Path(os.fsdecode(bytes.fromhex(facts["place"]))), float(facts["keep_until"])
    except (ValueError, KeyError, TypeError):
        return True  # killed before a word of it was written, and so before anything was made
    if not os.path.lexists(place):
        return True
    if time.time() < until:
        return False
    if place.name.startswith(".") and any(mark in place.name for mark in _MARKS):
        discard(place)
    return not os.path.lexists(place)


def _forget(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
