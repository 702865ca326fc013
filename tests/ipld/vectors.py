"""The vectors of tests/vectors, read once, and how their content is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors"
UNIXFS: dict[str, Any] = json.loads((FOLDER / "unixfs.json").read_text("utf-8"))
CAR: dict[str, Any] = json.loads((FOLDER / "car.json").read_text("utf-8"))


def keystream(seed: str, size: int) -> bytes:
    """Return the first *size* bytes of the ChaCha20 keystream that kubo's tests make files from."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    key = hashlib.sha256(seed.encode()).digest()
    return Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor().update(bytes(size))


def content(case: Mapping[str, Any]) -> bytes:
    """Return the bytes that a row describes."""
    if "text" in case:
        return str(case["text"]).encode()
    if "zeros" in case:
        return bytes(case["zeros"])
    return keystream(case["keystream"], case["size"])
