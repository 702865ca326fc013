"""EIP-712 messages of the storage service and the token, and the `extraData` that carries their signatures.

Pure: turns values into digests and bytes. Knows no key, no node and no provider. Nested struct arrays are all
the typed data here needs, so a hasher of that size replaces a general one; tests compare the two.

A signature is made over a `TypedMessage.digest(domain)`; everything the contract rebuilds must be the same to
the byte: the metadata's order, the provider's *payee* (not its sending address) and the binary piece CIDs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fpin.chain.codec import encode
from fpin.chain.keccak import address_bytes, checksum_address, keccak
from fpin.values import dataclass

Metadata = Sequence[tuple[str, str]]

FWSS_NAME = "FilecoinWarmStorageService"
FWSS_VERSION = "1"  # of the signing domain; unrelated to the contract's VERSION

_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ENTRY_TYPE = "MetadataEntry(string key,string value)"
_CID_TYPE = "Cid(bytes data)"
_PIECE_METADATA = "PieceMetadata(uint256 pieceIndex,MetadataEntry[] metadata)"

CREATE_DATA_SET = (
    "CreateDataSet(uint256 clientDataSetId,address payee,MetadataEntry[] metadata)" + _ENTRY_TYPE
)
ADD_PIECES = (
    "AddPieces(uint256 clientDataSetId,uint256 nonce,Cid[] pieceData,PieceMetadata[] pieceMetadata)"
    + _CID_TYPE
    + _ENTRY_TYPE
    + _PIECE_METADATA
)
SCHEDULE_PIECE_REMOVALS = "SchedulePieceRemovals(uint256 clientDataSetId,uint256[] pieceIds)"
TERMINATE_SERVICE = "TerminateService(uint256 dataSetId)"
_PERMIT = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"

PERMISSIONS: Mapping[str, str] = {
    "CreateDataSet": CREATE_DATA_SET,
    "AddPieces": ADD_PIECES,
    "SchedulePieceRemovals": SCHEDULE_PIECE_REMOVALS,
    "TerminateService": TERMINATE_SERVICE,
}
"""What a session key can be allowed to sign; the permission on chain is the type's hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What binds a signature to one contract on one chain (EIP-712, without salt)."""

    name: str
    version: str
    chain_id: int
    verifying_contract: str

    @property
    def separator(self) -> bytes:
        return _struct(
            _DOMAIN_TYPE,
            _text(self.name),
            _text(self.version),
            _uint(self.chain_id),
            _address(self.verifying_contract),
        )


def fwss_domain(chain_id: int, fwss: str) -> Domain:
    """Return the storage service's domain; *fwss* is the address of its proxy."""
    return Domain(name=FWSS_NAME, version=FWSS_VERSION, chain_id=chain_id, verifying_contract=fwss)


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """A hashed struct, ready to be bound to a domain."""

    struct_hash: bytes

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes to sign."""
        return keccak(b"\x19\x01" + domain.separator + self.struct_hash)


def create_data_set(client_data_set_id: int, payee: str, metadata: Metadata) -> TypedMessage:
    """*payee* is the one the registry holds for the provider; see `Chain.provider`."""
    return TypedMessage(
        _struct(CREATE_DATA_SET, _uint(client_data_set_id), _address(payee), _array(map(_entry, metadata)))
    )


def add_pieces(
    client_data_set_id: int, nonce: int, piece_cids: Sequence[bytes], metadata: Sequence[Metadata]
) -> TypedMessage:
    """*piece_cids* are binary PieceCIDv2; *metadata* has one entry for each, empty ones too."""
    pieces = zip(piece_cids, metadata, strict=True)  # strict: the contract wants one entry for every piece
    hashed = [(_struct(_CID_TYPE, keccak(cid)), _array(map(_entry, entries))) for cid, entries in pieces]
    return TypedMessage(
        _struct(
            ADD_PIECES,
            _uint(client_data_set_id),
            _uint(nonce),
            _array(cid for cid, _ in hashed),
            _array(
                _struct(_PIECE_METADATA + _ENTRY_TYPE, _uint(index), entries)
                for index, (_, entries) in enumerate(hashed)
            ),
        )
    )


def schedule_piece_removals(client_data_set_id: int, piece_ids: Sequence[int]) -> TypedMessage:
    """*piece_ids* in the order in which they will be submitted, without duplicates."""
    if len(set(piece_ids)) != len(piece_ids):
        raise ValueError(f"a piece id is there twice: {list(piece_ids)}")
    return TypedMessage(
        _struct(SCHEDULE_PIECE_REMOVALS, _uint(client_data_set_id), _array(map(_uint, piece_ids)))
    )


def terminate_service(data_set_id: int) -> TypedMessage:
    """*data_set_id* is the id on chain, not the client's."""
    return TypedMessage(_struct(TERMINATE_SERVICE, _uint(data_set_id)))


def permit(*, owner: str, spender: str, value: int, nonce: int, deadline: int) -> TypedMessage:
    """An ERC-2612 permit; *deadline* is in Unix seconds."""
    return TypedMessage(
        _struct(_PERMIT, _address(owner), _address(spender), _uint(value), _uint(nonce), _uint(deadline))
    )


def permission_hash(name: str) -> bytes:
    """Return the 32 bytes that stand for a permission (a key of `PERMISSIONS`) on chain."""
    return keccak(PERMISSIONS[name].encode())


# extraData: plain abi.encode of the listed tuple, without a selector


def create_extra_data(payer: str, client_data_set_id: int, metadata: Metadata, signature: bytes) -> bytes:
    """*payer* is the wallet whose account pays, also when a session key signed."""
    keys, values = _columns(metadata)
    return encode(
        ("address", "uint256", "string[]", "string[]", "bytes"),
        (checksum_address(payer), client_data_set_id, keys, values, signature),
    )


def add_extra_data(nonce: int, metadata: Sequence[Metadata], signature: bytes) -> bytes:
    columns = [_columns(entries) for entries in metadata]
    return encode(
        ("uint256", "string[][]", "string[][]", "bytes"),
        (nonce, [keys for keys, _ in columns], [values for _, values in columns], signature),
    )


def create_and_add_extra_data(create: bytes, add: bytes) -> bytes:
    return encode(("bytes", "bytes"), (create, add))


def signature_extra_data(signature: bytes) -> bytes:
    """Return the extraData of removals and of a termination with consent: the signature alone."""
    return encode(("bytes",), (signature,))


def split_signature(signature: bytes) -> tuple[int, bytes, bytes]:
    """Return ``(v, r, s)`` of a 65-byte signature, as a permit call takes them."""
    if len(signature) != 65:
        raise ValueError(f"a signature has 65 bytes, not {len(signature)}")
    return signature[64], signature[:32], signature[32:64]


def _columns(metadata: Metadata) -> tuple[list[str], list[str]]:
    return [key for key, _ in metadata], [value for _, value in metadata]


def _struct(type_text: str, *words: bytes) -> bytes:
    return keccak(keccak(type_text.encode()) + b"".join(words))


def _entry(pair: tuple[str, str]) -> bytes:
    key, value = pair
    return _struct(_ENTRY_TYPE, _text(key), _text(value))


def _array(words: Iterable[bytes]) -> bytes:
    return keccak(b"".join(words))


def _text(value: str) -> bytes:
    return keccak(value.encode())


def _uint(value: int) -> bytes:
    return value.to_bytes(32, "big")  # OverflowError for anything that is no uint256


def _address(value: str) -> bytes:
    return address_bytes(value).rjust(32, b"\0")
