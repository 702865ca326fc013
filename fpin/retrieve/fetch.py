"""Content from any of several places, verified block by block: the next one goes on where one fails.

`fetch` writes to disk or a stream; `Blocks` is what it reads from. Knows in which order to ask whom for what.
Refuses to know which places there are.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from fpin.errors import FpinError, GatewayUnavailable, NotFound, Unavailable, VerificationFailed
from fpin.ipld import cid as cids
from fpin.retrieve.content import Content, File, Part, Span
from fpin.retrieve.content import Path as Inside
from fpin.retrieve.files import Tree, Written, write_stream, write_tree
from fpin.retrieve.gateway import Gateway, NotServed
from fpin.retrieve.prefetch import Prefetch
from fpin.retrieve.verify import BlockCache, CarStream, Incomplete, Limits, Order, Repeated
from fpin.values import dataclass

_RETRY_DELAY = 0.5  # seconds, where a server says "later" without saying when
_LONGEST_RETRY_AFTER = 30.0

Progress = Callable[[str, int, int | None], None]
"""Told the name of the source in use, the bytes of verified content written so far, and how many it will be.

None where only a walk of the directories would tell.
"""

FindMore = Callable[[bytes], Sequence[Gateway]]
"""Asked who else may have a block that none of the sources has; it may name known ones again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was written: every byte verified against *root_cid*."""

    root_cid: bytes
    bytes: int
    files: int  # symbolic links included
    sources: tuple[str, ...]  # names of those that gave at least one block, in order of first use
    skipped: tuple[str, ...] = ()  # links that lead out of the content and were not made: "path -> target"
    warnings: tuple[str, ...] = ()  # sources that sent something wrong
    kept: int = 0  # of the bytes, those that an earlier attempt had brought


def fetch(
    root_cid: bytes,
    path: Sequence[str],
    sources: Sequence[Gateway],
    out: Path | BinaryIO,
    progress: Progress | None = None,
    *,
    span: Span | None = None,
    workplace: Path | None = None,
    more: FindMore | None = None,
    limits: Limits | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Fetch what stands at *path* below *root_cid* from *sources*, best first, and write it to *out*.

    A source that fails is left at the block where it failed, and the next one goes on from there; *more* is
    asked who else there is when none has a block. Large files come from several sources at once. *out* is
    a path that is not in use, or a binary stream for a single file; *span* is the part of a file to fetch.
    *workplace* is as `Tree` takes it: what stands there is not fetched again.

    Raises NotFound when a verified directory has no such *path*, or nobody has a block; GatewayUnavailable
    when a source that might have it does not answer; VerificationFailed, naming source and CID, when the only
    answers were wrong, or the content itself makes no sense; LocalError when it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Tree(out, workplace)) if isinstance(out, Path) else out
        tree = sink if isinstance(sink, Tree) else None
        blocks = stack.enter_context(Blocks(root_cid, path, sources, span=span, more=more, sleep=sleep))
        if tree is not None and tree.resumes:
            blocks.skip()

        def keep(file: Inside, at: int, size: int | None, cid: bytes) -> int | None:
            kept = tree.keep(file, at, size, cid) if tree else None
            if kept is not None:
                blocks.skip()
            elif size is not None or cids.codec_of(cid) == cids.RAW:
                blocks.go_on()  # the first leaf that is missing: as a rule, all others are as well
            return kept

        content = Content(root_cid, blocks.get, limits, keep=keep, ahead=blocks.ahead)
        target = content.resolve(path)
        blocks.resolved()
        total: int | None = None

        def parts_of_known_size() -> Iterator[Part]:
            nonlocal total
            for part in content.parts(target, span):
                if isinstance(part, File) and not part.path:
                    total = part.size  # it is all there is
                yield part

        parts = parts_of_known_size()
        steps = write_tree(parts, sink) if isinstance(sink, Tree) else write_stream(parts, sink)
        written = Written()
        with contextlib.closing(steps):
            for written in steps:
                if progress is not None:
                    progress(blocks.source, written.bytes, total)
        return Fetched(
            root_cid=root_cid,
            bytes=written.bytes,
            files=written.files,
            sources=tuple(blocks.used),
            skipped=tuple(written.skipped),
            # Copied first: a thread that fetches ahead may find one more.
            warnings=tuple(error.message for error in list(blocks.lies.values())),
            kept=written.kept,
        )


class Blocks:
    """Verified blocks by CID, out of a CAR as long as one brings them in the order they are asked for.

    Ask in the order of a walk from *root_cid* along *path*, and call `resolved` at its end: then whole
    sub-trees are asked for where a CAR broke off. From `skip` to `go_on` blocks are asked for one by one:
    most of what a CAR would bring is here already.
    """

    def __init__(
        self,
        root_cid: bytes,
        path: Sequence[str],
        sources: Sequence[Gateway],
        *,
        span: Span | None = None,
        more: FindMore | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.used: list[str] = []
        self.lies: dict[int, VerificationFailed] = {}  # by index of the source, which is not asked again
        self._root, self._path, self._span, self._more = root_cid, tuple(path), span, more
        self._sources, self._sleep = list(sources), sleep
        self._cache = BlockCache()
        self._stream: CarStream | None = None
        self._closing = contextlib.ExitStack()
        self._current = 0
        self._no_car: set[int] = set()  # sources that do not serve CARs at all
        self._resolving = True
        self._skipping = False
        self._prefetch: Prefetch | None = None

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._end_prefetch()

    @property
    def source(self) -> str:
        """The name of the source that gave the last block."""
        return self._sources[self._current].name if self._sources else ""

    def resolved(self) -> None:
        """From here on everything below each block is wanted, not just the way to something."""
        self._resolving = False

    def skip(self) -> None:
        """Blocks are left out from here on, so that no CAR brings them as they are asked for."""
        self._leave()
        self._skipping = True

    def go_on(self) -> None:
        """From here on blocks are asked for as they come again."""
        self._skipping = False

    def ahead(self, coming: Sequence[bytes], large: bool) -> None:
        """Have the blocks *coming* fetched before they are asked for, from several sources at once.

        Not while a CAR brings them; but leaves of a *large* file come faster from two sources than in order
        from one.
        """
        usable = [index for index in self._candidates() if not self._sources[index].last_resort]
        if self._stream is not None and not (large and len(usable) > 1):
            return
        if self._prefetch is None:
            if len(coming) < 2 or not usable:
                return
            self._prefetch = Prefetch(usable, self._ask)
        self._leave()
        self._prefetch.want([cid for cid in coming if not self._at_hand(cid)])

    def get(self, cid: bytes) -> bytes:
        """Return the verified block of *cid* from the first source that has it, the current one first."""
        if self._prefetch is not None and (fetched := self._prefetch.take(cid)) is not None:
            data, self._current = fetched
            self._cache.put(cids.multihash_of(cid), data)
            self._note_use()
            return data
        failures: list[FpinError] = []
        for index in self._candidates():
            if index != self._current:
                self._leave()
                self._current = index
            try:
                data = self._from(self._sources[index], cid)
            except VerificationFailed as exc:
                self._leave()
                self._accuse(index, cid, exc)
            except GatewayUnavailable as exc:
                self._leave()
                failures.append(exc)
            else:
                self._note_use()
                return data
        try:
            found = self._find_more(cid)
        except Unavailable:
            if self.lies:
                raise self._verdict(cid, failures) from None
            raise
        if found:
            return self.get(cid)
        raise self._verdict(cid, failures)

    def _at_hand(self, cid: bytes) -> bool:
        return cids.identity_data(cid) is not None or self._cache.get(cids.multihash_of(cid)) is not None

    def _note_use(self) -> None:
        if self.source not in self.used:
            self.used.append(self.source)

    def _accuse(self, index: int, cid: bytes, exc: VerificationFailed) -> None:
        name, text = self._sources[index].name, cids.format_cid(cid)
        lie = VerificationFailed(f"{name} cannot be trusted: {exc.message}", source=name, cid=text)
        lie.__cause__ = exc
        self.lies[index] = lie

    def _find_more(self, cid: bytes) -> bool:
        """Ask who else may have *cid*; tell whether there is anybody new."""
        if self._more is None:
            return False
        known = {source.url for source in self._sources}
        fresh = [source for source in self._more(cid) if source.url not in known]
        if fresh:
            self._current = len(self._sources)
            self._sources += fresh
            self._end_prefetch()  # which knows the old ones only
        return bool(fresh)

    def _candidates(self) -> Iterator[int]:
        count, first = len(self._sources), self._current
        if self._sources and self._sources[first].last_resort:
            first = 0  # it helped out with one block
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
        data = self._block(source, cid)
        self._cache.put(cids.multihash_of(cid), data)
        return data

    def _wants_car(self, cid: bytes) -> bool:
        if self._skipping or self._current in self._no_car:
            return False
        if self._at_the_beginning(cid):
            return cid == self._root
        return self._span is None and cids.codec_of(cid) != cids.RAW

    def _at_the_beginning(self, cid: bytes) -> bool:
        """Tell whether one request for the root brings all that is wanted, *cid* first."""
        return self._resolving or (not self._path and cid == self._root)

    def _open(self, source: Gateway, cid: bytes) -> CarStream:
        path, part = (self._path, self._span) if self._at_the_beginning(cid) else ((), None)
        answer = self._closing.enter_context(source.car(cid, path, str(part) if part else None))
        # A server that knows no parts of files sends blocks that nobody asked for, and means no harm.
        order: Order = "unk" if part else answer.order
        self._stream = CarStream(answer.chunks, order=order, dups=answer.dups, cache=self._cache)
        if self._prefetch is not None:
            self._prefetch.want(())
        return self._stream

    def _ask(self, index: int, cid: bytes) -> bytes:
        """Return a block from one source; called by the threads that fetch ahead."""
        try:
            return self._block(self._sources[index], cid)
        except VerificationFailed as exc:
            self._accuse(index, cid, exc)
            raise

    def _block(self, source: Gateway, cid: bytes) -> bytes:
        try:
            return source.block(cid)
        except NotServed:
            raise
        except GatewayUnavailable as exc:
            self._wait(exc)
            return source.block(cid)

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

    def _end_prefetch(self) -> None:
        prefetch, self._prefetch = self._prefetch, None
        if prefetch is not None:
            prefetch.close()

    def _verdict(self, cid: bytes, failures: Sequence[FpinError]) -> FpinError:
        """Return what it means that no source gave the block: the worst that was met."""
        text = cids.format_cid(cid)
        if self.lies:
            return next(iter(self.lies.values()))
        reasons = "; ".join(error.message for error in failures) or "there is nowhere to ask"
        if all(isinstance(error, NotServed) for error in failures):
            return NotFound(f"nobody has block {text}: {reasons}", cid=text)
        return GatewayUnavailable(f"block {text} cannot be fetched now: {reasons}", cid=text)
