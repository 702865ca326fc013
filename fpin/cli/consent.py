"""Consent: a yes at a terminal, or the option that stands for it, before money moves or service ends.

Never asks where nobody could answer: a script is told which option says yes instead.
"""

from __future__ import annotations

import sys

from fpin.errors import FpinError, UsageError


class Declined(FpinError):
    """Somebody was asked and did not say yes."""


def agree(proposal: str, *, yes: bool, json: bool = False) -> None:
    """Return when the user agrees to *proposal*, a sentence that names what would happen, amounts included.

    *yes* is the option that agreed beforehand. Raises UsageError where nobody can be asked (no terminal, or a
    program reads the output), `Declined` for any answer but yes.
    """
    if yes:
        return
    if json or not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{proposal}: nobody is there to agree", hint="--yes agrees beforehand")
    sys.stderr.write(f"{proposal}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("not agreed to: nothing was done")
