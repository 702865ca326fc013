"""`fpin doctor`: is this machine ready, and what to do where it is not."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from fpin.cli import exits, options
from fpin.cli.command import CONFIG
from fpin.cli.output import RED, YELLOW, paint, print_json, print_text
from fpin.cli.session import DEVNET, Session
from fpin.errors import FpinError
from fpin.settings import DEFAULT_NETWORK, folders

if TYPE_CHECKING:
    from fpin.backends.base import Finding

MARKS = {"ok": "ok", "warning": "note", "bad": "BAD"}
COLOURS = {"warning": YELLOW, "bad": RED}


def doctor(
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Look at this machine, the settings and the network, and say what to do about what is wrong.

    Nothing is sent but questions. Exit code 1 means that something has to be done.

    Example: fpin doctor --network calibration
    """
    from fpin.flows import doctor as flow

    findings: list[Finding] = []
    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    for finding in _all(click.get_current_context(), session):
        findings.append(finding)
        if not json:
            _tell(finding, quiet=quiet)
    result = flow.DoctorResult(
        network=network, well=all(one.state != "bad" for one in findings), findings=tuple(findings)
    )
    if json:
        print_json("fpin.doctor/1", dataclasses.asdict(result))
    return exits.DONE if result.well else exits.FAILED


def _all(ctx: click.Context, session: Session) -> Iterator[Finding]:
    from fpin.backends.base import Finding
    from fpin.flows import doctor as flow

    yield from flow.look_here(folders())
    yield _settings(ctx)
    try:
        yield _key(session)
        with session.printer() as printer, session.services(printer) as services:
            yield from flow.look_around(services)
    except FpinError as exc:
        yield Finding(name="network", state="bad", says=exc.message, remedy=exc.hint)


def _settings(ctx: click.Context) -> Finding:
    from fpin.backends.base import Finding

    config = ctx.meta[CONFIG]
    about = f"profile {config.profile}" if config.profile else "no profile in use"
    file = str(config.path) if config.path.exists() else f"no {config.path}"
    return Finding(name="settings", state="ok", says=f"{file}, {about}; fpin config show says more")


def _key(session: Session) -> Finding:
    from fpin.backends.base import Finding
    from fpin.backends.filecoin.identity import HOW_TO_GIVE_A_KEY

    given = session.credentials()
    if given.session is not None:
        given.session.read()
        return Finding(name="key", state="ok", says=f"a session key from {given.session.origin}")
    if given.key is not None:
        given.key.read()
        return Finding(name="key", state="ok", says=f"from {given.key.origin}")
    if session.network == DEVNET and given.wallet is None:
        return Finding(name="key", state="ok", says="none named: the devnet's first user signs")
    says = "none: fpin can look, and store nothing"
    return Finding(name="key", state="warning", says=says, remedy=HOW_TO_GIVE_A_KEY)


def _tell(finding: Finding, *, quiet: bool) -> None:
    if quiet and finding.state == "ok":
        return
    mark = f"{MARKS[finding.state]:<5}"
    if finding.state in COLOURS:
        mark = paint(mark, COLOURS[finding.state], sys.stdout)
    print_text(f"{mark} {finding.name:<10}  {finding.says}")
    if finding.remedy:
        print_text(f"                  → {finding.remedy}")
