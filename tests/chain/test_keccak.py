from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from fpin.chain.keccak import address_bytes, checksum_address


@given(st.binary(min_size=20, max_size=20))
def test_addresses_are_checksummed_like_eth_utils(raw: bytes) -> None:
    text = checksum_address(raw)
    assert text == to_checksum_address(raw)
    assert checksum_address(text) == checksum_address("0x" + raw.hex()) == text
    assert address_bytes(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "0x12",
        "2e988A386a799F506693793c6A5AF6B54dfAaBfB",
        "0x2e988A386a799F506693793c6A5AF6B54dfAaBfBff",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        checksum_address(text)


def test_a_mistyped_letter_in_a_checksummed_address_is_noticed() -> None:
    with pytest.raises(ValueError, match="wrong checksum"):
        checksum_address("0x2E988A386a799F506693793c6A5AF6B54dfAaBfB")
