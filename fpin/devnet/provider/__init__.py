"""A storage provider for the devnet: a real peer that checks what it is sent with code of its own."""

from fpin.devnet.provider.faults import Faults
from fpin.devnet.provider.provider import Provider

__all__ = ["Faults", "Provider"]
