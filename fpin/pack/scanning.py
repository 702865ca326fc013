"""A CAR file on disk, read once and in order, every block hashed, many at a time; knows no links, no pieces.

The thread that called finds where sections end, a pool takes them apart and hashes them; what is in memory
are a few windows of whole sections.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from fpin.errors import SourceError, VerificationFailed
from fpin.ipld import car, varint
from fpin.ipld import cid as cids
from fpin.pack.reading import changed
from fpin.pack.stream import Guess, guess_roots
from fpin.piece import sha256_many
from fpin.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_MAX_WINDOW = 16 * 2**20
_MIN_WINDOW = 2**20
_MAX_IN_FLIGHT = 48 * 2**20  # bytes of windows
_ZEROS = bytes(2**20)


@dataclass(frozen=True, kw_only=True)
class OpenCar:
    """A CAR file being read. Offsets count from the start of the file, whatever its version."""

    path: Path
    file: BinaryIO = field(repr=False)
    version: int
    roots: tuple[bytes, ...]
    header: bytes  # of version 1, its length included; in version 2 the one inside
    first: int  # where the first section begins
    end: int  # where the sections end at the latest; zeros may stand before it
    identity: tuple[int, int, int]  # size, time of change, inode: another one is another file


class Section(NamedTuple):
    """A block, where its section begins and where its data is."""

    cid: bytes
    start: int
    offset: int
    size: int


class Window(NamedTuple):
    """Whole sections, every block of them right; *guess* is the commitment's share of the bytes."""

    start: int
    data: memoryview
    sections: list[Section]
    guess: Guess | None

    @property
    def end(self) -> int:
        return self.start + len(self.data)


@contextlib.contextmanager
def open_car(path: Path) -> Iterator[OpenCar]:
    """Open the CAR file at *path* and read its header.

    Raises SourceError for a file that cannot be read, VerificationFailed for one that is no CAR.
    """
    with contextlib.ExitStack() as stack:
        with named(path):
            file = stack.enter_context(open(path, "rb", opener=_open))
            opened = _opened(path, file)
        yield opened


def _open(path: str, flags: int) -> int:
    # Not a pipe: opening one would wait for its other end for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _opened(path: Path, file: BinaryIO) -> OpenCar:
    status = os.fstat(file.fileno())
    if not S_ISREG(status.st_mode):
        raise SourceError(f"{str(path)!r} is no ordinary file", path=str(path))
    reader = car.read_car(iter(lambda: file.read(4096), b""), verify=False)
    end = status.st_size if reader.payload_end is None else reader.payload_end
    if end > status.st_size:
        raise car.CarTruncated(f"unexpected end of the CAR: {end - status.st_size} bytes are not there")
    file.seek(reader.payload_start)
    return OpenCar(
        path=path,
        file=file,
        version=reader.version,
        roots=tuple(dict.fromkeys(reader.roots)),
        header=file.read(reader.offset - reader.payload_start),
        first=reader.offset,
        end=end,
        identity=(status.st_size, status.st_mtime_ns, status.st_ino),
    )


