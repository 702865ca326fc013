"""Every kernel this machine can run equals the twin; the choice among them is the user's."""

import os
import random
import subprocess
import sys
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpin.piece import core, leaves, sha256_many, twin

DATA = random.Random(1).randbytes(127 * 2**14 + 1)
COMPILED = [name for name in core.implementations() if name != core.PYTHON]

VECTOR = "from fpin import piece; h = piece.PieceHasher(); h.update(b'a' * 65536); print(h.finish())"
VECTOR_CID = "bafkzcibeqd4agda2eyfin6hihwpge3uremhk67ss3blfb7mamoyxmmn3pcorkzkbea"

each_kernel = pytest.mark.parametrize("kernel", COMPILED)


def run(code: str, **environment: str) -> str:
    """Run *code* in an interpreter of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@cache
def expected(size: int, height: int) -> bytes:
    return twin.block_roots(DATA[:size], height)


@each_kernel
@pytest.mark.parametrize("exponent", range(15))
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_a_kernel_equals_the_twin_beside_every_border(kernel: str, exponent: int, beside: int) -> None:
    size = 127 * 2**exponent + beside
    block_roots = core.implementations()[kernel]
    for height in (2, 5, 6, 7, 12):
        assert block_roots(DATA[:size], height) == expected(size, height)


@each_kernel
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 127 * 300), st.integers(0, 40), st.integers(2, 58))
def test_a_kernel_equals_the_twin_at_any_size_place_and_height(
    kernel: str, size: int, start: int, height: int
) -> None:
    data = memoryview(DATA)[start : start + size]
    assert core.implementations()[kernel](data, height) == twin.block_roots(data, height)


@each_kernel
def test_a_kernel_takes_every_bit_of_the_data(kernel: str) -> None:
    block_roots = core.implementations()[kernel]
    roots = {block_roots(bytes(bit // 8) + bytes((1 << bit % 8,)), 2) for bit in range(127 * 8)}
    assert len(roots) == 127 * 8


@each_kernel
def test_no_data_has_no_roots(kernel: str) -> None:
    assert core.implementations()[kernel](b"", 12) == b""


@each_kernel
@pytest.mark.parametrize("height", [-1, 0, 1, 59, 2**31 - 1])
def test_a_height_that_no_piece_has_is_refused(kernel: str, height: int) -> None:
    with pytest.raises(ValueError, match=f"height {height} "):
        core.implementations()[kernel](b"x", height)


@each_kernel
@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 1000, 100_000])
def test_lanes_hash_as_hashlib_does(kernel: str, size: int) -> None:
    assert core.native is not None
    lanes = core.native.kernels()[kernel]
    for count in {1, (lanes + 1) // 2, lanes}:
        messages = [memoryview(DATA)[7 * i : 7 * i + size] for i in range(count)]
        hashed = core.native.sha256_many(kernel, messages)
        assert hashed == b"".join(sha256(message).digest() for message in messages)


@each_kernel
def test_lanes_refuse_what_they_cannot_hash_side_by_side(kernel: str) -> None:
    assert core.native is not None
    lanes = core.native.kernels()[kernel]
    with pytest.raises(ValueError, match="lanes"):
        core.native.sha256_many(kernel, [])
    with pytest.raises(ValueError, match="lanes"):
        core.native.sha256_many(kernel, [b""] * (lanes + 1))
    if lanes > 1:
        with pytest.raises(ValueError, match="length"):
            core.native.sha256_many(kernel, [b"a", b"ab"])
        with pytest.raises(TypeError):
            core.native.sha256_many(kernel, [b"a", "text"])


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60))
def test_many_messages_hash_in_order_whatever_their_lengths(lengths: list[int]) -> None:
    messages = [DATA[i : i + (0, 1, 64, 1000)[length]] for i, length in enumerate(lengths)]
    assert sha256_many(messages) == b"".join(sha256(message).digest() for message in messages)


def test_a_kernel_this_machine_lacks_is_refused_by_the_compiled_code() -> None:
    if core.native is None:
        pytest.skip("needs the compiled extension")
    with pytest.raises(ValueError, match="no such kernel"):
        core.native.block_roots("abacus", b"x", 2)
    with pytest.raises(ValueError, match="no such kernel"):
        core.native.sha256_many("abacus", [b"x"])


@pytest.mark.parametrize("name", core.implementations())
def test_the_environment_chooses_the_implementation(name: str) -> None:
    chosen = f"{VECTOR}; print(piece.implementation()); print(piece.sha256_many([b'']*40).hex()[-64:])"
    cid, implementation, digest = run(chosen, FPIN_PIECE_KERNEL=name).split()
    assert (cid, implementation) == (VECTOR_CID, name)
    assert digest == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_an_implementation_that_is_not_there_is_named_with_those_that_are() -> None:
    code = (
        "from fpin import errors, piece\n"
        "try: piece.implementation()\n"
        "except errors.UsageError as exc: print(exc, exc.hint)"
    )
    answer = run(code, FPIN_PIECE_KERNEL="abacus")
    assert "abacus" in answer
    assert "portable" in answer or not COMPILED
    assert "python" in answer


def test_without_the_extension_the_twin_takes_over_and_says_how_fast_it_is() -> None:
    block = "import sys; sys.modules['fpin.piece._native'] = None"
    code = f"{block}\n{VECTOR}; print(piece.implementation(), piece.warning())"
    cid, rest = run(code, FPIN_PIECE_KERNEL="").split("\n")
    assert cid == VECTOR_CID
    assert rest.startswith("python ")
    assert "MB/s" in rest


@pytest.mark.skipif(not COMPILED, reason="needs the compiled extension")
def test_compiled_code_gives_no_warning() -> None:
    assert run("from fpin import piece; print(piece.warning())", FPIN_PIECE_KERNEL=COMPILED[-1]) == "None"


def test_hashing_side_by_side_follows_a_forced_kernel() -> None:
    code = "from fpin.piece import leaves; print(len(leaves._side_by_side()))"
    assert run(code, FPIN_PIECE_KERNEL="python") == "0"
    if COMPILED:
        assert run(code, FPIN_PIECE_KERNEL="portable") == "0"
    assert [lanes for lanes, _, _ in leaves._side_by_side()] == sorted(
        (lanes for lanes, _, _ in leaves._side_by_side()), reverse=True
    )
