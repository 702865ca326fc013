"""What the warm storage service keeps, shared by the service, its rails and its view.

Follows filecoin-services a16aea49, the storage variables of FilecoinWarmStorageService.sol.
"""

from __future__ import annotations

from fpin.devnet.chain.machine import ZERO
from fpin.devnet.chain.storage import Field, Mapping, Record, Storage

NAME = "fwss"
CHALLENGES_PER_PROOF = 5
NO_PERIOD = 2**256 - 1  # an epoch before proving began


class DataSetInfo(Record):
    pdp_rail_id = Field(0)
    cache_miss_rail_id = Field(0)
    cdn_rail_id = Field(0)
    payer = Field(ZERO)
    payee = Field(ZERO)
    provider = Field(ZERO)
    commission_bps = Field(0)
    client_data_set_id = Field(0)
    pdp_end_epoch = Field(0)  # 0: not terminated
    provider_id = Field(0)
    pending_payments = Field(0, bits=96)  # fees not yet paid out of the reserve
    reserve = Field(0, bits=96)  # mirrors the rail's fixed lockup


class Settings(Record):
    owner = Field(ZERO)
    filbeam_controller = Field(ZERO)
    view = Field(ZERO)
    max_proving_period = Field(0)
    challenge_window = Field(0)
    approved_providers = Field[tuple[int, ...]](())


class Metadata:
    """Ordered key/value pairs of a data set or piece, by whatever key identifies it.

    A key given twice is listed twice when its first value was empty, as the contract does.
    """

    def __init__(self, storage: Storage, kind: str) -> None:
        self.keys: Mapping[tuple[str, ...]] = Mapping(storage, (NAME, kind, "keys"), ())
        self.values: Mapping[str] = Mapping(storage, (NAME, kind, "value"), "")

    def put(self, owner: tuple[int, ...], key: str, value: str) -> None:
        self.keys[owner] = (*self.keys[owner], key)
        self.values[*owner, key] = value

    def drop(self, owner: tuple[int, ...], key: str) -> bool:
        """Remove one key, the last one taking its place; False when it was not there."""
        keys = list(self.keys[owner])
        if key not in keys:
            return False
        last = keys.pop()
        if key in keys:
            keys[keys.index(key)] = last
        self.keys[owner] = tuple(keys)
        del self.values[*owner, key]
        return True

    def clear(self, owner: tuple[int, ...]) -> None:
        for key in self.keys[owner]:
            del self.values[*owner, key]
        del self.keys[owner]

    def all(self, owner: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        keys = self.keys[owner]
        return keys, tuple(self.values[*owner, key] for key in keys)

    def find(self, owner: tuple[int, ...], key: str) -> tuple[bool, str]:
        return (True, self.values[*owner, key]) if key in self.keys[owner] else (False, "")


class State:
    """All of the service's storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.settings = Settings(storage, NAME)
        self.nonces: Mapping[int] = Mapping(storage, (NAME, "nonce"), 0)
        self.client_data_sets: Mapping[tuple[int, ...]] = Mapping(storage, (NAME, "client"), ())
        self.rail_to_data_set: Mapping[int] = Mapping(storage, (NAME, "rail"), 0)
        self.activation: Mapping[int] = Mapping(storage, (NAME, "activation"), 0)
        self.deadlines: Mapping[int] = Mapping(storage, (NAME, "deadline"), 0)
        self.proven_now: Mapping[bool] = Mapping(storage, (NAME, "proven_now"), False)
        self.proven: Mapping[bool] = Mapping(storage, (NAME, "proven"), False)  # (data set, period)
        self.removals: Mapping[tuple[int, ...]] = Mapping(storage, (NAME, "removals"), ())
        self.data_set_metadata = Metadata(storage, "data_set_metadata")
        self.piece_metadata = Metadata(storage, "piece_metadata")

    def info(self, data_set_id: int) -> DataSetInfo:
        return DataSetInfo(self.storage, NAME, "info", data_set_id)

    def period_of(self, data_set_id: int, epoch: int) -> int:
        """Return the number of the proving period *epoch* is in; period n is (start + n·M, start + (n+1)·M].

        `NO_PERIOD` before proving began.
        """
        activation = self.activation[data_set_id]
        if activation == 0 or epoch <= activation:
            return NO_PERIOD
        return (epoch - activation - 1) // self.settings.max_proving_period
