"""The whole way from files to pieces, against the plain packer of tests/pack/reference.py."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.errors import LocalError, SourceChanged, SourceError, VerificationFailed
from fpin.ipld import car
from fpin.ipld import cid as cids
from fpin.pack import DEFAULT_PROFILE, Packed, Profile, digest, plan, walk, write_cars
from fpin.pack.carset import CarSet
from fpin.piece import PieceHasher, core
from tests.pack import reference
from tests.pack.reference import Node
from tests.pack.test_layout import TINY

names = (
    st.text("ab.ü*? ", min_size=1, max_size=6).map(str.encode).filter(lambda name: name not in (b".", b".."))
)
files = st.binary(max_size=120) | st.integers(0, 60).map(bytes)
trees = st.recursive(
    files | st.sampled_from(["target", "../é", "a/b"]),
    lambda below: st.dictionaries(names, below, max_size=6),
    max_leaves=15,
)
HALF = st.sampled_from([0, 1, 2])


def pack(path: Path, profile: Profile, limit: int, jobs: int = 2, *, sealed: bool = True) -> Packed:
    layout = plan(walk(path, hidden=True), profile=profile, piece_limit=limit)
    return digest(layout, jobs=jobs, sealed=sealed)


@contextlib.contextmanager
def written(node: Node, path: Path):  # type: ignore[no-untyped-def]
    """Put *node* on disk for as long as the block lasts; hypothesis comes back to the same folder."""
    reference.write(node, path)
    try:
        yield path
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def piece_cid(data: bytes) -> str:
    hasher = PieceHasher()
    hasher.update(data)
    return str(hasher.finish())


@given(node=trees, profile=st.sampled_from(TINY), limit=st.integers(600, 1500), sealed=st.booleans())
def test_every_tree_packs_to_the_pieces_of_the_plain_packer(
    tmp_path_factory: pytest.TempPathFactory, node: Node, profile: Profile, limit: int, sealed: bool
) -> None:
    root, expected = reference.pack(node, profile, limit)
    with written(node, tmp_path_factory.getbasetemp() / "any tree") as path:
        packed = pack(path, profile, limit, sealed=sealed)
        found = [b"".join(piece.open()) for piece in packed.pieces]
    assert packed.root_cid == root
    assert found == expected
    assert [str(piece.piece_cid) for piece in packed.pieces] == [piece_cid(data) for data in expected]
    assert all(127 <= piece.size <= piece.span.max_size <= limit for piece in packed.pieces)


SAMPLE: Node = {
    b"large": bytes(range(256)) * 3,
    b"zeros": bytes(100),
    b"again": bytes(range(256)) * 3,
    b"empty": b"",
    b"link": "large",
    b"folder": {f"file {number} [*]".encode(): b"content %d" % number for number in range(40)},
    b"none": {},
}


@pytest.fixture(params=TINY, ids=["v1", "v0"])
def profile(request: pytest.FixtureRequest) -> Profile:
    assert isinstance(request.param, Profile)
    return request.param


def test_a_sharded_folder_and_shared_content_pack_like_the_plain_packer(
    source: Path, profile: Profile
) -> None:
    reference.write(SAMPLE, source)
    packed = pack(source, profile, 3000)
    assert packed.layout.shardings
    root, expected = reference.pack(SAMPLE, profile, 3000)
    assert packed.root_cid == root
    assert [b"".join(piece.open()) for piece in packed.pieces] == expected


def test_a_piece_can_be_opened_at_any_offset(source: Path, profile: Profile) -> None:
    reference.write(SAMPLE, source)
    for piece in pack(source, profile, 3000).pieces:
        whole = b"".join(piece.open())
        for offset in {*range(130), *range(0, len(whole), 17), *range(len(whole) - 40, len(whole) + 1)}:
            assert b"".join(piece.open(offset)) == whole[offset:]


@pytest.mark.parametrize("limit", [2500, 10_000, 10**6])
def test_the_number_of_threads_changes_nothing(source: Path, profile: Profile, limit: int) -> None:
    reference.write(SAMPLE, source)
    results = [pack(source, profile, limit, jobs) for jobs in (1, 2, 4)]
    assert len({packed.root_cid for packed in results}) == 1
    assert len({tuple(str(piece.piece_cid) for piece in packed.pieces) for packed in results}) == 1


def test_the_number_of_processes_of_the_twin_changes_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(Random(1).randbytes(14_000_000))
    expected = pack(file, DEFAULT_PROFILE, 6_000_000)
    monkeypatch.setattr(core, "implementation", lambda: core.PYTHON)
    for jobs in (1, 2, 3):
        packed = pack(file, DEFAULT_PROFILE, 6_000_000, jobs)
        assert packed.root_cid == expected.root_cid
        assert [piece.piece_cid for piece in packed.pieces] == [piece.piece_cid for piece in expected.pieces]


def test_pieces_together_hold_the_dag_and_not_one_less(
    source: Path, tmp_path: Path, profile: Profile
) -> None:
    reference.write(SAMPLE, source)
    layout = plan(walk(source), profile=profile, piece_limit=2500)
    paths = [tmp_path / f"x-{index}.car" for index in range(len(layout.pieces))]
    packed = write_cars(layout, paths, jobs=2)
    assert len(paths) > 3
    assert [path.read_bytes() for path in paths] == [b"".join(piece.open()) for piece in packed.pieces]
    with CarSet(paths) as blocks:
        assert blocks.roots == (packed.root_cid,)
        assert blocks.missing() == []
        assert all(file.duplicates == 0 or index for index, file in enumerate(blocks.files))
        listed = {entry.path: entry for entry in blocks.entries(packed.root_cid)}
        assert len(listed) == len(layout.tree)
        assert listed["large"].size == 768
        assert listed["link"].target == "large"
        assert blocks.get(listed["folder/file 7 [*]"].cid) is not None
    held = [{block.cid for block in car.read_car(piece.open())} for piece in packed.pieces]
    for index in range(len(paths)):
        others = set().union(*held[:index], *held[index + 1 :])
        with CarSet(paths[:index] + paths[index + 1 :]) as blocks:
            missing = blocks.missing([packed.root_cid])
        assert bool(missing) == bool(held[index] - others)
        assert set(missing) <= held[index] - others


def test_a_block_is_written_once_in_each_piece(source: Path) -> None:
    (source / "zeros").write_bytes(bytes(5 * 3**4))
    packed = pack(source, TINY[0], 10**6)
    [piece] = packed.pieces
    blocks = list(car.read_car(piece.open()))
    assert len({block.cid for block in blocks}) == len(blocks) == 1 + 4 + 1  # leaf, one node a level, folder
    assert piece.size < 1500 < piece.span.max_size


@pytest.mark.parametrize("profile_index", [0, 1])
@pytest.mark.parametrize("content", [b"", b"a", b"hello world", bytes.fromhex("0a020801")])
def test_a_piece_too_small_for_a_provider_gets_one_more_block(
    source: Path, content: bytes, profile_index: int
) -> None:
    from fpin.pack import PROFILES

    (source / "file").write_bytes(content)
    packed = pack(source / "file", list(PROFILES.values())[profile_index], 10**6)
    [piece] = packed.pieces
    blocks = list(car.read_car(piece.open()))
    assert piece.size == piece.span.max_size >= 127
    assert cids.multihash_of(blocks[0].cid) == cids.multihash_of(packed.root_cid)
    assert [block.data for block in blocks[1:]] == [b"" if blocks[0].data else bytes.fromhex("0a020801")]


def test_real_chunks_pack_like_the_plain_packer(source: Path) -> None:
    from tests.ipld.vectors import keystream

    node: Node = {
        b"big": keystream("big", 5 * 2**20 + 77),
        b"middle": keystream("middle", 300_000),
        b"same": keystream("big", 5 * 2**20 + 77),
        b"sparse": bytes(4 * 2**20),
        b"small": {f"{number}".encode(): keystream(f"{number}", number) for number in range(3000)},
    }
    reference.write(node, source)
    root, expected = reference.pack(node, DEFAULT_PROFILE, 7_000_000)
    for jobs in (1, 3):
        packed = pack(source, DEFAULT_PROFILE, 7_000_000, jobs)
        assert packed.root_cid == root
        assert [str(piece.piece_cid) for piece in packed.pieces] == [piece_cid(data) for data in expected]
    for piece, data in zip(packed.pieces, expected, strict=True):
        for offset in (0, 60, len(data) // 3, len(data) - 1, len(data)):
            assert b"".join(piece.open(offset)) == data[offset:]


def test_progress_ends_at_the_size_of_the_content(source: Path) -> None:
    reference.write(SAMPLE, source)
    layout = plan(walk(source), profile=TINY[0], piece_limit=2500)
    seen: list[int] = []
    digest(layout, progress=seen.append, jobs=2)
    assert seen == sorted(seen)
    assert seen[-1] == layout.size


def test_a_sample_names_blocks_of_the_piece_and_is_the_same_each_time(source: Path, profile: Profile) -> None:
    reference.write(SAMPLE, source)
    for piece in pack(source, profile, 3000).pieces:
        inside = {block.cid for block in car.read_car(piece.open())}
        sample = piece.sample(5, seed=7)
        assert sample
        assert set(sample) <= inside
        assert sample == piece.sample(5, seed=7)
    assert len(piece.sample(10**6, seed=1)) == len(set(piece.sample(10**6, seed=1)))


def rewrite(path: Path) -> None:
    path.write_bytes(b"other")


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def replace(path: Path) -> None:
    status = path.stat()
    twin = path.with_name("twin")
    twin.write_bytes(path.read_bytes())
    os.utime(twin, ns=(status.st_atime_ns, status.st_mtime_ns))
    twin.replace(path)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES = [rewrite, touch, replace, pipe, Path.unlink]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [20, 100_000, 3_000_000])
def test_a_file_that_changed_since_the_walk_stops_the_digest(source: Path, change, size: int) -> None:  # type: ignore[no-untyped-def]
    path = source / "sub" / "file"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    layout = plan(walk(source))
    change(path)
    with pytest.raises(SourceChanged, match=r"sub/file' (changed|is gone)"):
        digest(layout)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_file_that_changed_since_the_digest_stops_the_stream(source: Path, change, size: int) -> None:  # type: ignore[no-untyped-def]
    path = source / "file"
    path.write_bytes(bytes(size))
    packed = digest(plan(walk(source)))
    change(path)
    with pytest.raises(SourceChanged, match=r"file' (changed|is gone)"):
        list(packed.pieces[0].open())


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("size", [500, 3_000_000])
def test_a_change_that_keeps_size_time_and_inode_is_found_by_its_content(
    source: Path, size: int, sealed: bool
) -> None:
    path = source / "sly"
    path.write_bytes(bytes(size // 2) + b"?" * (size - size // 2))  # no two leaves are equal
    packed = digest(plan(walk(source)), sealed=sealed)
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(SourceChanged, match=r"sly' changed"):
        list(packed.pieces[0].open())


def test_a_link_that_changed_is_named(source: Path) -> None:
    (source / "link").symlink_to("one")
    layout = plan(walk(source))
    packed = digest(layout)
    (source / "link").unlink()
    (source / "link").symlink_to("two")
    with pytest.raises(SourceChanged, match="link' changed"):
        digest(layout)
    with pytest.raises(SourceChanged, match="link' changed"):
        list(packed.pieces[0].open())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user"
)
def test_a_file_made_unreadable_after_the_walk_is_named(source: Path) -> None:
    (source / "file").write_text("x")
    layout = plan(walk(source))
    (source / "file").chmod(0)
    with pytest.raises(SourceError, match=r"file' cannot be read: Permission denied"):
        digest(layout)


def test_a_car_that_cannot_be_written_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    (source / "file").write_bytes(bytes(2_000_000))
    target = tmp_path / "absent" / "x.car"
    with pytest.raises(LocalError, match=r"x.car' cannot be written: No such file"):
        write_cars(plan(walk(source)), [target])
    out = tmp_path / "out"
    out.mkdir()
    layout = plan(walk(source))
    touch(source / "file")
    with pytest.raises(SourceChanged):
        write_cars(layout, [out / "x.car"])
    assert list(out.iterdir()) == []


def test_a_full_disk_is_said_with_the_name_of_the_file(source: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (source / "file").write_text("x")
    link = source / f".x.car.{os.getpid()}.part"
    link.symlink_to("/dev/full")
    with pytest.raises(LocalError, match=r"x.car' cannot be written: No space left on device"):
        write_cars(plan(walk(source)), [source / "x.car"])
    assert not os.path.lexists(link)


def test_a_damaged_car_is_named_with_its_file(source: Path, tmp_path: Path) -> None:
    (source / "file").write_bytes(b"content" * 100)
    path = tmp_path / "x.car"
    write_cars(plan(walk(source)), [path])
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationFailed, match=r"x.car': block .* does not have the content"):
        CarSet([path])
    path.write_bytes(data[:200])
    with pytest.raises(car.CarTruncated, match=r"x.car': unexpected end"):
        CarSet([path])
    with pytest.raises(SourceError, match="No such file"):
        CarSet([tmp_path / "absent.car"])
