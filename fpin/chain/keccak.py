"""Keccak-256 and the address text that depends on it.

Knows no contract and no signature; the hash is imported on first use, because most commands need none.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def keccak(data: bytes) -> bytes:
    from sha3 import keccak_256  # type: ignore[import-untyped]

    digest: bytes = keccak_256(data).digest()
    return digest


def checksum_address(address: str | bytes) -> str:
    """Return a 20-byte address as text with the mixed-case checksum of ERC-55.

    Raises ValueError when it is not an address, or is mixed-case text with another checksum.

    >>> checksum_address("0x2e988a386a799f506693793c6a5af6b54dfaabfb")
    '0x2e988A386a799F506693793c6A5AF6B54dfAaBfB'
    """
    text = "0x" + address.hex() if isinstance(address, bytes) else address
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"not an address: {text!r}")
    digits = text[2:].lower()
    digest = keccak(digits.encode()).hex()
    marked = "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, digest[:40], strict=True)
    )
    if text[2:] not in (digits, digits.upper()) and text != marked:
        raise ValueError(f"wrong checksum in address {text}")
    return marked


def address_bytes(address: str) -> bytes:
    """Return the 20 bytes of an address; raises ValueError as `checksum_address` does."""
    return bytes.fromhex(checksum_address(address)[2:])
