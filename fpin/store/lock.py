"""One at a time: a lock on a file that the operating system releases when its holder dies.

The file names its holder for whoever waits. Knows nothing of what is done under it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fpin.errors import LocalError
from fpin.settings import make_folder

OnWait = Callable[[str], None]
"""Called with the holder in words, such as ``fpin add (process 4711, since 14:02:10)``."""

Sleep = Callable[[float], None]

_EVERY = 0.1  # seconds between looks at a lock that somebody else has
_PLACE = 2**30  # of the byte that is locked: beyond the text, which Windows would not let others read


@contextmanager
def hold(path: Path, *, on_wait: OnWait, sleep: Sleep = time.sleep) -> Iterator[None]:
    """Have the lock *path*; where somebody else has it, call *on_wait* once and wait as long as it takes.

    The file stays behind and means nothing: only the lock on it does.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise LocalError(f"cannot use {path}: {exc.strerror or exc}", path=str(path)) from exc
    try:
        if not _locked(descriptor):
            on_wait(_holder(path))
            while not _locked(descriptor):
                sleep(_EVERY)
        _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _PLACE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _sign(descriptor: int) -> None:
    """Write down who has the lock. On a full disk nobody is named; the lock holds all the same."""
    # The command's name and nothing after it: its arguments are nobody else's business.
    words = [Path(sys.argv[0] or "python").name, *sys.argv[1:2]]
    command = " ".join(word for word in words if word.replace("-", "").replace(".", "").isalnum())
    text = json.dumps({"pid": os.getpid(), "command": command, "since": int(time.time())})
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_text())
        since = time.strftime("%H:%M:%S", time.localtime(found["since"]))
        return f"{found['command']} (process {found['pid']}, since {since})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has only just begun
