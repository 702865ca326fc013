"""What a workflow asks for: the inputs of `action.yml`, as variables of the command that will run.

An input that is called as an option of `fpin add` is that option; the rest is named here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from fpin.config import variable
from fpin.errors import UsageError
from fpin.values import dataclass

# Names of filecoin-pin's action that mean the same.
ALIASES = {
    "walletPrivateKey": "private-key",
    "minRunwayDays": "min-runway-days",
    "maxBalance": "max-balance",
    "dataSetIds": "data-set",
    "dryRun": "dry-run",
}
RENAMED = {"provider-id": "provider", "data-set-id": "data-set"}
# Inputs that are no options: secrets, and what the step itself does.
SECRETS = {"private-key": "FPIN_PRIVATE_KEY", "session-key": "FPIN_SESSION_KEY"}
OWN = ("path", "comment", "github-token", "allow-partial")
_YES = ("true", "1", "yes", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """One use of the action. *secrets* are variables that hold keys and never show themselves."""

    path: str
    options: Mapping[str, str]  # variables of the command
    secrets: Mapping[str, str] = field(repr=False)
    github_token: str = field(repr=False)
    comment: bool
    allow_partial: bool

    @property
    def is_car(self) -> bool:
        """A file that is a CAR already is stored as it is."""
        return self.path.endswith(".car") and Path(self.path).is_file()

    @property
    def dry_run(self) -> bool:
        return self.options.get(variable("dry-run"), "").lower() in _YES


def read_inputs(env: Mapping[str, str]) -> Inputs:
    """Read ``INPUTS``, the JSON object that `action.yml` makes of all inputs. Raises UsageError."""
    try:
        given = json.loads(env.get("INPUTS", ""))
        pairs = {str(name): str(value).strip() for name, value in given.items()}
    except (ValueError, AttributeError) as exc:
        raise UsageError("INPUTS is no JSON object", hint="run this through action.yml") from exc
    named: dict[str, str] = {}
    for name, value in pairs.items():
        name = ALIASES.get(name, name)
        name = RENAMED.get(name, name)
        if not value:
            continue
        if named.get(name, value) != value:
            raise UsageError(f"{name} is given twice, by two names", hint="give it once")
        named[name] = value
    if named.pop("egressProvider", "none") != "none":
        raise UsageError("egressProvider: there is no paid CDN here", hint="leave it out, or say none")
    if pairs.get("minRunwayDays", "0") not in ("", "0"):
        # filecoin-pin's action deposits where this one is given, and never without a limit.
        if "max-balance" not in named:
            raise UsageError(
                "minRunwayDays deposits, so maxBalance has to say up to which balance",
                hint="give maxBalance; or min-runway-days, which deposits nothing without auto-fund",
            )
        named.setdefault("auto-fund", "true")
    if not named.get("path"):
        raise UsageError("the input path is missing", hint="path: the folder or file to store")
    return Inputs(
        path=named["path"],
        options={
            variable(name): value for name, value in named.items() if name not in OWN and name not in SECRETS
        },
        secrets={variable: named[name] for name, variable in SECRETS.items() if name in named},
        github_token=named.get("github-token", ""),
        comment=named.get("comment", "true").lower() in _YES,
        allow_partial=named.get("allow-partial", "false").lower() in _YES,
    )
