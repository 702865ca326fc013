"""A part of a file: which bytes a range names, and that no others are fetched."""

import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.errors import UsageError
from fpin.http import Http
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.retrieve import Content, Gateway, Span, fetch
from tests.provider.peer import Answer, Peer, Request, answer
from tests.retrieve.dags import CAR_TYPE, Dag


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def http(peer: Peer) -> Iterator[Http]:
    with Http() as client:
        yield client


def deep_file(dag: Dag) -> tuple[bytes, bytes]:
    """Add a file of three levels, with bytes in an inner node as well; return its CID and its bytes."""
    left, right = dag.file(b"abcd", b"efgh", b""), dag.file(b"ijkl", b"mn")
    fs = UnixFs(kind=Kind.FILE, data=b"01", filesize=16, blocksizes=(8, 6))
    return dag.node(fs, [("", left), ("", right)]), b"01abcdefghijklmn"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0:3", b"01ab"),
        ("5:5", b"d"),
        (":1", b"01"),
        ("12:", b"klmn"),
        ("12:*", b"klmn"),
        ("-3:", b"lmn"),
        ("-3:-2", b"lm"),
        ("2:-1", b"abcdefghijklmn"),
        ("0:10000", b"01abcdefghijklmn"),
        ("-10000:1", b"01"),
        ("16:20", b""),
        ("100:", b""),
        ("3:-14", b""),
        (":", b"01abcdefghijklmn"),
    ],
)
def test_a_range_names_first_and_last_byte_and_counts_from_the_end_where_negative(
    peer: Peer, http: Http, text: str, found: bytes
) -> None:
    dag = Dag()
    root, _ = deep_file(dag)
    dag.serve(peer)
    out = io.BytesIO()
    fetched = fetch(root, (), [Gateway(peer.url, http)], out, span=Span.parse(text))
    assert (out.getvalue(), fetched.bytes, fetched.files) == (found, len(found), 1)


@pytest.mark.parametrize("text", ["", "5", "5-7", "a:b", "1:2:3", "9:3", "-2:-5", "0:1.5", "*:3"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        Span.parse(text)


@given(size=st.integers(0, 40), first=st.integers(-50, 50), last=st.none() | st.integers(-50, 50))
def test_a_span_lies_within_the_file_whatever_it_says(size: int, first: int, last: int | None) -> None:
    start, stop = Span(first, last).within(size)
    assert 0 <= start <= stop <= size
    begin = first if first >= 0 else size + first
    end = size - 1 if last is None else last if last >= 0 else size + last
    assert set(range(start, stop)) == {at for at in range(size) if begin <= at <= end}


def test_only_the_leaves_of_the_range_are_asked_for(peer: Peer, http: Http) -> None:
    dag = Dag()
    root, _ = deep_file(dag)
    asked: list[bytes] = []

    def get(cid: bytes) -> bytes:
        asked.append(dag.blocks[cid])
        return asked[-1]

    parts = list(Content(root, get).parts(root, Span(11, 12)))
    assert b"".join(part for part in parts if isinstance(part, bytes)) == b"jk"
    assert len(asked) == 3  # the file, its right half, one leaf
    assert asked[-1] == b"ijkl"


def test_the_gateway_is_asked_for_the_part_and_its_bytes_come_in_one_answer(peer: Peer, http: Http) -> None:
    dag = Dag()
    root, _ = deep_file(dag)
    way = [root, dag.file(b"ijkl", b"mn"), dag.raw(b"ijkl")]

    def part(request: Request) -> Answer:
        assert (request.query["dag-scope"], request.query["entity-bytes"]) == ("entity", "10:12")
        return answer(200, dag.car(root, order=way), Content_Type=CAR_TYPE)

    peer.on("GET", f"/ipfs/{cids.format_cid(root)}", part)
    out = io.BytesIO()
    fetch(root, (), [Gateway(peer.url, http)], out, span=Span(10, 12))
    assert out.getvalue() == b"ijk"
    assert len(peer.requests) == 1


def test_a_server_that_sends_all_of_it_all_the_same_does_no_harm(peer: Peer, http: Http) -> None:
    dag = Dag()
    root, whole = deep_file(dag)
    dag.serve(peer)  # knows no entity-bytes
    out = io.BytesIO()
    fetched = fetch(root, (), [Gateway(peer.url, http)], out, span=Span(-1))
    assert (out.getvalue(), fetched.warnings) == (whole[-1:], ())


def test_a_folder_has_no_range(peer: Peer, http: Http) -> None:
    dag = Dag()
    root = dag.directory({"a": dag.raw(b"x")})
    dag.serve(peer)
    with pytest.raises(UsageError, match="of a file only"):
        fetch(root, (), [Gateway(peer.url, http)], io.BytesIO(), span=Span(0, 1))
