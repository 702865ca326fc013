"""The error tree: one class for each thing a caller can do about it.

    FpinError                     base; anything else that reaches the CLI is a bug
    ├── UsageError                the request makes no sense as given: change it
    ├── SourceError               the data to store cannot be read or used as it is
    │   └── SourceChanged         a file is no longer what it was when it was looked at
    ├── NotFound                  nothing, or more than one thing, answers to that name
    ├── LocalError                this machine is in the way: disk full, folder not writable, store locked
    ├── PermissionMissing         funds, approvals or keys are not there; nothing was sent
    │   ├── NoKey                 no key, or one that cannot sign for this account
    │   └── Unaffordable          the account does not cover it
    ├── Unavailable               did not answer, or said "later"; running it again may work
    │   ├── NodeUnavailable       … a chain node
    │   ├── ProviderUnavailable   … a storage provider (also a ProviderError)
    │   ├── IndexerUnavailable    … an indexer
    │   ├── GatewayUnavailable    … a gateway
    │   └── QuoteExpired          what was told of the price is not so any more; asking again tells anew
    ├── ProviderError             a provider did not do what its HTTP API promises
    ├── ChainError                a node or contract refused; asking again changes nothing
    │   └── Reverted              a contract refused, and said why
    └── VerificationFailed        bytes, hash or signature are not what they claim
        └── PieceMismatch         a provider computed another piece CID for our bytes (also a ProviderError)

The message is a sentence that names the thing; `hint` is the way out; `values` are facts for programs.
None of them ever holds a secret.
"""

from __future__ import annotations


class FpinError(Exception):
    """Base of every error fpin raises on purpose.

    *hint* is a sentence that says what to do; *values* are JSON-able facts (CIDs, paths, amounts as
    strings) that ``--json`` prints beside the message.
    """

    def __init__(self, message: str, *, hint: str | None = None, **values: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.values = values


class UsageError(FpinError):
    """The request makes no sense as given."""


class SourceError(FpinError):
    """The data to store cannot be read, or cannot be stored as it is."""


class SourceChanged(SourceError):
    """A file is no longer what it was when it was looked at; nothing wrong was stored."""


class NotFound(FpinError):
    """Nothing, or more than one thing, answers to that name."""


class LocalError(FpinError):
    """This machine is in the way: disk full, folder not writable, store in use."""


class PermissionMissing(FpinError):
    """Funds, approvals or keys are not there; nothing was sent."""


class NoKey(PermissionMissing):
    """There is no key to sign with, or it cannot sign for this account."""


class Unaffordable(PermissionMissing):
    """The account does not cover what was asked for."""


class Unavailable(FpinError):
    """No usable answer: refused, timed out, 429, 5xx. Running it again may work."""


class NodeUnavailable(Unavailable):
    """A chain node gave no usable answer."""


class IndexerUnavailable(Unavailable):
    """An indexer gave no usable answer; this says nothing about what it knows."""


class GatewayUnavailable(Unavailable):
    """A gateway gave no usable answer."""


class QuoteExpired(Unavailable):
    """It would cost something else now than was told; nothing was paid."""


class ProviderError(FpinError):
    """A storage provider did not do what its HTTP API promises."""


class ProviderUnavailable(ProviderError, Unavailable):
    """A storage provider gave no usable answer. Later, or another provider, may work."""


class ChainError(FpinError):
    """A node or contract refused the request."""


class Reverted(ChainError):
    """A contract refused a call or transaction and said why."""


class VerificationFailed(FpinError):
    """Bytes, a hash or a signature are not what they claim to be."""


class PieceMismatch(ProviderError, VerificationFailed):
    """The provider computed another piece CID for the bytes we sent. Retrying cannot help."""
