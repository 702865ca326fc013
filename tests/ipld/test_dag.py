import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from fpin.ipld import cid as cids
from fpin.ipld import dag, dagcbor, dagpb

A, B = cids.cid_of(cids.RAW, b"a"), cids.cid_of(cids.DAG_PB, b"b")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_dag_cbor_writes_is_read_to_the_same_value(value: dagcbor.Value) -> None:
    assert dagcbor.decode(dag_cbor.encode(value)) == value  # type: ignore[arg-type]


def test_links_are_found_at_any_depth_in_order() -> None:
    data = dag_cbor.encode({"list": [1, {"deep": CID.decode(B)}], "one": CID.decode(A)})
    assert dag.links(cids.cid_of(cids.DAG_CBOR, data), data) == [A, B]  # the shorter key is written first


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "short"),
        ("83 01", "short"),
        ("44 00", "short"),
        ("00 00", "after its value"),
        ("9f ff", "indefinite"),
        ("f7", "simple"),
        ("c1 00", "tag 1"),
        ("d8 2a 41 01", "malformed"),
        ("a1 01 02", "no string"),
        ("a2 61 61 00 61 61 00", "twice"),
        ("81" * 200 + "00", "deep"),
    ],
)
def test_what_is_no_dag_cbor_is_refused(data: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dagcbor.decode(bytes.fromhex(data))


def test_links_of_dag_pb_are_its_links_with_repeats() -> None:
    block = dagpb.encode(dagpb.Node((dagpb.Link(A, "x"), dagpb.Link(B, "y"), dagpb.Link(A, "z"))))
    assert dag.links(B, block) == [A, B, A]


def test_links_of_dag_json_are_the_maps_that_mean_a_link() -> None:
    text = f'{{"a": [{{"/": "{cids.format_cid(A)}"}}], "b": {{"/": {{"bytes": "AAAA"}}}}, "/": 1}}'
    assert dag.links(cids.cid_of(cids.DAG_JSON, text.encode()), text.encode()) == [A]


@pytest.mark.parametrize("codec", [cids.RAW, 0x55AA])
def test_raw_blocks_and_unknown_codecs_lead_nowhere(codec: int) -> None:
    assert dag.links(cids.cid_of(codec, b"\x01"), b"\x01") == []


@pytest.mark.parametrize("codec", [cids.DAG_PB, cids.DAG_CBOR, cids.DAG_JSON])
def test_a_block_that_does_not_decode_is_an_error(codec: int) -> None:
    with pytest.raises(ValueError, match=r"cut short|JSON|CBOR|decode"):
        dag.links(cids.cid_of(codec, b"\xff"), b"\xff")
