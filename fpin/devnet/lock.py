"""One process at a time in a folder: a lock that the operating system releases when its holder dies.

Knows nothing of what the folder holds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpin.errors import LocalError


class FolderInUse(LocalError):
    """Another process has the folder."""


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Have *folder*, made if missing, for ourselves; FolderInUse at once where somebody else has it.

    LocalError where it cannot be made or written. The file ``lock`` stays behind and means nothing: only the
    lock on it does.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise LocalError(f"cannot use {folder}: {exc.strerror or exc}", folder=str(folder)) from exc
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        raise FolderInUse(f"another process is using the devnet in {folder}", folder=str(folder)) from exc
