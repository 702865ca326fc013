"""What a provider's answer means for the caller: statuses and bodies become errors, `Location` an identifier.

Knows the shapes of Curio's answers (spec storage-provider §1.7, §5.3). Refuses to know the contracts: the
text of a chain error is handed on undecoded, in ``values["chain_error"]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fpin.errors import FpinError, ProviderError, ProviderUnavailable
from fpin.http import Reply, retry_after

MAX_WORDS = 300  # characters of a provider's own text that go into a message
MAX_CHAIN_ERROR = 16 * 1024  # a revert with a long backtrace stays whole; a page of HTML does not

_EID = re.compile(r"\s*\[eid: [0-9a-fA-F-]{36}\]")
_REVERT = re.compile(r"(?:vm error|revert reason)=\[")
_CHAIN = re.compile(r"(?:^|\s)chain: |" + _REVERT.pattern)
_TX_HASH = re.compile(r"/(0x[0-9a-fA-F]{64})/?$")


class MaybeSent(ProviderUnavailable):
    """No usable answer to a request that may have sent a transaction all the same.

    The provider works on after a client is gone (spec §1.10), so this must not be repeated before the chain
    was asked what became of the nonce (``clientNonces``).
    """


class ChainRefused(ProviderError):
    """A contract refused the transaction when the provider estimated it, so none was sent.

    ``values["chain_error"]`` is the node's text, for the chain room to put into words.
    """


class SessionGone(ProviderError):
    """The provider does not know this upload session: it never existed, expired, or is finalized already."""


def words(body: str) -> str:
    """Return the server's own text on one line, without its log id, cut to `MAX_WORDS`.

    >>> words("Data set not found [eid: 00000000-0000-4000-8000-000000000000]\\n")
    'Data set not found'
    """
    if re.match(r"\s*<(!doctype|html)", body, re.IGNORECASE):
        return "(a web page)"
    text = " ".join(_EID.sub("", body).split())
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


def refusal(name: str, reply: Reply, *, sends: bool) -> ProviderError:
    """Return the error that an unexpected *reply* of the provider called *name* stands for.

    *sends* says that the request asks the provider to send a transaction: then an answer that leaves open
    whether it did is a `MaybeSent`.
    """
    status, said = reply.status, words(reply.text)
    message = f"{name}: HTTP {status}" + (f": {said}" if said else "")
    error: ProviderError
    if _REVERT.search(reply.text):
        error = ChainRefused(f"{name}: the chain refused it: {said}")
    elif status == 429:
        error = ProviderUnavailable(message)
    elif status >= 500:
        error = (MaybeSent if sends else ProviderUnavailable)(message)
    elif 300 <= status < 400:
        hint = "its registered service URL seems to be out of date; use another provider"
        error = ProviderError(f"{message} (redirect to {reply.headers.get('location')})", hint=hint)
    else:
        error = ProviderError(message)
    error.values["status"] = status
    if (seconds := retry_after(reply.headers)) is not None:
        error.values["retry_after"] = seconds
    if _CHAIN.search(reply.text):
        error.values["chain_error"] = _EID.sub("", reply.text).strip()[:MAX_CHAIN_ERROR]
    return error


def asked_to_wait(error: FpinError) -> float | None:
    """Return the seconds that the peer behind *error* asked to be left alone for, if it did."""
    seconds = error.values.get("retry_after")
    return float(seconds) if isinstance(seconds, int | float) else None


def json_object(name: str, reply: Reply) -> Mapping[str, object]:
    """Return the JSON object in *reply*, whatever its Content-Type (some of Curio's are untyped)."""
    try:
        value = reply.json()
    except ValueError as exc:
        raise ProviderError(
            f"{name}: the answer is not JSON: {words(reply.text)}", status=reply.status
        ) from exc
    if not isinstance(value, dict):
        raise ProviderError(
            f"{name}: the answer is not a JSON object: {words(reply.text)}", status=reply.status
        )
    return value


def tx_in_location(reply: Reply) -> str | None:
    """Return the transaction hash that ends a ``Location``, lower case.

    Only the hash is taken: a service URL may have a path prefix that the provider behind a reverse proxy
    does not know of, so its ``Location`` is no address to follow (spec §12.2, trap 22).
    """
    match = _TX_HASH.search(reply.headers.get("location", ""))
    return match.group(1).lower() if match else None


def session_in_location(reply: Reply) -> str | None:
    """Return the upload session's id that ends a ``Location``."""
    match = re.search(r"/pdp/piece/uploads/([\w.~-]+)$", reply.headers.get("location", ""))
    return match.group(1) if match else None
