"""Endorsements (ProviderIdSet): the provider ids considered good enough for a first copy.

Follows filecoin-services a16aea49, ProviderIdSet.sol; ids keep the order that its packed
list would show.
"""

from __future__ import annotations

from fpin.devnet.chain.machine import ZERO, Contract, Machine, external
from fpin.devnet.chain.storage import Field, Record


class State(Record):
    owner = Field(ZERO)
    ids = Field[tuple[int, ...]](())


class ProviderIdSet(Contract):
    name = "endorsements"
    groups = ("ProviderIdSet",)

    def __init__(self, machine: Machine, address: str) -> None:
        super().__init__(machine, address)
        self.state = State(self.storage, self.name)

    @external("owner")
    def owner(self) -> str:
        return self.state.owner

    @external("getProviderIds")
    def get_provider_ids(self) -> tuple[int, ...]:
        return self.state.ids

    @external("containsProviderId")
    def contains_provider_id(self, provider_id: int) -> bool:
        return provider_id in self.state.ids

    @external("addProviderId")
    def add_provider_id(self, provider_id: int) -> None:
        self._only_owner()
        if provider_id >= 2**32:
            raise self.error("ProviderIdTooLarge", provider_id)
        if provider_id and provider_id not in self.state.ids:
            self.state.ids = (*self.state.ids, provider_id)

    @external("removeProviderId")
    def remove_provider_id(self, provider_id: int) -> None:
        self._only_owner()
        ids = list(self.state.ids)
        if provider_id not in ids:
            raise self.error("ProviderIdNotFound", provider_id)
        last = ids.pop()
        if provider_id != last:
            ids[ids.index(provider_id)] = last
        self.state.ids = tuple(ids)

    def _only_owner(self) -> None:
        if self.sender != self.state.owner:
            raise self.error("OwnableUnauthorizedAccount", self.sender)
