"""Unsigned variable-length integers of multiformats; knows nothing of what they count."""

from __future__ import annotations

MAX_LENGTH = 9  # bytes, so values stay below 2**63 (multiformats/unsigned-varint)
_ONE_BYTE = [bytes((n,)) for n in range(128)]


def encode(n: int) -> bytes:
    """Return the minimal encoding of 0 <= *n* < 2**63.

    >>> encode(127).hex(), encode(128).hex(), encode(1048612).hex()
    ('7f', '8001', 'a48040')
    """
    if 0 <= n < 128:
        return _ONE_BYTE[n]
    if not 0 <= n < 1 << 63:
        raise ValueError(f"no varint for {n}")
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def size(n: int) -> int:
    """Return the number of bytes `encode` uses for *n* >= 0."""
    return (n.bit_length() + 6) // 7 or 1


def decode(buf: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """Return the value that starts at *offset* of *buf*, and the offset after it.

    Raises ValueError when it is cut short, longer than nine bytes, or not minimal.
    """
    value = shift = 0
    for position in range(offset, offset + MAX_LENGTH):
        if position >= len(buf):
            raise ValueError("varint is cut short")
        byte = buf[position]
        value |= (byte & 127) << shift
        if byte < 128:
            if byte == 0 and shift:
                raise ValueError("varint is not minimal")
            return value, position + 1
        shift += 7
    raise ValueError("varint is longer than 9 bytes")
