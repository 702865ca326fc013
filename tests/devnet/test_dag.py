"""DAG-CBOR and DAG-JSON: what goes in comes out, and what is no such thing is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.devnet.dag import Link, Value, decode_cbor, decode_json, encode_cbor, encode_json
from fpin.ipld.cid import parse_cid

CID = parse_cid("bafyreihd3keikxlu3t4c3cbsnpqzjmfw6m4upoyu5z6wbk6broz5a6u6yi")
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.just(Link(CID))
)
names = st.text(max_size=8).filter(lambda name: name != "/")
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)
)


@given(values)
def test_values_survive_both_encodings(value: Value) -> None:
    assert decode_cbor(encode_cbor(value)) == value
    assert decode_json(encode_json(value)) == value


def test_cbor_keys_are_ordered_by_length_first() -> None:
    assert encode_cbor({"Entries": [], "Next": 1}).hex() == "a2644e6578740167456e747269657380"
    assert encode_json({"b": 1, "aa": 2}) == b'{"aa":2,"b":1}'


@pytest.mark.parametrize(
    "data", ["", "82", "a10102", "a1616101616202ff", "5803aabb", "f7", "f97e00", "c001", "9fff", "d82a4155"]
)
def test_what_is_no_dag_cbor_is_refused(data: str) -> None:
    with pytest.raises(ValueError):
        decode_cbor(bytes.fromhex(data))


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"/":1}', b'{"/":"nonsense"}', b"[" * 100_000, b'{"a":' * 129 + b"1" + b"}" * 129]
)
def test_what_is_no_dag_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_json(data)


def test_brackets_inside_text_are_no_nesting() -> None:
    text = '["[[' * 200
    assert decode_json(encode_json([text])) == [text]
