"""CAR files: blocks to bytes, bytes to verified blocks (version 1, and version 2 read only).

Knows nothing of UnixFS, files on disk, HTTP or Filecoin; those call this module, never the reverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple, cast

from fpin.errors import VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld import dagcbor, varint

MAX_HEADER = 32 * 2**20  # go-car's limits
MAX_SECTION = 8 * 2**20
PRAGMA_V2 = bytes.fromhex("0aa16776657273696f6e02")
_V2_HEADER = 40  # characteristics 16, data offset 8, data size 8, index offset 8
_READ = 2**20
_ZEROS = bytes(_READ)


class CarTruncated(VerificationFailed):
    """The bytes end in the middle of a section or header: the rest was never received."""


class Block(NamedTuple):
    """A block and the CID it was filed under."""

    cid: bytes
    data: bytes


class Section(NamedTuple):
    """Where a block's data stands, counted from the start of the file."""

    cid: bytes
    offset: int
    size: int


def header(roots: Iterable[bytes]) -> bytes:
    """Return a CARv1 header with its length in front: 59 bytes for one version 1 SHA-256 root.

    >>> len(header([cids.cid_of(cids.RAW, b"hello world")]))
    59
    """
    links = [b"\xd8\x2a" + _cbor_head(2, len(cid) + 1) + b"\0" + cid for cid in roots]
    body = b"\xa2\x65roots" + _cbor_head(4, len(links)) + b"".join(links) + b"\x67version\x01"
    return varint.encode(len(body)) + body


def section_prefix(cid: bytes, size: int) -> bytes:
    """Return what stands before the *size* bytes of a block: length, then CID."""
    return varint.encode(len(cid) + size) + cid


def section_size(cid_length: int, size: int) -> int:
    """Return the bytes a whole section takes."""
    return varint.size(cid_length + size) + cid_length + size


def _cbor_head(major: int, n: int) -> bytes:
    if n < 24:
        return bytes((major << 5 | n,))
    if n < 256:
        return bytes((major << 5 | 24, n))
    if n < 1 << 16:
        return bytes((major << 5 | 25,)) + n.to_bytes(2, "big")
    return bytes((major << 5 | 26,)) + n.to_bytes(4, "big")


class CarReader:
    """A CAR being read: `version` and `roots` are known at once, iterating yields its blocks in order.

    The version 1 CAR in it, the payload, goes from *payload_start* to *payload_end*; None: to the end.

    Memory holds one section and one chunk of input. `offset` counts the bytes consumed, sections and
    headers alike. A zero-length section is the padding of a Filecoin piece: the end, if only zeros follow.
    """

    version: int
    roots: tuple[bytes, ...]
    payload_start: int
    payload_end: int | None

    def __init__(
        self, chunks: Iterable[bytes], *, verify: bool, max_section: int, max_header: int = MAX_HEADER
    ) -> None:
        self._input = _Input(chunks)
        self._verify = verify
        self._max_section = max_section
        self._max_header = max_header
        self.payload_start, self.payload_end = 0, None
        self.version, self.roots = self._read_header()
        if self.version == 2:
            self._enter_v2()

    @property
    def offset(self) -> int:
        """Bytes consumed so far."""
        return self._input.offset

    def __iter__(self) -> Iterator[Block]:
        while (block := self._next()) is not None:
            yield block

    def _next(self) -> Block | None:
        start = self._input.offset
        if self.payload_end is not None and start >= self.payload_end:
            return None
        length = self._input.varint("section", may_end=self.payload_end is None)
        if length is None:
            return None
        if length == 0:
            self._input.only_zeros(self.payload_end)
            return None
        if length > self._max_section:
            raise VerificationFailed(
                f"CAR section at byte {start} says it holds {length} bytes, over {self._max_section}"
            )
        if self.payload_end is not None and self._input.offset + length > self.payload_end:
            raise CarTruncated(f"CAR section at byte {start} runs past the end of its payload")
        return self._block(self._input.take(length, "section"), start)

    def _block(self, section: bytes, start: int) -> Block:
        try:
            cid, end = cids.read_cid(section)
        except ValueError as exc:
            raise no_cid(start, exc) from exc
        data = section[end:]
        if self._verify:
            check_block(cid, data, start)
        return Block(cid, data)

    def _read_header(self) -> tuple[int, tuple[bytes, ...]]:
        start = self._input.offset
        length = self._input.varint("header")
        if not length or length > self._max_header:
            raise VerificationFailed(f"not a CAR: its header at byte {start} says it holds {length} bytes")
        return parse_header(self._input.take(length, "header"))

    def _enter_v2(self) -> None:
        place = self._input.take(_V2_HEADER, "version 2 header")
        data_offset = int.from_bytes(place[16:24], "little")
        data_size = int.from_bytes(place[24:32], "little")
        if data_offset < self._input.offset:
            raise VerificationFailed(f"CAR version 2 header points to byte {data_offset}, inside itself")
        self._input.skip(data_offset - self._input.offset)
        self.payload_start, self.payload_end = data_offset, data_offset + data_size
        version, self.roots = self._read_header()
        if version != 1:
            raise VerificationFailed(f"CAR version 2 holds a payload of version {version}, not 1")


