"""The event that started a workflow: whose code it runs, and which pull request it is about.

A pull request from a fork brings code that nobody here has read, so it gets no keys; where the event does
not say whose code it is, that counts as a fork.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """*distrust* says why the code is not to be trusted with keys; None when it is the repository's own."""

    distrust: str | None
    pull_request: int | None


def read_event(env: Mapping[str, str]) -> Event:
    """Read the event of a workflow from the file that ``GITHUB_EVENT_PATH`` names."""
    name = env.get("GITHUB_EVENT_NAME", "")
    event = _document(env)
    run, request = _mapping(event, "workflow_run"), _mapping(event, "pull_request")
    if name == "workflow_run" or run:
        distrust = _distrust(run.get("head_repository"), run.get("repository"), "workflow run")
        requests = run.get("pull_requests") or [{}]
        return Event(distrust=distrust, pull_request=_number(requests[0]))
    if name in ("pull_request", "pull_request_target") or request:
        head, base = _mapping(request, "head"), _mapping(request, "base")
        distrust = _distrust(head.get("repo"), base.get("repo"), "pull request")
        return Event(distrust=distrust, pull_request=_number(request))
    return Event(distrust=None, pull_request=None)


def _document(env: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _distrust(theirs: object, ours: object, what: str) -> str | None:
    head = theirs.get("full_name") if isinstance(theirs, Mapping) else None
    base = ours.get("full_name") if isinstance(ours, Mapping) else None
    if not head or not base:
        return f"the event does not say where the {what} comes from"
    return None if head == base else f"the {what} comes from the fork {head}"


def _mapping(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = event.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(request: object) -> int | None:
    number = request.get("number") if isinstance(request, Mapping) else None
    return number if isinstance(number, int) else None