def scan(
    source: OpenCar,
    pool: Executor,
    jobs: int,
    *,
    start: int | None = None,
    end: int | None = None,
    shift: int | None = None,
) -> Iterator[Window]:
    """Yield the sections from *start* to *end*, all of them by default, verified, in order.

    With *shift*, what to add to an offset in the file to have the one in a piece, windows have their guess.
    Raises VerificationFailed, naming file and offset, for the first thing that is wrong.
    """
    size = max(_MIN_WINDOW, min(_MAX_WINDOW, _MAX_IN_FLIGHT // (jobs + 2)))
    cuts = _windows(source, source.first if start is None else start, end or source.end, size)
    waiting: deque[Future[Window]] = deque()
    damage: VerificationFailed | None = None
    with named(source.path):
        while True:
            try:
                cut = next(cuts, None)
            except VerificationFailed as exc:
                damage = exc  # told when what stands before it was found to be right
                break
            if cut is None:
                break
            waiting.append(pool.submit(_examine, *cut, shift))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if damage:
            raise damage


def _windows(source: OpenCar, start: int, end: int, size: int) -> Iterator[tuple[int, memoryview]]:
    """Cut the bytes from *start* to *end* into windows of whole sections."""
    while start < end:
        data = _read(source, start, min(size, end - start))
        whole, needed = _whole_sections(data, start, end)
        if whole:
            yield start, memoryview(data)[:whole]
        elif needed:  # a single section, larger than the window
            yield start, memoryview(_read(source, start, needed))
        start += whole or needed
        if not needed:
            check_zeros(source, start)
            return


def _whole_sections(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return how many bytes of *data* are whole sections, and the size of the next one.

    *data* stands at *start* of the file. The size is 0 where a length of zero says that no more follow.
    What is wrong behind whole sections is left for the next call, so that they are looked at first.
    """
    position = 0
    while position < len(data):
        try:
            size = _section_size(data, position, start, end)
        except VerificationFailed:
            if position == 0:
                raise
            break
        if size == 0 or position + size > len(data):
            return position, size
        position += size
    return position, 1  # whatever follows, it is not the end


def _section_size(data: bytes, position: int, start: int, end: int) -> int:
    """Return the size of the section at *position*, its length included; 0 for a length of zero."""
    at = start + position
    try:
        length, content = varint.decode(data, position)
    except ValueError as exc:
        if len(data) - position >= varint.MAX_LENGTH or min(data[position:]) < 128:
            raise VerificationFailed(f"CAR section at byte {at}: {exc}") from exc
        length, content = varint.MAX_LENGTH, position  # it goes on after *data*
    if length > car.MAX_SECTION:
        raise VerificationFailed(
            f"CAR section at byte {at} says it holds {length} bytes, over {car.MAX_SECTION}"
        )
    if start + content + length > end:
        raise car.CarTruncated(f"unexpected end of the CAR, in the section at byte {at}")
    return content + length - position if length else 0


def _examine(start: int, data: memoryview, shift: int | None) -> Window:
    sections = list(_sections(start, data))
    _verify(start, data, sections)
    guess = None if shift is None else guess_roots(data, start + shift)
    return Window(start, data, sections, guess)


def _sections(start: int, data: memoryview) -> Iterator[Section]:
    position = 0
    while position < len(data):
        length, content = varint.decode(data, position)
        end = content + length
        try:
            cid, block = cids.read_cid(data[content:end])
        except ValueError as exc:
            raise car.no_cid(start + position, exc) from exc
        yield Section(cid, start + position, start + content + block, length - block)
        position = end


def _verify(start: int, data: memoryview, sections: list[Section]) -> None:
    blocks = [data[one.offset - start : one.offset - start + one.size] for one in sections]
    plain = [place for place, one in enumerate(sections) if _is_sha256(one.cid)]
    expected = b"".join([sections[place].cid[-32:] for place in plain])
    if len(plain) == len(sections) and sha256_many(blocks) == expected:  # nearly always
        return
    for one, block in zip(sections, blocks, strict=True):
        car.check_block(one.cid, block, one.start)


def _is_sha256(cid: bytes) -> bool:
    if cid[1:4] == b"\x55\x12\x20" or cid[1:4] == b"\x70\x12\x20":  # what follows has its 32 bytes
        return True
    multihash = cids.multihash_of(cid)
    return len(multihash) == 34 and multihash[:2] == b"\x12\x20"


def check_zeros(source: OpenCar, start: int) -> None:
    """Raise VerificationFailed unless only zeros, the padding of a Filecoin piece, stand from *start* on."""
    while start < source.end:
        data = _read(source, start, min(len(_ZEROS), source.end - start))
        if data != _ZEROS[: len(data)]:
            raise VerificationFailed(f"bytes other than zero follow the end of the CAR at {start}")
        start += len(data)


def _read(source: OpenCar, start: int, size: int) -> bytes:
    source.file.seek(start)
    data = source.file.read(size)
    if len(data) < size:
        raise changed(os.fsencode(source.path))
    return data


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Let errors of reading and of verifying name the file."""
    try:
        yield
    except VerificationFailed as exc:
        hint = exc.hint or "get the file again from where it came, or make it again"
        raise type(exc)(f"{str(path)!r}: {exc.message}", hint=hint, **exc.values) from exc
    except OSError as exc:
        raise SourceError(f"{str(path)!r} cannot be read: {exc.strerror or exc}", path=str(path)) from exc
