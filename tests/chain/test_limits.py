from __future__ import annotations

import pytest

from fpin.chain.limits import check_data_set_metadata, check_piece_metadata
from fpin.errors import UsageError


def test_metadata_at_the_limits_passes() -> None:
    check_data_set_metadata([("k" * 31 + str(n), "v" * 96) for n in range(10)])
    check_piece_metadata([("ä" * 16, "€" * 32), ("b", ""), ("c", "")])


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ([("ä" * 16 + "a", "")], "has 33 bytes, at most 32"),
        ([("name", "€" * 33)], "has 99 bytes, at most 96"),
        ([("a", "1"), ("a", "")], "'a' is there twice"),
        ([(str(n), "") for n in range(4)], "a piece can have 3"),
    ],
)
def test_metadata_that_the_contract_refuses_is_refused_here(
    metadata: list[tuple[str, str]], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_piece_metadata(metadata)


def test_a_data_set_takes_more_entries_than_a_piece_but_not_eleven() -> None:
    with pytest.raises(UsageError, match="a data set can have 10"):
        check_data_set_metadata([(str(n), "") for n in range(11)])
