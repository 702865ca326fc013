"""Signed transactions as they arrive: legacy and EIP-1559, parsed and their sender recovered.

Knows nothing of nonces or balances; whether a transaction may run is for `chain` to say.
"""

from __future__ import annotations

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from fpin.devnet.chain import eip712
from fpin.devnet.chain.machine import ZERO
from fpin.values import dataclass

DYNAMIC_FEE = 2
LEGACY = 0
_DYNAMIC_FIELDS, _LEGACY_FIELDS = 12, 9


class BadTransaction(ValueError):
    """Bytes that are no transaction this chain takes."""


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A parsed transaction. Fees are attoFIL a unit of gas; a legacy one has its gas price in both."""

    raw: bytes
    hash: bytes
    kind: int  # LEGACY or DYNAMIC_FEE
    chain_id: int | None  # None: a legacy transaction from before EIP-155
    nonce: int
    max_fee: int
    max_priority_fee: int
    gas: int
    sender: str
    to: str | None  # None: contract creation
    value: int
    data: bytes
    v: int  # as transmitted
    r: int
    s: int

    def premium(self, base_fee: int) -> int:
        """What the sender pays above *base_fee*; negative when not even that is covered."""
        return min(self.max_priority_fee, self.max_fee - base_fee)


def parse(raw: bytes) -> Transaction:
    """Return the transaction in *raw*; raises `BadTransaction`."""
    if raw[:1] == bytes([DYNAMIC_FEE]):
        return _parse_dynamic(raw)
    if raw[:1] >= b"\xc0":
        return _parse_legacy(raw)
    raise BadTransaction(f"transaction type {raw[:1].hex() or 'none'} is not supported")


def _items(encoded: bytes, count: int) -> list[bytes]:
    try:
        items = rlp.decode(encoded)
    except RLPException as exc:
        raise BadTransaction(f"not RLP: {exc}") from exc
    if not isinstance(items, list) or len(items) != count:
        raise BadTransaction(f"a transaction of this type has {count} fields")
    return items


def _number(item: bytes) -> int:
    if not isinstance(item, bytes) or len(item) > 32 or item[:1] == b"\0":
        raise BadTransaction("a number is not in minimal big-endian form")
    return int.from_bytes(item, "big")


def _target(item: bytes) -> str | None:
    if item and len(item) != 20:
        raise BadTransaction("the target is not an address")
    return "0x" + item.hex() if item else None


def _parse_dynamic(raw: bytes) -> Transaction:
    items = _items(raw[1:], _DYNAMIC_FIELDS)
    chain_id, nonce, tip, fee, gas, _, value, _, _, v, r, s = (
        0 if index in (5, 7, 8) else _number(item) for index, item in enumerate(items)
    )
    signed = raw[:1] + rlp.encode(items[:9])
    return Transaction(
        raw=raw,
        hash=keccak(raw),
        kind=DYNAMIC_FEE,
        chain_id=chain_id,
        nonce=nonce,
        max_fee=fee,
        max_priority_fee=tip,
        gas=gas,
        sender=_sender(signed, v, r, s),
        to=_target(items[5]),
        value=value,
        data=items[7],
        v=v,
        r=r,
        s=s,
    )


def _parse_legacy(raw: bytes) -> Transaction:
    items = _items(raw, _LEGACY_FIELDS)
    nonce, price, gas, _, value, _, v, r, s = (
        0 if index in (3, 5) else _number(item) for index, item in enumerate(items)
    )
    chain_id, parity = ((v - 35) // 2, (v - 35) % 2) if v >= 35 else (None, v - 27)
    suffix = [] if chain_id is None else [rlp.sedes.big_endian_int.serialize(chain_id), b"", b""]
    return Transaction(
        raw=raw,
        hash=keccak(raw),
        kind=LEGACY,
        chain_id=chain_id,
        nonce=nonce,
        max_fee=price,
        max_priority_fee=price,
        gas=gas,
        sender=_sender(rlp.encode(items[:6] + suffix), parity, r, s),
        to=_target(items[3]),
        value=value,
        data=items[5],
        v=v,
        r=r,
        s=s,
    )


def _sender(signed: bytes, parity: int, r: int, s: int) -> str:
    sender = eip712.recover(keccak(signed), parity + 27, r, s) if parity in (0, 1) else ZERO
    if sender == ZERO:
        raise BadTransaction("invalid signature")
    return sender