def read_car(
    source: BinaryIO | Iterable[bytes],
    verify: bool = True,
    *,
    max_section: int = MAX_SECTION,
    max_header: int = MAX_HEADER,
) -> CarReader:
    """Return a reader of the CAR in *source*, a binary file or chunks of bytes of any size.

    Raises VerificationFailed, naming the offset, when the bytes are no CAR, a section is larger than
    *max_section*, the header larger than *max_header*, or (with *verify*) a block is not what its CID says;
    `CarTruncated` when they stop early.
    """
    if hasattr(source, "read"):  # a file is an Iterable too, of its lines
        source = _chunks_of(cast(BinaryIO, source))
    return CarReader(source, verify=verify, max_section=max_section, max_header=max_header)


def check_block(cid: bytes, data: bytes | memoryview, start: int) -> None:
    """Raise VerificationFailed, naming the section at byte *start*, unless *data* is what *cid* names."""
    try:
        good = cids.hash_matches(cid, data)
    except ValueError as exc:
        raise no_cid(start, exc) from exc
    if not good:
        name = cids.format_cid(cid)
        raise VerificationFailed(
            f"block {name} at byte {start} does not have the content its CID names", cid=name, offset=start
        )


def no_cid(start: int, exc: ValueError) -> VerificationFailed:
    """Return the error for a section that begins with no CID."""
    return VerificationFailed(f"CAR section at byte {start} has no valid CID: {exc}")


def parse_header(body: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Return ``(version, roots)`` of a header without its length; VerificationFailed when it is none."""
    try:
        value = dagcbor.decode(body)
    except ValueError as exc:
        raise VerificationFailed(f"not a CAR: {exc}") from exc
    roots = value.get("roots", []) if isinstance(value, dict) else None
    version = value.get("version") if isinstance(value, dict) else None
    if version not in (1, 2) or not isinstance(roots, list):
        raise VerificationFailed("not a CAR: its header names no version 1 or 2")
    if not all(isinstance(root, dagcbor.CidLink) for root in roots):
        raise VerificationFailed("not a CAR: a root in its header is no CID")
    return int(version == 2) + 1, tuple(bytes(root) for root in roots if isinstance(root, bytes))


def index_car(file: BinaryIO) -> Iterator[Section]:
    """Yield where each block of a CAR in the seekable *file* stands; no data is read, nothing is hashed.

    Stops at a zero-length section. Raises VerificationFailed as `read_car` does.
    """
    file.seek(0)
    opening = CarReader(_chunks_of(file, 4096), verify=False, max_section=MAX_SECTION)
    payload_end, position = opening.payload_end, opening.offset
    size = file.seek(0, 2)
    end = size if payload_end is None else min(size, payload_end)
    while position < end:
        file.seek(position)
        head = file.read(9 + 4 + 2 * 9 + cids.MAX_DIGEST)  # a length and the longest CID read_cid accepts
        try:
            length, start = varint.decode(head)
            if length == 0:
                return
            if position + start + length > end:
                raise CarTruncated(f"unexpected end of the CAR, in the section at byte {position}")
            cid, data = cids.read_cid(head, start)
        except ValueError as exc:
            raise VerificationFailed(f"CAR section at byte {position} is damaged: {exc}") from exc
        if length > MAX_SECTION or data - start > length:
            raise VerificationFailed(f"CAR section at byte {position} says it holds {length} bytes")
        yield Section(cid, position + data, start + length - data)
        position += start + length


def _chunks_of(file: BinaryIO, size: int = _READ) -> Iterator[bytes]:
    while chunk := file.read(size):
        yield chunk


class _Input:
    """Bytes taken one after another from chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._chunk = b""
        self._position = 0
        self.offset = 0

    def take(self, count: int, what: str) -> bytes:
        end = self._position + count
        if end <= len(self._chunk):
            part = self._chunk[self._position : end]
            self._position = end
        else:
            part = self._gather(count, what)
        self.offset += count
        return part

    def skip(self, count: int) -> None:
        while count:
            step = min(count, _READ)
            self.take(step, "version 2 padding")
            count -= step

    def varint(self, what: str, *, may_end: bool = False) -> int | None:
        """Return the next varint, or None where *may_end* allows the input to stop before it."""
        start, raw = self.offset, bytearray()
        while not raw or raw[-1] > 127:
            if len(raw) == varint.MAX_LENGTH:
                raise VerificationFailed(f"CAR {what} at byte {start} has a length of more than 9 bytes")
            if not raw and may_end and not self._fill():
                return None
            raw += self.take(1, what)
        try:
            return varint.decode(raw)[0]
        except ValueError as exc:
            raise VerificationFailed(f"CAR {what} at byte {start}: {exc}") from exc

    def only_zeros(self, end: int | None) -> None:
        """Consume the rest, up to *end* where the payload has one; all must be zero."""
        while (end is None or self.offset < end) and self._fill():
            stop = len(self._chunk) if end is None else self._position + end - self.offset
            rest = memoryview(self._chunk)[self._position : stop]
            for start in range(0, len(rest), _READ):
                part = rest[start : start + _READ]
                if part != _ZEROS[: len(part)]:
                    raise VerificationFailed(
                        f"bytes other than zero follow the end of the CAR at {self.offset}"
                    )
            self.offset += len(rest)
            self._position += len(rest)

    def _fill(self) -> bool:
        """Make sure that a byte is at hand; tell whether there is one."""
        while self._position == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._chunk, self._position = bytes(chunk), 0
        return True

    def _gather(self, count: int, what: str) -> bytes:
        parts, missing = [], count
        while missing:
            if not self._fill():
                raise CarTruncated(f"unexpected end of the CAR in a {what} at byte {self.offset}")
            part = self._chunk[self._position : self._position + missing]
            self._position += len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)
