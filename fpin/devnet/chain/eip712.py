"""EIP-712 hashing and signer recovery as the contracts do them, written from the standard.

Shares no code with the client's signing side, so that a mistake on one side shows. Knows no message by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from fpin.devnet.chain import abi
from fpin.devnet.chain.machine import ZERO

_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


def type_hash(encoded_type: str) -> bytes:
    return keccak(text=encoded_type)


def struct_hash(type_hash: bytes, kinds: str, *values: abi.Word) -> bytes:
    """Hash a struct whose members are already one word each; *kinds* are their ABI types, comma-separated."""
    types = ["bytes32", *filter(None, kinds.split(","))]
    return keccak(abi.encode(types, [type_hash, *values]))


def array_hash(words: Iterable[bytes]) -> bytes:
    """Hash an array, given its members' 32-byte encodings."""
    return keccak(b"".join(words))


def domain_separator(name: str, version: str, chain_id: int, contract: str) -> bytes:
    hashes = (keccak(text=name), keccak(text=version))
    return struct_hash(type_hash(_DOMAIN), "bytes32,bytes32,uint256,address", *hashes, chain_id, contract)


def digest(separator: bytes, message_hash: bytes) -> bytes:
    return keccak(b"\x19\x01" + separator + message_hash)


def recover(message_digest: bytes, v: int, r: int, s: int) -> str:
    """Return the signer's address, or zero where the EVM's ecrecover gives none (*v* is 27 or 28)."""
    try:
        signature = Signature(vrs=(v - 27, r, s))
        key = signature.recover_public_key_from_msg_hash(message_digest)
    except (BadSignature, ValidationError):
        return ZERO
    return key.to_address()
