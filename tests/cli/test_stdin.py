"""``-``: standard input as content, kept in the cache for as long as it is needed and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import pytest

from tests.cli.conftest import Tenant
from tests.cli.test_bad_input import OnFullDisk, told
from tests.conftest import Fpin

MIB = 2**20
EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content.bin"
    path.write_bytes(os.urandom(2 * MIB + 17))
    return path


def spooled(home: Path) -> list[Path]:
    folder = home / "cache" / "spool"
    return list(folder.iterdir()) if folder.exists() else []


@contextmanager
def reading(fpin: Fpin, args: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """fpin, waiting for more input; it is killed at the end if it still does."""
    process = subprocess.Popen(
        fpin.command(args),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=fpin.env,
    )
    try:
        yield process, cast("IO[bytes]", process.stdin)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()


def wait_for_spool(home: Path, size: int) -> Path:
    """Wait until fpin has kept *size* bytes."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in spooled(home):
            if path.exists() and path.stat().st_size >= size:
                return path
        time.sleep(0.02)
    raise AssertionError("nothing was kept within a minute")


def test_standard_input_is_stored_as_a_file_without_a_path(
    tenant: Tenant, content: Path, tmp_path: Path
) -> None:
    data = content.read_bytes()
    added = tenant.fpin("add", "-", "--name", "backup", "--copies", "1", "--json", stdin=data)
    assert added.code == 0, added.stderr
    result = added.json
    assert result["root_cid"] == tenant.here("cid", content, "-q").stdout.strip()
    assert (result["name"], result["files"], result["size"]) == ("backup", 1, len(data))
    [pin] = tenant.pins()
    assert (pin["path"], pin["name"]) == (None, "backup")
    assert spooled(tenant.fpin.home) == []
    got = tenant.here("get", "backup", "-o", tmp_path / "back")
    assert got.code == 0, got.stderr
    assert (tmp_path / "back").read_bytes() == data

    again = tenant.fpin("add", "-", "--name", "backup", "--copies", "1", "--json", stdin=data)
    assert again.code == 0, again.stderr
    assert again.json["pieces"][0]["copies"][0]["tx"] == result["pieces"][0]["copies"][0]["tx"]
    assert again.json["cost"]["fees"] == "0"


def test_offline_commands_read_it_too(fpin: Fpin, home: Path, content: Path, tmp_path: Path) -> None:
    data, car = content.read_bytes(), tmp_path / "x.car"
    named = fpin("cid", content, "--json").json
    assert fpin("cid", "-", "--json", stdin=data).json == named
    packed = fpin("pack", "-", "-o", car, "--json", stdin=data)
    assert packed.code == 0, packed.stderr
    assert packed.json["root_cid"] == named["root_cid"]
    assert car.stat().st_size == named["pieces"][0]["size"]
    assert spooled(home) == []


def test_nothing_on_standard_input_is_an_empty_file(fpin: Fpin) -> None:
    assert fpin("cid", "-", "-q").stdout.strip() == EMPTY_FILE


def test_a_file_called_dash_is_named_with_its_folder(fpin: Fpin, tmp_path: Path) -> None:
    (tmp_path / "-").write_bytes(b"content")
    by_path = fpin("cid", f"{tmp_path}/-", "-q", stdin=b"something else")
    assert by_path.stdout == fpin("cid", "-", "-q", stdin=b"content").stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("cid", "-", "{content}"), ("does not go with other paths",)),
        (("cid", "-", "--wrap"), ("needs a name", "--name")),
        (("cost", "-"), ("size", "--dry-run")),
        (("cid", ""), ("an empty PATH names nothing",)),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_read(
    fpin: Fpin, home: Path, content: Path, args: tuple[str, ...], words: tuple[str, ...]
) -> None:
    told(fpin(*(word.format(content=content) for word in args)), 2, *words)
    assert not (home / "cache").exists()


def test_without_a_standard_input_it_is_told(fpin: Fpin) -> None:
    closed = (
        "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-m', 'fpin', 'cid', '-'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", closed], env=fpin.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "fpin: there is no standard input" in done.stderr


def test_nothing_is_left_of_an_add_that_is_refused(tenant: Tenant) -> None:
    refused = tenant.fpin("add", "-", "--max-cost", "0", stdin=b"x" * 1000)
    assert refused.code == 4, refused.stderr
    assert spooled(tenant.fpin.home) == []
    assert tenant.pins() == []


def test_nothing_is_left_when_it_is_interrupted(fpin: Fpin, home: Path) -> None:
    with reading(fpin, ["cid", "-"]) as (process, stdin):
        stdin.write(bytes(3 * MIB))
        stdin.flush()
        wait_for_spool(home, 2 * MIB)
        process.send_signal(signal.SIGINT)
        stdin.close()
        assert process.wait(60) == 130
    assert spooled(home) == []


@pytest.mark.parametrize("args", [("ls",), ("cid", "-")])
def test_what_a_killed_process_left_goes_at_the_next_start(
    fpin: Fpin, home: Path, args: tuple[str, ...]
) -> None:
    with reading(fpin, ["cid", "-"]) as (process, stdin):
        stdin.write(bytes(3 * MIB))
        stdin.flush()
        left = wait_for_spool(home, 2 * MIB)
        process.kill()
        process.wait(60)
    assert spooled(home) == [left]
    assert fpin(*args).code == 0
    assert spooled(home) == []


def test_what_another_process_is_reading_stays(fpin: Fpin, home: Path, content: Path) -> None:
    data = content.read_bytes()
    with reading(fpin, ["cid", "-", "-q"]) as (process, stdin):
        stdin.write(data)
        stdin.flush()
        in_use = wait_for_spool(home, 2 * MIB)
        assert fpin("cid", "-", "-q").stdout.strip() == EMPTY_FILE
        assert fpin("ls").code == 0
        assert spooled(home) == [in_use]
        stdin.close()
        assert process.stdout is not None
        root = process.stdout.read().decode()
        assert process.wait(60) == 0
    assert root == fpin("cid", content, "-q").stdout
    assert spooled(home) == []


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
def test_a_full_disk_is_told_and_leaves_nothing(home: Path) -> None:
    told(OnFullDisk(home)("cid", "-", stdin=bytes(300_000)), 1, str(home / "cache" / "spool"), "make room")
    assert spooled(home) == []


MEASURED = """
import sys
from fpin.cli import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    sys.stderr.write("".join(line for line in status if line.startswith("VmHWM:")))
sys.exit(code)
"""


class Measured(Fpin):
    """fpin that tells on stderr how much memory it had at most."""

    def command(self, args: Sequence[str | Path]) -> list[str]:
        return [sys.executable, "-c", MEASURED, *map(str, args)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc as Linux has it")
@pytest.mark.parametrize("command", ["cid", "pack"])
def test_memory_stays_small_however_large_the_input_is(home: Path, tmp_path: Path, command: str) -> None:
    chunk, out = os.urandom(MIB), ["-o", str(tmp_path / "x.car")] if command == "pack" else []
    with reading(Measured(home), [command, "-", "-q", *out]) as (process, stdin):
        for number in range(256):
            stdin.write(number.to_bytes(4, "big") + chunk[4:])
        stdin.close()
        assert process.wait(240) == 0
        assert process.stderr is not None
        [line] = [line for line in process.stderr.read().decode().splitlines() if "VmHWM" in line]
    assert int(line.split()[1]) < 120_000  # kB, for 256 MiB
