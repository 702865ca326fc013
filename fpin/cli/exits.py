"""Exit codes: the one table from what happened to what a script sees."""

from __future__ import annotations

from fpin import errors

DONE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
PERMISSION = 4
TEMPORARY = 5
VERIFICATION = 6
INTERRUPTED = 130

MEANINGS = {
    DONE: "done",
    FAILED: "failed; the last line says why and what to do",
    USAGE: "usage",
    PARTIAL: (
        "done in part: fewer copies than asked, or stored but not yet findable; running it again continues"
    ),
    PERMISSION: "not enough funds, approval or permission",
    TEMPORARY: (
        "temporary: a provider, node or indexer did not answer, or the time was up; "
        "nothing is lost, run it again"
    ),
    VERIFICATION: "verification failed: bytes, hash or signature are not what they claim",
    INTERRUPTED: "interrupted; what was done is written down",
}

# The first row that fits wins: PieceMismatch is a ProviderError too, but above all it is a wrong hash.
_CODES: tuple[tuple[type[errors.FpinError], int], ...] = (
    (errors.UsageError, USAGE),
    (errors.PermissionMissing, PERMISSION),
    (errors.VerificationFailed, VERIFICATION),
    (errors.Unavailable, TEMPORARY),
    (errors.FpinError, FAILED),
)


def code_of(error: errors.FpinError) -> int:
    """Return the exit code for *error*."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


# For errors that do not bring a better one.
_WAYS_OUT: tuple[tuple[type[errors.FpinError], str], ...] = (
    (
        errors.NodeUnavailable,
        (
            "nothing is lost; check the network of this machine and run it again later, "
            "or choose another node with --rpc-url"
        ),
    ),
    (errors.Unavailable, "nothing is lost; run it again later"),
    (errors.ProviderError, "use another provider, or run it again later"),
)


def way_out(error: errors.FpinError) -> str | None:
    """Return what to do about *error* in general; None where only its message can tell."""
    return next((hint for kind, hint in _WAYS_OUT if isinstance(error, kind)), None)
