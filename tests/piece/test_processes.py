"""The twin in processes: the same roots, whatever becomes of a process, and none is left behind."""

import random
import subprocess
import sys
from collections.abc import Callable

import pytest

from fpin.piece import (
    BLOCK_HEIGHT,
    BLOCK_SIZE,
    PieceHasher,
    block_roots,
    core,
    hashing_threads,
    processes,
    twin,
)

MUCH = processes._WORTH + 1
DATA = random.Random(2).randbytes(MUCH + 3 * BLOCK_SIZE)

Started = list[subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def _twin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "implementation", lambda: core.PYTHON)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The processes that were started so far."""
    found: Started = []
    start = processes._start

    def keep() -> subprocess.Popen[bytes]:
        found.append(start())
        return found[-1]

    monkeypatch.setattr(processes, "_start", keep)
    return found


@pytest.mark.parametrize("size", [MUCH, MUCH + BLOCK_SIZE - 1, MUCH + 2 * BLOCK_SIZE])
@pytest.mark.parametrize("height", [2, BLOCK_HEIGHT, BLOCK_HEIGHT + 1, BLOCK_HEIGHT + 9])
def test_a_process_gives_the_roots_of_the_twin(size: int, height: int, started: Started) -> None:
    data = memoryview(DATA)[:size]
    with hashing_threads(2, "test") as pool:
        roots = pool.submit(block_roots, data, height).result()
        assert len(started) == 1
    assert roots == twin.block_roots(data, height)


def test_the_threads_leave_the_hashing_to_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = twin.block_roots(DATA, BLOCK_HEIGHT)
    with hashing_threads(2, "test") as pool:
        monkeypatch.setattr(twin, "block_roots", lambda *_: pytest.fail("hashed in the thread"))
        answers = [pool.submit(block_roots, DATA, BLOCK_HEIGHT) for _ in range(4)]
        assert [answer.result() for answer in answers] == [expected] * 4


def test_a_stream_over_such_threads_gives_the_same_piece_cid() -> None:
    alone = PieceHasher()
    alone.update(DATA)
    with hashing_threads(2, "test") as pool:
        hasher = PieceHasher(pool)
        for _ in range(3):
            hasher.update(DATA)
        alone.update(DATA)
        alone.update(DATA)
        assert hasher.finish() == alone.finish()


@pytest.mark.parametrize(("count", "size"), [(1, MUCH), (2, processes._WORTH - 1)])
def test_no_process_is_started_that_gains_nothing(count: int, size: int, started: Started) -> None:
    with hashing_threads(count, "test") as pool:
        roots = pool.submit(block_roots, DATA[:size], BLOCK_HEIGHT).result()
    assert roots == twin.block_roots(DATA[:size], BLOCK_HEIGHT)
    assert started == []


@pytest.mark.skipif(core.native is None, reason="needs the compiled extension")
def test_compiled_code_needs_no_process(monkeypatch: pytest.MonkeyPatch, started: Started) -> None:
    monkeypatch.setattr(core, "implementation", lambda: next(iter(core.implementations())))
    with hashing_threads(2, "test") as pool:
        pool.submit(block_roots, DATA, BLOCK_HEIGHT).result()
    assert started == []


def test_processes_end_with_the_pool_even_after_an_error(started: Started) -> None:
    def fail() -> None:
        with hashing_threads(2, "test") as pool:
            pool.submit(block_roots, DATA, BLOCK_HEIGHT).result()
            assert [process.poll() for process in started] == [None]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [process.poll() is not None for process in started] == [True]


def test_where_a_process_dies_its_thread_goes_on(started: Started) -> None:
    with hashing_threads(2, "test") as pool:
        for _ in range(3):
            roots = pool.submit(block_roots, DATA, BLOCK_HEIGHT).result()
            assert roots == twin.block_roots(DATA, BLOCK_HEIGHT)
            for process in started:
                process.kill()
                process.wait()


@pytest.mark.parametrize("start", [lambda name: "", lambda name: name + "-that-is-not-there"])
def test_where_no_process_can_be_started_the_thread_does_the_work(
    start: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", start(sys.executable))
    with hashing_threads(2, "test") as pool:
        roots = pool.submit(block_roots, DATA, BLOCK_HEIGHT).result()
    assert roots == twin.block_roots(DATA, BLOCK_HEIGHT)


@pytest.mark.parametrize("size", [1000, 2000])
def test_a_process_ends_in_silence_when_its_caller_is_gone(
    size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    process = processes._start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write(processes._REQUEST.pack(size, 2) + bytes(1000))
    process.stdin.close()
    assert process.wait(60) == (size == 1000)
    assert capfd.readouterr().err == ""
