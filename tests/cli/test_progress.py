"""What is told while bytes move and nobody watches: a plain line now and then; to programs, one a second."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fpin import events
from fpin.cli import progress

Clock = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the clock that the printers read."""
    now = [1000.0]
    monkeypatch.setattr("fpin.cli.progress.time.monotonic", lambda: now[0])

    def set_to(seconds: float) -> None:
        now[0] = 1000.0 + seconds

    return set_to


def test_without_a_terminal_moving_bytes_are_a_line_every_30_seconds(
    at: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = progress.choose(json_output=False, quiet=False, verbose=False)
    for second in range(100):
        at(second)
        printer(events.Hashing(done=second * 2**20, total=100 * 2**20))
    printer(events.Packed(root_cid="bafy", piece_cids=()))
    assert capsys.readouterr().err.splitlines() == [
        "hashing: 30.0 MiB of 100.0 MiB",
        "hashing: 60.0 MiB of 100.0 MiB",
        "hashing: 90.0 MiB of 100.0 MiB",
        "root CID bafy",
    ]


def test_pieces_that_go_to_a_provider_at_the_same_time_are_one_movement(
    at: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = progress.choose(json_output=False, quiet=False, verbose=False)
    for second, piece in ((1, "one"), (2, "two"), (31, "one")):
        at(second)
        printer(events.Uploading(provider_id=7, piece_cid=piece, done=second * 2**20, total=50 * 2**20))
    assert capsys.readouterr().err == "uploading to provider 7: 33.0 MiB of 100.0 MiB\n"


def test_a_program_is_told_of_moving_bytes_once_a_second_and_of_their_end(
    at: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = progress.choose(json_output=True, quiet=False, verbose=False)
    for tenth in range(25):
        at(tenth / 10)
        printer(events.Hashing(done=tenth, total=24))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["done"] for line in lines] == [0, 10, 20, 24]
    assert {line["event"] for line in lines} == {"hashing"}


def test_quiet_tells_only_what_the_user_has_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    printer = progress.choose(json_output=False, quiet=True, verbose=True)
    printer(events.Packed(root_cid="bafy", piece_cids=()))
    printer(events.Noted(text="something odd"))
    assert capsys.readouterr().err == "note: something odd\n"
