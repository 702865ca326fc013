"""Addresses of nodes are shown without the tokens in them, whoever repeats them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from fpin.addresses import hide_secrets, host_of, shown
from tests.cli.conftest import Here, here
from tests.conftest import Outcome

__all__ = ["here"]

SECRETS = ("someuser", "secretpassword", "0123456789abcdef", "querytoken")
WALLET = "0x35B8cBD4048AF157E951ebF46f033d613372fe3c"


@pytest.mark.parametrize(
    ("url", "host", "told"),
    [
        ("https://node.example/rpc/v1", "node.example", "https://node.example/rpc/v1"),
        ("http://127.0.0.1:1234", "127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("http://[::1]:1234/rpc", "[::1]:1234", "http://[::1]:1234/rpc"),
        (
            "https://a:b@node.example/v3/0123456789abcdef?key=x",
            "node.example",
            "https://…@node.example/v3/…?…",
        ),
        ("node.example", None, "…"),
        ("htp://a:b@node.example", None, "…"),
        ("http://node.example:99999", None, "…"),
        ("http://[half", None, "…"),
        ("http:///rpc", None, "…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(url: str, host: str | None, told: str) -> None:
    assert (host_of(url), shown(url)) == (host, told)


def test_what_a_peer_repeats_of_its_address_is_hidden() -> None:
    url = "https://me:secret@node.example/rpc/0123456789abcdef?key=token"
    said = "me, no key=token at /rpc/0123456789abcdef for secret"
    assert hide_secrets(said, url) == "…, no … at /rpc/… for …"


class Parrot(http.server.BaseHTTPRequestHandler):
    """Answers with an error in which its own address stands, in the way that its path names."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(401 if "refuse" in self.path else 200)
        self.end_headers()
        error = (
            f'{{"jsonrpc": "2.0", "id": 0, "error": {{"code": -1, "message": "no access to {self.path}"}}}}'
        )
        self.wfile.write((error if "error" in self.path else f"no access to {self.path}").encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def parrot() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Parrot) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def assert_hidden(outcome: Outcome) -> None:
    assert not [one for one in SECRETS if one in outcome.stdout + outcome.stderr]


@pytest.mark.parametrize("way", ["refuse", "error", "page"])
def test_no_answer_of_a_node_brings_its_token_to_light(here: Here, parrot: str, way: str) -> None:
    url = f"http://someuser:secretpassword@{parrot}/{way}/0123456789abcdef?key=querytoken"
    for command in (("payments", "status"), ("doctor",), ("config", "show"), ("status", "--refresh")):
        for more in ((), ("--json",)):
            outcome = here(
                *command,
                *more,
                env={"FPIN_RPC_URL": url, "FPIN_NETWORK": "calibration", "FPIN_WALLET_ADDRESS": WALLET},
            )
            assert_hidden(outcome)
            if command[0] == "payments":
                assert outcome.code in (1, 5)
                assert f"node {parrot}" in outcome.stderr


@pytest.mark.parametrize(
    "url",
    [
        "htp://someuser:secretpassword@h/querytoken",
        "http://h:99999/querytoken",
        "http://[querytoken",
        "querytoken",
    ],
)
def test_what_is_no_address_is_a_usage_error_and_not_repeated(here: Here, url: str) -> None:
    for variable in ("FPIN_RPC_URL", "FPIN_INDEXERS"):
        outcome = here(
            "payments", "status", "--network", "calibration", "--wallet", WALLET, env={variable: url}
        )
        assert outcome.code == 2, outcome.stderr
        assert variable in outcome.stderr
        assert_hidden(outcome)
