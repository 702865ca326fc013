"""The ABI encoding against eth-abi, which others wrote, over types and values of every form."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import decode as their_decode
from eth_abi.abi import encode as their_encode
from eth_abi.exceptions import DecodingError
from hypothesis import given, settings
from hypothesis import strategies as st

from fpin.chain.codec import decode, encode

Typed = tuple[str, Any]


def number(bits: int, signed: bool) -> st.SearchStrategy[Typed]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high).map(lambda value: (f"{'' if signed else 'u'}int{bits}", value))


SIZES = st.integers(1, 32)
WORDS = st.one_of(
    st.tuples(SIZES, st.booleans()).flatmap(lambda pick: number(8 * pick[0], pick[1])),
    st.booleans().map(lambda value: ("bool", value)),
    st.binary(min_size=20, max_size=20).map(lambda raw: ("address", "0x" + raw.hex())),
    st.binary(min_size=1, max_size=32).map(lambda raw: (f"bytes{len(raw)}", raw)),
    st.binary(max_size=70).map(lambda raw: ("bytes", raw)),
    st.text(max_size=40).map(lambda text: ("string", text)),
)


def of_one_type(typed: Typed, count: int, fixed: bool) -> Typed:
    kind, value = typed
    return f"{kind}[{count if fixed and count else ''}]", (value,) * count


def composed(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(
        st.builds(of_one_type, inner, st.integers(0, 3), st.booleans()),
        st.lists(inner, min_size=1, max_size=4).map(
            lambda row: (f"({','.join(kind for kind, _ in row)})", tuple(value for _, value in row))
        ),
    )


VALUES = st.lists(st.recursive(WORDS, composed, max_leaves=8), max_size=4)


@settings(deadline=None)
@given(VALUES)
def test_what_is_encoded_is_what_another_library_encodes_and_comes_back(row: list[Typed]) -> None:
    types, values = [kind for kind, _ in row], tuple(value for _, value in row)
    encoded = encode(types, values)
    assert encoded == their_encode(types, values)
    assert decode(types, encoded) == values == their_decode(types, encoded)


@settings(deadline=None)
@given(VALUES.filter(bool), st.data())
def test_damaged_bytes_are_refused_or_read_as_the_other_library_reads_them(
    row: list[Typed], data: st.DataObject
) -> None:
    types = [kind for kind, _ in row]
    damaged = bytearray(encode(types, tuple(value for _, value in row)))
    cut = data.draw(st.integers(0, len(damaged)))
    if data.draw(st.booleans()) and damaged:
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        damaged = damaged[:cut]
    try:
        ours: Any = decode(types, bytes(damaged))
    except ValueError:
        return  # being stricter is allowed: no contract writes such bytes
    try:
        assert ours == their_decode(types, bytes(damaged))
    except (DecodingError, OverflowError) as error:
        raise AssertionError(f"read {ours!r} where the other library refuses: {error}") from error


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint256", -1),
        ("int8", 128),
        ("uint256", True),
        ("uint256", "1"),
        ("bool", 1),
        ("address", "0x12"),
        ("bytes4", b"12345"),
        ("bytes", "text"),
        ("string", b"bytes"),
        ("uint8[2]", [1]),
        ("uint8[]", "12"),
        ("(uint8,bool)", [1]),
    ],
)
def test_values_that_do_not_fit_are_refused(kind: str, value: object) -> None:
    with pytest.raises(ValueError):
        encode([kind], [value])


def test_a_length_that_nothing_can_have_takes_no_memory() -> None:
    with pytest.raises(ValueError, match="an offset or a length"):
        decode(["uint256[]"], (32).to_bytes(32, "big") + (2**200).to_bytes(32, "big"))
