"""Uploading to a devnet's provider, which computes piece commitments with code of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fpin.devnet.world import World
from fpin.errors import PieceMismatch, ProviderError
from fpin.http import Http
from fpin.piece import PieceCid, PieceHasher
from fpin.provider import Clock, ProviderApi, poll

DATA = bytes(range(256)) * 41


def piece_of(data: bytes) -> PieceCid:
    hasher = PieceHasher()
    hasher.update(data)
    return hasher.finish()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World.start(tmp_path_factory.mktemp("devnet"), epoch_ms=0) as running:
        yield running


@pytest.fixture
def api(world: World) -> Iterator[ProviderApi]:
    with Http() as http:
        yield ProviderApi(world.provider(1).service_url, http, provider_id=1)


def test_an_uploaded_piece_is_parked_and_served(world: World, api: ProviderApi) -> None:
    api.ping()
    assert api.version()
    piece = piece_of(DATA)
    assert not api.find_piece(piece)
    api.upload(piece, lambda offset: [DATA[offset:]])
    clock = Clock(sleep=lambda _seconds: world.settle())
    assert poll(lambda: api.find_piece(piece) or None, patience=60, clock=clock)
    assert api.head_piece(piece) == len(DATA)
    status = api.piece_status(piece)
    assert status is not None
    assert (status.status, status.advertised) == ("pending", False)


def test_another_piece_cid_than_the_bytes_have_is_a_mismatch(api: ProviderApi) -> None:
    other = piece_of(DATA[::-1])
    session = api.open_upload()
    api.put(session, len(DATA), [DATA])
    with pytest.raises(PieceMismatch):
        api.finalize(session, other)


def test_too_few_bytes_for_a_piece_are_refused_in_the_providers_words(api: ProviderApi) -> None:
    with pytest.raises(ProviderError, match="127"):
        api.put(api.open_upload(), 5, [b"hello"])


def test_what_the_provider_never_heard_of_is_none(api: ProviderApi) -> None:
    unknown = "0x" + "00" * 32
    assert api.creation_status(unknown) is None
    assert api.add_status(99, unknown) is None
    assert api.data_set(99) is None
    assert api.piece_status(piece_of(bytes(1000))) is None
    assert api.head_piece(piece_of(bytes(1000))) is None
