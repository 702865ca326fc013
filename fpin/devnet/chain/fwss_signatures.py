"""What clients sign for the warm storage service, hashed as the service does, and who may sign it.

Follows filecoin-services a16aea49, SignatureVerificationLib.sol.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

from eth_utils.crypto import keccak

from fpin.devnet.chain import abi, eip712
from fpin.devnet.chain.machine import Revert
from fpin.devnet.chain.session_keys import SessionKeyRegistry
from fpin.values import dataclass

_ENTRY_TYPE = "MetadataEntry(string key,string value)"
_PIECE_TYPE = "PieceMetadata(uint256 pieceIndex,MetadataEntry[] metadata)"
_CID_TYPE = "Cid(bytes data)"

METADATA_ENTRY = eip712.type_hash(_ENTRY_TYPE)
CID = eip712.type_hash(_CID_TYPE)
PIECE_METADATA = eip712.type_hash(_PIECE_TYPE + _ENTRY_TYPE)
CREATE_DATA_SET = eip712.type_hash(
    f"CreateDataSet(uint256 clientDataSetId,address payee,MetadataEntry[] metadata){_ENTRY_TYPE}"
)
ADD_PIECES = eip712.type_hash(
    "AddPieces(uint256 clientDataSetId,uint256 nonce,Cid[] pieceData,PieceMetadata[] pieceMetadata)"
    f"{_CID_TYPE}{_ENTRY_TYPE}{_PIECE_TYPE}"
)
SCHEDULE_PIECE_REMOVALS = eip712.type_hash(
    "SchedulePieceRemovals(uint256 clientDataSetId,uint256[] pieceIds)"
)
TERMINATE_SERVICE = eip712.type_hash("TerminateService(uint256 dataSetId)")

Texts = tuple[str, ...]


class Refusing(Protocol):
    """A contract that can name its errors."""

    def error(self, name: str, *values: abi.Word) -> Revert: ...

    @property
    def timestamp(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Signatures:
    """Checks signatures for *contract* under one EIP-712 domain."""

    contract: Refusing
    separator: bytes
    sessions: SessionKeyRegistry

    def create_data_set(self, client_data_set_id: int, payee: str, keys: Texts, values: Texts) -> bytes:
        metadata = self._metadata_hash(keys, values)
        kinds = "uint256,address,bytes32"
        return eip712.struct_hash(CREATE_DATA_SET, kinds, client_data_set_id, payee, metadata)

    def add_pieces(
        self,
        client_data_set_id: int,
        nonce: int,
        cids: list[bytes],
        keys: tuple[Texts, ...],
        values: tuple[Texts, ...],
    ) -> bytes:
        if len(keys) != len(values):
            raise Revert.text("Keys/values array length mismatch")
        pieces = eip712.array_hash(eip712.struct_hash(CID, "bytes32", keccak(cid)) for cid in cids)
        metadata = eip712.array_hash(
            eip712.struct_hash(PIECE_METADATA, "uint256,bytes32", index, self._metadata_hash(*pair))
            for index, pair in enumerate(zip(keys, values, strict=True))
        )
        kinds = "uint256,uint256,bytes32,bytes32"
        return eip712.struct_hash(ADD_PIECES, kinds, client_data_set_id, nonce, pieces, metadata)

    def schedule_piece_removals(self, client_data_set_id: int, piece_ids: tuple[int, ...]) -> bytes:
        ids = eip712.array_hash(piece_id.to_bytes(32, "big") for piece_id in piece_ids)
        return eip712.struct_hash(SCHEDULE_PIECE_REMOVALS, "uint256,bytes32", client_data_set_id, ids)

    def terminate_service(self, data_set_id: int) -> bytes:
        return eip712.struct_hash(TERMINATE_SERVICE, "uint256", data_set_id)

    def check(self, payer: str, permission: bytes, message: bytes, signature: bytes) -> str:
        """Return who signed: *payer*, or a session key of theirs that may still use *permission*."""
        signer = self._recover(eip712.digest(self.separator, message), signature)
        if signer != payer:
            expiry = self.sessions.authorization_expiry(payer, signer, permission)
            if expiry < self.contract.timestamp:
                self._refuse("InvalidSignature", payer, signer)
        return signer

    def _recover(self, digest: bytes, signature: bytes) -> str:
        if len(signature) != 65:
            self._refuse("InvalidSignatureLength", 65, len(signature))
        v = signature[64] + 27 if signature[64] < 27 else signature[64]
        if v not in (27, 28):
            self._refuse("UnsupportedSignatureV", signature[64])
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return eip712.recover(digest, v, r, s)

    def _metadata_hash(self, keys: Texts, values: Texts) -> bytes:
        if len(keys) != len(values):
            self._refuse("MetadataKeyAndValueLengthMismatch", len(keys), len(values))
        return eip712.array_hash(
            eip712.struct_hash(METADATA_ENTRY, "bytes32,bytes32", keccak(text=key), keccak(text=value))
            for key, value in zip(keys, values, strict=True)
        )

    def _refuse(self, name: str, *values: abi.Word) -> NoReturn:
        raise self.contract.error(name, *values)
