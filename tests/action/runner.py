"""As much of a GitHub runner as a composite action sees: expressions, files, variables; and GitHub's API."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

ACTION = Path(__file__).parent.parent.parent / "action.yml"
TOKEN = "ghs_of_the_test"


@dataclass
class Ran:
    code: int
    log: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Runner:
    """Runs the action's own steps, as `action.yml` has them, in a workspace."""

    folder: Path
    env: Mapping[str, str]
    action: Mapping[str, Any] = field(default_factory=lambda: yaml.safe_load(ACTION.read_text("utf-8")))

    def __post_init__(self) -> None:
        self.workspace = self.folder / "workspace"
        self.temp = self.folder / "temp"
        self.workspace.mkdir(parents=True)
        # What the first step installs: this interpreter, in which fpin is installed.
        python = self.temp / "fpin-venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def run(
        self,
        inputs: Mapping[str, str],
        *,
        name: str = "push",
        event: Mapping[str, Any] | None = None,
        **more: str,
    ) -> Ran:
        unknown = inputs.keys() - self.action["inputs"].keys()
        assert not unknown, f"a runner warns of inputs that are not declared: {unknown}"
        given = {key: str(one.get("default", "")) for key, one in self.action["inputs"].items()}
        values = {key: self._expand(value, {}) for key, value in {**given, **inputs}.items()}
        files = {key: self.temp / key for key in ("output", "summary", "event.json")}
        for path in files.values():
            path.write_text("")
        files["event.json"].write_text(json.dumps(event or {}))
        env = {
            "PATH": "/usr/bin:/bin",
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(files["event.json"]),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "GITHUB_REPOSITORY": "us/site",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_RUN_ID": "7",
            **self.env,
            **more,
        }
        step = next(one for one in self.action["runs"]["steps"] if one.get("id") == "store")
        assert step["shell"] == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={**env, **{key: self._expand(text, values) for key, text in step["env"].items()}},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        outputs = read_outputs(files["output"].read_text())
        declared = {key: one["value"] for key, one in self.action["outputs"].items()}
        assert declared == {key: f"${{{{ steps.store.outputs.{key} }}}}" for key in outputs}
        return Ran(done.returncode, done.stdout + done.stderr, outputs, files["summary"].read_text())

    def forget(self) -> None:
        """Be a fresh machine: a runner keeps nothing from one job to the next."""
        shutil.rmtree(self.temp / "fpin", ignore_errors=True)

    def _expand(self, text: str, inputs: Mapping[str, str]) -> str:
        known = {"toJson(inputs)": json.dumps(inputs), "github.token": TOKEN}
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known[found[1]], text)


def read_outputs(text: str) -> dict[str, str]:
    """Read the file of outputs as a runner does."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, word = line.partition("<<")
        value = []
        for inner in lines:
            if inner == word:
                break
            value.append(inner)
        else:
            raise AssertionError(f"{name} does not end")
        found[name] = "\n".join(value)
    return found


class GitHub:
    """The comments of GitHub's API over a loopback socket; pages of *per_page* comments at most."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.status = 0  # of every answer, if it is not 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> GitHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                per_page, page = int(query["per_page"][0]), int(query["page"][0])
                self._answer(200, github.comments[(page - 1) * per_page : page * per_page])

            def do_POST(self) -> None:
                number = len(github.comments) + 100
                github.comments.append(
                    {"id": number, "html_url": f"{github.url}/{number}", "body": self._body()["body"]}
                )
                self._answer(201, github.comments[-1])

            def do_PATCH(self) -> None:
                number = int(self.path.rpartition("/")[2])
                [comment] = [one for one in github.comments if one["id"] == number]
                comment["body"] = self._body()["body"]
                self._answer(200, comment)

            def _body(self) -> Any:
                return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, status: int, body: Any) -> None:
                github.requests.append(f"{self.command} {urlsplit(self.path).path}")
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    status, body = 401, {"message": "Bad credentials"}
                if github.status:
                    status, body = github.status, {"message": "Resource not accessible by integration"}
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def serve_github() -> Iterator[GitHub]:
    with GitHub() as github:
        yield github
