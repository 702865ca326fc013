"""One process at a time: a lock on a file that the operating system releases when its holder dies.

Knows nothing of what is done under it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fpin.errors import LocalError
from fpin.settings import make_folder

_EVERY = 0.1  # seconds between looks at a lock that somebody else has


@contextmanager
def hold(path: Path, *, on_wait: Callable[[], None]) -> Iterator[None]:
    """Have the lock *path*; where another process has it, call *on_wait* once and wait as long as it takes.

    The file stays behind and means nothing: only the lock on it does.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise LocalError(f"cannot use {path}: {exc.strerror or exc}", path=str(path)) from exc
    try:
        if not _locked(descriptor):
            on_wait()
            while not _locked(descriptor):
                time.sleep(_EVERY)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
