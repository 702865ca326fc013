"""Waiting for a provider, on a clock that nobody waits for."""

import itertools
from collections.abc import Iterable

import pytest

from fpin.errors import ProviderError, ProviderUnavailable
from fpin.provider import Clock, MaybeSent, delays, poll


class FakeTime:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self.sleep)


def script(*steps: object) -> Iterable[object]:
    yield from steps
    raise AssertionError("asked more often than expected")


def ask(steps: Iterable[object]) -> object:
    step = next(iter(steps))
    if isinstance(step, Exception):
        raise step
    return step


def test_delays_grow_from_50_ms_to_4_s() -> None:
    first = list(itertools.islice(delays(), 14))
    assert first[:3] == [0.05, pytest.approx(0.075), pytest.approx(0.1125)]
    assert first == sorted(first)
    assert first[-1] == 4.0


def test_the_first_answer_ends_the_wait() -> None:
    time, steps = FakeTime(), script(None, None, "parked")
    assert poll(lambda: ask(steps), patience=60, clock=time.clock) == "parked"
    assert len(time.slept) == 2


def test_patience_ends_with_none_when_the_answer_stays_not_yet() -> None:
    time = FakeTime()
    assert poll(lambda: None, patience=60, clock=time.clock) is None
    assert 50 < time.time <= 60


def test_a_provider_that_is_away_for_a_while_is_asked_again_when_it_wants() -> None:
    busy = ProviderUnavailable("provider 1: HTTP 429", retry_after=30.0)
    time, steps = FakeTime(), script(busy, ProviderUnavailable("gone"), True)
    assert poll(lambda: ask(steps), patience=60, clock=time.clock) is True
    assert time.slept[0] == 30.0


def test_patience_that_ends_on_a_failure_raises_it() -> None:
    def fail() -> None:
        raise ProviderUnavailable("provider 1 cannot be reached")

    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        poll(fail, patience=60, clock=FakeTime().clock)


@pytest.mark.parametrize("error", [ProviderError("HTTP 400"), MaybeSent("HTTP 500")])
def test_errors_that_waiting_does_not_cure_end_it_at_once(error: ProviderError) -> None:
    time, steps = FakeTime(), script(error)
    with pytest.raises(type(error)):
        poll(lambda: ask(steps), patience=60, clock=time.clock)
    assert time.slept == []
