from __future__ import annotations

from typing import Any

import pytest

from fpin.chain.provider_record import ProviderRecord
from fpin.chain.records import MAX_UINT256, NonceUse, ProvingStatus

REQUIRED = {
    "serviceURL": b"https://pdp.example/",
    "minPieceSizeInBytes": b"\x7f",
    "maxPieceSizeInBytes": bytes.fromhex("3f800000"),
    "storagePricePerTibPerDay": b"\x01",
    "minProvingPeriodInEpochs": b"\x1e",
    "location": "C=DE;L=Köln".encode(),
    "paymentTokenAddress": bytes(20),
}


def record(capabilities: dict[str, bytes], *, active: bool = True, offered: bool = True) -> ProviderRecord:
    return ProviderRecord.from_abi(
        {
            "providerId": 5,
            "providerInfo": {
                "serviceProvider": "0xA",
                "payee": "0xB",
                "name": "n",
                "description": "d",
                "isActive": active,
            },
            "product": {
                "productType": 0,
                "capabilityKeys": list(capabilities),
                "isActive": offered,
            },
            "productCapabilityValues": list(capabilities.values()),
        }
    )


def test_capabilities_are_decoded() -> None:
    found = record({**REQUIRED, "ipniPiece": b"\x01", "ipniPeerId": b"\x00\x24", "colour": b"blue"})
    assert found.service_url == "https://pdp.example"
    assert (found.min_piece_size, found.max_piece_size) == (127, 1_065_353_216)
    assert found.location == "C=DE;L=Köln"
    assert (found.ipni_piece, found.ipni_ipfs, found.ipni_peer_id) == (True, False, b"\x00\x24")
    assert found.capabilities["colour"] == b"blue"
    assert found.problem is None


def test_the_old_spelling_of_the_peer_id_is_understood() -> None:
    assert record({**REQUIRED, "IPNIPeerID": b"\x01\x02"}).ipni_peer_id == b"\x01\x02"
    assert record(REQUIRED).ipni_peer_id is None


@pytest.mark.parametrize("value", [b"\x00", b"", b"\x01\x00", b"\x02"])
def test_a_flag_is_one_byte_01_and_nothing_else(value: bytes) -> None:
    assert not record({**REQUIRED, "ipniIpfs": value}).ipni_ipfs


@pytest.mark.parametrize("missing", list(REQUIRED))
def test_a_provider_that_lacks_a_required_capability_cannot_be_used(missing: str) -> None:
    found = record({key: value for key, value in REQUIRED.items() if key != missing})
    assert found.problem == f"is registered without {missing}"


@pytest.mark.parametrize(
    "url", [b"", b"pdp.example", b"ftp://x", b"\xff\xfe", b"http://[::1", b"https://", b"http://x:y"]
)
def test_a_provider_without_a_web_address_cannot_be_used(url: bytes) -> None:
    assert "no web address" in str(record({**REQUIRED, "serviceURL": url}).problem)


def test_inactive_providers_and_products_say_so() -> None:
    assert record(REQUIRED, active=False).problem == "has left the registry"
    assert record(REQUIRED, offered=False).problem == "does not offer storage now"


def test_a_nonce_word_holds_data_set_and_next_piece() -> None:
    assert NonceUse.from_word(0) is None
    assert NonceUse.from_word(7) == NonceUse(data_set_id=7, next_piece_id=None)
    added = NonceUse.from_word((12 << 128) | 7)
    assert added == NonceUse(data_set_id=7, next_piece_id=12)
    assert added is not None
    assert added.first_piece_id(3) == 9
    with pytest.raises(ValueError, match="create a data set"):
        NonceUse(data_set_id=7, next_piece_id=None).first_piece_id(1)


@pytest.mark.parametrize(
    ("numbers", "state", "last_proven"),
    [
        ({"challenge": 0, "deadline": 0, "activation": 0, "last_active": 5}, "not started", None),
        ({"challenge": 100, "deadline": 120, "activation": 10, "last_active": 5}, "waiting", None),
        ({"challenge": 100, "deadline": 120, "activation": 10, "epoch": 100}, "window open", None),
        ({"challenge": 100, "deadline": 120, "activation": 10, "epoch": 120}, "window open", None),
        ({"challenge": 100, "deadline": 120, "activation": 10, "epoch": 121}, "overdue", None),
        (
            {
                "challenge": 100,
                "deadline": 120,
                "activation": 10,
                "epoch": 121,
                "proven": True,
                "last_active": 110,
            },
            "waiting",
            110,
        ),
        (
            {"challenge": MAX_UINT256, "deadline": 120, "activation": 10, "last_active": 90},
            "not started",
            90,
        ),
    ],
)
def test_proving_is_told_from_epochs(numbers: dict[str, Any], state: str, last_proven: int | None) -> None:
    values = {"epoch": 50, "last_active": 5, "proven": False, "period": 120, **numbers}
    status = ProvingStatus.of(**values)
    assert status.state == state
    assert status.last_proven == last_proven
    assert (status.deadline is None) == (state == "not started")
