"""Signer: one secp256k1 key, what it signs, and nothing that would show it.

Knows digests and the wallet's own transactions (EIP-1559). Where a key comes from is the caller's business.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from fpin.chain.keccak import address_bytes, checksum_address, keccak
from fpin.errors import NoKey
from fpin.keys import Secret
from fpin.values import dataclass

_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

Rlp = bytes | Sequence["Rlp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A type-2 (EIP-1559) transaction without access list. Fees are in attoFIL per unit of gas."""

    chain_id: int
    nonce: int
    to: str
    data: bytes
    gas: int
    max_fee: int
    max_priority_fee: int
    value: int = 0


class Signer:
    """Signs with one key. Its repr and its errors show the address at most."""

    __slots__ = ("_sign", "address")

    def __init__(self, public_key: bytes, sign: Callable[[bytes], bytes]) -> None:
        """Take 64 bytes of public key, and what makes ``r ‖ s ‖ parity`` of a 32-byte digest."""
        self._sign = sign
        self.address = checksum_address(keccak(public_key)[-20:])

    @classmethod
    def from_key(cls, key: str | bytes) -> Signer:
        """Make a signer of 32 bytes, or of 64 hex digits with or without ``0x``; raises NoKey."""
        raw = _key_bytes(key)
        # A traceback may be shown with the values of its frames: none of them holds a key that was refused.
        del key
        if isinstance(raw, str):
            raise NoKey(f"the private key is {raw}", hint=_KEY_HINT)
        try:
            return cls(*_with_libsecp256k1(raw))
        except ImportError:  # no wheel for this Python or machine
            return cls(*_with_python(raw))

    @classmethod
    def from_secret(cls, secret: Secret) -> Signer:
        """Make a signer of a key that somebody gave; what is wrong with it is told with where it is from."""
        try:
            return cls.from_key(secret.reveal())
        except NoKey as exc:
            says = exc.message.removeprefix("the private key ")
            raise NoKey(f"the key from {secret.origin} {says}", hint=exc.hint) from None

    @classmethod
    def new(cls) -> tuple[Signer, bytes]:
        """Make up a key; return its signer and its 32 bytes."""
        while True:
            raw = secrets.token_bytes(32)
            if 0 < int.from_bytes(raw, "big") < _CURVE_ORDER:
                return cls.from_key(raw), raw

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Signer is not pickled: that would write its key somewhere")

    def sign_digest(self, digest: bytes) -> bytes:
        """Return 65 bytes ``r ‖ s ‖ v``, v 27 or 28, over a 32-byte *digest*; deterministic (RFC 6979)."""
        signature = self._sign(digest)
        return signature[:64] + bytes([27 + signature[64]])

    def sign_transaction(self, transaction: Transaction) -> tuple[bytes, str]:
        """Return the raw signed transaction and its hash (``0x…``), which is known before it is sent."""
        fields = _fields(transaction)
        signature = self._sign(keccak(b"\x02" + rlp(fields)))
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:64]))
        raw = b"\x02" + rlp([*fields, _int(signature[64]), _int(r), _int(s)])
        return raw, "0x" + keccak(raw).hex()


def rlp(item: Rlp) -> bytes:
    """Return the Recursive Length Prefix encoding of bytes or nested sequences of bytes.

    >>> rlp([b"cat", b"", [b"d"]]).hex()
    'c78363617480c164'
    """
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(len(item), 0x80) + item
    body = b"".join(rlp(part) for part in item)
    return _prefix(len(body), 0xC0) + body


def _prefix(length: int, base: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    size = _int(length)
    return bytes([base + 55 + len(size)]) + size


def _fields(transaction: Transaction) -> list[Rlp]:
    return [
        _int(transaction.chain_id),
        _int(transaction.nonce),
        _int(transaction.max_priority_fee),
        _int(transaction.max_fee),
        _int(transaction.gas),
        address_bytes(transaction.to),
        _int(transaction.value),
        transaction.data,
        [],
    ]


def _int(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _with_libsecp256k1(raw: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Sign in constant time, with the library that Bitcoin's and Ethereum's nodes use."""
    from coincurve import PrivateKey

    key = PrivateKey(raw)
    return key.public_key.format(compressed=False)[1:], partial(key.sign_recoverable, hasher=None)


def _with_python(raw: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    from eth_keys.datatypes import PrivateKey  # 0.2 s

    key = PrivateKey(raw)
    return key.public_key.to_bytes(), lambda digest: key.sign_msg_hash(digest).to_bytes()


def _key_bytes(key: str | bytes) -> bytes | str:
    """Return the key's 32 bytes, or in words what it is instead of a key."""
    # No exception may quote the key, hence the checks by hand.
    if isinstance(key, str):
        digits = key.strip().removeprefix("0x").removeprefix("0X")
        if len(digits) != 64 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            return "not 64 hexadecimal digits"
        key = bytes.fromhex(digits)
    if len(key) != 32:
        return "not 32 bytes long"
    if not 0 < int.from_bytes(key, "big") < _CURVE_ORDER:
        return "zero or beyond the curve's order"
    return key


_KEY_HINT = "a key is 0x and 64 hexadecimal digits, as wallets export it"
