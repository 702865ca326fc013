"""Exit codes: the one table from what happened to what a script sees.

=====  ==========================================================================
code   meaning
=====  ==========================================================================
0      done
1      failed; the last line says why and what to do
2      usage
3      done in part: fewer copies than asked, or stored but not yet findable
4      not enough funds, approval or permission
5      temporary: no answer; nothing is lost, run it again
6      verification failed: bytes, hash or signature are not what they claim
130    interrupted; what was done is written down
=====  ==========================================================================
"""

from __future__ import annotations

from fpin import errors

DONE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
TEMPORARY = 5
VERIFICATION = 6
INTERRUPTED = 130

# The first row that fits wins: PieceMismatch is a ProviderError too, but above all it is a wrong hash.
_CODES: tuple[tuple[type[errors.FpinError], int], ...] = (
    (errors.UsageError, USAGE),
    (errors.PermissionMissing, 4),
    (errors.VerificationFailed, VERIFICATION),
    (errors.Unavailable, TEMPORARY),
    (errors.FpinError, FAILED),
)


def code_of(error: errors.FpinError) -> int:
    """Return the exit code for *error*."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


# For errors that do not bring a better one.
_WAYS_OUT: tuple[tuple[type[errors.FpinError], str], ...] = (
    (errors.Unavailable, "nothing is lost; run it again later"),
    (errors.ProviderError, "use another provider, or run it again later"),
)


def way_out(error: errors.FpinError) -> str | None:
    """Return what to do about *error* in general; None where only its message can tell."""
    return next((hint for kind, hint in _WAYS_OUT if isinstance(error, kind)), None)
