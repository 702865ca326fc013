"""Threads that end with their caller."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator

import pytest

from fpin import threads
from fpin.threads import Crew, Stopped

FOR_EVER = 10**6


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a thread can hang on that cannot be asked to stop; nobody waits for it."""
    monkeypatch.setattr(threads, "GRACE", 0.0)
    event = threading.Event()
    yield event
    event.set()


def test_results_come_in_the_order_of_the_tasks_however_many_run_at_once() -> None:
    for at_once in (None, 1, 2):
        tasks = [functools.partial(pow, number, 2) for number in range(5)]
        assert Crew().run(tasks, at_once=at_once) == [0, 1, 4, 9, 16]


def test_no_more_run_at_a_time_than_allowed() -> None:
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        both.wait()

    Crew().run([work] * 6, at_once=2)
    assert most == 2


def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    crew = Crew()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        crew.run([fail, lambda: crew.sleep(FOR_EVER)])
    with pytest.raises(Stopped):
        crew.check()


def test_a_part_of_the_work_stops_with_the_whole_and_not_the_other_way_round() -> None:
    whole = Crew()
    part = Crew(whole)
    part.stop()
    whole.check()
    whole.stop()
    other = Crew(whole)
    with pytest.raises(Stopped):
        other.run([lambda: None])


def test_an_interruption_in_a_thread_reaches_the_caller() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Crew().run([interrupted])


def test_a_thread_that_is_stuck_is_left_behind_and_that_is_told(stuck: threading.Event) -> None:
    crew, told = Crew(), []
    crew.on_leaving(lambda: told.append("left"))

    def fail() -> None:
        raise ValueError("no")

    def hang() -> None:
        stuck.wait()

    with pytest.raises(ValueError, match="no"):
        crew.run([hang, fail])
    assert told == ["left"]
