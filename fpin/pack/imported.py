"""CAR files that exist already, as pieces: the bytes as they are, cut where one piece cannot hold them.

Knows nothing of how a CAR is made. What is kept of a piece is the roots of its commitment's blocks, 32 bytes
for 127 KiB: what is sent is hashed again and held against them.
"""

from __future__ import annotations

import os
import random
from array import array
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import field
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fpin.errors import SourceError, UsageError, VerificationFailed
from fpin.ipld import car, varint
from fpin.ipld import cid as cids
from fpin.pack.hashing import available_cores
from fpin.pack.index import BlockIndex
from fpin.pack.layout import FILLERS
from fpin.pack.reading import changed
from fpin.pack.scanning import OpenCar, Window, check_zeros, named, open_car, scan
from fpin.pack.stream import Part, PieceStream
from fpin.piece import (
    BLOCK_HEIGHT,
    BLOCK_SIZE,
    MAX_PIECE_SIZE,
    MIN_PIECE_SIZE,
    PieceCid,
    block_roots,
    hashing_threads,
)
from fpin.values import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor

_BLOCKS = 8  # of the commitment, about 1 MiB, are read, checked and sent at a time
_LARGEST_FILLER = max(car.section_size(len(cid), len(data)) for cid, data in FILLERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarSpan:
    """A piece to be: a header, and sections as they stand from *start* to *end* of the file."""

    header: bytes
    start: int
    end: int  # in an uncut file, zeros may stand before it, which do not become part of the piece

    @property
    def max_size(self) -> int:
        """Bytes of the piece, at most."""
        size = len(self.header) + self.end - self.start
        return size if size >= MIN_PIECE_SIZE else MIN_PIECE_SIZE + _LARGEST_FILLER


@dataclass(frozen=True, kw_only=True)
class CarPlan:
    """A CAR file, its header read. *spans* are the pieces in the order of the file."""

    path: Path
    version: int
    roots: tuple[bytes, ...]  # one at least
    size: int  # bytes of the CAR, without what version 2 puts around it
    spans: tuple[CarSpan, ...]
    identity: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class ImportedPiece:
    """A piece whose bytes are those of a CAR file from *start* to *end*, between *header* and *filler*."""

    path: Path
    header: bytes = field(repr=False)
    start: int
    end: int
    filler: bytes = field(repr=False)
    sections: array[int] = field(repr=False)  # where each begins in the file
    roots: bytes = field(repr=False)  # of the commitment's blocks
    piece_cid: PieceCid

    @property
    def size(self) -> int:
        """Bytes of the CAR."""
        return self.piece_cid.payload_size

    def open(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of the CAR from *offset* on, in chunks of about 1 MiB.

        Raises SourceChanged before anything is yielded that is not what was hashed.
        """
        first = offset // BLOCK_SIZE
        with _opened(self.path) as file:
            for start in range(first * BLOCK_SIZE, self.size, _BLOCKS * BLOCK_SIZE):
                data = self._read(file, start, min(start + _BLOCKS * BLOCK_SIZE, self.size))
                expected = self.roots[start // BLOCK_SIZE * 32 :][: _BLOCKS * 32]
                if block_roots(data, BLOCK_HEIGHT) != expected:
                    raise changed(os.fsencode(self.path))
                if offset < start + len(data):
                    yield data[max(0, offset - start) :]

    def sample(self, count: int, seed: int) -> list[bytes]:
        """Return the CIDs of up to *count* different blocks of the piece, decided by *seed*.

        Raises SourceChanged when one is not what was hashed.
        """
        chosen = random.Random(seed).sample(range(len(self.sections)), min(count, len(self.sections)))
        with _opened(self.path) as file:
            found = dict.fromkeys(self._cid(file, number) for number in chosen)
        # An identity CID holds its block itself: nobody stores that, and no indexer is asked for it.
        return [cid for cid in found if cids.identity_data(cid) is None]

    def _read(self, file: BinaryIO, start: int, end: int) -> bytes:
        """Return the bytes from *start* to *end* of the piece, as they are now."""
        shift = self.start - len(self.header)
        low, high = max(start + shift, self.start), min(end + shift, self.end)
        file.seek(low)
        body = file.read(high - low) if low < high else b""
        if len(body) < high - low:
            raise changed(os.fsencode(self.path))
        before = self.header[start:end]
        return before + body + self.filler[: end - start - len(before) - len(body)]

    def _cid(self, file: BinaryIO, number: int) -> bytes:
        start = self.sections[number]
        end = self.sections[number + 1] if number + 1 < len(self.sections) else self.end
        file.seek(start)
        section = file.read(end - start)
        try:
            cid, block = cids.read_cid(section, varint.decode(section)[1])
            car.check_block(cid, section[block:], start)
        except (ValueError, VerificationFailed) as exc:
            raise changed(os.fsencode(self.path)) from exc
        return cid


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A CAR file with every block hashed. Of *pieces* the last one holds the root's block, if any does."""

    plan: CarPlan
    root_cid: bytes
    pieces: tuple[ImportedPiece, ...]
    blocks: int
    has_root: bool
    missing: tuple[bytes, ...]  # blocks that the root leads to and that are not there
    size: int  # bytes of the files below the root; of all blocks where it is not UnixFS
    files: int  # 0 where the root is not UnixFS


def plan_car(path: Path, *, piece_limit: int = MAX_PIECE_SIZE) -> CarPlan:
    """Return what pieces the CAR file at *path* makes; reads its header only, or the lengths of its sections.

    A file that fits is one piece, its bytes as they are (of version 2 the CAR inside). A larger one is cut
    before the first section that does not fit, and each part gets a header with all the roots.

    Raises SourceError for a file that cannot be read or names no root, VerificationFailed for one that is
    no CAR, UsageError for a block that no piece can hold.
    """
    with open_car(path) as source:
        if not source.roots:
            raise SourceError(
                f"{str(path)!r} names no root, so there would be nothing to find it by",
                hint="make it again with the root CID in its header",
                path=str(path),
            )
        if len(source.header) + source.end - source.first <= piece_limit:
            spans = [CarSpan(header=source.header, start=source.first, end=source.end)]
        else:
            spans = list(_cut(source, piece_limit))
        return CarPlan(
            path=path,
            version=source.version,
            roots=source.roots,
            size=len(source.header) + source.end - source.first,
            spans=tuple(spans),
            identity=source.identity,
        )


def _cut(source: OpenCar, limit: int) -> Iterator[CarSpan]:
    header = car.header(source.roots)
    start = end = source.first
    with named(source.path):
        for section in car.index_car(source.file):
            begin, end = end, section.offset + section.size
            if len(header) + end - begin > limit:
                raise UsageError(f"a piece of {limit} bytes has no room for a block of {section.size} bytes")
            if len(header) + end - start > limit:
                yield CarSpan(header=header, start=start, end=begin)
                start = begin
    yield CarSpan(header=header, start=start, end=end)


def digest_car(
    plan: CarPlan,
    root_cid: bytes,
    *,
    progress: Callable[[int], None] | None = None,
    jobs: int | None = None,
) -> Imported:
    """Read the file once and hash every block and every piece; find out what *root_cid* leads to.

    *progress* is told the bytes of the CAR done so far. Raises VerificationFailed, naming the offset, for a
    damaged file, and SourceChanged for one that is not what *plan* was made from.
    """
    jobs = jobs or available_cores()
    with open_car(plan.path) as source, hashing_threads(jobs, "fpin-car") as pool:
        if source.identity != plan.identity:
            raise changed(os.fsencode(plan.path))
        return _Digest(plan, source, root_cid, pool, jobs, progress).run()


class _Digest:
    def __init__(
        self,
        plan: CarPlan,
        source: OpenCar,
        root_cid: bytes,
        pool: Executor,
        jobs: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.plan, self.source, self.root_cid = plan, source, root_cid
        self.pool, self.jobs, self.progress = pool, jobs, progress
        self.index = BlockIndex()
        self.file = self.index.open_file(source.file)
        self.blocks = self.blocks_size = 0
        self.root_piece: int | None = None

    def run(self) -> Imported:
        pieces = [self._piece(number, span) for number, span in enumerate(self.plan.spans)]
        if self.root_piece is not None:
            pieces.append(pieces.pop(self.root_piece))
        if len(pieces) > 1:  # an uncut file was read to its end
            with named(self.plan.path):
                check_zeros(self.source, self.plan.spans[-1].end)
        files, size = self._measure()
        return Imported(
            plan=self.plan,
            root_cid=self.root_cid,
            pieces=tuple(pieces),
            blocks=self.blocks,
            has_root=self.root_piece is not None,
            missing=tuple(self.index.missing([self.root_cid])),
            size=size,
            files=files,
        )

    def _piece(self, number: int, span: CarSpan) -> ImportedPiece:
        stream = PieceStream(self.pool, self.jobs, None)
        stream.append([Part(span.header)])
        sections, end, names = array("Q"), span.start, set[bytes]()
        shift = len(span.header) - span.start
        for window in scan(self.source, self.pool, self.jobs, start=span.start, end=span.end, shift=shift):
            stream.append([Part(window.data, window.guess)])
            sections.extend(section.start for section in window.sections)
            names = self._note(number, window)
            end = window.end
        filler = _filler(stream.size, names)
        stream.append([Part(filler)])
        held = stream.finish(0)
        return ImportedPiece(
            path=self.plan.path,
            header=span.header,
            start=span.start,
            end=end,
            filler=filler,
            sections=sections,
            roots=stream.roots(),
            piece_cid=held.piece_cid(),
        )

    def _note(self, number: int, window: Window) -> set[bytes]:
        """Take note of the blocks of a window, which are in piece *number*; return their CIDs."""
        self.index.note(self.file, window.sections)
        self.blocks += len(window.sections)
        self.blocks_size += sum(section.size for section in window.sections)
        if self.root_piece is None and self.index.holds(self.root_cid):
            self.root_piece = number
        if self.progress:
            self.progress(len(self.source.header) + window.end - self.source.first)
        return {section.cid for section in window.sections}

    def _measure(self) -> tuple[int, int]:
        """Return the number of files below the root and their bytes."""
        try:
            if next(self.index.entries(self.root_cid)).kind is not None:
                return self.index.measure(self.root_cid)
        except VerificationFailed:  # dag-pb that is not UnixFS
            pass
        return 0, self.blocks_size


def _filler(size: int, names: Container[bytes]) -> bytes:
    """Return the sections that make a CAR of *size* bytes, with blocks *names*, large enough for a piece."""
    fresh = [filler for filler in FILLERS if filler[0] not in names]
    out = b""
    for cid, data in cycle(fresh + [filler for filler in FILLERS if filler not in fresh]):
        if size + len(out) >= MIN_PIECE_SIZE:
            break
        out += car.section_prefix(cid, len(data)) + data
    return out


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except FileNotFoundError as exc:
        raise changed(os.fsencode(path), "is gone") from exc
    except OSError as exc:
        raise SourceError(f"{str(path)!r} cannot be read: {exc.strerror or exc}", path=str(path)) from exc
    with file:
        yield file
