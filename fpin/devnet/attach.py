"""Using a devnet without caring who runs it: attach to the process that does, or be that process for a while.

Cheap to import: the devnet's own parts are loaded only when it has to run here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fpin.devnet import fetch, info
from fpin.devnet.info import RunningServer
from fpin.devnet.lock import FolderInUse, hold_folder
from fpin.errors import NodeUnavailable, UsageError

if TYPE_CHECKING:
    from fpin.devnet.world import World

_MINE_AT_ONCE = 20  # epochs asked of another process in one request, which has to end within its time-out


@contextmanager
def attach_or_start(
    folder: Path,
    *,
    epoch_ms: int = 1000,
    on_wait: Callable[[str], None] | None = None,
    timeout: float = 60.0,
) -> Iterator[Path]:
    """The `devnet-info.json` of a devnet that runs for as long as the block does.

    That of the process which keeps the folder's devnet up, if there is one. Otherwise the devnet runs in
    this process, as soon as no other command has it; *on_wait* is told once what is waited for, and after
    *timeout* seconds FolderInUse is raised.
    """
    with _attached(folder, on_wait, timeout, epoch_ms=epoch_ms):
        yield folder / info.INFO


def mine(folder: Path, epochs: int, *, timeout: float = 60.0) -> int:
    """Let *epochs* pass in the devnet of *folder*, whichever process runs it; the new epoch."""
    with _attached(folder, None, timeout, epoch_ms=0) as found:
        if isinstance(found, RunningServer):
            return _mine_there(found, epochs)
        return found.mine(epochs)


def kept_up(folder: Path) -> RunningServer | None:
    """The process that keeps the devnet of *folder* up, or None.

    The lock decides: what a killed process left written down means nothing. It is only tried where something
    is written down, because trying it would disturb a process that is about to take it.
    """
    running = info.read_server(folder)
    if running is None or running.mode != "up":
        return None
    try:
        with hold_folder(folder):
            return None
    except FolderInUse:
        return running if running.answers() else None


@contextmanager
def _attached(
    folder: Path, on_wait: Callable[[str], None] | None, timeout: float, *, epoch_ms: int
) -> Iterator[World | RunningServer]:
    """A world of our own, or the process that keeps one up."""
    running = kept_up(folder)
    if running is not None:
        yield running
        return
    from fpin.devnet.world import World  # a second of imports

    deadline = time.monotonic() + timeout
    with ExitStack() as stack:
        while True:
            try:
                world = stack.enter_context(World.start(folder, epoch_ms=epoch_ms))
            except FolderInUse:
                running = kept_up(folder)
                if running is not None:
                    yield running
                    return
                if time.monotonic() > deadline:
                    raise
                if on_wait is not None:
                    on_wait(f"another command that uses the devnet in {folder}")
                    on_wait = None
                time.sleep(0.05)
            else:
                yield world
                return


def _mine_there(running: RunningServer, epochs: int) -> int:
    epoch = 0
    for done in range(0, epochs, _MINE_AT_ONCE):
        count = min(_MINE_AT_ONCE, epochs - done)
        try:
            answer = fetch.request("POST", f"{running.urls.chain}/devnet/mine", body=str(count).encode())
        except fetch.NoAnswer as exc:
            raise NodeUnavailable(f"the devnet stopped answering: {exc}") from exc
        if answer.status != 200:
            raise UsageError("the devnet in this folder uses a chain whose time it does not make")
        epoch = int(answer.body)
    return epoch
