"""CAR files looked at: what is in them, is every hash right, is the DAG whole; and unpacked. Offline."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from fpin.errors import NotFound, SourceError, UsageError, VerificationFailed
from fpin.events import Fetching, OnEvent, ignore
from fpin.ipld.car import index_car, read_car
from fpin.ipld.cid import format_cid, parse_cid
from fpin.pack.carset import CarSet
from fpin.retrieve.content import Content, split_path
from fpin.retrieve.files import Tree, Written, write_tree
from fpin.temporary import noted
from fpin.values import dataclass


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Content that was written as files; every block of it was hashed."""

    root_cid: str
    path: str  # inside the content; "" for all of it
    out: str
    bytes: int
    files: int
    skipped: tuple[str, ...]  # links that lead out of the content and were not made


def extract(
    paths: Sequence[Path],
    out: Path,
    *,
    root: str | None = None,
    inside: str = "",
    notes: Path | None = None,
    on_event: OnEvent = ignore,
) -> Extracted:
    """Write the files in CAR files, taken together, to *out*, which appears when all of it is written.

    *root* chooses one where they name several; *inside* is a path below it. Raises VerificationFailed for a
    damaged file, NotFound where a block is in none of them.
    """
    with CarSet(paths) as cars, contextlib.ExitStack() as stack:
        root_cid = _root(cars, root)

        def get(cid: bytes) -> bytes:
            data = cars.get(cid)
            if data is None:
                name = format_cid(cid)
                raise NotFound(f"block {name} is in none of the CAR files", cid=name)
            return data

        content = Content(root_cid, get)
        target = content.resolve(split_path(inside))
        tree = Tree(out)
        if notes is not None:
            stack.enter_context(noted(notes, tree.workplace))
        stack.enter_context(tree)
        written = Written()
        for written in write_tree(content.parts(target), tree):
            on_event(Fetching(source=str(paths[0]), done=written.bytes))
    return Extracted(
        root_cid=format_cid(root_cid),
        path=inside,
        out=str(out),
        bytes=written.bytes,
        files=written.files,
        skipped=tuple(written.skipped),
    )


def _root(cars: CarSet, text: str | None) -> bytes:
    if text is not None:
        try:
            return parse_cid(text)
        except ValueError as exc:
            raise UsageError(f"{text!r} is no CID: {exc}") from exc
    if len(cars.roots) != 1:
        named = ", ".join(map(format_cid, cars.roots)) or "none"
        raise UsageError(
            f"the CAR names {len(cars.roots)} roots: {named}", hint="choose one with --root, by its CID"
        )
    return cars.roots[0]
