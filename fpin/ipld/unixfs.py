"""The UnixFS message inside a dag-pb node: what kind of thing it is; knows nothing of links."""

from __future__ import annotations

import enum

from fpin.ipld import protobuf
from fpin.values import dataclass


class Kind(enum.IntEnum):
    """What a UnixFS node is."""

    RAW = 0  # read only: old importers wrote it for leaves
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixFs:
    """A UnixFS message. *data*: inline bytes of a file, target of a symlink, bitfield of a HAMT shard.

    *filesize* is None where the field is absent; *mtime* is ``(seconds, nanoseconds)``.
    """

    kind: Kind
    data: bytes = b""
    filesize: int | None = None
    blocksizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None
    mode: int | None = None
    mtime: tuple[int, int] | None = None


def encode(message: UnixFs) -> bytes:
    """Return *message* as bytes, fields ascending, nothing packed, empty data left out.

    >>> encode(UnixFs(kind=Kind.SYMLINK, data=b"foo")).hex()
    '08041203666f6f'
    """
    out = [protobuf.number_field(1, message.kind)]
    if message.data:
        out.append(protobuf.bytes_field(2, message.data))
    if message.filesize is not None:
        out.append(protobuf.number_field(3, message.filesize))
    out += [protobuf.number_field(4, size) for size in message.blocksizes]
    for field, value in ((5, message.hash_type), (6, message.fanout), (7, message.mode)):
        if value is not None:
            out.append(protobuf.number_field(field, value))
    if message.mtime is not None:
        seconds, nanos = message.mtime
        time = protobuf.number_field(1, seconds)
        if nanos:
            time += b"\x15" + nanos.to_bytes(4, "little")
        out.append(protobuf.bytes_field(8, time))
    return b"".join(out)


def decode(data: bytes) -> UnixFs:
    """Return the message in *data*; ValueError when it is none.

    Packed block sizes are read too. Fields that are unknown or have the wrong type are an error: they
    would change what the content is.
    """
    numbers: dict[int, int] = {}
    content, mtime = b"", None
    blocksizes: list[int] = []
    for field, wire, value in protobuf.fields(data):
        if field == 4 and isinstance(value, int):
            blocksizes.append(value)
        elif wire == protobuf.BYTES and isinstance(value, bytes) and field in (2, 4, 8):
            if field == 2:
                content = value
            elif field == 4:
                blocksizes += _packed(value)
            else:
                mtime = _decode_mtime(value)
        elif field in (1, 3, 5, 6, 7) and isinstance(value, int):
            numbers[field] = value
        else:
            raise ValueError(f"UnixFS message has a field {field} that does not belong there")
    if 1 not in numbers:
        raise ValueError("UnixFS message has no type")
    return UnixFs(
        kind=Kind(numbers[1]),
        data=content,
        filesize=numbers.get(3),
        blocksizes=tuple(blocksizes),
        hash_type=numbers.get(5),
        fanout=numbers.get(6),
        mode=numbers.get(7),
        mtime=mtime,
    )


def _packed(value: bytes) -> list[int]:
    numbers, offset = [], 0
    while offset < len(value):
        number, offset = protobuf.read_uvarint(value, offset)
        numbers.append(number)
    return numbers


def _decode_mtime(value: bytes) -> tuple[int, int]:
    seconds = nanos = 0
    for field, wire, part in protobuf.fields(value):
        if field == 1 and isinstance(part, int):
            seconds = part - (1 << 64) if part >> 63 else part
        elif field == 2 and wire == protobuf.FIXED32 and isinstance(part, bytes):
            nanos = int.from_bytes(part, "little")
        else:
            raise ValueError(f"UnixFS time has a field {field} that does not belong there")
    return seconds, nanos
