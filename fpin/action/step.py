"""The step itself: run `fpin add` with the inputs as its settings, and tell the workflow about it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fpin import events
from fpin.action.comment import Comments, marker_for
from fpin.action.event import Event, read_event
from fpin.action.inputs import Inputs, read_inputs
from fpin.action.report import Report, markdown, outputs
from fpin.cli import exits
from fpin.cli.progress import sentence
from fpin.config import variable
from fpin.errors import FpinError
from fpin.http import Http
from fpin.settings import DEFAULT_NETWORK


def main(env: Mapping[str, str] | None = None) -> int:
    """Run the step and return its exit code, which is fpin's own."""
    env = os.environ if env is None else env
    try:
        inputs = read_inputs(env)
    except FpinError as exc:
        _say(f"::error::{_one_line(exc.message)}")
        return exits.code_of(exc)
    for secret in inputs.secrets.values():
        # With and without the prefix: whoever prints one prints either.
        for form in {secret, secret.removeprefix("0x")}:
            _say(f"::add-mask::{_one_line(form)}")
    event = read_event(env)
    code, report = _pack(inputs, event, env) if event.distrust else _store(inputs, env)
    _write(env, "GITHUB_OUTPUT", "".join(_output(name, value) for name, value in outputs(report).items()))
    _write(env, "GITHUB_STEP_SUMMARY", markdown(report))
    if inputs.comment and event.pull_request and inputs.github_token:
        _comment(inputs, event, env, markdown(report))
    if code == exits.PARTIAL and inputs.allow_partial:
        _say("::warning::stored in part; running the job again continues")
        return exits.DONE
    if report.status == "failed":
        _say(f"::error::{_one_line(report.why or 'it failed')}")
    return code


def _store(inputs: Inputs, env: Mapping[str, str]) -> tuple[int, Report]:
    seen: list[str] = []
    code, result = _fpin("import" if inputs.is_car else "add", inputs, {**env, **inputs.secrets}, seen)
    report = _report(inputs, result, code, paid="submitted" in seen)
    if not inputs.dry_run or code != exits.DONE or inputs.is_car:
        return code, report
    _, packed = _fpin("cid", inputs, env)
    cids = tuple(piece["piece_cid"] for piece in packed.get("pieces", ()))
    found = {**result, "root_cid": packed.get("root_cid")}
    return code, Report(
        path=inputs.path, status="dry-run", network=report.network, result=found, piece_cids=cids
    )


def _pack(inputs: Inputs, event: Event, env: Mapping[str, str]) -> tuple[int, Report]:
    """Compute the CIDs and touch no key, not even one that the environment has."""
    if inputs.is_car:
        code, result = _fpin("car verify", inputs, _without_keys(env))
        result = {"root_cid": next(iter(result.get("roots", ())), None), **result}
        cids: tuple[str, ...] = ()
    else:
        code, result = _fpin("cid", inputs, _without_keys(env))
        cids = tuple(piece["piece_cid"] for piece in result.get("pieces", ()))
    if "error" in result:
        return code, _report(inputs, result, code, paid=False)
    network = inputs.options.get(variable("network"), DEFAULT_NETWORK)
    return code, Report(
        path=inputs.path,
        status="fork",
        network=network,
        result={name: value for name, value in result.items() if name != "pieces"},
        piece_cids=cids,
        why=event.distrust,
    )


def _report(inputs: Inputs, result: Mapping[str, Any], code: int, *, paid: bool) -> Report:
    error = result.get("error")
    if error is not None:
        why = " ".join(part for part in (error["message"], error.get("hint")) if part)
        return Report(path=inputs.path, status="failed", network="", result=result, why=why)
    if result["dry_run"]:
        status = "dry-run"
    elif code == exits.PARTIAL:
        status = "partial"
    else:
        sent = any(copy["uploaded"] for piece in result["pieces"] for copy in piece["copies"])
        status = "stored" if paid or sent else "already-stored"
    return Report(path=inputs.path, status=status, network=result["network"], result=result)


def _fpin(
    command: str, inputs: Inputs, env: Mapping[str, str], seen: list[str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Run one command of fpin on the path, its progress in the log; return its code and its object.

    *seen* takes the names of what happened.
    """
    args = [sys.executable, "-m", "fpin", *command.split(), "--json", "--", inputs.path]
    # The checkout is what the pull request says, so nothing of Python is looked for there.
    full = {**env, **inputs.options, "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
    full.pop("INPUTS", None)  # it holds the secrets of the step
    full.setdefault("FPIN_HOME", str(Path(env.get("RUNNER_TEMP", ".")).absolute() / "fpin"))
    with (
        _no_commands(),
        subprocess.Popen(
            args,
            env=full,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        # The object comes last, and a pipe holds 64 KiB of it; so the two are read by two threads.
        with ThreadPoolExecutor(1) as pool:
            printed = pool.submit(process.stdout.read)
            for line in process.stderr:
                name, text = _as_sentence(line.rstrip("\n"))
                if text is not None:
                    _say(text)
                if seen is not None:
                    seen.append(name)
            body = printed.result()
        code = process.wait()
    try:
        return code, json.loads(body)
    except ValueError:
        message = f"fpin {command} ended with code {code} and said nothing"
        return code or exits.FAILED, {"error": {"message": message, "hint": None}}


def _as_sentence(line: str) -> tuple[str, str | None]:
    """Return what a line of progress is called, and what it says; None for what only programs want to see."""
    try:
        fields = json.loads(line)
        name = fields.pop("event")
        kind = getattr(events, name[0].upper() + name[1:])
        return name, sentence(kind(**fields))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", line


def _without_keys(env: Mapping[str, str]) -> dict[str, str]:
    """Return *env* without the variables that keys come from when the inputs have none."""
    return {name: value for name, value in env.items() if "KEY" not in name}


@contextlib.contextmanager
def _no_commands() -> Iterator[None]:
    """Keep the runner from taking a line of the log for a command: a file's name may look like one."""
    word = secrets.token_hex(16)
    _say(f"::stop-commands::{word}")
    try:
        yield
    finally:
        _say(f"::{word}::")


def _comment(inputs: Inputs, event: Event, env: Mapping[str, str], body: str) -> None:
    """Keep the comment up to date. What was stored is stored, so a failure here is a warning only."""
    assert event.pull_request is not None
    run = f"{env.get('GITHUB_SERVER_URL', '')}/{env.get('GITHUB_REPOSITORY', '')}/actions/runs"
    try:
        with Http() as http:
            comments = Comments(
                http=http,
                api=env.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
                repository=env.get("GITHUB_REPOSITORY", ""),
                pull_request=event.pull_request,
                token=inputs.github_token,
            )
            comments.keep(marker_for(inputs.path), f"{body}\n[The run]({run}/{env.get('GITHUB_RUN_ID', '')})")
    except FpinError as exc:
        _say(f"::warning::the comment on the pull request was not written: {_one_line(exc.message)}")


def _output(name: str, value: str) -> str:
    """Return an output as the runner reads it, whole whatever is in it: nobody can guess the delimiter."""
    word = f"fpin-{secrets.token_hex(16)}"
    return f"{name}<<{word}\n{value}\n{word}\n"


def _write(env: Mapping[str, str], name: str, text: str) -> None:
    """Append *text* to the file that a variable of the runner names; outside of a runner there is none."""
    if path := env.get(name):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


def _one_line(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
