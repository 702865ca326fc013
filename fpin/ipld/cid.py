"""CIDs as bytes: take apart, put together, print; knows nothing of what a block means.

Inside fpin a CID is its binary form, a plain `bytes`: 34 bytes ``1220…`` for version 0, ``01`` +
codec + multihash for version 1. A slice costs nothing, where a `multiformats` CID costs about 100 µs
(docs/benchmarks.md); that package is asked only for the bases nobody uses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable

from fpin.errors import VerificationFailed
from fpin.ipld import varint

RAW = 0x55
DAG_PB = 0x70
DAG_CBOR = 0x71
DAG_JSON = 0x0129

IDENTITY = 0x00
SHA2_256 = 0x12
SHA2_512 = 0x13
BLAKE2B_256 = 0xB220

MAX_DIGEST = 128  # bytes; longer ones are an attack, not a hash (boxo verifcid/cid.go)

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_V0_PREFIX = b"\x12\x20"
_HASHES: dict[int, Callable[[bytes], bytes]] = {
    IDENTITY: bytes,
    SHA2_256: lambda data: hashlib.sha256(data).digest(),
    SHA2_512: lambda data: hashlib.sha512(data).digest(),
    BLAKE2B_256: lambda data: hashlib.blake2b(data, digest_size=32).digest(),
}


def cid_v1(codec: int, multihash: bytes) -> bytes:
    """Return the version 1 CID of *multihash* under *codec*."""
    return b"\x01" + varint.encode(codec) + multihash


def sha256_cid(codec: int, digest: bytes) -> bytes:
    """Return the version 1 CID for a 32-byte SHA-256 *digest*."""
    return b"\x01" + varint.encode(codec) + b"\x12\x20" + digest


def cid_of(codec: int, data: bytes) -> bytes:
    """Return the version 1, SHA-256 CID of the block *data*."""
    return sha256_cid(codec, hashlib.sha256(data).digest())


def is_v0(cid: bytes) -> bool:
    """Tell whether *cid* is a version 0 CID: a bare sha2-256 multihash."""
    return len(cid) == 34 and cid.startswith(_V0_PREFIX)


def to_v1(cid: bytes) -> bytes:
    """Return *cid* as version 1; a version 1 CID is returned as it is."""
    return cid_v1(DAG_PB, cid) if is_v0(cid) else cid


def codec_of(cid: bytes) -> int:
    """Return the codec; version 0 means dag-pb."""
    return DAG_PB if is_v0(cid) else varint.decode(cid, 1)[0]


def multihash_of(cid: bytes) -> bytes:
    """Return the multihash: what a block is found by, whatever the version and codec of its CID."""
    return cid if is_v0(cid) else cid[varint.decode(cid, 1)[1] :]


def split_multihash(multihash: bytes) -> tuple[int, bytes]:
    """Return ``(hash code, digest)``; ValueError when the length does not fit."""
    code, offset = varint.decode(multihash)
    length, offset = varint.decode(multihash, offset)
    if len(multihash) - offset != length:
        raise ValueError("multihash has another length than it says")
    return code, multihash[offset:]


def identity_data(cid: bytes) -> bytes | None:
    """Return the block that an identity CID carries in itself, None for any other CID."""
    code, digest = split_multihash(multihash_of(cid))
    return digest if code == IDENTITY else None


def read_cid(buf: bytes | bytearray | memoryview, offset: int = 0) -> tuple[bytes, int]:
    """Return the CID that starts at *offset* of *buf*, and the offset after it.

    Raises ValueError when there is none, it is cut short, or its version is not 0 or 1.
    """
    if buf[offset : offset + 2] == _V0_PREFIX:
        end = offset + 34
    elif len(buf) <= offset or buf[offset] != 1:
        raise ValueError("not a CID: version is neither 0 nor 1")
    else:
        _, position = varint.decode(buf, offset + 1)
        _, position = varint.decode(buf, position)
        length, position = varint.decode(buf, position)
        if length > MAX_DIGEST:
            raise ValueError(f"CID has a digest of {length} bytes, over {MAX_DIGEST}")
        end = position + length
    if end > len(buf):
        raise ValueError("CID is cut short")
    return bytes(buf[offset:end]), end


def hash_matches(cid: bytes, data: bytes | bytearray | memoryview) -> bool:
    """Tell whether *data* is the block that *cid* names.

    Raises VerificationFailed for a hash function that fpin does not compute, as nothing can be said then.
    """
    if cid[1:4] == b"\x55\x12\x20" or cid[1:4] == b"\x70\x12\x20":  # nearly every block
        return hashlib.sha256(data).digest() == cid[4:]
    code, digest = split_multihash(multihash_of(cid))
    function = _HASHES.get(code)
    if function is None:
        raise VerificationFailed(f"{format_cid(cid)} uses hash function 0x{code:x}, which fpin cannot check")
    return function(bytes(data)) == digest


def format_cid(cid: bytes) -> str:
    """Return *cid* as text: base58 for version 0, base32 for version 1."""
    if is_v0(cid):
        return _digits(cid, _BASE58)
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()


def parse_cid(text: str) -> bytes:
    """Return the binary form of a CID of any version, in any base.

    Raises ValueError when *text* is not one CID and nothing else.
    """
    try:
        cid = _number(text, _BASE58) if len(text) == 46 and text.startswith("Qm") else _multibase(text)
        parsed, end = read_cid(cid)
    except (ValueError, KeyError, IndexError) as exc:
        raise ValueError(f"not a CID: {text!r}") from exc
    if end != len(cid) or (is_v0(cid) and not text.startswith("Qm")):
        raise ValueError(f"not a CID: {text!r}")
    return parsed


def _multibase(text: str) -> bytes:
    base, body = text[0], text[1:]
    if base in "bB":
        return _base32(body, upper=base == "B")
    if base == "z":
        return _number(body, _BASE58)
    if base == "k":
        return _number(body, _BASE36)
    if base == "f":
        return binascii.unhexlify(body)
    from multiformats import multibase  # 47 ms to import, for bases that hardly anyone writes

    return multibase.decode(text)


def _base32(body: str, *, upper: bool) -> bytes:
    if body != (body.upper() if upper else body.lower()) or "=" in body:
        raise ValueError("mixed case or padding")
    data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    if base64.b32encode(data).decode().rstrip("=") != body.upper():
        raise ValueError("bits left over")
    return data


def _number(body: str, alphabet: str) -> bytes:
    """Decode the bases that are one big number (58, 36): each leading zero digit is a zero byte."""
    number = 0
    for char in body:
        number = number * len(alphabet) + alphabet.index(char)
    zeros = len(body) - len(body.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _digits(data: bytes, alphabet: str) -> str:
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        out = alphabet[digit] + out
    zeros = len(data) - len(data.lstrip(b"\0"))
    return alphabet[0] * zeros + out
