"""Which record is the one we wait for (spec routing-and-retrieval §4.4)."""

import pytest

from fpin.piece import PieceCid
from fpin.routing import Copy, match
from fpin.routing.indexer import Record

PIECE = PieceCid.parse("bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy")
OTHER = PieceCid.parse("bafkzcibcaablqfyjsvd3rrmqmd7n4f7i73ybzuxfq4p4za6lft2jeaaaaguxefq")
OURS, THEIRS = b"\x00\x24" + bytes(36), b"\x00\x24" + b"\x01" * 36
COPY = Copy(provider_id=1, service_url="https://SP.example.com/", piece_cid=PIECE, peer_id=OURS)
CONTEXT = b"\x01" + PIECE.to_bytes()


def record(
    *,
    peer: bytes | None = OURS,
    address: str = "/dns/sp.example.com/tcp/443/https",
    context: bytes = CONTEXT,
    metadata: bytes = b"\xa0\x12\x00",
) -> Record:
    addresses = (address,) if address else ()
    return Record(provider="12D3…", peer_id=peer, addresses=addresses, context_id=context, metadata=metadata)


@pytest.mark.parametrize(
    ("found", "strength"),
    [
        (record(), "exact"),
        (record(address="/dns/cdn.example.com/tcp/443/https"), "exact"),  # G11
        (record(peer=THEIRS), "exact"),
        (record(peer=None), "exact"),
        (record(context=b"\x01" + OTHER.to_bytes()), "provider"),  # G7
        (record(context=b""), "provider"),
        (record(peer=THEIRS, address="/dns/other.example.com/tcp/443/https"), "foreign"),
        (record(peer=THEIRS, address="/dns/sp.example.com/tcp/8443/https"), "foreign"),
        (record(peer=THEIRS, address=""), "foreign"),
    ],
)
def test_the_strength_of_a_record(found: Record, strength: str) -> None:
    assert match.judge(found, COPY) == strength


def test_the_strongest_of_many_records_counts() -> None:
    foreign = record(peer=THEIRS, address="/dns/other.example.com/tcp/443/https")
    weak, strong = record(context=b"ctx"), record()
    found = match.best([foreign, weak, strong], COPY)
    assert found is not None
    assert (found.strength, found.record) == ("exact", strong)
    assert match.best([foreign], COPY) is None
    assert match.best([], COPY) is None
    assert match.foreign([foreign, weak, strong], [COPY]) == (foreign,)


@pytest.mark.parametrize(
    ("found", "words"),
    [(record(metadata=b"\x80\x12"), "no HTTP retrieval protocol"), (record(address=""), "no HTTP address")],
)
def test_a_record_that_leads_to_no_download_counts_with_a_warning(found: Record, words: str) -> None:
    best = match.best([found], COPY)
    assert best is not None
    assert words in best.warnings[0]


def test_a_provider_that_cannot_be_told_apart_is_satisfied_by_any_record_and_it_is_said() -> None:
    nameless = Copy(provider_id=1, service_url="", piece_cid=PIECE)
    best = match.best([record(peer=THEIRS)], nameless)
    assert best is not None
    assert "any record counts" in best.warnings[0]


def test_the_weakest_strength_is_what_all_reach() -> None:
    assert match.weakest(["exact", "provider", "exact"]) == "provider"
    assert match.weakest([]) is None
