"""What a double-hashed indexer keeps in place of multihashes and records: hashes of them, and boxes.

Whoever looks something up opens the boxes with what was looked for. Knows nothing of HTTP or of the index.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fpin.devnet.ipni.identity import base58_decode

_BLOCK = 64  # bytes to which each purpose is filled up with zeros


def second_hash(multihash: bytes) -> bytes:
    """The multihash (dbl-sha2-256) under which *multihash* is looked up."""
    return b"\x56\x20" + _salted(b"CR_DOUBLEHASH", multihash)


def value_key(provider: str, context_id: bytes) -> bytes:
    return base58_decode(provider) + context_id


def metadata_key(provider: str, context_id: bytes) -> bytes:
    """The hash under which the metadata of a provider's context is looked up."""
    return hashlib.sha256(value_key(provider, context_id)).digest()


def box(content: bytes, passphrase: bytes) -> bytes:
    """*content* for whoever knows *passphrase*: a nonce made of both, and AES-256-GCM."""
    nonce = _salted(b"CR_NONCE", len(content).to_bytes(8, "little") + content + passphrase)[:12]
    return nonce + AESGCM(_salted(b"CR_ENCRYPTIONKEY", passphrase)).encrypt(nonce, content, None)


def _salted(purpose: bytes, data: bytes) -> bytes:
    return hashlib.sha256(purpose.ljust(_BLOCK, b"\0") + data).digest()
