from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from fpin.chain import typed_data
from fpin.chain.keccak import keccak
from fpin.chain.networks import load_network
from fpin.chain.signer import Signer
from tests.chain.vectors import load

VECTORS = load("eip712.json")
CASES = {case["id"]: case for case in VECTORS["cases"]}
PAYER = VECTORS["keys"]["payer"]


def pairs(metadata: list[list[str]]) -> list[tuple[str, str]]:
    return [(key, value) for key, value in metadata]


def domain_of(case: dict[str, Any]) -> typed_data.Domain:
    if "domain" in case:
        return typed_data.Domain(**case["domain"])
    network = load_network(case["network"])
    return typed_data.fwss_domain(network.chain_id, network.contracts.fwss)


def message_of(case: dict[str, Any]) -> typed_data.TypedMessage:
    match case["operation"]:
        case "create":
            number = int(case["client_data_set_id"])
            return typed_data.create_data_set(number, case["payee"], pairs(case["metadata"]))
        case "add":
            return typed_data.add_pieces(
                int(case["client_data_set_id"]),
                int(case["nonce"]),
                [bytes.fromhex(cid) for cid in case["pieces"]],
                [pairs(entries) for entries in case["metadata"]],
            )
        case "remove":
            return typed_data.schedule_piece_removals(int(case["client_data_set_id"]), case["piece_ids"])
        case "terminate":
            return typed_data.terminate_service(case["data_set_id"])
        case "permit":
            return typed_data.permit(
                owner=PAYER,
                spender=case["spender"],
                value=int(case["value"]),
                nonce=int(case["nonce"]),
                deadline=case["deadline"],
            )
    raise AssertionError(case["operation"])


def extra_data_of(case: dict[str, Any], signature: bytes) -> bytes:
    match case["operation"]:
        case "create":
            number = int(case["client_data_set_id"])
            return typed_data.create_extra_data(PAYER, number, pairs(case["metadata"]), signature)
        case "add":
            metadata = [pairs(entries) for entries in case["metadata"]]
            return typed_data.add_extra_data(int(case["nonce"]), metadata, signature)
    return typed_data.signature_extra_data(signature)


@pytest.mark.parametrize("name", [name for name in CASES if name != "V5"])
def test_messages_hash_and_sign_like_the_reference_client(name: str) -> None:
    case = CASES[name]
    message = message_of(case)
    digest = message.digest(domain_of(case))
    assert message.struct_hash.hex() == case["struct_hash"]
    assert digest.hex() == case["digest"]
    assert Signer.from_key(case["key"]).sign_digest(digest).hex() == case["signature"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "extra_data_keccak" in case])
def test_extra_data_is_encoded_like_the_reference_clients_byte_for_byte(name: str) -> None:
    case = CASES[name]
    if case["operation"] == "create-and-add":
        create, add = (
            extra_data_of(CASES[part], bytes.fromhex(CASES[part]["signature"])) for part in case["parts"]
        )
        data = typed_data.create_and_add_extra_data(create, add)
    else:
        data = extra_data_of(case, bytes.fromhex(case["signature"]))
    assert len(data) == case["extra_data_length"]
    assert keccak(data).hex() == case["extra_data_keccak"]
    assert data.hex() == case.get("extra_data", data.hex())


@pytest.mark.parametrize("name", ["mainnet", "calibration"])
def test_the_domain_of_a_public_network_is_the_deployed_contracts(name: str) -> None:
    network = load_network(name)
    separator = typed_data.fwss_domain(network.chain_id, network.contracts.fwss).separator
    assert separator.hex() == VECTORS["domain_separators"][name]


@pytest.mark.parametrize("name", list(typed_data.PERMISSIONS))
def test_permissions_of_session_keys_are_the_type_hashes(name: str) -> None:
    assert typed_data.permission_hash(name).hex() == VECTORS["permission_hashes"][name]


def test_the_permit_domain_is_bound_to_the_token() -> None:
    case = CASES["V7"]
    assert domain_of(case).separator.hex() == case["domain_separator"]


def test_a_permit_signature_is_split_as_the_contract_takes_it() -> None:
    raw = bytes.fromhex(CASES["V7"]["signature"])
    assert typed_data.split_signature(raw) == (27, raw[:32], raw[32:64])
    with pytest.raises(ValueError, match="65 bytes, not 64"):
        typed_data.split_signature(raw[:64])


