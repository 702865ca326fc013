"""Extended providers: further peers that an advertisement names for what it advertises, each signing for it.

Knows the part of an advertisement that names them, and which of them stand beside a record. Knows nothing of
HTTP or storage.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from fpin.devnet.dag import Value
from fpin.devnet.ipni.identity import BadSignature, Identity, open_envelope
from fpin.values import dataclass

_DOMAIN = b"indexer"
_TYPE = b"/indexer/ingest/extendedProviderSignature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """One of them. *metadata* empty: that of the advertisement."""

    peer: str
    addresses: tuple[str, ...]
    metadata: bytes = b""
    signature: bytes = b""

    def signed(self, identity: Identity, covered: bytes, *, override: bool) -> Extended:
        payload = self._payload(covered, override)
        return replace(self, signature=identity.seal(domain=_DOMAIN, payload_type=_TYPE, payload=payload))

    def check(self, covered: bytes, *, override: bool) -> None:
        """BadSignature unless somebody signed this entry for the advertisement that *covered* stands for."""
        envelope = open_envelope(self.signature, domain=_DOMAIN)
        if envelope.payload_type != _TYPE or envelope.payload != self._payload(covered, override):
            raise BadSignature(f"the signature of extended provider {self.peer} covers something else")

    def to_value(self) -> Value:
        return {
            "Addresses": list(self.addresses),
            "ID": self.peer,
            "Metadata": self.metadata,
            "Signature": self.signature,
        }

    def _payload(self, covered: bytes, override: bool) -> bytes:
        data = covered + self.peer.encode() + "".join(self.addresses).encode()
        return b"\x12\x20" + hashlib.sha256(data + self.metadata + bytes([override])).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """The extended providers of a whole chain (*context_id* empty), or of one context of it.

    *override*: those of the chain do not count for this context.
    """

    context_id: bytes
    override: bool
    providers: tuple[Extended, ...]


def beside(
    provider: str, context_id: bytes, metadata: bytes, extension: Extension | None
) -> list[tuple[str, tuple[str, ...], bytes]]:
    """(peer, addresses, metadata) of who else has what *provider* has under *context_id*."""
    if extension is None or extension.context_id not in (b"", context_id):
        return []
    return [
        (one.peer, one.addresses, one.metadata or metadata)
        for one in extension.providers
        if one.peer != provider or one.metadata not in (b"", metadata)
    ]
