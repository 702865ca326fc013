"""UnixFS content from blocks: paths, directories, files, and blocks whose hash is right and sense is not."""

from collections.abc import Sequence

import pytest

from fpin.errors import NotFound, UsageError, VerificationFailed
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.retrieve import Content, Limits, split_path
from fpin.retrieve.content import Directory, File, FileEnd, Part, Symlink
from tests.retrieve.dags import Dag


@pytest.fixture
def dag() -> Dag:
    return Dag()


def read(dag: Dag, cid: bytes, limits: Limits | None = None) -> list[Part]:
    return list(Content(cid, dag.blocks.__getitem__, limits).parts(cid))


def content(parts: Sequence[Part]) -> bytes:
    return b"".join(part for part in parts if isinstance(part, bytes))


def listing(parts: Sequence[Part]) -> list[str]:
    return ["/".join(part.path) for part in parts if isinstance(part, Directory | File | Symlink)]


def test_a_directory_is_read_in_the_order_of_its_links(dag: Dag) -> None:
    root = dag.directory({
        "a.txt": dag.raw(b"alpha"),
        "link": dag.symlink("a.txt"),
        "sub": dag.directory({"b.bin": dag.file(b"one", b"two"), "empty": dag.directory({})}),
    })  # fmt: skip
    parts = read(dag, root)
    assert parts == [
        Directory((), None),
        File(("a.txt",), 5, None), b"alpha", FileEnd(("a.txt",)),
        Symlink(("link",), "a.txt"),
        Directory(("sub",), None),
        File(("sub", "b.bin"), 6, None), b"one", b"two", FileEnd(("sub", "b.bin")),
        Directory(("sub", "empty"), None),
    ]  # fmt: skip


def test_a_published_tree_is_read_block_for_block() -> None:
    # spec routing-and-retrieval §6.7: directory with only a.txt = "alpha\n"
    block = bytes.fromhex(
        "122f0a2401551220b6a98d9ce9a2d9149288fa3df42d377c3e42737afdcdaf714e33c0a100b51060"
        "1205612e74787418060a020801"
    )
    root = cids.parse_cid("bafybeic4vkhzikj6z6lau7mtugvy5dnzfwvu3ogm4sitxcviak4xenbjcm")
    leaf = cids.parse_cid("bafkreifwvggzz2nc3ekjfch2hx2c2n34hzbhg6x5zwxxctrtycqqbniqma")
    blocks = {root: block, leaf: b"alpha\n"}
    parts = list(Content(root, blocks.__getitem__).parts(root))
    assert (listing(parts), content(parts)) == (["", "a.txt"], b"alpha\n")


def test_a_sharded_directory_is_listed_whole_and_every_name_is_found(dag: Dag) -> None:
    entries = {f"{index}.txt": dag.raw(b"%d" % index) for index in range(1000)}
    root = dag.sharded(entries)
    assert sorted(listing(read(dag, root))) == sorted(["", *entries])
    names = Content(root, dag.blocks.__getitem__)
    for name in ("0.txt", "470.txt", "742.txt", "999.txt"):
        assert names.resolve((name,)) == entries[name]
    with pytest.raises(NotFound):
        names.resolve(("1000.txt",))


def test_a_path_leads_through_directories_and_stops_at_what_is_not_there(dag: Dag) -> None:
    leaf = dag.raw(b"x")
    root = dag.directory({"a": dag.directory({"é b": leaf}), "link": dag.symlink("a")})
    tree = Content(root, dag.blocks.__getitem__)
    assert tree.resolve(()) == root
    assert tree.resolve(("a", "é b")) == leaf
    for path in [("a", "c"), ("a", "é b", "d"), ("A",), ("link", "é b")]:
        with pytest.raises(NotFound) as caught:
            tree.resolve(path)
        assert caught.value.values["cid"] == cids.format_cid(root)


def test_the_first_of_equal_names_wins_and_the_others_blocks_are_read(dag: Dag) -> None:
    first, second = dag.raw(b"first"), dag.raw(b"second")
    root = dag.directory([("x", first), ("x", second)])
    asked: list[bytes] = []

    def get(cid: bytes) -> bytes:
        asked.append(cid)
        return dag.blocks[cid]

    parts = list(Content(root, get).parts(root))
    assert content(parts) == b"first"
    assert asked == [root, first, second]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ()),
        ("/", ()),
        ("a/b", ("a", "b")),
        ("/a//b/", ("a", "b")),
        ("a/../b/.", ("b",)),
        ("%41", ("%41",)),
    ],
)
def test_paths_are_split_and_resolved_before_anything_is_sent(text: str, path: tuple[str, ...]) -> None:
    assert split_path(text) == path


def test_a_path_above_the_root_is_refused() -> None:
    with pytest.raises(UsageError):
        split_path("a/../..")


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.RAW])
def test_old_leaves_inside_dag_pb_are_files(dag: Dag, kind: Kind) -> None:
    leaf = dag.node(UnixFs(kind=kind, data=b"inline", filesize=6))
    root = dag.node(UnixFs(kind=Kind.FILE, data=b"head:", filesize=11, blocksizes=(6,)), [("", leaf)])
    assert content(read(dag, root)) == b"head:inline"


