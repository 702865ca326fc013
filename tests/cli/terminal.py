"""fpin in a terminal: a pseudo-terminal that a test reads and types into."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.conftest import Fpin

PATIENCE = 120.0  # seconds until a test gives up


class Terminal:
    """A process whose standard streams are one terminal of *columns*."""

    def __init__(self, fpin: Fpin, args: Sequence[str | Path], columns: int, env: Mapping[str, str]) -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._file = ours
        self._process = subprocess.Popen(
            fpin.command(args),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**fpin.env, "TERM": "xterm", **env},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.seen = ""

    def until(self, pattern: str) -> str:
        """Read until *pattern* has been shown; return everything shown so far."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, self.seen
            assert self._read(), f"ended without {pattern!r}: {self.seen}"
        return self.seen

    def type(self, text: str) -> None:
        """Type *text*; ``\\x03`` is Ctrl-C."""
        os.write(self._file, text.encode())

    def wait(self) -> int:
        """Read what is left and return the exit code."""
        end = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < end, self.seen
        return self._process.wait(timeout=PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._file], [], [], 1.0)
        if not ready:
            return True
        try:
            data = os.read(self._file, 65536)
        except OSError:  # Linux says so when the last process has left the terminal
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._file)


@contextlib.contextmanager
def terminal(
    fpin: Fpin, *args: str | Path, columns: int = 100, env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    opened = Terminal(fpin, args, columns, env or {})
    try:
        yield opened
    finally:
        opened.close()
