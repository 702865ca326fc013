from __future__ import annotations

import pickle
import sys

import pytest
from eth_account import Account
from eth_account.datastructures import SignedTransaction
from hypothesis import given, settings
from hypothesis import strategies as st

from fpin.chain.signer import Signer, Transaction
from fpin.errors import NoKey

KEY = "1234567890123456789012345678901234567890123456789012345678901234"
ADDRESS = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.mark.parametrize("key", [KEY, "0x" + KEY, f" 0x{KEY}\n", bytes.fromhex(KEY)])
def test_a_key_in_any_usual_form_gives_its_address(key: str | bytes) -> None:
    assert Signer.from_key(key).address == ADDRESS


def test_a_signer_never_shows_its_key() -> None:
    signer = Signer.from_key(KEY)
    assert repr(signer) == str(signer) == f"Signer({ADDRESS})"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signer)


@pytest.mark.parametrize(
    "key",
    [
        KEY[:-1],
        KEY + "00",
        KEY[:-1] + "g",
        "",
        "0x" + "0" * 64,
        f"{ORDER:064x}",
        b"\x01" * 31,
        KEY[:-1] + "٤",
    ],
)
def test_a_wrong_key_is_refused_without_quoting_it(key: str | bytes) -> None:
    with pytest.raises(NoKey) as caught:
        Signer.from_key(key)
    shown = f"{caught.value} {caught.value.hint} {caught.value.values}"
    assert "private key" in shown
    assert str(key)[:16] not in shown or not key
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@settings(max_examples=30, deadline=None)
@given(
    key=st.integers(1, ORDER - 1),
    chain_id=st.integers(1, 2**32),
    nonce=st.integers(0, 2**32),
    to=st.binary(min_size=20, max_size=20),
    data=st.binary(max_size=300),
    gas=st.integers(21000, 2**34),
    fees=st.tuples(st.integers(0, 2**70), st.integers(0, 2**70)),
    value=st.integers(0, 2**90),
)
def test_transactions_are_signed_like_eth_account(
    key: int,
    chain_id: int,
    nonce: int,
    to: bytes,
    data: bytes,
    gas: int,
    fees: tuple[int, int],
    value: int,
) -> None:
    raw, tx_hash = Signer.from_key(key.to_bytes(32, "big")).sign_transaction(
        Transaction(
            chain_id=chain_id,
            nonce=nonce,
            to="0x" + to.hex(),
            data=data,
            gas=gas,
            max_fee=max(fees),
            max_priority_fee=min(fees),
            value=value,
        )
    )
    signed: SignedTransaction = Account.sign_transaction(
        {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "to": to,
            "data": data,
            "gas": gas,
            "maxFeePerGas": max(fees),
            "maxPriorityFeePerGas": min(fees),
            "value": value,
        },
        key.to_bytes(32, "big"),
    )
    assert raw == bytes(signed.raw_transaction)
    assert tx_hash == "0x" + bytes(signed.hash).hex()


def test_without_the_compiled_library_the_same_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = bytes(range(32))
    fast = Signer.from_key(KEY)
    monkeypatch.setitem(sys.modules, "coincurve", None)
    slow = Signer.from_key(KEY)
    assert slow.address == fast.address == ADDRESS
    assert slow.sign_digest(digest) == fast.sign_digest(digest)
