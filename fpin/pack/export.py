"""Pieces as CAR files on disk, written in the same pass that hashes them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from fpin.errors import LocalError
from fpin.pack.hashing import Packed, digest
from fpin.pack.layout import Layout
from fpin.pack.source import header
from fpin.pack.stream import Data
from fpin.temporary import noted

# Linux takes memory for its cache in blocks as large as a write, and large ones may be slow to get: a GiB in
# writes of 15 MiB took 0.9 to 1.9 s, in writes of 128 KiB to 1 MiB 0.2 s (ext4, Linux 6.18).
_WRITE = 2**20


def write_cars(
    layout: Layout,
    paths: Sequence[Path],
    *,
    progress: Callable[[int], None] | None = None,
    jobs: int | None = None,
    notes: Path | None = None,
) -> Packed:
    """Do what `fpin.pack.digest` does and write each piece to the path of its number.

    A file appears under its name only when all are whole; one that was there is replaced then. With *notes*
    their temporary names are noted in that folder meanwhile (`fpin.temporary`), for when this is killed.
    Raises LocalError, naming the file, when one cannot be written, besides what `digest` raises.
    """
    if len(paths) != len(layout.pieces):
        raise ValueError(f"{len(paths)} paths for {len(layout.pieces)} pieces")
    writer = _Writer(paths)
    with contextlib.ExitStack() as stack:
        if notes is not None:
            for part in writer.parts:
                stack.enter_context(noted(notes, part))
        stack.callback(writer.close)
        packed = digest(layout, progress=progress, jobs=jobs, sink=writer.write)
        writer.publish(header(packed.root_cid))
    return packed


class _Writer:
    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.parts = [path.with_name(f".{path.name}.{os.getpid()}.part").absolute() for path in paths]
        self._index = -1
        self._file: BinaryIO | None = None

    def write(self, index: int, data: Data) -> None:
        try:
            if index != self._index or self._file is None:
                self._close_file()
                self._index, self._file = index, self.parts[index].open("wb", buffering=0)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view[:_WRITE]) :]
        except OSError as exc:
            raise self._failed(index, exc) from exc

    def publish(self, head: bytes) -> None:
        """Put the header, known only now, in place and give every file its name."""
        for index, part in enumerate(self.parts):
            try:
                self._close_file()
                with part.open("r+b") as file:
                    file.write(head)
            except OSError as exc:
                raise self._failed(index, exc) from exc
        for index, (part, path) in enumerate(zip(self.parts, self._paths, strict=True)):
            try:
                part.replace(path)
            except OSError as exc:
                raise self._failed(index, exc) from exc

    def close(self) -> None:
        """Remove what was not published."""
        with contextlib.suppress(OSError):
            self._close_file()
        for part in self.parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _close_file(self) -> None:
        if self._file:
            file, self._file = self._file, None
            file.close()

    def _failed(self, index: int, exc: OSError) -> LocalError:
        path = str(self._paths[index])
        return LocalError(
            f"{path!r} cannot be written: {exc.strerror or exc}",
            hint="make room, or choose another place",
            path=path,
        )
