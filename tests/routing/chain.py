"""Advertisement chains made for tests: signed with a throw-away key, by code that fpin does not share."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.provider.peer import Answer, Peer, Request, answer

NO_ENTRIES = "bafkreehdwdcefgh4dqkjv67uzcmw7oje"
ENTRIES = "bafyreihd3keikxlu3t4c3cbsnpqzjmfw6m4upoyu5z6wbk6broz5a6u6yi"
ADDRESS = "/dns/sp.example.com/tcp/443/https"


def b32(data: bytes) -> str:
    return "b" + base64.b32encode(data).decode().rstrip("=").lower()


def cid_bytes(text: str) -> bytes:
    body = text[1:].upper()
    return base64.b32decode(body + "=" * (-len(body) % 8))


def dag_bytes(data: bytes) -> dict[str, object]:
    return {"/": {"bytes": base64.b64encode(data).decode().rstrip("=")}}


def framed(*parts: bytes) -> bytes:
    return b"".join(bytes((len(part),)) + part for part in parts)


@dataclass
class Chain:
    """A publisher's chain; `serve` puts it on a `Peer` the way Curio does."""

    seed: bytes = bytes(32)
    blocks: dict[str, bytes] = field(default_factory=dict)
    head: str | None = None

    def __post_init__(self) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(self.seed)
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_message = b"\x08\x01\x12\x20" + public
        self.peer_id = b"\x00\x24" + self.key_message

    @property
    def peer_text(self) -> str:
        alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
        number, out = int.from_bytes(self.peer_id, "big"), ""
        while number:
            number, digit = divmod(number, 58)
            out = alphabet[digit] + out
        return "1" + out  # one leading zero byte

    def publish(self, context_id: bytes, *, is_rm: bool = False) -> str:
        """Append an advertisement and return its CID."""
        entries = NO_ENTRIES if is_rm else ENTRIES
        signed = [cid_bytes(self.head)] if self.head else []
        signed += [cid_bytes(entries), self.peer_text.encode(), ADDRESS.encode(), b"\xa0\x12\x00"]
        digest = hashlib.sha256(b"".join(signed) + bytes((is_rm,))).digest()
        ad: dict[str, object] = {
            "Addresses": [ADDRESS],
            "ContextID": dag_bytes(context_id),
            "Entries": {"/": entries},
            "IsRm": is_rm,
            "Metadata": dag_bytes(b"\xa0\x12\x00"),
            "Provider": self.peer_text,
            "Signature": dag_bytes(self.envelope(b"\x12\x20" + digest)),
        }
        if self.head:
            ad["PreviousID"] = {"/": self.head}
        block = json.dumps(ad, sort_keys=True, separators=(",", ":")).encode()
        cid = b32(b"\x01\xa9\x02\x12\x20" + hashlib.sha256(block).digest())
        self.blocks[cid], self.head = block, cid
        return cid

    def envelope(self, payload: bytes) -> bytes:
        kind = b"/indexer/ingest/adSignature"
        signature = self.key.sign(framed(b"indexer", kind, payload))
        return b"".join(
            tag + framed(part)
            for tag, part in (
                (b"\x0a", self.key_message),
                (b"\x12", kind),
                (b"\x1a", payload),
                (b"\x2a", signature),
            )
        )

    def signed_head(self) -> bytes:
        assert self.head
        head = {
            "head": {"/": self.head},
            "pubkey": dag_bytes(self.key_message),
            "sig": dag_bytes(self.key.sign(cid_bytes(self.head))),
        }
        return json.dumps(head).encode()

    @property
    def path(self) -> str:
        return f"/ipni-provider/{self.peer_text}/ipni/v1/ad"

    def serve(self, peer: Peer) -> None:
        """Answer for the head and every block of now; call it again after publishing more."""
        peer.on("GET", f"{self.path}/head", self._head)
        for cid, block in self.blocks.items():
            peer.on("GET", f"{self.path}/{cid}", answer(200, block))

    def _head(self, _request: Request) -> Answer:
        return answer(200, self.signed_head()) if self.head else answer(204)
