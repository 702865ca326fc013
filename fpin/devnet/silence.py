"""An answer that breaks off: what a client sees when the other side goes away. Knows no service."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class HangUp(Response):
    """Promises a byte and sends none, so that the server closes the connection in mid-answer."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
