"""fpin in a process that ends itself with SIGKILL at a chosen moment of its own doing.

A moment is a point that the process reaches: a transition of the store right before and right after its
commit, a request about to be sent, a part of its body, its answer's first byte, a file about to be opened,
locked or deleted; and, if asked for, some calls of functions later. What was reached is written to a file,
so that whoever started it knows. Run as ``python victim.py ORDER LOG LIMIT ARGUMENTS…``, or as
``python victim.py --serve``: then each line on standard input is one process to fork, and costs no start-up.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from fpin.flows.packing import Content
from fpin.http import Http, StreamReply
from fpin.store import Store

_TRANSITIONS = re.compile("mark_|plan_|record_|forget|release")
_FILES = {"open", "fcntl.flock", "os.remove", "os.rename", "os.mkdir", "os.rmdir"}
_LONG = re.compile(r"(?<=/)(0x[0-9a-f]{8,}|[0-9a-f-]{20,}|ba[a-z2-7]{20,}|12D3\w{20,}|\d+)(?=/|$)")


@dataclass(frozen=True, kw_only=True)
class Order:
    """When to die: the *time*-th time that *point* is reached ("" is any point), and *calls* later."""

    point: str = ""
    time: int = 0  # 0: never
    calls: int = 0

    def __str__(self) -> str:
        return f"{self.point}#{self.time}#{self.calls}"

    @classmethod
    def parse(cls, text: str) -> Order:
        point, time, calls = text.rsplit("#", 2)
        return cls(point=point, time=int(time), calls=int(calls))


class Clock:
    """Counts points from any thread and ends the process when the order's has come."""

    def __init__(self, order: Order, log: Path) -> None:
        self._order = order
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._reached: Counter[str] = Counter()
        self._armed = False
        self._lock = threading.RLock()

    def reach(self, point: str) -> None:
        with self._lock:
            os.write(self._log, point.encode() + b"\n")
            if self._armed:
                _die()
            for name in (point, ""):
                self._reached[name] += 1
            if self._reached[self._order.point] != self._order.time:
                return
            if not self._order.calls:
                _die()
            self._armed = True
            self._die_after(self._order.calls)

    def end(self) -> None:
        """The command is done; where a moment was ordered that never came, this is it."""
        if self._order.time:
            self.reach("end")
            _die()

    def _die_after(self, calls: int) -> None:
        left = calls

        def count(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal left
            left -= event == "call"
            if left <= 0:
                _die()

        sys.setprofile(count)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch_store(clock: Clock) -> None:
    inside = threading.local()

    def named(name: str, transition: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            outer = getattr(inside, "name", None)
            inside.name = outer or name
            try:
                return transition(*args, **kwargs)
            finally:
                inside.name = outer

        return call

    for name, method in [*vars(Store).items()]:
        if _TRANSITIONS.match(name):
            setattr(Store, name, named(name, method))
    transact = Store._transaction

    @contextlib.contextmanager
    def transaction(store: Store) -> Iterator[None]:
        name = getattr(inside, "name", None)
        outermost = not store._db.in_transaction
        with transact(store):
            yield
            if name and outermost:
                clock.reach(f"{name} before its commit")
        if name and outermost:
            clock.reach(f"{name} after its commit")

    Store._transaction = transaction  # type: ignore[method-assign, assignment]


def watch_http(clock: Clock) -> None:
    stream = Http.stream

    def counted(parts: Iterable[bytes], route: str) -> Iterator[bytes]:
        for part in parts:
            clock.reach(f"{route} sending")
            yield part

    @contextlib.contextmanager
    def asking(
        http: Http, method: str, url: str, *, content: Any = None, json: Any = None, **rest: Any
    ) -> Iterator[StreamReply]:
        said = json.get("method", "") if isinstance(json, dict) else ""
        route = f"{method} {_LONG.sub('…', '/' + url.split('/', 3)[-1].partition('?')[0])} {said}".strip()
        if content is not None and not isinstance(content, bytes):
            content = counted(content, route)
        clock.reach(f"{route} about to be asked")
        with stream(http, method, url, content=content, json=json, **rest) as reply:
            clock.reach(f"{route} answered")
            yield reply

    Http.stream = asking  # type: ignore[method-assign, assignment]


def watch_files(clock: Clock, home: str) -> None:
    """Files of *home*, except SQLite's own, which Python does not see being opened."""

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "fcntl.flock":
            clock.reach("flock")
        elif event in _FILES and isinstance(args[0], str | os.PathLike):
            path = os.fspath(args[0])
            if isinstance(path, str) and path.startswith(home):
                clock.reach(f"{event} {'/'.join(Path(path).relative_to(home).parts[:2])}")

    sys.addaudithook(hook)


def run(order: str, log: str, limit: str, args: Sequence[str]) -> int:
    """Run fpin in this process until it ends or dies."""
    clock = Clock(Order.parse(order), Path(log))
    assert Content.__init__.__kwdefaults__ is not None
    Content.__init__.__kwdefaults__["piece_limit"] = int(limit)
    watch_store(clock)
    watch_http(clock)
    watch_files(clock, os.environ["FPIN_HOME"])
    from fpin.cli import run as run_fpin

    code = run_fpin(args)
    clock.end()
    return code


@dataclass(frozen=True, kw_only=True)
class Job:
    """One process: what it runs with, and where its output goes."""

    order: str
    log: str
    limit: str
    args: list[str]
    env: dict[str, str]
    out: str
    err: str


def serve() -> None:
    """Fork a process for each `Job` in JSON; answer with its id, and then with how it ended."""
    known: set[str] = set()
    for line in sys.stdin:
        for name in sorted(known - sys.modules.keys()):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)  # here, once for all that come
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _become(Job(**json.loads(line)), writing)
        os.close(writing)
        print(child, flush=True)  # noqa: T201  (it is read by whoever started this)
        with os.fdopen(reading) as imported:
            known |= set(imported.read().split())
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _become(job: Job, writing: int) -> NoReturn:
    for path, descriptor in ((job.out, 1), (job.err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    os.environ.clear()
    os.environ.update(job.env)
    code = 1
    try:
        code = run(job.order, job.log, job.limit, job.args)
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(writing, " ".join(sys.modules).encode())
    except BaseException:  # noqa: BLE001  (it goes no further than this process)
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> int:
    if sys.argv[1:] == ["--serve"]:
        serve()
        return 0
    order, log, limit, *args = sys.argv[1:]
    return run(order, log, limit, args)


if __name__ == "__main__":
    sys.exit(main())
