"""A storetheindex of its own for a test, all its services behind one URL as public instances have them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fpin.devnet.server import Server, bind, url_of
from tests.interop.conftest import Program

_LISTENING = re.compile(r"(ingest|find) http server listening\s.*127\.0\.0\.1:(\d+)")
_FREE = "/ip4/127.0.0.1/tcp/0"


@contextmanager
def running(storetheindex: Program, folder: Path) -> Iterator[str]:
    """The URL of an indexer that keeps everything in memory, and that asks nobody but who announces to it."""
    program = Program(storetheindex.path, {**storetheindex.env, "STORETHEINDEX_PATH": str(folder)})
    services = ("finder", "ingest", "admin", "p2p")  # without the last it accepts no announcement
    listen = [word for name in services for word in (f"--listen-{name}", _FREE)]
    program("init", "--no-bootstrap", "--store", "memory", *listen)
    config = json.loads((folder / "config").read_bytes())
    config["Finder"]["Webpage"] = ""
    (folder / "config").write_text(json.dumps(config))
    with (
        subprocess.Popen(
            [program.path, "daemon"],
            env=program.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        (folder / "log").open("w") as log,
    ):
        try:
            ports = _ports(process)
            # Somebody has to read what it goes on to say, or it stops when the pipe is full.
            with (
                subprocess.Popen(["cat"], stdin=process.stdout, stdout=log),
                _in_front(ports["find"], ports["ingest"]) as url,
            ):
                yield url
                process.terminate()
        finally:
            process.terminate()


def _ports(process: subprocess.Popen[str]) -> dict[str, str]:
    """Where it listens, as soon as it does."""
    assert process.stdout is not None
    ports, said = {}, []
    for line in process.stdout:
        said.append(line)
        if match := _LISTENING.search(line):
            ports[match[1]] = match[2]
        if len(ports) == 2:
            return ports
    raise AssertionError("storetheindex did not start: " + "".join(said)[-2000:])


@contextmanager
def _in_front(find: str, ingest: str) -> Iterator[str]:
    """A proxy that sends announcements to the one service and lookups to the other."""
    client = httpx.Client(trust_env=False)

    async def forward(request: Request) -> Response:
        body = await request.body()
        port = ingest if request.url.path.startswith(("/announce", "/sync", "/ingest")) else find
        kept = {name: request.headers[name] for name in ("accept", "content-type") if name in request.headers}
        answer = await run_in_threadpool(
            client.request,
            request.method,
            f"http://127.0.0.1:{port}{request.url.path}",
            headers=kept,
            content=body,
        )
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    bound = bind()
    server = Server({bound: Starlette(routes=[Route("/{rest:path}", forward, methods=["GET", "PUT"])])})
    server.start()
    try:
        yield url_of(bound)
    finally:
        server.stop()
        client.close()
