"""Reading DAG-CBOR: bytes to plain values, links as bytes; refuses to write it.

The `dag-cbor` package does the same with a CID object for each link, at 100 µs apiece and 50 ms of import.
Here a link is a `CidLink`, so that looking for the links of a block costs next to nothing.
"""

from __future__ import annotations

import struct

from fpin.ipld import cid as cids

MAX_DEPTH = 128

Value = None | bool | int | float | str | bytes | list["Value"] | dict[str, "Value"]


class CidLink(bytes):
    """A link: the bytes are the CID."""


def decode(data: bytes) -> Value:
    """Return the one value in *data*; ValueError when it is not DAG-CBOR or more follows."""
    try:
        value, end = _item(data, 0, 0)
    except (IndexError, struct.error) as exc:
        raise ValueError("DAG-CBOR is cut short") from exc
    if end != len(data):
        raise ValueError("DAG-CBOR has bytes after its value")
    return value


def links(value: Value) -> list[bytes]:
    """Return the CIDs linked anywhere in *value*, in order of appearance."""
    if isinstance(value, CidLink):
        return [bytes(value)]
    if isinstance(value, dict):
        value = list(value.values())
    return [cid for item in value for cid in links(item)] if isinstance(value, list) else []


def _item(data: bytes, offset: int, depth: int) -> tuple[Value, int]:
    if depth > MAX_DEPTH:
        raise ValueError("DAG-CBOR is nested too deep")
    major, minor = data[offset] >> 5, data[offset] & 31
    if major == 7:
        return _simple(data, offset, minor)
    n, offset = _argument(data, offset + 1, minor)
    if major == 0 or major == 1:
        return (n if major == 0 else -1 - n), offset
    if major == 2 or major == 3:
        if offset + n > len(data):
            raise ValueError("DAG-CBOR string is cut short")
        raw = data[offset : offset + n]
        return (raw if major == 2 else raw.decode()), offset + n
    if major == 4:
        items: list[Value] = []
        for _ in range(n):
            item, offset = _item(data, offset, depth + 1)
            items.append(item)
        return items, offset
    if major == 5:
        return _map(data, offset, n, depth)
    return _link(data, offset, n, depth)


def _argument(data: bytes, offset: int, minor: int) -> tuple[int, int]:
    if minor < 24:
        return minor, offset
    if minor > 27:
        raise ValueError("DAG-CBOR has no indefinite lengths")
    width = 1 << (minor - 24)
    if offset + width > len(data):
        raise ValueError("DAG-CBOR is cut short")
    return int.from_bytes(data[offset : offset + width], "big"), offset + width


def _simple(data: bytes, offset: int, minor: int) -> tuple[Value, int]:
    if minor in (20, 21, 22):
        return {20: False, 21: True, 22: None}[minor], offset + 1
    if minor == 27:
        return struct.unpack_from(">d", data, offset + 1)[0], offset + 9
    raise ValueError(f"DAG-CBOR has no simple value {minor}")


def _map(data: bytes, offset: int, n: int, depth: int) -> tuple[Value, int]:
    out: dict[str, Value] = {}
    for _ in range(n):
        key, offset = _item(data, offset, depth + 1)
        if not isinstance(key, str) or key in out:
            raise ValueError("DAG-CBOR map has a key that is no string, or twice")
        out[key], offset = _item(data, offset, depth + 1)
    return out, offset


def _link(data: bytes, offset: int, tag: int, depth: int) -> tuple[Value, int]:
    value, offset = _item(data, offset, depth + 1)
    if tag != 42 or not isinstance(value, bytes) or value[:1] != b"\0":
        raise ValueError(f"DAG-CBOR has no tag {tag}, or its link is malformed")
    cid, end = cids.read_cid(value, 1)
    if end != len(value):
        raise ValueError("DAG-CBOR link has bytes after its CID")
    return CidLink(cid), offset
