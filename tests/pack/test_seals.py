"""Seals: what was put fits, anything else does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fpin.pack.seals import Seals

contents = st.lists(st.binary(max_size=200), min_size=1, max_size=8)


@given(blocks=contents, data=st.data())
def test_only_the_block_that_was_put_fits(blocks: list[bytes], data: st.DataObject) -> None:
    seals = Seals(len(blocks))
    for number, block in enumerate(blocks):
        seals.put(number, memoryview(block))
    for number in range(len(blocks)):
        for block in blocks:
            assert seals.fits(number, memoryview(block)) == (block == blocks[number])
    number = data.draw(st.integers(0, len(blocks) - 1))
    other = data.draw(st.binary(max_size=200))
    assert seals.fits(number, memoryview(other)) == (other == blocks[number])


def test_one_bit_anywhere_in_a_leaf_makes_it_another() -> None:
    block, seals = bytearray(range(256)) * 4096, Seals(3)
    seals.put(1, memoryview(block))
    for place in (0, 1, 2**18, 2**20 - 1):
        block[place] ^= 0x10
        assert not seals.fits(1, memoryview(block))
        block[place] ^= 0x10
    assert seals.fits(1, memoryview(block))
    assert not seals.fits(0, memoryview(block))
