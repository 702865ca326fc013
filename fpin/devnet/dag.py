"""DAG-CBOR and DAG-JSON: bytes to plain Python values and back, links as `Link`.

Knows nothing of advertisements, gateways or hashes; whoever calls checks the hash first.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from typing import TypeAlias

from fpin.ipld.cid import format_cid, parse_cid
from fpin.values import dataclass

_MAX_DEPTH = 128
_JSON_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Link:
    """A CID inside a value, in binary form."""

    cid: bytes


Value: TypeAlias = "bool | int | float | str | bytes | Link | list[Value] | dict[str, Value] | None"


def encode_json(value: Value) -> bytes:
    """DAG-JSON: keys sorted bytewise, no whitespace, bytes as base64 without padding."""
    return json.dumps(_to_json(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def decode_json(data: bytes) -> Value:
    """The value of DAG-JSON *data*; ValueError where it is none."""
    # Counted first: the parser recurses, and a thread's stack may end before Python's own limit does.
    depth = 0
    for token in _JSON_NESTING.findall(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token, 0)
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
    return _from_json(json.loads(data))


def encode_cbor(value: Value) -> bytes:
    """DAG-CBOR: shortest integers, map keys by length and then bytewise, 64-bit floats."""
    out = bytearray()
    _write_cbor(out, value)
    return bytes(out)


def decode_cbor(data: bytes) -> Value:
    """The one value of DAG-CBOR *data*; ValueError for anything else, trailing bytes included."""
    try:
        value, end = _read_cbor(data, 0, 0)
    except (IndexError, struct.error):
        raise ValueError("CBOR ends in the middle of a value") from None
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes follow the CBOR value")
    return value


def _to_json(value: Value) -> object:
    if isinstance(value, Link):
        return {"/": format_cid(value.cid)}
    if isinstance(value, bytes):
        return {"/": {"bytes": base64.b64encode(value).rstrip(b"=").decode()}}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_json(value[key]) for key in sorted(value, key=str.encode)}
    return value


def _from_json(value: object) -> Value:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"/"}:
            return _special(value["/"])
        return {key: _from_json(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"unexpected {type(value).__name__} in DAG-JSON")


def _special(value: object) -> Value:
    if isinstance(value, str):
        return Link(parse_cid(value))
    if isinstance(value, dict) and set(value) == {"bytes"} and isinstance(value["bytes"], str):
        text = value["bytes"]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    raise ValueError('the key "/" is reserved for links and bytes')


def _write_cbor(out: bytearray, value: Value) -> None:
    if value is None or isinstance(value, bool):
        out.append({None: 0xF6, False: 0xF4, True: 0xF5}[value])
    elif isinstance(value, int):
        _write_head(out, *((0, value) if value >= 0 else (1, -1 - value)))
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("DAG-CBOR has no NaN and no infinity")
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else value.encode()
        _write_head(out, 2 if isinstance(value, bytes) else 3, len(data))
        out += data
    elif isinstance(value, Link):
        out += b"\xd8\x2a"
        _write_cbor(out, b"\x00" + value.cid)
    elif isinstance(value, list):
        _write_head(out, 4, len(value))
        for item in value:
            _write_cbor(out, item)
    else:
        _write_head(out, 5, len(value))
        for key in sorted(value, key=lambda key: (len(key.encode()), key.encode())):
            _write_cbor(out, key)
            _write_cbor(out, value[key])


def _write_head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            out.append(major << 5 | code)
            out += number.to_bytes(size, "big")
            return
    raise ValueError("integers of DAG-CBOR have at most 64 bits")


def _read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """(major type, number, next offset); for major type 7 the number is the raw low five bits."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low < 24 or major == 7:
        return major, low, at
    if low > 27:
        raise ValueError("DAG-CBOR has no indefinite lengths")
    size = 1 << (low - 24)
    if at + size > len(data):
        raise IndexError
    return major, int.from_bytes(data[at : at + size], "big"), at + size


def _read_cbor(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    major, number, at = _read_head(data, at)
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        if at + number > len(data):
            raise IndexError
        raw = data[at : at + number]
        return (raw if major == 2 else raw.decode()), at + number
    if major == 4:
        items: list[Value] = []
        for _ in range(number):
            item, at = _read_cbor(data, at, depth + 1)
            items.append(item)
        return items, at
    if major == 5:
        return _read_map(data, at, number, depth)
    if major == 6:
        return _read_link(data, at, number)
    return _read_simple(data, at, number)


def _read_map(data: bytes, at: int, size: int, depth: int) -> tuple[Value, int]:
    found: dict[str, Value] = {}
    for _ in range(size):
        key, at = _read_cbor(data, at, depth + 1)
        if not isinstance(key, str) or key in found:
            raise ValueError(f"bad or repeated map key {key!r}")
        found[key], at = _read_cbor(data, at, depth + 1)
    return found, at


def _read_link(data: bytes, at: int, tag: int) -> tuple[Value, int]:
    if tag != 42:
        raise ValueError(f"CBOR tag {tag}; DAG-CBOR knows only 42")
    raw, at = _read_cbor(data, at, _MAX_DEPTH)
    if not isinstance(raw, bytes) or not raw.startswith(b"\x00"):
        raise ValueError("a link is a byte string that starts with zero")
    return Link(raw[1:]), at


def _read_simple(data: bytes, at: int, low: int) -> tuple[Value, int]:
    if low in (20, 21):
        return low == 21, at
    if low == 22:
        return None, at
    if low == 27:
        (number,) = struct.unpack_from(">d", data, at)
        return float(number), at + 8
    raise ValueError(f"DAG-CBOR has no simple value {low}")
