"""From a path to a root CID and pieces; and to CAR files. Offline: no account, nothing asked of anyone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fpin.errors import LocalError, UsageError
from fpin.events import Hashing, OnEvent, Planned, Walked, ignore
from fpin.events import Packed as PackedEvent
from fpin.ipld.cid import format_cid
from fpin.pack import DEFAULT_PROFILE, PROFILES, Layout, Packed, PackedPiece, digest, plan, walk
from fpin.piece import MAX_PIECE_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What to pack, and how."""

    path: Path
    hidden: bool = False
    exclude: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCar:
    path: Path
    piece_cid: str
    size: int  # bytes


def lay_out(content: Content, *, on_event: OnEvent = ignore, piece_limit: int = MAX_PIECE_SIZE) -> Layout:
    """Return the plan of blocks and pieces for *content*; reads names and sizes only.

    Raises UsageError for a path that is not there or an unknown profile, SourceError for what cannot be
    stored.
    """
    profile = PROFILES.get(content.profile)
    if profile is None:
        raise UsageError(
            f"there is no profile called {content.profile}", hint=f"known profiles: {', '.join(PROFILES)}"
        )
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
    total = layout.size

    def moved(done: int) -> None:
        on_event(Hashing(done=done, total=total))

    packed = digest(layout, progress=moved, jobs=jobs)
    on_event(
        PackedEvent(
            root_cid=format_cid(packed.root_cid),
            piece_cids=tuple(str(piece.piece_cid) for piece in packed.pieces),
        )
    )
    return packed


def write_cars(packed: Packed, out: Path, *, split: bool) -> list[WrittenCar]:
    """Write the pieces of *packed* as CAR files: *out*, or with several ``X-0.car``, ``X-1.car``, ….

    Raises UsageError when there are several and *split* is False. A file that cannot be completed is
    not left behind; one that was there before is replaced only by a complete one.
    """
    if len(packed.pieces) > 1 and not split:
        raise UsageError(
            f"this needs {len(packed.pieces)} CAR files, a piece holds at most {MAX_PIECE_SIZE} bytes",
            hint="use --split to write all of them",
            pieces=len(packed.pieces),
        )
    return [
        _write_car(piece, target)
        for piece, target in zip(packed.pieces, _targets(out, packed.pieces), strict=True)
    ]


def _targets(out: Path, pieces: Sequence[PackedPiece]) -> list[Path]:
    if len(pieces) == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{index}{out.suffix}") for index in range(len(pieces))]


def _write_car(piece: PackedPiece, target: Path) -> WrittenCar:
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with partial.open("wb") as file:
                for chunk in piece.open():
                    file.write(chunk)
            partial.replace(target)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
    except OSError as exc:
        raise LocalError(
            f"{target} cannot be written: {exc.strerror or exc}",
            hint="free some space, or write to another folder",
            path=str(target),
        ) from exc
    return WrittenCar(path=target, piece_cid=str(piece.piece_cid), size=piece.size)
