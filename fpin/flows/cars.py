"""CAR files looked at: what is in them, is every hash right, is the DAG whole. Offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fpin.errors import SourceError, VerificationFailed
from fpin.ipld.car import index_car, read_car
from fpin.ipld.cid import format_cid
from fpin.pack.carset import CarSet


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEntry:
    cid: str
    offset: int  # of the block's first byte in the file
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CarListing:
    path: str
    roots: tuple[str, ...]
    blocks: tuple[BlockEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarVerdict:
    """What CAR files hold together; every block's hash was right, or there would be an error instead."""

    roots: tuple[str, ...]
    blocks: int
    size: int  # bytes of all blocks
    repeated: int  # blocks that are there more than once
    missing: tuple[str, ...]  # blocks that the roots lead to and that are in none of the files
    complete: bool


def ls(path: Path) -> CarListing:
    """List the blocks of a CAR file in order, without hashing them."""
    try:
        with path.open("rb") as file:
            roots = read_car(file, verify=False).roots
            file.seek(0)
            blocks = tuple(
                BlockEntry(cid=format_cid(section.cid), offset=section.offset, size=section.size)
                for section in index_car(file)
            )
    except OSError as exc:
        raise SourceError(f"{path} cannot be read: {exc.strerror or exc}", path=str(path)) from exc
    except VerificationFailed as exc:
        raise VerificationFailed(f"{path}: {exc.message}", hint=exc.hint, **exc.values) from exc
    return CarListing(path=str(path), roots=tuple(map(format_cid, roots)), blocks=blocks)


def verify(paths: Sequence[Path]) -> CarVerdict:
    """Hash every block of all files and follow every link from their roots.

    Raises VerificationFailed, naming file and offset, for a damaged file, and SourceError for one that
    cannot be read.
    """
    with CarSet(paths) as cars:
        missing = cars.missing()
        return CarVerdict(
            roots=tuple(map(format_cid, cars.roots)),
            blocks=sum(file.blocks for file in cars.files),
            size=sum(file.size for file in cars.files),
            repeated=sum(file.duplicates for file in cars.files),
            missing=tuple(map(format_cid, missing)),
            complete=not missing,
        )
