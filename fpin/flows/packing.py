"""From a path to a root CID and pieces; and to CAR files. Offline: no account, nothing asked of anyone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fpin.errors import UsageError
from fpin.events import Hashing, OnEvent, Planned, Walked, ignore
from fpin.ipld.cid import format_cid
from fpin.pack import DEFAULT_PROFILE, Layout, Packed, digest, find_profile, plan, walk, write_cars
from fpin.piece import MAX_PIECE_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What to pack, and how."""

    path: Path
    hidden: bool = False
    exclude: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE.name

    @property
    def absolute(self) -> Path:
        """The path as the store remembers it: absolute, without ``..``, links not followed."""
        return absolute(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCar:
    path: str
    piece_cid: str
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceSummary:
    piece_cid: str
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CidResult:
    root_cid: str
    size: int  # bytes of content
    files: int
    car_size: int  # bytes
    profile: str
    pieces: tuple[PieceSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackResult:
    root_cid: str
    size: int  # bytes of content
    files: int
    cars: tuple[WrittenCar, ...]


def cid(content: Content, *, on_event: OnEvent = ignore) -> CidResult:
    """Return the root CID and the piece CIDs of *content*; writes nothing."""
    packed = hash_all(lay_out(content, on_event=on_event), on_event=on_event)
    return CidResult(
        root_cid=format_cid(packed.root_cid),
        size=packed.layout.size,
        files=packed.layout.files,
        car_size=sum(piece.size for piece in packed.pieces),
        profile=content.profile,
        pieces=tuple(
            PieceSummary(piece_cid=str(piece.piece_cid), size=piece.size) for piece in packed.pieces
        ),
    )


def pack(content: Content, out: Path, *, split: bool = False, on_event: OnEvent = ignore) -> PackResult:
    """Write *content* as CAR files: *out*, or with *split* and several pieces ``X-0.car``, ``X-1.car``, …."""
    layout = lay_out(content, on_event=on_event)
    if len(layout.pieces) > 1 and not split:
        raise UsageError(
            f"this needs {len(layout.pieces)} CAR files, a piece holds at most {MAX_PIECE_SIZE} bytes",
            hint="use --split to write all of them",
            pieces=len(layout.pieces),
        )
    paths = _targets(out, len(layout.pieces))
    packed = write_cars(layout, paths, progress=_hashing(layout, on_event))
    return PackResult(
        root_cid=format_cid(packed.root_cid),
        size=layout.size,
        files=layout.files,
        cars=tuple(
            WrittenCar(path=str(path), piece_cid=str(piece.piece_cid), size=piece.size)
            for path, piece in zip(paths, packed.pieces, strict=True)
        ),
    )


def absolute(path: Path | str) -> Path:
    """Return *path* absolute and without ``..``; the same for every way to spell it, links not followed."""
    return Path(os.path.abspath(path))


def lay_out(content: Content, *, on_event: OnEvent = ignore, piece_limit: int = MAX_PIECE_SIZE) -> Layout:
    """Return the plan of blocks and pieces for *content*; reads names and sizes only.

    Raises UsageError for a path that is not there or an unknown profile, SourceError for what cannot be
    stored.
    """
    profile = find_profile(content.profile)
    if not os.path.lexists(content.path):
        raise UsageError(
            f"{content.path} does not exist", hint="check the spelling; patterns are not expanded by fpin"
        )
    tree = walk(content.path, hidden=content.hidden, exclude=content.exclude)
    layout = plan(tree, profile=profile, piece_limit=piece_limit)
    on_event(Walked(files=layout.files, size=layout.size))
    on_event(Planned(pieces=len(layout.pieces), car_size=layout.car_size))
    return layout


def hash_all(layout: Layout, *, on_event: OnEvent = ignore, jobs: int | None = None) -> Packed:
    """Read the content of *layout* once and return its root CID and pieces."""
    return digest(layout, progress=_hashing(layout, on_event), jobs=jobs)


def _hashing(layout: Layout, on_event: OnEvent) -> Callable[[int], None]:
    def moved(done: int) -> None:
        on_event(Hashing(done=done, total=layout.size))

    return moved


def _targets(out: Path, pieces: int) -> list[Path]:
    if pieces == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{index}{out.suffix}") for index in range(pieces)]
