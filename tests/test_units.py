"""Amounts and sizes: what was printed is read again, and what is needed is never shown as less."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.units import (
    ONE_TOKEN,
    format_epochs,
    format_token,
    parse_size,
    parse_token,
    round_token,
    short_token,
)

UNITS = st.integers(0, 2**255)


def exact(text: str) -> int:
    """The base units of *text*, by a way of its own."""
    with localcontext() as context:
        context.prec = 200
        return int(Decimal(text) * ONE_TOKEN)


@given(UNITS)
def test_an_amount_comes_back_as_it_was_printed(units: int) -> None:
    assert parse_token(format_token(units)) == units == exact(format_token(units))


@given(st.from_regex(r"[0-9]{1,30}(\.[0-9]{0,18})?|\.[0-9]{1,18}", fullmatch=True))
def test_every_plain_number_is_read_to_the_last_unit(text: str) -> None:
    assert parse_token(text) == parse_token(f" 00{text} ") == exact(text)


@given(UNITS, st.integers(0, 18))
def test_what_is_needed_is_rounded_up_by_less_than_a_step(units: int, digits: int) -> None:
    shown = parse_token(short_token(units, digits=digits))
    assert units <= shown < units + 10 ** (18 - digits)


@given(UNITS)
def test_what_is_shown_is_the_nearest_step_and_never_zero_for_something(units: int) -> None:
    shown = parse_token(round_token(units))
    assert (shown == 0) == (units == 0)
    assert abs(shown - units) <= 10**14 // 2 or shown == 10**14


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-1",
        "+1",
        "1e3",
        "1,5",
        "0x10",
        "1 2",
        "1.5.2",
        "NaN",
        "inf",
        "1_000",
        "٣",
        "½",
        "1" + 60 * "0",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_token(text)


def test_what_is_finer_than_a_unit_is_refused_unless_it_is_zero() -> None:
    with pytest.raises(ValueError, match="finer"):
        parse_token("0.0000000000000000001")
    assert parse_token("1.0000000000000000000000") == ONE_TOKEN


@given(st.integers(0, 10**15), st.sampled_from(["", "k", "M", "GiB", " TB", "kib"]))
def test_sizes_count_by_1024(number: int, unit: str) -> None:
    power = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}[unit.strip()[:1].lower()]
    assert parse_size(f"{number}{unit}") == number * 1024**power


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1.5.2", "1 fortnight", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@given(st.integers(1, 10**7))
def test_durations_are_never_shown_as_longer_than_they_are(epochs: int) -> None:
    seconds = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    words = format_epochs(epochs).split()
    shown = sum(int(count) * seconds[unit] for count, unit in zip(words[::2], words[1::2], strict=True))
    assert 0 < shown <= epochs * 30
