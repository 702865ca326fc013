"""The little of protobuf that dag-pb and UnixFS need: fields in, fields out; knows no message types."""

from __future__ import annotations

from collections.abc import Iterator

_ONE_BYTE = [bytes((n,)) for n in range(128)]
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def uvarint(n: int) -> bytes:
    """Return *n* as protobuf writes it; a negative int64 takes ten bytes."""
    if 0 <= n < 128:
        return _ONE_BYTE[n]
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number_field(field: int, n: int) -> bytes:
    """Return a varint field."""
    return uvarint(field << 3) + uvarint(n)


def bytes_field(field: int, data: bytes) -> bytes:
    """Return a length-delimited field."""
    return uvarint(field << 3 | BYTES) + uvarint(len(data)) + data


def fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield ``(field number, wire type, value)`` in order: an int for varints, bytes for everything else.

    Raises ValueError for a message that is cut short or uses the wire types of groups.
    """
    offset = 0
    while offset < len(message):
        key, offset = read_uvarint(message, offset)
        wire = key & 7
        if wire == VARINT:
            number, offset = read_uvarint(message, offset)
            yield key >> 3, wire, number
            continue
        if wire == BYTES:
            length, offset = read_uvarint(message, offset)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"protobuf wire type {wire}")
        if offset + length > len(message):
            raise ValueError("protobuf field is cut short")
        yield key >> 3, wire, message[offset : offset + length]
        offset += length


def read_uvarint(message: bytes, offset: int) -> tuple[int, int]:
    """Return the value at *offset* and the offset after it; ValueError when it is cut short.

    Not the varint of multiformats: protobuf allows ten bytes, and forms that are not minimal.
    """
    value = shift = 0
    for position in range(offset, min(offset + 10, len(message))):
        byte = message[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & ((1 << 64) - 1), position + 1
        shift += 7
    raise ValueError("protobuf varint is cut short or too long")
