"""CAR files looked at together: a DAG cut into pieces is whole only in all its CARs at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from fpin.pack.hashing import available_cores
from fpin.pack.index import BlockIndex
from fpin.pack.scanning import OpenCar, open_car, scan
from fpin.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True, kw_only=True)
class CarFile:
    """One CAR file, every block of it hashed."""

    path: Path
    version: int
    roots: tuple[bytes, ...]
    blocks: int
    duplicates: int  # of its blocks, those that are in it or a file before it already
    size: int  # bytes of all blocks


class CarSet(BlockIndex):
    """The blocks of one or several CAR files. Close it, or use it in a ``with`` statement."""

    files: tuple[CarFile, ...]

    def __init__(self, paths: Sequence[Path], *, jobs: int | None = None) -> None:
        """Read and verify every block of all files, in *jobs* threads, by default one for each core.

        Raises SourceError for a file that cannot be read, VerificationFailed, naming file and offset, for one
        that is damaged.
        """
        from concurrent.futures import ThreadPoolExecutor  # 14 ms to import

        super().__init__()
        jobs = jobs or available_cores()
        with ExitStack() as stack, ThreadPoolExecutor(jobs, thread_name_prefix="fpin-car") as pool:
            self.files = tuple(self._read(stack.enter_context(open_car(path)), pool, jobs) for path in paths)
            self._stack = stack.pop_all()

    def __enter__(self) -> CarSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The roots that the headers name, each once."""
        return tuple(dict.fromkeys(root for file in self.files for root in file.roots))

    def missing(self, roots: Sequence[bytes] | None = None) -> list[bytes]:
        """Return what is missing below *roots*, those of the headers by default."""
        return super().missing(self.roots if roots is None else roots)

    def _read(self, source: OpenCar, pool: Executor, jobs: int) -> CarFile:
        number, blocks, duplicates, size = self.open_file(source.file), 0, 0, 0
        for window in scan(source, pool, jobs):
            blocks += len(window.sections)
            size += sum(section.size for section in window.sections)
            duplicates += self.note(number, window.sections)
        return CarFile(
            path=source.path,
            version=source.version,
            roots=source.roots,
            blocks=blocks,
            duplicates=duplicates,
            size=size,
        )
