"""Contract ABI encoding: typed values to bytes and back, as the Solidity specification lays them out.

Knows types as text, such as ``(uint256,bytes[])[]``; no names and no contract. It holds to the strict form:
what `encode` refuses or `decode` meets that no encoder writes (dirty padding, an offset outside) is an error.
(eth-abi does the same, and its import takes 0.2 s of every command; tests compare both.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

WORD = 32
# No answer that fpin asks for is near: what claims to be longer would only fill memory.
_MAX_ITEMS = 2**20

_ELEMENTARY = re.compile(r"(uint|int)(\d+)|bytes(\d*)|address|bool|string")
_ARRAY = re.compile(r"(.+)\[(\d*)\]")


class _Kind(NamedTuple):
    """A type, taken apart. *name* is of an elementary type, or ``array`` or ``tuple``."""

    name: str
    size: int  # bits of a number, bytes of bytesN, items of a fixed array; 0 where there is none
    parts: tuple[_Kind, ...]  # the fields of a tuple; the item of an array
    dynamic: bool
    head: int  # bytes in the part of fixed size


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return *values* as a tuple of *types*; raises ValueError for one that does not fit its type.

    >>> encode(["uint8", "bool"], [5, True]).hex()[60:68]
    '05000000'
    """
    return _encode(_tuple([_kind(one) for one in types]), values)


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Return the values of the tuple of *types* that *data* is; raises ValueError where it is none.

    Integers are `int`, addresses lower-case text, bytes `bytes`, arrays and tuples `tuple`. What follows
    the last value is ignored, as contracts do.
    """
    found: tuple[Any, ...] = _decode(_tuple([_kind(one) for one in types]), data, 0)
    return found


@cache
def _kind(text: str) -> _Kind:
    if array := _ARRAY.fullmatch(text):
        item, count = _kind(array[1]), int(array[2] or 0)
        if not array[2]:
            return _Kind("array", 0, (item,), True, WORD)
        return _Kind("array", count, (item,), item.dynamic, WORD if item.dynamic else count * item.head)
    if text.startswith("(") and text.endswith(")"):
        return _tuple([_kind(one) for one in _fields(text[1:-1])])
    found = _ELEMENTARY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no ABI type")
    if found[1]:
        return _Kind(found[1], int(found[2]), (), False, WORD)
    if text in ("bytes", "string"):
        return _Kind(text, 0, (), True, WORD)
    return _Kind("bytesN" if found[3] else text, int(found[3] or 0), (), False, WORD)


def _tuple(parts: Sequence[_Kind]) -> _Kind:
    dynamic = any(part.dynamic for part in parts)
    return _Kind("tuple", 0, tuple(parts), dynamic, WORD if dynamic else sum(part.head for part in parts))


def _fields(text: str) -> list[str]:
    """Split at the commas that stand in no inner pair of brackets."""
    fields, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            fields.append(text[start:place])
            start = place + 1
    return [*fields, text[start:]] if text else []


def _encode(kind: _Kind, value: Any) -> bytes:
    if kind.name == "tuple":
        return _encode_row(kind.parts, _sequence(value, len(kind.parts)))
    if kind.name == "array":
        counted = kind.dynamic and not kind.size
        items = _sequence(value, None if counted else kind.size)
        row = _encode_row(kind.parts * len(items), items)
        return _word(len(items)) + row if counted else row
    if kind.name in ("bytes", "string"):
        raw = _text(value).encode() if kind.name == "string" else _bytes(value, None)
        return _word(len(raw)) + raw + bytes(-len(raw) % WORD)
    return _encode_word(kind, value)


def _encode_row(kinds: Sequence[_Kind], values: Sequence[Any]) -> bytes:
    """Encode values side by side: what varies in size follows, and its offset stands in its place."""
    encoded = [_encode(kind, value) for kind, value in zip(kinds, values, strict=True)]
    offset = sum(kind.head for kind in kinds)
    heads = []
    for kind, part in zip(kinds, encoded, strict=True):
        heads.append(_word(offset) if kind.dynamic else part)
        offset += len(part) if kind.dynamic else 0
    tails = [part for kind, part in zip(kinds, encoded, strict=True) if kind.dynamic]
    return b"".join(heads + tails)


def _encode_word(kind: _Kind, value: Any) -> bytes:
    if kind.name == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is no bool")
        return _word(int(value))
    if kind.name == "address":
        text = _text(value)
        if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
            raise ValueError(f"{text!r} is no address")
        return bytes.fromhex(text[2:]).rjust(WORD, b"\0")
    if kind.name == "bytesN":
        return _bytes(value, kind.size).ljust(WORD, b"\0")
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no integer")
    low, high = _bounds(kind)
    if not low <= value <= high:
        raise ValueError(f"{value} does not fit {kind.name}{kind.size}")
    return value.to_bytes(WORD, "big", signed=low < 0)


def _decode(kind: _Kind, data: bytes, start: int) -> Any:
    """Decode the value whose encoding begins at *start*; offsets inside count from there."""
    if kind.name == "tuple":
        return _decode_row(kind.parts, data, start)
    if kind.name == "array":
        count = kind.size
        if kind.dynamic and not kind.size:
            count, start = _length(data, start), start + WORD
            if count * kind.parts[0].head > len(data) - start:
                raise ValueError(f"an array of {count} items in {len(data)} bytes")
        return _decode_row(kind.parts * count, data, start)
    if kind.name in ("bytes", "string"):
        size = _length(data, start)
        raw = _slice(data, start + WORD, size)
        if any(_slice(data, start + WORD + size, -size % WORD)):
            raise ValueError("bytes are not padded with zeros")
        return raw.decode() if kind.name == "string" else raw
    return _decode_word(kind, _slice(data, start, WORD))


def _decode_row(kinds: Sequence[_Kind], data: bytes, start: int) -> tuple[Any, ...]:
    values, place = [], start
    for kind in kinds:
        at = start + _length(data, place) if kind.dynamic else place
        values.append(_decode(kind, data, at))
        place += kind.head
    return tuple(values)


def _decode_word(kind: _Kind, word: bytes) -> Any:
    if kind.name == "address":
        _zeros(word[:12])
        return "0x" + word[12:].hex()
    if kind.name == "bytesN":
        _zeros(word[kind.size :])
        return word[: kind.size]
    number = int.from_bytes(word, "big", signed=kind.name == "int")
    if kind.name == "bool":
        if number > 1:
            raise ValueError(f"{number} is no bool")
        return number == 1
    low, high = _bounds(kind)
    if not low <= number <= high:
        raise ValueError(f"{number} does not fit {kind.name}{kind.size}")
    return number


def _bounds(kind: _Kind) -> tuple[int, int]:
    if kind.name == "uint":
        return 0, 2**kind.size - 1
    return -(2 ** (kind.size - 1)), 2 ** (kind.size - 1) - 1


def _length(data: bytes, start: int) -> int:
    """Return the offset or count at *start*, which is never beyond what there is."""
    number = int.from_bytes(_slice(data, start, WORD), "big")
    if number > max(len(data), _MAX_ITEMS):
        raise ValueError(f"an offset or a length of {number} in {len(data)} bytes")
    return number


def _slice(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise ValueError(f"{size} bytes at {start}, but there are only {len(data)}")
    return bytes(data[start : start + size])


def _zeros(padding: bytes) -> None:
    if any(padding):
        raise ValueError("a word is not padded with zeros")


def _sequence(value: Any, count: int | None) -> Sequence[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise ValueError(f"{value!r} is no list")
    if count is not None and len(value) != count:
        raise ValueError(f"{len(value)} values for {count}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _bytes(value: Any, size: int | None) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueError(f"{value!r} is no bytes")
    raw = bytes(value)
    if size is not None and len(raw) > size:
        raise ValueError(f"{len(raw)} bytes for bytes{size}")
    return raw


def _word(number: int) -> bytes:
    return number.to_bytes(WORD, "big")
