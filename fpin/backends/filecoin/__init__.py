"""Filecoin as a backend: the only composer of `chain` and `provider`."""

from fpin.backends.filecoin.account import Account
from fpin.backends.filecoin.backend import FilecoinBackend

__all__ = ["Account", "FilecoinBackend"]
