"""JSON-RPC: single and batched requests to a node, and which answers are errors of what kind.

Knows the wire; what the methods mean is `node.py`'s. "Did not answer" is `NodeUnavailable`, "answered no" is
`RpcError`, and the two are never confused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fpin.addresses import HIDDEN, hide_secrets, host_of
from fpin.chain.revert import Revert, decode_revert
from fpin.errors import ChainError, NodeUnavailable
from fpin.http import Http, Reply, Timeout, retry_after

ATTEMPTS = 3
MAX_PAUSE = 10.0  # seconds; a node that asks for more is reported instead of waited for
SILENCE = 60.0  # seconds without an answer, after which nothing is asked again: the caller has waited long

_T = TypeVar("_T")

_TRANSIENT = ("state fork", "too many requests", "rate limit", "try again")
_REVERT_SIGNS = ("execution reverted", "message execution failed", "exit=[33]")


class RpcError(ChainError):
    """The node answered with an error object. *text* is its message, *data* whatever it put beside it."""

    def __init__(self, peer: str, code: int, text: str, data: object) -> None:
        super().__init__(f"{peer} answered: {text[:300]}", code=code)
        self.code = code
        self.text = text
        self.data = data

    @property
    def revert(self) -> Revert | None:
        """What a contract said, or None when the error is something else. Codes differ between nodes."""
        data = self.data if isinstance(self.data, str) else ""
        if data.startswith("0x") and len(data) > 2:
            try:
                return decode_revert(bytes.fromhex(data[2:]))
            except ValueError:
                pass  # some nodes put text there
        found = decode_revert(f"{self.text}\n{data}")
        if found is None and any(sign in self.text for sign in _REVERT_SIGNS):
            return decode_revert(b"")
        return found

    @property
    def is_actor_missing(self) -> bool:
        """True for an address that has never received FIL: it has no balance and no nonce yet."""
        return "actor not found" in self.text or "actor does not exist" in self.text

    @property
    def is_null_round(self) -> bool:
        return self.code == 12 or "null round" in self.text

    @property
    def is_transient(self) -> bool:
        return self.code in (-32005, 429) or any(sign in self.text.lower() for sign in _TRANSIENT)


class JsonRpc:
    """The wire to one node.

    Every request may be repeated, so transient failures are: reads change nothing, and a transaction sent
    twice is the same transaction. *sleep* and *clock* are there so that waiting is tested without waiting.
    """

    def __init__(
        self,
        url: str,
        http: Http,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.peer = f"node {host_of(url) or HIDDEN}"
        self._http = http
        self.sleep = sleep
        self.clock = clock

    def call(self, method: str, *params: object) -> Any:
        """Return the result. Raises `NodeUnavailable`, or `RpcError` for an error object."""
        return self._insist(lambda: self._single(method, params))

    def batch(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Return a result or an `RpcError` for each ``(method, params)``, from one round trip."""
        return self._insist(lambda: self._batch(requests))

    def _insist(self, ask: Callable[[], _T]) -> _T:
        pause, start = 0.5, self.clock()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return ask()
            except (NodeUnavailable, RpcError) as exc:
                asked_for = exc.values.get("retry_after")
                wait = asked_for if isinstance(asked_for, float) else pause
                transient = not isinstance(exc, RpcError) or exc.is_transient
                if not transient:
                    raise
                if attempt == ATTEMPTS or wait > MAX_PAUSE or self.clock() - start >= SILENCE:
                    raise _as_unavailable(self.peer, exc) from exc
                self.sleep(wait)
                pause *= 2
        raise AssertionError("unreachable")

    def _single(self, method: str, params: Sequence[object]) -> Any:
        return self._result(self._post(_request(0, method, params)))

    def _batch(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        answer = self._post([_request(index, *request) for index, request in enumerate(requests)])
        if isinstance(answer, Mapping):  # a node that takes no batches says so with one error object
            return [self._outcome(self._post(_request(0, *request))) for request in requests]
        if not isinstance(answer, list):
            raise NodeUnavailable(f"{self.peer} answered something that is not JSON-RPC")
        by_id = {entry.get("id"): entry for entry in answer if isinstance(entry, Mapping)}
        return [self._outcome(by_id.get(index)) for index in range(len(requests))]

    def _post(self, body: object) -> Any:
        reply = self._http.request(
            "POST", self.url, json=body, peer=self.peer, error=NodeUnavailable, timeout=Timeout(io=SILENCE)
        )
        if reply.status == 429 or reply.status >= 500:
            # Some nodes send error objects with status 500: those are answers.
            answer = _json_or_none(reply)
            if isinstance(answer, Mapping) and "error" in answer and reply.status != 429:
                return answer
            raise NodeUnavailable(
                f"{self.peer}: HTTP {reply.status}",
                retry_after=retry_after(reply.headers),
                status=reply.status,
            )
        answer = _json_or_none(reply)
        if answer is None and reply.status >= 400:
            raise ChainError(
                f"{self.peer}: HTTP {reply.status}: {hide_secrets(reply.text[:200], self.url)}".removesuffix(
                    ": "
                ),
                hint="it may be no Filecoin node: check --rpc-url",
                status=reply.status,
            )
        if answer is None:
            raise NodeUnavailable(f"{self.peer} answered something that is not JSON", hint="check --rpc-url")
        return answer

    def _outcome(self, answer: object) -> Any:
        try:
            return self._result(answer)
        except RpcError as exc:
            if exc.is_transient:
                raise
            return exc

    def _result(self, answer: object) -> Any:
        if not isinstance(answer, Mapping):
            raise NodeUnavailable(f"{self.peer} answered something that is not JSON-RPC")
        error = answer.get("error")
        if isinstance(error, Mapping):
            code, text = error.get("code"), error.get("message")
            told = hide_secrets(str(text), self.url)
            raise RpcError(self.peer, code if isinstance(code, int) else 0, told, error.get("data"))
        if error is not None or "result" not in answer:
            raise NodeUnavailable(f"{self.peer} answered something that is not JSON-RPC")
        return answer["result"]

    def number(self, answer: object, method: str) -> int:
        """Return the number in an answer to *method*; raises NodeUnavailable when there is none."""
        try:
            return int(str(answer), 16)
        except ValueError as exc:
            raise NodeUnavailable(f"{self.peer} answered {method} with {answer!r:.80}, not a number") from exc

    def data(self, answer: object, method: str) -> bytes:
        """Return the bytes in an answer to *method*; raises NodeUnavailable when there are none."""
        text = answer if isinstance(answer, str) else ""
        try:
            if text.startswith("0x"):
                return bytes.fromhex(text[2:])
        except ValueError:
            pass
        raise NodeUnavailable(f"{self.peer} answered {method} with {answer!r:.80}, not with bytes")


def _request(index: int, method: str, params: Sequence[object]) -> Mapping[str, object]:
    return {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}


def _json_or_none(reply: Reply) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


def _as_unavailable(peer: str, exc: NodeUnavailable | RpcError) -> NodeUnavailable:
    if isinstance(exc, NodeUnavailable):
        return exc
    return NodeUnavailable(f"{peer} cannot answer now: {exc.text[:200]}")