def test_removing_a_piece_twice_in_one_message_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        typed_data.schedule_piece_removals(1, [4, 5, 4])


def test_pieces_without_their_metadata_entry_are_refused() -> None:
    with pytest.raises(ValueError):
        typed_data.add_pieces(1, 2, [b"a", b"b"], [[]])


ENTRY = {"MetadataEntry": [{"name": "key", "type": "string"}, {"name": "value", "type": "string"}]}
UINT256 = st.integers(0, 2**256 - 1)
METADATA = st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=4)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


def library_digest(domain: typed_data.Domain, primary: str, types: dict[str, Any], message: Any) -> bytes:
    """The digest according to eth_account, which takes types and hashes them itself."""
    signable = encode_typed_data(
        full_message={
            "domain": {
                "name": domain.name,
                "version": domain.version,
                "chainId": domain.chain_id,
                "verifyingContract": domain.verifying_contract,
            },
            "primaryType": primary,
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                **types,
            },
            "message": message,
        }
    )
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def entries(metadata: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in metadata]


@settings(max_examples=40, deadline=None)
@given(number=UINT256, payee=ADDRESSES, metadata=METADATA, chain_id=UINT256, fwss=ADDRESSES)
def test_creations_hash_like_eth_account(
    number: int, payee: str, metadata: list[tuple[str, str]], chain_id: int, fwss: str
) -> None:
    domain = typed_data.fwss_domain(chain_id, fwss)
    types = {
        "CreateDataSet": [
            {"name": "clientDataSetId", "type": "uint256"},
            {"name": "payee", "type": "address"},
            {"name": "metadata", "type": "MetadataEntry[]"},
        ],
        **ENTRY,
    }
    message = {"clientDataSetId": number, "payee": payee, "metadata": entries(metadata)}
    digest = typed_data.create_data_set(number, payee, metadata).digest(domain)
    assert digest == library_digest(domain, "CreateDataSet", types, message)


@settings(max_examples=40, deadline=None)
@given(
    number=UINT256, nonce=UINT256, pieces=st.lists(st.tuples(st.binary(max_size=80), METADATA), max_size=4)
)
def test_adds_hash_like_eth_account(
    number: int, nonce: int, pieces: list[tuple[bytes, list[tuple[str, str]]]]
) -> None:
    domain = typed_data.fwss_domain(314, load_network("mainnet").contracts.fwss)
    types = {
        "AddPieces": [
            {"name": "clientDataSetId", "type": "uint256"},
            {"name": "nonce", "type": "uint256"},
            {"name": "pieceData", "type": "Cid[]"},
            {"name": "pieceMetadata", "type": "PieceMetadata[]"},
        ],
        "Cid": [{"name": "data", "type": "bytes"}],
        "PieceMetadata": [
            {"name": "pieceIndex", "type": "uint256"},
            {"name": "metadata", "type": "MetadataEntry[]"},
        ],
        **ENTRY,
    }
    message = {
        "clientDataSetId": number,
        "nonce": nonce,
        "pieceData": [{"data": cid} for cid, _ in pieces],
        "pieceMetadata": [
            {"pieceIndex": index, "metadata": entries(metadata)} for index, (_, metadata) in enumerate(pieces)
        ],
    }
    own = typed_data.add_pieces(number, nonce, [c for c, _ in pieces], [m for _, m in pieces])
    assert own.digest(domain) == library_digest(domain, "AddPieces", types, message)


@settings(max_examples=25, deadline=None)
@given(number=UINT256, ids=st.lists(UINT256, unique=True, max_size=5), data_set_id=UINT256)
def test_removals_and_terminations_hash_like_eth_account(
    number: int, ids: list[int], data_set_id: int
) -> None:
    domain = typed_data.fwss_domain(314159, load_network("calibration").contracts.fwss)
    types: dict[str, Any] = {
        "SchedulePieceRemovals": [
            {"name": "clientDataSetId", "type": "uint256"},
            {"name": "pieceIds", "type": "uint256[]"},
        ]
    }
    removal = {"clientDataSetId": number, "pieceIds": ids}
    assert typed_data.schedule_piece_removals(number, ids).digest(domain) == library_digest(
        domain, "SchedulePieceRemovals", types, removal
    )
    types = {"TerminateService": [{"name": "dataSetId", "type": "uint256"}]}
    assert typed_data.terminate_service(data_set_id).digest(domain) == library_digest(
        domain, "TerminateService", types, {"dataSetId": data_set_id}
    )
