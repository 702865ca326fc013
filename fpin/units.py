"""Token amounts, epochs and sizes: named types, parsed and printed in one place.

Amounts are integers in base units (10**18 to the token) everywhere; floats never hold money.
"""

from __future__ import annotations

import re
from typing import NewType

UsdfcUnits = NewType("UsdfcUnits", int)  # 10**18 units = 1 USDFC
AttoFil = NewType("AttoFil", int)  # 10**18 attoFIL = 1 FIL
Epochs = NewType("Epochs", int)  # a duration; 1 epoch = 30 s of chain time
Epoch = NewType("Epoch", int)  # a point in chain time, counted from genesis

DECIMALS = 18
ONE_TOKEN: int = 10**DECIMALS
MAX_WHOLE_DIGITS = 59  # 10**59 tokens are 10**77 base units, which still fit a uint256
EPOCH_SECONDS = 30
EPOCHS_PER_DAY = Epochs(2880)
EPOCHS_PER_MONTH = Epochs(86400)  # a month is always 30 days

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40


def format_token(units: int) -> str:
    """Return *units* as a decimal number of tokens, exact, without trailing zeros.

    >>> format_token(1_500_000_000_000_000_000), format_token(1), format_token(-2 * 10**18)
    ('1.5', '0.000000000000000001', '-2')
    """
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), ONE_TOKEN)
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:018d}".rstrip("0")


def parse_token(text: str) -> int:
    """Return the base units of a decimal number of tokens; the inverse of `format_token`.

    Raises ValueError when *text* is not a plain non-negative number or is finer than one base unit.

    >>> parse_token("0.12")
    120000000000000000
    """
    match = re.fullmatch(r"(?=\.?[0-9])([0-9]*)\.?([0-9]*)", text.strip())
    if match is None:
        raise ValueError(f"not an amount: {text!r}")
    whole, fraction = match[1].lstrip("0"), match[2].rstrip("0")
    if len(fraction) > DECIMALS:
        raise ValueError(f"finer than 10**-{DECIMALS}: {text!r}")
    if len(whole) > MAX_WHOLE_DIGITS:
        raise ValueError(f"more than there can be: {text!r}")
    return int(whole or "0") * ONE_TOKEN + int(fraction.ljust(DECIMALS, "0"))


def short_token(units: int, *, digits: int = 4) -> str:
    """Return what is needed, in tokens for people: rounded up to *digits* decimals, so that it suffices.

    >>> short_token(120_000_000_000_000_001), short_token(0), short_token(5 * ONE_TOKEN)
    ('0.1201', '0', '5')
    """
    step = 10 ** (DECIMALS - digits)
    return format_token(-(-units // step) * step)


def floor_token(units: int, *, digits: int = 4) -> str:
    """Return what somebody has, in tokens for people: rounded down, for nobody has more than they have.

    >>> floor_token(120_000_000_000_000_001), floor_token(99_999_999_999_999)
    ('0.12', '0')
    """
    step = 10 ** (DECIMALS - digits)
    return format_token(units // step * step)


def round_token(units: int, *, digits: int = 4) -> str:
    """Return what something costs or holds, in tokens for people: rounded, but nothing becomes "0".

    >>> round_token(120_000_000_000_000_001), round_token(1), round_token(0)
    ('0.12', '0.0001', '0')
    """
    step = 10 ** (DECIMALS - digits)
    rounded = (units + step // 2) // step * step
    return format_token(step if units > 0 and rounded == 0 else rounded)


def format_size(size: int) -> str:
    """Return *size* bytes for people, in binary units.

    >>> format_size(512), format_size(1536), format_size(1_065_353_216)
    ('512 B', '1.5 KiB', '1016.0 MiB')
    """
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def parse_size(text: str) -> int:
    """Return the bytes of a size as people write it; units count by 1024, "GB" and "GiB" alike.

    Raises ValueError when *text* is not one.

    >>> parse_size("10GiB"), parse_size("1.5 k"), parse_size("127")
    (10737418240, 1536, 127)
    """
    match = re.fullmatch(r"([0-9]{1,18})(?:\.([0-9]{1,9}))? ?([kmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    fraction = match[2] or ""
    factor = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}[match[3]]
    scale: int = 10 ** len(fraction)
    return int(match[1] + fraction) * factor // scale


def format_epochs(epochs: int) -> str:
    """Return a duration of *epochs* for people, in its two largest units.

    >>> format_epochs(2880 * 3 + 120), format_epochs(3), format_epochs(0)
    ('3 d 1 h', '1 min 30 s', '0 s')
    """
    seconds = epochs * EPOCH_SECONDS
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def format_time(seconds: int) -> str:
    """Return a point in Unix time for people, in UTC; contracts may hold any number.

    >>> format_time(1764064800), format_time(2**255)
    ('2025-11-25 10:00 UTC', 'no time at all')
    """
    import datetime

    try:
        when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "no time at all"
    return when.strftime("%Y-%m-%d %H:%M UTC")


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as ``30d``, ``12h`` or ``45min``; raises ValueError for others.

    >>> parse_duration("30d"), parse_duration("12 h"), parse_duration("45min"), parse_duration("2w")
    (2592000, 43200, 2700, 1209600)
    """
    match = re.fullmatch(r"([0-9]{1,9}) ?(w|d|h|min)", text.strip().lower())
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    return int(match[1]) * {"w": 7 * 86400, "d": 86400, "h": 3600, "min": 60}[match[2]]
