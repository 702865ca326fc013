"""Filecoin as a backend: the only composer of `chain` and `provider`."""

from fpin.backends.filecoin.account import Account
from fpin.backends.filecoin.backend import FilecoinBackend
from fpin.backends.filecoin.identity import Identity

__all__ = ["Account", "FilecoinBackend", "Identity"]
