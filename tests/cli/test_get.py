"""`fpin get`: parts of files, resuming after a kill, pieces at several providers; and what is left over."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fpin.ipld.car import header, section_prefix
from fpin.ipld.cid import format_cid
from tests.cli.conftest import Tenant
from tests.conftest import Fpin
from tests.retrieve.dags import Dag

MIB = 2**20


@pytest.fixture
def video(tenant: Tenant, tmp_path: Path) -> Path:
    """A file of 24 leaves that no other test stores."""
    path = tmp_path / "video.bin"
    path.write_bytes(b"".join(tenant.wallet.encode() + bytes([number]) * (MIB - 42) for number in range(24)))
    return path


def stored(tenant: Tenant, path: Path, copies: int = 2) -> str:
    added = tenant.here("add", path, "--copies", str(copies), "--json")
    assert added.code == 0, added.stderr
    root: str = added.json["root_cid"]
    return root


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not happened():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)


def test_a_part_of_a_file_is_printed_or_written(tenant: Tenant, video: Path, tmp_path: Path) -> None:
    root, data = stored(tenant, video), video.read_bytes()
    printed = subprocess.run(
        tenant.fpin.command(["get", root, "--range", "5000000:5000099", "-o", "-"]),
        env=tenant.fpin.env,
        capture_output=True,
        check=True,
    )
    assert printed.stdout == data[5_000_000:5_000_100]
    tail = tenant.here("get", root, "--range", "-3000000:", "-o", tmp_path / "tail", "--json")
    assert (tmp_path / "tail").read_bytes() == data[-3_000_000:]
    assert (tail.json["bytes"], tail.json["files"]) == (3_000_000, 1)
    for span in ("9:3", "x", "1-2"):
        assert tenant.here("get", root, "--range", span, "-o", tmp_path / "no").code == 2
    assert tenant.here("get", root, "--range", "0:9").code == 2  # it has no name of its own
    assert not (tmp_path / "no").exists()


def test_a_path_inside_goes_with_a_name_and_with_a_path_too(tenant: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x.txt").write_text(tenant.wallet)
    assert tenant.here("add", folder, "--copies", "1", "--name", "my site").code == 0
    for number, what in enumerate(("my site/sub/x.txt", f"{folder}/sub/x.txt")):
        out = tmp_path / f"out{number}"
        assert tenant.here("get", what, "-o", out).code == 0
        assert out.read_text() == tenant.wallet
    for what in ("my site/sub/y.txt", "no site/sub/x.txt", "my site/sub/x.txt/deeper"):
        assert tenant.here("get", what, "-o", tmp_path / "no").code == 1


def test_a_large_file_comes_from_both_providers(tenant: Tenant, video: Path, tmp_path: Path) -> None:
    root = stored(tenant, video)
    got = tenant.here("get", root, "-o", tmp_path / "back", "--json")
    assert (tmp_path / "back").read_bytes() == video.read_bytes()
    assert sorted(got.json["sources"]) == sorted(tenant.world.urls.providers[:2])


def test_a_download_that_is_killed_is_gone_on_with_by_the_same_command(
    tenant: Tenant, video: Path, tmp_path: Path
) -> None:
    root = stored(tenant, video)
    place = tmp_path / "place"
    place.mkdir()
    command = ["get", root, "-o", str(place / "back"), "--json"]
    for provider in tenant.world.providers:
        provider.faults.slow = 1.0
    with subprocess.Popen(
        tenant.fpin.command(command), env=tenant.fpin.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: any(path.stat().st_size > 3 * MIB for path in place.iterdir()), process)
        process.send_signal(signal.SIGKILL)
    for provider in tenant.world.providers:
        provider.faults.slow = 0.0
    [left] = left_in(place)
    assert not (place / "back").exists()
    assert tenant.here("ls").code == 0  # which sweeps, and leaves this for a week
    assert left_in(place) == [left]

    got = tenant.here(*command)
    assert got.code == 0, got.stderr
    assert got.json["kept"] >= 3 * MIB
    assert (place / "back").read_bytes() == video.read_bytes()
    assert left_in(place) == []


def test_another_download_of_the_same_content_does_not_touch_it(
    tenant: Tenant, video: Path, tmp_path: Path
) -> None:
    root = stored(tenant, video)
    place = tmp_path / "place"
    place.mkdir()
    for provider in tenant.world.providers:
        provider.faults.slow = 0.2
    command = tenant.fpin.command(["get", root, "-o", str(place / "back"), "-q"])
    running = [subprocess.Popen(command, env=tenant.fpin.env, stdout=subprocess.DEVNULL) for _ in range(2)]
    codes = sorted(process.wait(120) for process in running)
    assert codes in ([0, 0], [0, 1])  # the second may find the name taken by the first
    assert (place / "back").read_bytes() == video.read_bytes()
    assert left_in(place) == []


def test_content_in_pieces_at_two_providers_comes_back_without_the_store(
    tenant: Tenant, tmp_path: Path
) -> None:
    dag = Dag()
    inner = dag.directory(
        {f"{number}.txt": dag.raw(f"{number} {tenant.wallet}".encode()) for number in range(9)}
    )
    root = dag.directory({"a.txt": dag.raw(tenant.wallet.encode()), "inner": inner})
    below = set(dag.walk(inner))
    for name, top, cids in (
        ("outer", root, [cid for cid in dag.blocks if cid not in below]),
        ("inner", inner, [cid for cid in dag.blocks if cid in below]),
    ):
        sections = (section_prefix(cid, len(dag.blocks[cid])) + dag.blocks[cid] for cid in cids)
        (tmp_path / f"{name}.car").write_bytes(header([top]) + b"".join(sections))
    for name, provider in (("outer", "1"), ("inner", "2")):
        added = tenant.here(
            "import", tmp_path / f"{name}.car", "--allow-missing", "--copies", "1", "--provider", provider
        )
        assert added.code == 0, added.stderr
    elsewhere = Fpin(tmp_path / "another home", {"DEVNET_INFO_PATH": str(tenant.world.info_path)})
    got = elsewhere("get", format_cid(root), "-o", tmp_path / "back", "--json")
    assert got.code == 0, got.stderr
    assert (tmp_path / "back" / "inner" / "8.txt").read_text() == f"8 {tenant.wallet}"
    assert got.json["sources"] == list(tenant.world.urls.providers[:2])


def test_what_a_killed_pack_left_goes_at_the_next_start(fpin: Fpin, tmp_path: Path) -> None:
    source, place = tmp_path / "source.bin", tmp_path / "place"
    place.mkdir()
    with source.open("wb") as file:
        file.truncate(1_000_000_000)
    command = ["pack", str(source), "-o", str(place / "x.car")]
    with subprocess.Popen(fpin.command(command), env=fpin.env, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: bool(left_in(place)), process)
        process.send_signal(signal.SIGKILL)
    assert len(left_in(place)) == 1
    small = tmp_path / "small.txt"
    small.write_text("small")
    assert fpin("pack", small, "-o", place / "small.car").code == 0
    assert [path.name for path in place.iterdir()] == ["small.car"]
