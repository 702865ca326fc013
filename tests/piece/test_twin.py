"""The twin against the definition, bit by bit, in the words of the specification."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.piece import twin


def leaves_by_definition(data: bytes) -> list[bytes]:
    """The payload as a string of bits, least significant first; two zero bits after every 254."""
    bits = "".join(f"{byte:08b}"[::-1] for byte in data)
    parts = [bits[start : start + 254] + "00" for start in range(0, len(bits), 254)]
    return [int(part[::-1], 2).to_bytes(32, "little") for part in parts]


def root_by_definition(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    digest = sha256(root_by_definition(leaves[:half]) + root_by_definition(leaves[half:])).digest()
    return digest[:31] + bytes((digest[31] & 0b0011_1111,))


@given(st.binary(min_size=127, max_size=127))
def test_fr32_puts_two_zero_bits_after_every_254(quad: bytes) -> None:
    assert b"".join(twin.fr32(quad)) == b"".join(leaves_by_definition(quad))


@given(st.integers(2, 7).flatmap(lambda height: st.tuples(st.just(height), st.binary(max_size=2 * 127 * 32))))
def test_a_block_root_is_the_root_of_its_zero_padded_tree(case: tuple[int, bytes]) -> None:
    height, data = case
    block = 127 * 2 ** (height - 2)
    expected = [
        root_by_definition(leaves_by_definition(data[start : start + block].ljust(block, b"\0")))
        for start in range(0, len(data), block)
    ]
    assert twin.block_roots(data, height) == b"".join(expected)


@pytest.mark.parametrize("height", range(2, 9))
def test_a_tree_of_zeros_has_the_zero_root(height: int) -> None:
    assert twin.block_roots(b"\0", height) == twin.zero_root(height)


@given(st.integers(1, 20), st.integers(0, 4), st.integers(0, 6))
def test_a_row_folds_as_if_it_were_completed_with_zero_roots(count: int, height: int, levels: int) -> None:
    nodes = b"".join(sha256(bytes((i,))).digest() for i in range(count))
    whole = -(-count // 2**levels) * 2**levels
    completed = nodes + twin.zero_root(height) * (whole - count)
    expected = completed
    for _ in range(levels):
        expected = twin.hash_pairs(expected)
    assert twin.fold(nodes, height, height + levels) == expected
