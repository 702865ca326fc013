"""From the arguments that name what to pack to `Content`; standard input is kept in a file meanwhile."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fpin.errors import UsageError
from fpin.settings import folders

if TYPE_CHECKING:
    from fpin.cli.progress import Printer
    from fpin.flows.packing import Content

STDIN = "-"


@contextlib.contextmanager
def contents(
    paths: Sequence[str],
    printer: Printer,
    *,
    name: str | None = None,
    wrap: bool = False,
    hidden: bool = False,
    exclude: Sequence[str] | None = None,
    profile: str,
) -> Iterator[Content]:
    """Give what *paths* name; ``-`` is standard input, called *name* if it is wrapped."""
    from fpin.flows.packing import Content

    _check(paths, name, wrap=wrap)
    with contextlib.ExitStack() as stack:
        spooled = STDIN in paths
        found = [stack.enter_context(standard_input(printer))] if spooled else [*map(Path, paths)]
        yield Content(
            paths=tuple(found),
            spooled=spooled,
            name=name,
            wrap=wrap,
            hidden=hidden,
            exclude=tuple(exclude or ()),
            profile=profile,
        )


@contextlib.contextmanager
def standard_input(printer: Printer) -> Iterator[Path]:
    """Keep standard input in a file of the cache and give its path; it is gone afterwards."""
    from fpin.events import Spooling
    from fpin.pack.spool import spool

    if sys.stdin is None:
        raise UsageError("there is no standard input", hint="pipe the content into fpin")
    with spool(sys.stdin.buffer, folders().spool, progress=lambda done: printer(Spooling(done=done))) as path:
        yield path


def _check(paths: Sequence[str], name: str | None, *, wrap: bool) -> None:
    if "" in paths:
        raise UsageError(
            "an empty PATH names nothing", hint="check the variable it came from; . is this folder"
        )
    if STDIN in paths and len(paths) > 1:
        raise UsageError("standard input does not go with other paths", hint="store it by itself")
    if STDIN in paths and wrap and not name:
        raise UsageError("standard input in a directory needs a name", hint="give it one with --name")
