import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.ipld import varint


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (255, "ff01"), (300, "ac02"), (16384, "808001")],
)
def test_the_examples_of_unsigned_varint(number: int, encoded: str) -> None:
    assert varint.encode(number).hex() == encoded
    assert varint.decode(bytes.fromhex(encoded)) == (number, len(encoded) // 2)


@given(st.integers(0, 2**63 - 1), st.binary(max_size=4), st.binary(max_size=4))
def test_a_number_comes_back_from_the_middle_of_other_bytes(number: int, before: bytes, after: bytes) -> None:
    encoded = varint.encode(number)
    assert varint.decode(before + encoded + after, len(before)) == (number, len(before) + len(encoded))
    assert varint.size(number) == len(encoded)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_numbers_that_do_not_fit_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="no varint"):
        varint.encode(number)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [("", "short"), ("80", "short"), ("8000", "minimal"), ("ff" * 9 + "01", "longer")],
)
def test_damaged_varints_are_refused(encoded: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        varint.decode(bytes.fromhex(encoded))
