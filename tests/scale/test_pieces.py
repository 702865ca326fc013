"""A directory cut into many small pieces, every piece at another provider: whole again in one `get`."""

from __future__ import annotations

import filecmp
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from fpin.backends.base import Wish
from fpin.devnet.world import World
from fpin.events import OnEvent, ignore
from fpin.flows.add import AddRequest, AddResult, add
from fpin.flows.packing import Content, pack
from fpin.flows.services import Services, connect
from fpin.flows.sources import Hashed
from fpin.settings import folders
from fpin.store import Packing
from tests.conftest import Fpin

LIMIT = 300_000  # bytes of a piece


@dataclass(frozen=True)
class OnePiece:
    """Content of which only one piece is stored; to `add` it is a source like any other."""

    content: Content
    index: int

    stored_path = None
    default_name = "photos"
    profile = "unixfs-v1-2025"
    packing = Packing()

    def lay_out(self, *, on_event: OnEvent = ignore) -> OnePiece:
        return self

    @property
    def size(self) -> int:
        return self.content.lay_out().size

    @property
    def files(self) -> int:
        return self.content.lay_out().files

    @property
    def piece_sizes(self) -> list[int]:
        return self.content.lay_out().piece_sizes[self.index : self.index + 1]

    def hash(self, *, on_event: OnEvent = ignore) -> Hashed:
        whole = self.content.lay_out().hash()
        pieces = whole.pieces[self.index : self.index + 1]
        return Hashed(root_cid=whole.root_cid, size=whole.size, files=whole.files, pieces=pieces)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files of many sizes, some larger than a leaf and none larger than a piece, some of them equal."""
    folder, random = tmp_path / "photos", Random(1)
    for number in range(60):
        inside = folder / f"day-{number % 7}"
        inside.mkdir(parents=True, exist_ok=True)
        (inside / f"{number}.raw").write_bytes(random.randbytes(random.randrange(90_000)))
    for copy in ("day-1", "day-6"):
        (folder / copy / "again.raw").write_bytes(b"again" * 10_000)
    return folder


@pytest.fixture
def content(photos: Path) -> Content:
    return Content(paths=(photos,), piece_limit=LIMIT)


def store_one(services: Services, content: Content, index: int, *, last: bool) -> AddResult:
    wish = Wish(copies=1, provider_ids=(index % 3 + 1,))
    wait_for = "advertised" if last else "confirmed"
    return add(services, AddRequest(content=OnePiece(content, index), wish=wish, wait_for=wait_for))


def same_content(left: Path, right: Path) -> bool:
    compared = filecmp.dircmp(left, right)
    _, differ, errors = filecmp.cmpfiles(left, right, compared.common_files, shallow=False)
    odd = compared.left_only or compared.right_only or compared.funny_files or differ or errors
    return not odd and all(same_content(left / name, right / name) for name in compared.common_dirs)


def test_pieces_at_different_providers_come_back_as_one_directory(
    fpin: Fpin, world: World, content: Content, photos: Path, tmp_path: Path
) -> None:
    count = len(content.lay_out().piece_sizes)
    assert count > 6
    with connect(
        network="devnet", rpc_url=None, folders=folders(fpin.env), key=None, devnet_info=world.info_path
    ) as services:
        results = [store_one(services, content, index, last=index == count - 1) for index in range(count)]
    result = results[-1]
    assert result.complete
    assert result.routing.state == "found"
    copies = [copy.provider_id for piece in result.pieces for copy in piece.copies]
    assert copies == [index % 3 + 1 for index in range(count)]
    assert min(Counter(copies).values()) >= 2

    back = tmp_path / "back"
    got = fpin("get", result.root_cid or "", "-o", back, "--json")
    assert got.code == 0, got.stderr
    assert (got.json["files"], len(got.json["sources"])) == (62, 3)
    assert same_content(photos, back)


def test_the_pieces_as_cars_hold_the_dag_only_all_together(
    fpin: Fpin, content: Content, tmp_path: Path
) -> None:
    written = pack(content, tmp_path / "photos.car", split=True)
    cars = [car.path for car in written.cars]
    assert len(cars) > 6
    assert all(Path(car).stat().st_size <= LIMIT for car in cars)
    together = fpin("car", "verify", *cars, "--json")
    assert together.code == 0, together.stderr
    assert (together.json["complete"], together.json["roots"]) == (True, [written.root_cid])
    for left_out in cars:
        partial = fpin("car", "verify", *(car for car in cars if car != left_out), "--json")
        assert partial.code == 6
        assert partial.json["missing"]


def test_the_same_directory_is_cut_the_same_way_every_time(content: Content, tmp_path: Path) -> None:
    def cars(name: str) -> list[bytes]:
        (tmp_path / name).mkdir()
        written = pack(content, tmp_path / name / "photos.car", split=True)
        return [Path(car.path).read_bytes() for car in written.cars]

    assert cars("one") == cars("two")
