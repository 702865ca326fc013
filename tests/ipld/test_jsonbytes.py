"""JSON from strangers, in a process that has a raised recursion limit."""

import sys
from collections.abc import Iterator

import pytest

from fpin.ipld.jsonbytes import read_json


@pytest.fixture
def _raised_limit() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)  # py_ecc, which comes with eth-account, does much the same
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("_raised_limit")
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"\\"]":'])
def test_absurd_nesting_is_a_value_error_and_not_the_end_of_the_process(opening: bytes) -> None:
    with pytest.raises(ValueError, match="nested"):
        read_json(opening * 200_000)


def test_long_flat_answers_and_brackets_in_strings_are_read() -> None:
    flat = b"[" + b",".join([b'{"a":[1]}'] * 1000) + b"]"
    assert len(read_json(flat)) == 1000
    assert read_json(b'["' + b"[" * 1000 + b'\\"{{"]') == ["[" * 1000 + '"{{']


def test_other_encodings_than_utf_8_are_refused() -> None:
    with pytest.raises(ValueError):
        read_json('["a"]'.encode("utf-16"))
