"""From paths to a root CID and pieces; and to CAR files. Offline: no account, nothing asked of anyone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fpin.errors import UsageError
from fpin.events import Hashing, OnEvent, Planned, Walked, ignore
from fpin.flows.sources import Hashed
from fpin.ipld.cid import format_cid
from fpin.pack import (
    DEFAULT_PROFILE,
    Layout,
    Tree,
    digest,
    file_tree,
    find_profile,
    plan,
    walk,
    wrap,
    write_cars,
)
from fpin.piece import MAX_PIECE_SIZE
from fpin.values import dataclass

if TYPE_CHECKING:
    from fpin.store import Packing


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What to pack, and how. Several *paths* become the entries of one directory, by their last names.

    *spooled*: the one path is where input was kept that came from no path; the store does not remember it,
    and what it is called inside a wrapping directory is *name*.
    """

    paths: tuple[Path, ...]
    spooled: bool = False
    name: str | None = None
    wrap: bool = False  # put even a single path into a directory
    hidden: bool = False
    exclude: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE.name
    piece_limit: int = MAX_PIECE_SIZE  # bytes

    @property
    def stored_path(self) -> str | None:
        return spelled(self.paths[0]) if len(self.paths) == 1 and not self.spooled else None

    @property
    def default_name(self) -> str | None:
        return Path(self.stored_path).name or None if self.stored_path else None

    @property
    def packing(self) -> Packing:
        from fpin.store import Packing  # here, because what is offline needs no database

        return Packing(wrap=self.wrap, hidden=self.hidden, exclude=self.exclude)

    def lay_out(self, *, on_event: OnEvent = ignore) -> LaidOutTree:
        return LaidOutTree(lay_out(self, on_event=on_event))


@dataclass(frozen=True, slots=True)
class LaidOutTree:
    """A layout as `add` sees it."""

    layout: Layout

    @property
    def size(self) -> int:
        return self.layout.size

    @property
    def files(self) -> int:
        return self.layout.files

    @property
    def piece_sizes(self) -> list[int]:
        return [piece.max_size for piece in self.layout.pieces]

    def hash(self, *, on_event: OnEvent = ignore) -> Hashed:
        # Besides what talks to the network there is less room in memory, and sending takes longer anyway.
        packed = digest(self.layout, progress=_hashing(self.layout, on_event), spare=0, sealed=True)
        return Hashed(root_cid=packed.root_cid, size=self.size, files=self.files, pieces=packed.pieces)


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
    layout = lay_out(content, on_event=on_event)
    packed = digest(layout, progress=_hashing(layout, on_event))
    return CidResult(
        root_cid=format_cid(packed.root_cid),
        size=layout.size,
        files=layout.files,
        car_size=sum(piece.size for piece in packed.pieces),
        profile=content.profile,
        pieces=tuple(
            PieceSummary(piece_cid=str(piece.piece_cid), size=piece.size) for piece in packed.pieces
        ),
    )


def pack(
    content: Content,
    out: Path,
    *,
    split: bool = False,
    notes: Path | None = None,
    on_event: OnEvent = ignore,
) -> PackResult:
    """Write *content* as CAR files: *out*, or with *split* and several pieces ``X-0.car``, ``X-1.car``, ….

    Files of these names are replaced, when all is written; *notes* is the folder where their temporary names
    are noted. Raises UsageError where no file can be.
    """
    layout = lay_out(content, on_event=on_event)
    if len(layout.pieces) > 1 and not split:
        raise UsageError(
            f"this needs {len(layout.pieces)} CAR files, a piece holds at most {content.piece_limit} bytes",
            hint="use --split to write all of them",
            pieces=len(layout.pieces),
        )
    paths = _targets(out, len(layout.pieces))
    for path in paths:
        _check_target(path)
    packed = write_cars(layout, paths, progress=_hashing(layout, on_event), notes=notes)
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


def spelled(path: Path | str) -> str:
    """Return `absolute` *path* as text that any database takes; bytes of it that are no text are escaped."""
    return str(absolute(path)).encode("utf-8", "backslashreplace").decode()


def lay_out(content: Content, *, on_event: OnEvent = ignore) -> Layout:
    """Return the plan of blocks and pieces for *content*; reads names and sizes only.

    Raises UsageError for a path that is not there, two of the same name or an unknown profile, SourceError
    for what cannot be stored.
    """
    profile = find_profile(content.profile)
    layout = plan(_tree(content), profile=profile, piece_limit=content.piece_limit)
    on_event(Walked(files=layout.files, size=layout.size))
    on_event(Planned(pieces=len(layout.pieces), car_size=layout.car_size))
    return layout


def _tree(content: Content) -> Tree:
    if not content.wrap and len(content.paths) == 1:
        return _one_tree(content, content.paths[0])
    if not content.spooled:
        _check_names_differ(content.paths)
    return wrap([_one_tree(content, path) for path in content.paths], "")


def _one_tree(content: Content, path: Path) -> Tree:
    if not content.spooled:
        check_exists(path)
        return walk(path, hidden=content.hidden, exclude=content.exclude)
    return file_tree(content.name or "", path)


def check_exists(path: Path) -> None:
    """Raise UsageError where there is nothing at *path*."""
    if not os.path.lexists(path):
        raise UsageError(
            f"{path} does not exist", hint="check the spelling; patterns are not expanded by fpin"
        )


def _check_names_differ(paths: Sequence[Path]) -> None:
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(absolute(path).name, path)
        if other is not path:
            raise UsageError(
                f"{other} and {path} have the same name, and would be one entry of the directory",
                hint="store them one by one, or put them into folders of other names",
            )


def _hashing(layout: Layout, on_event: OnEvent) -> Callable[[int], None]:
    def moved(done: int) -> None:
        on_event(Hashing(done=done, total=layout.size))

    return moved


def _targets(out: Path, pieces: int) -> list[Path]:
    if pieces == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{index}{out.suffix}") for index in range(pieces)]


def _check_target(path: Path) -> None:
    """Raise UsageError where a CAR cannot be put in place: a device must never be replaced by a file."""
    if not path.parent.is_dir():
        raise UsageError(
            f"the folder {path.parent} does not exist", hint="create it, or choose another place"
        )
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is there and is not a file", hint="name a file with -o, such as X.car")
