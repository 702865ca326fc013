"""Going on where an earlier attempt ended: what stands there is hashed, used, and not fetched again."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.errors import GatewayUnavailable, VerificationFailed
from fpin.http import Http
from fpin.ipld import cid as cids
from fpin.ipld import dagpb, unixfs
from fpin.retrieve import Fetched, Gateway, Limits, Span, fetch
from tests.provider.peer import Peer, answer
from tests.retrieve.dags import CAR_TYPE, Dag
from tests.retrieve.test_files import everything


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def http(peer: Peer) -> Iterator[Http]:
    with Http() as client:
        yield client


@pytest.fixture
def dag() -> Dag:
    return Dag()


CHUNKS = [bytes([65 + number]) * 100 for number in range(8)]


def tree(dag: Dag) -> bytes:
    return dag.directory(
        {
            "a.txt": dag.raw(b"small"),
            "big": dag.file(*CHUNKS),
            "sub": dag.directory({"m": dag.file(b"mode", mode=0o444), "link": dag.symlink("m")}, mode=0o555),
            "z": dag.raw(b"last"),
        }
    )


FILES = {
    "a.txt": b"small",
    "big": b"".join(CHUNKS),
    "sub": None,
    "sub/m": b"mode",
    "sub/link": "m",
    "z": b"last",
}


class Place:
    """A destination and its temporary place, and attempts to fetch *root* into it."""

    def __init__(self, folder: Path, peer: Peer, http: Http, root: bytes) -> None:
        self.out, self.work = folder / "out", folder / ".out.fpin-1"
        self.peer, self.http, self.root = peer, http, root

    def fetch(self, *, stop_after: int | None = None, span: Span | None = None) -> Fetched:
        def progress(_source: str, done: int, _total: int | None) -> None:
            if stop_after is not None and done >= stop_after:
                raise KeyboardInterrupt

        source = Gateway(self.peer.url, self.http)
        return fetch(
            self.root, (), [source], self.out, progress, span=span, workplace=self.work, sleep=lambda _s: None
        )

    def begin(self, stop_after: int) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.fetch(stop_after=stop_after)
        assert not self.out.exists()
        self.peer.requests.clear()

    def asked_for(self, dag: Dag, data: bytes) -> bool:
        cid = next(cid for cid, block in dag.blocks.items() if block == data)
        return f"/ipfs/{cids.format_cid(cid)}" in self.peer.asked()


@pytest.fixture
def place(tmp_path: Path, peer: Peer, http: Http, dag: Dag) -> Iterator[Place]:
    root = tree(dag)
    dag.serve(peer)
    yield Place(tmp_path, peer, http, root)
    for folder, _, _ in os.walk(tmp_path):
        os.chmod(folder, 0o700)


@pytest.mark.parametrize("stop_after", [1, 5, 105, 305, 504, 805, 809, 813])
def test_an_attempt_that_ended_anywhere_is_gone_on_with(place: Place, dag: Dag, stop_after: int) -> None:
    place.begin(stop_after)
    result = place.fetch()
    assert everything(place.out) == FILES
    assert result.kept >= min(stop_after, 5) - 4
    assert (result.bytes, result.files) == (813, 5)
    assert not place.work.exists()
    for chunk in CHUNKS[: max(0, stop_after - 5) // 100]:
        assert not place.asked_for(dag, chunk)


def test_what_was_fetched_is_hashed_again_and_what_is_damaged_is_fetched_again(
    place: Place, dag: Dag
) -> None:
    place.begin(605)
    with (place.work / "big").open("r+b") as file:
        file.seek(250)
        file.write(b"!")
    (place.work / "a.txt").write_bytes(b"SMALL")
    result = place.fetch()
    assert everything(place.out) == FILES
    assert result.kept == 500
    assert not place.asked_for(dag, CHUNKS[1])


def test_what_nobody_hashed_does_not_come_along(place: Place) -> None:
    place.begin(605)
    (place.work / "planted").write_text("evil")
    (place.work / "z").symlink_to("/etc/passwd")
    place.fetch()
    assert everything(place.out) == FILES


def test_modes_are_those_of_the_content_in_the_end(place: Place) -> None:
    place.begin(809)
    place.fetch()
    assert stat.S_IMODE((place.out / "sub").stat().st_mode) == 0o555
    assert stat.S_IMODE((place.out / "sub" / "m").stat().st_mode) == 0o444


def test_a_source_that_stops_answering_leaves_what_it_brought(place: Place, dag: Dag) -> None:
    order = list(dag.walk(place.root))
    body = dag.car(place.root, order=order[:6])
    root = f"/ipfs/{cids.format_cid(place.root)}"
    for cid in dag.blocks:
        place.peer.on("GET", f"/ipfs/{cids.format_cid(cid)}", answer(503))
    place.peer.on("GET", root, answer(200, body, promised=10**6, Content_Type=CAR_TYPE), answer(503))
    with pytest.raises(GatewayUnavailable):
        place.fetch()
    assert place.work.exists()
    dag.serve(place.peer)
    assert place.fetch().kept == 5 + 300
    assert everything(place.out) == FILES


def test_content_that_is_wrong_leaves_nothing(place: Place, dag: Dag) -> None:
    place.begin(605)
    for cid in dag.blocks:
        if dag.blocks[cid] == CHUNKS[7]:
            place.peer.on("GET", f"/ipfs/{cids.format_cid(cid)}", answer(200, b"evil"))
    with pytest.raises(VerificationFailed):
        place.fetch()
    assert not place.work.exists()
    assert not place.out.exists()


def test_a_part_of_a_file_is_gone_on_with_too(tmp_path: Path, peer: Peer, http: Http, dag: Dag) -> None:
    root = dag.file(*CHUNKS)
    dag.serve(peer)
    place = Place(tmp_path, peer, http, root)
    with pytest.raises(KeyboardInterrupt):
        place.fetch(stop_after=350, span=Span(150, 749))
    result = place.fetch(span=Span(150, 749))
    assert place.out.read_bytes() == b"".join(CHUNKS)[150:750]
    assert result.kept == 300  # the leaf at the edge cannot be hashed, as only half of it is there


def test_leaves_that_carry_a_message_are_known_again(
    tmp_path: Path, peer: Peer, http: Http, dag: Dag
) -> None:
    """Files of profile unixfs-v0-2015 have such leaves."""

    def leaf(data: bytes) -> bytes:
        fs = unixfs.UnixFs(kind=unixfs.Kind.FILE, data=data, filesize=len(data))
        return dag._keep(cids.DAG_PB, dagpb.encode(dagpb.Node(data=unixfs.encode(fs))))

    fs = unixfs.UnixFs(kind=unixfs.Kind.FILE, filesize=800, blocksizes=(100,) * 8)
    root = dag.node(fs, [("", leaf(chunk)) for chunk in CHUNKS])
    dag.serve(peer)
    place = Place(tmp_path, peer, http, root)
    place.begin(400)
    assert place.fetch().kept == 400
    assert place.out.read_bytes() == b"".join(CHUNKS)


def test_a_great_many_files_that_are_here_already_are_no_bomb(
    tmp_path: Path, peer: Peer, http: Http, dag: Dag
) -> None:
    root = dag.directory({f"{number:04}": dag.raw(b"%d" % number) for number in range(1100)})
    dag.serve(peer)
    source, limits = Gateway(peer.url, http), Limits(repeats=10)

    def stop(_source: str, done: int, _total: int | None) -> None:
        if done > 3250:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(root, (), [source], tmp_path / "out", stop, workplace=tmp_path / ".out.fpin-1", limits=limits)
    again = fetch(root, (), [source], tmp_path / "out", workplace=tmp_path / ".out.fpin-1", limits=limits)
    assert (again.files, again.kept >= 3250) == (1100, True)