# -- sense -----------------------------------------------------------------------------------------


def lying_files(dag: Dag) -> dict[str, bytes]:
    leaf, small = dag.raw(b"12345"), dag.raw(b"1")
    inner = dag.node(UnixFs(kind=Kind.FILE, filesize=9, blocksizes=(9,)), [("", leaf)])

    def file(filesize: int, sizes: tuple[int, ...], *links: bytes) -> bytes:
        fs = UnixFs(kind=Kind.FILE, filesize=filesize, blocksizes=sizes)
        return dag.node(fs, [("", link) for link in links])

    return {
        "total too large": file(99, (5,), leaf),
        "total too small": file(4, (5,), leaf),
        "size of a leaf too large": file(6, (6,), leaf),
        "size of a leaf too small": file(4, (4,), leaf),
        "sizes swapped": file(6, (1, 5), leaf, small),
        "more sizes than links": file(10, (5, 5), leaf),
        "fewer sizes than links": file(5, (5,), leaf, small),
        "lie one level down": file(9, (9,), inner),
        "a directory inside a file": file(0, (0,), dag.directory({})),
        "a symlink inside a file": file(3, (3,), dag.symlink("foo")),
    }


@pytest.mark.parametrize("case", sorted(lying_files(Dag())))
def test_a_file_whose_sizes_lie_is_refused(dag: Dag, case: str) -> None:
    root = lying_files(dag)[case]
    with pytest.raises(VerificationFailed):
        read(dag, root)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../etc/passwd", "/abs", "nul\0"])
def test_an_entry_whose_name_is_no_file_name_is_refused(dag: Dag, name: str) -> None:
    root = dag.directory({name: dag.raw(b"x")})
    with pytest.raises(VerificationFailed, match="no name for a file"):
        read(dag, root)


def test_such_a_name_is_refused_in_a_sharded_directory_too(dag: Dag) -> None:
    root = dag.sharded({"../up": dag.raw(b"x"), "fine": dag.raw(b"y")})
    with pytest.raises(VerificationFailed, match="no name for a file"):
        read(dag, root)


def test_a_block_of_another_codec_is_neither_file_nor_directory(dag: Dag) -> None:
    other = cids.sha256_cid(cids.DAG_CBOR, bytes(32))
    dag.blocks[other] = b"\xa0"
    with pytest.raises(VerificationFailed, match="neither a file nor a directory"):
        read(dag, dag.directory({"x": other}))


@pytest.mark.parametrize(
    "fs",
    [
        UnixFs(kind=Kind.METADATA),
        UnixFs(kind=Kind.HAMT, hash_type=0x22, fanout=7),
        UnixFs(kind=Kind.HAMT, hash_type=0x22),
    ],
)
def test_kinds_that_make_no_sense_are_refused(dag: Dag, fs: UnixFs) -> None:
    with pytest.raises(VerificationFailed):
        read(dag, dag.node(fs, [("00x", dag.raw(b""))]))


def test_a_shard_that_leads_to_no_shard_is_refused(dag: Dag) -> None:
    shard = UnixFs(kind=Kind.HAMT, data=b"\x01", hash_type=0x22, fanout=256)
    with pytest.raises(VerificationFailed, match="shard"):
        read(dag, dag.node(shard, [("00", dag.directory({}))]))


def test_shards_deeper_than_the_hash_are_refused(dag: Dag) -> None:
    cid = dag.node(UnixFs(kind=Kind.HAMT, data=b"\x01", hash_type=0x22, fanout=256))
    for _ in range(9):
        cid = dag.node(UnixFs(kind=Kind.HAMT, data=b"\x01", hash_type=0x22, fanout=256), [("00", cid)])
    with pytest.raises(VerificationFailed, match="deeper than its hash"):
        read(dag, cid)


# -- cost ------------------------------------------------------------------------------------------


def test_nesting_is_limited(dag: Dag) -> None:
    cid = dag.directory({})
    for _ in range(200):
        cid = dag.directory({"d": cid})
    with pytest.raises(VerificationFailed, match="128 links deep"):
        read(dag, cid)


def test_a_file_of_endless_levels_is_limited(dag: Dag) -> None:
    cid = dag.raw(b"x")
    for _ in range(200):
        cid = dag.node(UnixFs(kind=Kind.FILE, filesize=1, blocksizes=(1,)), [("", cid)])
    with pytest.raises(VerificationFailed, match="128 links deep"):
        read(dag, cid)


def test_a_directory_of_few_blocks_and_endless_paths_is_limited(dag: Dag) -> None:
    cid = dag.directory({})
    for _ in range(40):
        cid = dag.directory({"l": cid, "r": cid})
    with pytest.raises(VerificationFailed, match="more than 5000 blocks"):
        read(dag, cid, Limits(blocks=5000))


def test_content_beyond_the_callers_limit_is_refused(dag: Dag) -> None:
    root = dag.file(bytes(60), bytes(60))
    assert len(content(read(dag, root, Limits(content=120)))) == 120
    with pytest.raises(VerificationFailed, match="larger than 119"):
        read(dag, root, Limits(content=119))
