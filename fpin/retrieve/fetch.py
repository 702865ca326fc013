"""Content from any of several places, verified block by block: the next one goes on where one fails.

`fetch` writes to disk or a stream; `Blocks` is what it reads from. Knows in which order to ask whom for what.
Refuses to know which places there are.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fpin.errors import FpinError, GatewayUnavailable, NotFound, VerificationFailed
from fpin.ipld import cid as cids
from fpin.retrieve.content import Content
from fpin.retrieve.files import Written, write_stream, write_tree
from fpin.retrieve.gateway import Gateway, NotServed
from fpin.retrieve.verify import BlockCache, CarStream, Incomplete, Limits, Repeated

_RETRY_DELAY = 0.5  # seconds, where a server says "later" without saying when
_LONGEST_RETRY_AFTER = 30.0

Progress = Callable[[str, int], None]
"""Told the name of the source in use, and the bytes of verified content written so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was written: every byte verified against *root_cid*."""

    root_cid: bytes
    bytes: int
    files: int  # symbolic links included
    sources: tuple[str, ...]  # names of those that gave at least one block, in order of first use
    skipped: tuple[str, ...] = ()  # links that lead out of the content and were not made: "path -> target"
    warnings: tuple[str, ...] = ()  # sources that sent something wrong


def fetch(
    root_cid: bytes,
    path: Sequence[str],
    sources: Sequence[Gateway],
    out: Path | BinaryIO,
    progress: Progress | None = None,
    *,
    limits: Limits | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Fetch what stands at *path* below *root_cid* from *sources*, best first, and write it to *out*.

    A source that fails is left at the block where it failed, and the next one goes on from there. *out* is a
    path that is not in use, or a binary stream for a single file.

    Raises NotFound when a verified directory has no such *path*, or nobody has a block; GatewayUnavailable
    when a source that might have it does not answer; VerificationFailed, naming source and CID, when the only
    answers were wrong, or the content itself makes no sense; LocalError when it cannot be written.
    """
    with Blocks(root_cid, path, sources, sleep=sleep) as blocks:
        content = Content(root_cid, blocks.get, limits)
        target = content.resolve(path)
        blocks.resolved()
        parts = content.parts(target)
        steps = write_tree(parts, out) if isinstance(out, Path) else write_stream(parts, out)
        written = Written()
        with contextlib.closing(steps):
            for written in steps:
                if progress is not None:
                    progress(blocks.source, written.bytes)
        return Fetched(
            root_cid=root_cid,
            bytes=written.bytes,
            files=written.files,
            sources=tuple(blocks.used),
            skipped=tuple(written.skipped),
            warnings=tuple(error.message for error in blocks.lies.values()),
        )


class Blocks:
    """Verified blocks by CID, out of a CAR as long as one brings them in the order they are asked for.

    Ask in the order of a walk from *root_cid* along *path*, and call `resolved` at its end: then whole
    sub-trees are asked for where a CAR broke off.
    """

    def __init__(
        self,
        root_cid: bytes,
        path: Sequence[str],
        sources: Sequence[Gateway],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.used: list[str] = []
        self.lies: dict[int, VerificationFailed] = {}  # by index of the source, which is not asked again
        self._root, self._path, self._sources, self._sleep = root_cid, tuple(path), sources, sleep
        self._cache = BlockCache()
        self._stream: CarStream | None = None
        self._closing = contextlib.ExitStack()
        self._current = 0
        self._no_car: set[int] = set()  # sources that do not serve CARs at all
        self._resolving = True

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    @property
    def source(self) -> str:
        return self._sources[self._current].name

    def resolved(self) -> None:
        """From here on everything below each block is wanted, not just the way to something."""
        self._resolving = False

    def get(self, cid: bytes) -> bytes:
        """Return the verified block of *cid* from the first source that has it, the current one first."""
        failures: list[FpinError] = []
        for index in self._candidates():
            if index != self._current:
                self._leave()
                self._current = index
            source = self._sources[index]
            try:
                data = self._from(source, cid)
            except VerificationFailed as exc:
                self._leave()
                text = cids.format_cid(cid)
                self.lies[index] = VerificationFailed(
                    f"{source.name} cannot be trusted: {exc.message}", source=source.name, cid=text
                )
                self.lies[index].__cause__ = exc
            except GatewayUnavailable as exc:
                self._leave()
                failures.append(exc)
            else:
                if source.name not in self.used:
                    self.used.append(source.name)
                return data
        raise self._verdict(cid, failures)

    def _candidates(self) -> Iterator[int]:
        count, first = len(self._sources), self._current
        for index in ((first + step) % count for step in range(count)):
            if index not in self.lies:
                yield index

    def _from(self, source: Gateway, cid: bytes) -> bytes:
        if self._stream is not None:
            try:
                return self._stream.take(cid)
            except Repeated:
                return source.block(cid)
            except GatewayUnavailable:
                self._leave()  # the CAR ended or broke off; what it had is not asked for again
        if (data := self._cache.get(cids.multihash_of(cid))) is not None:
            return data
        if self._wants_car(cid):
            try:
                return self._open(source, cid).take(cid)
            except (NotServed, Incomplete) as exc:
                self._leave()
                if exc.values.get("status") not in (404, 410, 412, 451):
                    self._no_car.add(self._current)
            except GatewayUnavailable as exc:
                self._leave()
                self._wait(exc)
        return self._block(source, cid)

    def _wants_car(self, cid: bytes) -> bool:
        if self._current in self._no_car:
            return False
        if self._resolving:
            return cid == self._root
        return cids.codec_of(cid) != cids.RAW

    def _open(self, source: Gateway, cid: bytes) -> CarStream:
        path = self._path if self._resolving else ()
        answer = self._closing.enter_context(source.car(cid, path))
        self._stream = CarStream(answer.chunks, order=answer.order, dups=answer.dups, cache=self._cache)
        return self._stream

    def _block(self, source: Gateway, cid: bytes) -> bytes:
        try:
            data = source.block(cid)
        except NotServed:
            raise
        except GatewayUnavailable as exc:
            self._wait(exc)
            data = source.block(cid)
        self._cache.put(cids.multihash_of(cid), data)
        return data

    def _wait(self, exc: GatewayUnavailable) -> None:
        """Wait before asking again a server that answered "later"; re-raise where there was no answer."""
        if "status" not in exc.values:
            raise exc
        asked = exc.values.get("retry_after")
        delay = float(asked) if isinstance(asked, int | float) else _RETRY_DELAY
        self._sleep(min(delay, _LONGEST_RETRY_AFTER))

    def _leave(self) -> None:
        self._stream = None
        self._closing.close()

    def _verdict(self, cid: bytes, failures: Sequence[FpinError]) -> FpinError:
        """Return what it means that no source gave the block: the worst that was met."""
        text = cids.format_cid(cid)
        if self.lies:
            return next(iter(self.lies.values()))
        reasons = "; ".join(error.message for error in failures) or "there is nowhere to ask"
        if all(isinstance(error, NotServed) for error in failures):
            return NotFound(f"nobody has block {text}: {reasons}", cid=text)
        return GatewayUnavailable(f"block {text} cannot be fetched now: {reasons}", cid=text)
