"""Temporary names that are noted: those of killed processes go, those in use or kept for later stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fpin.temporary import noted, sweep

HOLD = """
import sys
from pathlib import Path
from fpin.temporary import noted
with noted(Path(sys.argv[1]), Path(sys.argv[2]), keep=float(sys.argv[3])) as ours:
    Path(sys.argv[2]).write_text("half of it")
    print(ours, flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that works on a temporary name until it is killed."""

    def __init__(self, notes: Path, place: Path, keep: float = 0) -> None:
        args = [sys.executable, "-c", HOLD, str(notes), str(place), str(keep)]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "True\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / ".out.fpin-1"


def test_what_a_killed_process_left_is_removed_with_its_note(notes: Path, place: Path) -> None:
    holder = Holder(notes, place)
    sweep(notes)
    assert place.exists()  # in use
    with noted(notes, place) as ours:
        assert not ours
    holder.kill()
    sweep(notes)
    assert not place.exists()
    assert list(notes.iterdir()) == []


def test_what_is_kept_for_later_stays_until_its_time_and_can_be_taken_up(notes: Path, place: Path) -> None:
    Holder(notes, place, keep=3600).kill()
    sweep(notes)
    assert place.read_text() == "half of it"
    with noted(notes, place) as ours:
        assert ours
    sweep(notes)  # nobody asked to keep it this time
    assert not place.exists()


def test_a_place_that_is_gone_leaves_no_note(notes: Path, place: Path) -> None:
    with noted(notes, place) as ours:
        assert ours
        place.mkdir()
        place.rmdir()
    assert list(notes.iterdir()) == []
    Holder(notes, place).kill()
    place.unlink()
    sweep(notes)
    assert list(notes.iterdir()) == []


def test_a_folder_goes_with_all_that_is_in_it(notes: Path, place: Path) -> None:
    with noted(notes, place):
        (place / "deep").mkdir(parents=True)
        (place / "deep" / "file").write_text("x")
        (place / "deep").chmod(0o500)
    sweep(notes)
    assert not place.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"place": "zz", "keep_until": 0}'])
def test_a_note_that_says_nothing_is_removed(notes: Path, text: str) -> None:
    notes.mkdir()
    (notes / "x.note").write_text(text)
    (notes / "other").write_text(text)
    sweep(notes)
    assert [path.name for path in notes.iterdir()] == ["other"]


def test_a_note_never_leads_to_what_is_no_temporary_name(notes: Path, tmp_path: Path) -> None:
    with noted(notes, tmp_path / "precious"):
        (tmp_path / "precious").write_text("mine")
    sweep(notes)
    assert (tmp_path / "precious").read_text() == "mine"


def test_nothing_to_sweep_is_nothing_to_do(notes: Path) -> None:
    sweep(notes)
    assert not notes.exists()
