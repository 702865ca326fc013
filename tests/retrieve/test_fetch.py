"""Fetching from gateways that serve well, badly, in part and not at all."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.errors import GatewayUnavailable, LocalError, NotFound, UsageError, VerificationFailed
from fpin.http import Http
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.retrieve import Fetched, Gateway, NotServed, fetch
from tests.provider.peer import Answer, Peer, Request, answer
from tests.retrieve.dags import CAR_TYPE, Dag
from tests.retrieve.test_files import everything


@pytest.fixture
def first() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def second() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def http(first: Peer, second: Peer) -> Iterator[Http]:
    with Http() as client:
        yield client


@pytest.fixture
def dag() -> Dag:
    return Dag()


def tree(dag: Dag) -> bytes:
    photo = dag.file(b"one" * 50, b"two" * 50, b"one" * 50)
    sub = dag.directory({"x.txt": dag.raw(b"x"), "e": dag.directory({})})
    return dag.directory({"a b?.bin": photo, "again.bin": photo, "sub": sub})


FILES = {
    "a b?.bin": b"one" * 50 + b"two" * 50 + b"one" * 50,
    "again.bin": b"one" * 50 + b"two" * 50 + b"one" * 50,
    "sub": None,
    "sub/e": None,
    "sub/x.txt": b"x",
}


def run(root: bytes, out: Path | io.BytesIO, *peers: Peer, http: Http, path: tuple[str, ...] = ()) -> Fetched:
    sources = [Gateway(peer.url, http, name=f"gateway {index}") for index, peer in enumerate(peers, 1)]
    return fetch(root, path, sources, out, sleep=lambda _seconds: None)


def url_path(cid: bytes) -> str:
    return f"/ipfs/{cids.format_cid(cid)}"


def break_car(peer: Peer, root: bytes, data: bytes, kind: str = CAR_TYPE) -> None:
    """Let *peer* send *data* as the CAR of *root*, and nothing else right."""

    def react(request: Request) -> Answer:
        return answer(200, data, Content_Type=kind) if request.query["format"] == "car" else answer(404)

    peer.on("GET", url_path(root), react)


# -- right -----------------------------------------------------------------------------------------


def test_a_tree_is_fetched_with_one_request_and_written(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    result = run(root, tmp_path / "out", first, http=http)
    assert everything(tmp_path / "out") == FILES
    assert (result.bytes, result.files, result.sources) == (901, 3, ("gateway 1",))
    assert len(first.requests) == 1


def test_the_request_says_in_both_places_what_it_wants(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    run(root, tmp_path / "out", first, http=http)
    (request,) = first.requests
    assert request.query == {
        "format": "car", "dag-scope": "all", "car-version": "1", "car-order": "dfs", "car-dups": "n",
    }  # fmt: skip
    assert request.headers["accept"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
    assert request.headers["accept-encoding"] == "identity"


def test_a_path_is_resolved_by_the_client_from_the_blocks_on_the_way(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    first.on("GET", url_path(root) + "/sub/x.txt", dag.gateway)
    out = io.BytesIO()
    assert run(root, out, first, http=http, path=("sub", "x.txt")).files == 1
    assert out.getvalue() == b"x"
    first.on("GET", url_path(root) + "/a%20b%3F.bin", dag.gateway)
    run(root, tmp_path / "photo", first, http=http, path=("a b?.bin",))
    assert (tmp_path / "photo").read_bytes() == FILES["a b?.bin"]


def test_progress_names_the_source_and_counts_verified_bytes(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    told: list[tuple[str, int, int | None]] = []
    source = [Gateway(first.url, http, name="g")]
    fetch(root, (), source, tmp_path / "o", lambda *step: told.append(step))
    assert told[-1] == ("g", 901, None)
    assert [size for _, size, _ in told] == sorted(size for _, size, _ in told)
    # Of a single file it is known beforehand how much it is.
    alone: list[tuple[str, int, int | None]] = []
    fetch(root, ("a b?.bin",), source, tmp_path / "p", lambda *step: alone.append(step))
    size = (tmp_path / "p").stat().st_size
    assert alone[-1] == ("g", size, size)


def test_a_gateway_template_puts_the_cid_where_it_belongs(first: Peer, http: Http, dag: Dag) -> None:
    root = dag.raw(b"hello")
    first.on("GET", f"/at/{cids.format_cid(root)}/p", answer(200, b"hello"))
    assert Gateway(first.url + "/at/{cid}/p/{path}", http).block(root) == b"hello"


def test_a_server_without_cars_is_read_block_by_block(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)

    def raw_only(request: Request) -> Answer:
        return dag.gateway(request) if request.query["format"] == "raw" else answer(406)

    for cid in dag.blocks:
        first.on("GET", url_path(cid), raw_only)
    run(root, tmp_path / "out", first, http=http)
    assert everything(tmp_path / "out") == FILES
    assert [request.query["format"] for request in first.requests].count("car") == 1


def test_identity_cids_need_no_server(tmp_path: Path, http: Http) -> None:
    empty = cids.parse_cid("bafkqaaa")
    assert run(empty, tmp_path / "empty", http=http).sources == ()
    assert (tmp_path / "empty").read_bytes() == b""


# -- going on elsewhere ----------------------------------------------------------------------------


def test_a_car_cut_between_blocks_is_completed_block_by_block_at_the_same_place(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    cut = dag.car(root, order=list(dag.walk(root))[:3])

    def once_cut(request: Request) -> Answer:
        return answer(200, cut, Content_Type=CAR_TYPE)

    first.on("GET", url_path(root), once_cut, dag.gateway)
    result = run(root, tmp_path / "out", first, http=http)
    assert everything(tmp_path / "out") == FILES
    assert result.warnings == ()


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4, 5])
def test_a_source_that_breaks_off_is_left_at_that_block_and_the_next_goes_on(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag, kept: int
) -> None:
    root = tree(dag)
    order = list(dag.walk(root))
    body = dag.car(root, order=order[:kept])
    first.on("GET", url_path(root), answer(200, body, promised=10**6, Content_Type=CAR_TYPE), answer(500))
    dag.serve(second)
    result = run(root, tmp_path / "out", first, second, http=http)
    assert everything(tmp_path / "out") == FILES
    assert result.sources == (("gateway 1", "gateway 2") if kept else ("gateway 2",))
    asked = {request.path for request in second.requests}
    assert not asked & {url_path(cid) for cid in order[:kept]}


def test_a_dag_in_parts_at_two_places_comes_back_whole(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    one, two = Dag(), Dag()
    for index, cid in enumerate(dag.walk(root)):
        (one if index % 2 else two).blocks[cid] = dag.blocks[cid]
    one.serve(first)
    two.serve(second)
    result = run(root, tmp_path / "out", first, second, http=http)
    assert everything(tmp_path / "out") == FILES
    assert set(result.sources) == {"gateway 1", "gateway 2"}


def test_a_lying_source_is_told_and_the_next_one_replaces_it(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    other = Dag()
    order = list(dag.walk(root))
    other.blocks = dag.blocks | {order[2]: b"evil" * 10}
    break_car(first, root, other.car(root, order=order))
    dag.serve(second)
    result = run(root, tmp_path / "out", first, second, http=http)
    assert everything(tmp_path / "out") == FILES
    assert "gateway 1 cannot be trusted" in result.warnings[0]
    assert cids.format_cid(order[2]) in result.warnings[0]


def test_a_busy_server_is_asked_again_after_the_time_it_names(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = dag.raw(b"hello")
    first.on("GET", url_path(root), answer(429, Retry_After="3"), dag.gateway)
    slept: list[float] = []
    fetch(root, (), [Gateway(first.url, http)], tmp_path / "out", sleep=slept.append)
    assert slept == [3.0]


def test_sources_that_do_not_answer_are_passed_over(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    with Peer() as gone:
        url = gone.url
    sources = [Gateway(url, http, name="gone"), Gateway(first.url, http, name="here")]
    assert fetch(root, (), sources, tmp_path / "out").sources == ("here",)


# -- wrong, and nobody else ------------------------------------------------------------------------


def wrong_cars(dag: Dag, root: bytes) -> dict[str, bytes]:
    order = list(dag.walk(root))
    whole = dag.car(root)
    stray = dag.raw(b"stray")
    other = Dag()
    other.blocks = dag.blocks | {order[1]: b"evil"}
    return {
        "another block's content": other.car(root, order=order),
        "a block nobody asked for": dag.car(root, order=[order[0], stray, *order[1:]]),
        "blocks in another order": dag.car(root, order=[order[0], *order[:0:-1]]),
        "a web page": b"<!DOCTYPE html><html>" + b"sorry " * 50,
        "noise": bytes(range(256)) * 8,
        "a flipped byte": whole[:200] + bytes((whole[200] ^ 1,)) + whole[201:],
    }


WRONG = Dag()


@pytest.mark.parametrize("case", sorted(wrong_cars(WRONG, tree(WRONG))))
def test_a_wrong_car_and_no_other_source_is_a_verification_failure_that_leaves_nothing(
    tmp_path: Path, first: Peer, http: Http, dag: Dag, case: str
) -> None:
    root = tree(dag)
    break_car(first, root, wrong_cars(dag, root)[case])
    with pytest.raises(VerificationFailed) as caught:
        run(root, tmp_path / "out", first, http=http)
    assert caught.value.values["source"] == "gateway 1"
    assert "cid" in caught.value.values
    assert everything(tmp_path) == {}


def test_a_wrong_raw_block_is_a_verification_failure_that_names_source_and_cid(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = dag.raw(b"hello")
    first.on("GET", url_path(root), answer(200, b"evil"))
    with pytest.raises(VerificationFailed) as caught:
        run(root, tmp_path / "out", first, http=http)
    assert caught.value.values == {"source": "gateway 1", "cid": cids.format_cid(root)}


def test_a_raw_block_without_end_is_cut_off(first: Peer, http: Http, dag: Dag) -> None:
    root = dag.raw(b"hello")
    first.on("GET", url_path(root), answer(200, bytes(3 * 2**20)))
    with pytest.raises(VerificationFailed, match="more than"):
        Gateway(first.url, http).block(root)


def test_a_truncated_car_and_nobody_to_complete_it_is_not_found_and_leaves_nothing(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    order = list(dag.walk(root))
    break_car(first, root, dag.car(root, order=order[:3]))
    with pytest.raises(NotFound) as caught:
        run(root, tmp_path / "out", first, http=http)
    assert caught.value.values["cid"] == cids.format_cid(order[3])
    assert everything(tmp_path) == {}


@pytest.mark.parametrize("status", [404, 410, 451, 400, 412])
def test_content_that_nobody_has_is_not_found(
    tmp_path: Path, first: Peer, http: Http, dag: Dag, status: int
) -> None:
    root = tree(dag)
    first.on("GET", url_path(root), answer(status))
    with pytest.raises(NotFound, match=f"HTTP {status}"):
        run(root, tmp_path / "out", first, http=http)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_temporary(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag, status: int
) -> None:
    root = tree(dag)
    first.on("GET", url_path(root), answer(status))
    with pytest.raises(GatewayUnavailable, match=f"gateway 1: HTTP {status}") as caught:
        run(root, tmp_path / "out", first, second, http=http)
    assert "gateway 2: HTTP 404" in caught.value.message


def test_without_sources_there_is_nowhere_to_ask(tmp_path: Path, http: Http, dag: Dag) -> None:
    with pytest.raises(NotFound, match="nowhere to ask"):
        run(tree(dag), tmp_path / "out", http=http)


def test_a_name_proved_absent_is_not_found_without_asking_others(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    first.on("GET", url_path(root) + "/sub/nothing", dag.gateway)
    with pytest.raises(NotFound, match="there is no 'sub/nothing'"):
        run(root, tmp_path / "out", first, second, http=http, path=("sub", "nothing"))
    assert second.requests == []


# -- hostile content -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..", "../evil", "/etc/evil", ".", ""])
def test_a_name_that_leads_out_of_the_folder_writes_nothing(
    tmp_path: Path, first: Peer, http: Http, dag: Dag, name: str
) -> None:
    root = dag.directory({"fine": dag.raw(b"x"), name: dag.raw(b"evil")})
    dag.serve(first)
    (tmp_path / "in").mkdir()
    with pytest.raises(VerificationFailed):
        run(root, tmp_path / "in" / "out", first, http=http)
    assert everything(tmp_path) == {"in": None}


def test_a_file_behind_a_link_of_the_same_name_is_not_written_through_it(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    (tmp_path / "victim").mkdir()
    inside = dag.directory({"evil": dag.raw(b"evil")})
    root = dag.directory([("d", dag.symlink("../victim")), ("d", inside)])
    dag.serve(first)
    result = run(root, tmp_path / "out", first, http=http)
    assert result.skipped == ("d -> ../victim",)
    assert everything(tmp_path / "victim") == {}


def test_lying_sizes_are_the_contents_fault_and_end_it(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag
) -> None:
    fs = UnixFs(kind=Kind.FILE, filesize=1000, blocksizes=(1000,))
    root = dag.node(fs, [("", dag.raw(b"short"))])
    dag.serve(first)
    with pytest.raises(VerificationFailed, match="holds 5 bytes where its parent says 1000"):
        run(root, tmp_path / "out", first, second, http=http)
    assert second.requests == []
    assert everything(tmp_path) == {}


def test_a_directory_does_not_go_to_a_stream(first: Peer, http: Http, dag: Dag) -> None:
    root = tree(dag)
    dag.serve(first)
    with pytest.raises(UsageError, match="not a file"):
        run(root, io.BytesIO(), first, http=http)


def test_a_place_that_is_taken_is_found_out_before_anything_is_fetched(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(LocalError):
        run(root, tmp_path / "out", first, http=http)
    assert (tmp_path / "out").read_text() == "mine"
    assert first.requests == []


def test_whoever_guards_a_gateway_hears_of_each_cid_before_it_is_asked_for(
    tmp_path: Path, first: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    dag.serve(first)
    cut = dag.car(root, order=list(dag.walk(root))[:1])
    first.on("GET", url_path(root), answer(200, cut, Content_Type=CAR_TYPE))
    told: list[bytes] = []

    def before(cid: bytes) -> None:
        told.append(cid)
        assert len(told) == len(first.requests) + 1

    fetch(root, (), [Gateway(first.url, http, before=before)], tmp_path / "out")
    assert [url_path(cid) for cid in told] == first.asked()


def test_a_server_that_trickles_is_left_for_the_next(
    tmp_path: Path, first: Peer, second: Peer, http: Http, dag: Dag
) -> None:
    root = tree(dag)
    for peer in (first, second):
        dag.serve(peer)
    time = iter(range(0, 10**6, 100))  # every look at the clock is 100 seconds later
    trickling = Gateway(first.url, http, name="slow", now=lambda: float(next(time)))
    result = fetch(root, (), [trickling, Gateway(second.url, http, name="fast")], tmp_path / "out")
    assert everything(tmp_path / "out") == FILES
    assert "fast" in result.sources


# -- redirects and types ---------------------------------------------------------------------------


def test_a_redirect_is_followed_three_times_at_most(first: Peer, http: Http, dag: Dag) -> None:
    root = dag.raw(b"hello")
    first.on("GET", url_path(root), answer(302, Location="/there"))
    first.on("GET", "/there", answer(200, b"hello"))
    assert Gateway(first.url, http).block(root) == b"hello"
    first.on("GET", "/there", answer(307, Location="/there"))
    with pytest.raises(NotServed, match="more than 3 times"):
        Gateway(first.url, http).block(root)


def test_a_redirect_to_another_scheme_is_not_followed(first: Peer, http: Http, dag: Dag) -> None:
    root = dag.raw(b"hello")
    first.on("GET", url_path(root), answer(302, Location="https://elsewhere.example/x"))
    with pytest.raises(NotServed, match=r"elsewhere\.example"):
        Gateway(first.url, http).block(root)


@pytest.mark.parametrize(
    "kind", ["text/html", "application/vnd.ipld.car; version=2", "application/octet-stream"]
)
def test_an_answer_of_another_type_is_not_taken_for_a_car(
    first: Peer, http: Http, dag: Dag, kind: str
) -> None:
    root = tree(dag)
    break_car(first, root, dag.car(root), kind)
    with pytest.raises(NotServed), Gateway(first.url, http).car(root):
        pass
