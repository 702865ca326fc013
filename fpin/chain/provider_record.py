"""Provider records: what the registry knows of a storage provider, and whether that is enough to use it.

Pure; knows no node and does not ask the provider.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from fpin.values import dataclass

Struct = Mapping[str, Any]  # a decoded ABI struct

REQUIRED_CAPABILITIES = (
    "serviceURL",
    "minPieceSizeInBytes",
    "maxPieceSizeInBytes",
    "storagePricePerTibPerDay",
    "minProvingPeriodInEpochs",
    "location",
    "paymentTokenAddress",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecord:
    """A storage provider as registered.

    *payee* goes into signatures, *service_provider* only sends transactions. *service_url* has no trailing
    slash. *problem* says why the provider cannot be used; None when it can.
    """

    provider_id: int
    service_provider: str
    payee: str
    name: str
    description: str
    service_url: str
    min_piece_size: int
    max_piece_size: int
    location: str
    ipni_piece: bool
    ipni_ipfs: bool
    ipni_peer_id: bytes | None
    capabilities: Mapping[str, bytes] = field(repr=False)
    problem: str | None

    @classmethod
    def from_abi(cls, struct: Struct) -> ProviderRecord:
        info, product = struct["providerInfo"], struct["product"]
        keys, values = product["capabilityKeys"], struct["productCapabilityValues"]
        capabilities = dict(zip(keys, values, strict=False))  # the registry keeps them aligned
        url = _text(capabilities.get("serviceURL")).strip().rstrip("/")
        return cls(
            provider_id=struct["providerId"],
            service_provider=info["serviceProvider"],
            payee=info["payee"],
            name=info["name"],
            description=info["description"],
            service_url=url,
            min_piece_size=_number(capabilities.get("minPieceSizeInBytes")),
            max_piece_size=_number(capabilities.get("maxPieceSizeInBytes")),
            location=_text(capabilities.get("location")),
            ipni_piece=capabilities.get("ipniPiece") == b"\x01",
            ipni_ipfs=capabilities.get("ipniIpfs") == b"\x01",
            # IPNIPeerID is how older registrations spell it
            ipni_peer_id=capabilities.get("ipniPeerId") or capabilities.get("IPNIPeerID") or None,
            capabilities=capabilities,
            problem=_provider_problem(info, product, capabilities, url),
        )


def is_web_address(url: str) -> bool:
    """Tell whether *url*, which a provider may have registered with any typo, can be asked at all."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, or a port that is no number
        return False


def _provider_problem(info: Struct, product: Struct, capabilities: Struct, url: str) -> str | None:
    missing = [key for key in REQUIRED_CAPABILITIES if key not in capabilities]
    if not info["isActive"]:
        return "has left the registry"
    if not product["isActive"]:
        return "does not offer storage now"
    if missing:
        return f"is registered without {', '.join(missing)}"
    if not is_web_address(url):
        return f"is registered with {url!r}, which is no web address"
    return None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big")
