"""ServiceProviderRegistry 1.2.0: who the storage providers are and what they offer.

Follows filecoin-services a16aea49, ServiceProviderRegistry.sol; upgrade functions are left out.
"""

from __future__ import annotations

from eth_utils.crypto import keccak

from fpin.devnet.chain.machine import BURN, ZERO, Contract, Machine, Revert, external
from fpin.devnet.chain.storage import Field, Mapping, Record

PDP = 0  # the only product type
VERSION = "1.2.0"
REGISTRATION_FEE = 5 * 10**18
MAX_NAME, MAX_DESCRIPTION, MAX_KEY, MAX_VALUE, MAX_CAPABILITIES = 128, 256, 32, 128, 24
REQUIRED_KEYS = (
    "serviceURL",
    "minPieceSizeInBytes",
    "maxPieceSizeInBytes",
    "storagePricePerTibPerDay",
    "minProvingPeriodInEpochs",
    "location",
    "paymentTokenAddress",
)

Info = tuple[str, str, str, str, bool]
InfoView = tuple[int, Info]
Product = tuple[int, tuple[str, ...], bool]
ProviderView = tuple[int, Info, Product, tuple[bytes, ...]]
NOBODY: InfoView = (0, (ZERO, ZERO, "", "", False))


def bloom_bits(key: str) -> int:
    """Return *key*'s 16 bits of the contract's 256-bit bloom filter (BloomSet.sol)."""
    bits = 0
    for byte in keccak(text=key)[-16:]:
        bits |= 1 << byte
    return bits


_REQUIRED_BITS = 0
for _key in REQUIRED_KEYS:
    _REQUIRED_BITS |= bloom_bits(_key)


class Totals(Record):
    providers = Field(0)
    active = Field(0)
    pdp = Field(0)
    active_pdp = Field(0)


class Provider(Record):
    address = Field(ZERO)
    payee = Field(ZERO)
    title = Field("")
    description = Field("")
    active = Field(False)
    product_keys = Field[tuple[str, ...]](())
    product_active = Field(False)

    @property
    def info(self) -> Info:
        return self.address, self.payee, self.title, self.description, self.active


class ServiceProviderRegistry(Contract):
    name = "provider_registry"
    groups = ("ServiceProviderRegistry",)

    def __init__(self, machine: Machine, address: str) -> None:
        super().__init__(machine, address)
        self.totals = Totals(self.storage, self.name)
        self.ids: Mapping[int] = Mapping(self.storage, (self.name, "id"), 0)
        self.values: Mapping[bytes] = Mapping(self.storage, (self.name, "capability"), b"")

    def provider(self, provider_id: int) -> Provider:
        return Provider(self.storage, self.name, "provider", provider_id)

    # Registration and changes, by the provider itself

    @external("registerProvider")
    def register_provider(
        self,
        payee: str,
        title: str,
        description: str,
        product: int,
        keys: tuple[str, ...],
        values: tuple[bytes, ...],
    ) -> int:
        _only_pdp(product)
        _require(payee != ZERO, "Payee cannot be zero address")
        _require(self.ids[self.sender] == 0, "Address already registered")
        _require(self.value == REGISTRATION_FEE, "Incorrect fee amount")
        _check_words(title, description)
        self.totals.providers += 1
        provider_id = self.totals.providers
        provider = self.provider(provider_id)
        provider.address, provider.payee = self.sender, payee
        provider.title, provider.description, provider.active = title, description, True
        self.ids[self.sender] = provider_id
        self.totals.active += 1
        self.emit("ProviderRegistered", provider_id, self.sender, payee)
        self._store_new_product(provider_id, keys, values)
        self.machine.transfer(self.address, BURN, REGISTRATION_FEE)
        return provider_id

    @external("addProduct")
    def add_product(self, product: int, keys: tuple[str, ...], values: tuple[bytes, ...]) -> None:
        provider_id, provider = self._own(product)
        _require(not provider.product_active, "Product already exists for this provider")
        self._store_new_product(provider_id, keys, values)

    @external("updateProduct")
    def update_product(self, product: int, keys: tuple[str, ...], values: tuple[bytes, ...]) -> None:
        provider_id, provider = self._own(product)
        _require(provider.product_active, "Product does not exist for this provider")
        self._check_required(keys)
        _check_capabilities(keys, values)
        self._clear_values(provider_id, provider)
        self._store_values(provider_id, keys, values)
        self.emit("ProductUpdated", provider_id, PDP, self.sender, keys, values)

    @external("removeProduct")
    def remove_product(self, product: int) -> None:
        provider_id, provider = self._own(product)
        _require(provider.product_active, "Product does not exist for this provider")
        self._clear_values(provider_id, provider)
        provider.product_keys, provider.product_active = (), False
        self.totals.active_pdp -= 1
        self.emit("ProductRemoved", provider_id, PDP)

    @external("updateProviderInfo")
    def update_provider_info(self, title: str, description: str) -> None:
        provider_id, provider = self._own(PDP)
        _check_words(title, description)
        provider.title, provider.description = title, description
        self.emit("ProviderInfoUpdated", provider_id)

    @external("removeProvider")
    def remove_provider(self) -> None:
        provider_id, provider = self._own(PDP)
        provider.active = False
        self.totals.active -= 1
        if provider.product_active:
            self.totals.active_pdp -= 1
            self._clear_values(provider_id, provider)
            provider.product_keys, provider.product_active = (), False
        del self.ids[provider.address]
        self.emit("ProviderRemoved", provider_id)

    def _own(self, product: int) -> tuple[int, Provider]:
        _only_pdp(product)
        provider_id = self.ids[self.sender]
        _require(provider_id != 0, "Provider not registered")
        provider = self.provider(provider_id)
        _require(provider.active, "Provider is not active")
        return provider_id, provider

    def _store_new_product(self, provider_id: int, keys: tuple[str, ...], values: tuple[bytes, ...]) -> None:
        _check_capabilities(keys, values)
        self._check_required(keys)
        self._store_values(provider_id, keys, values)
        self.totals.pdp += 1
        self.totals.active_pdp += 1
        self.emit("ProductAdded", provider_id, PDP, self.sender, keys, values)

    def _store_values(self, provider_id: int, keys: tuple[str, ...], values: tuple[bytes, ...]) -> None:
        provider = self.provider(provider_id)
        provider.product_keys, provider.product_active = keys, True
        for key, value in zip(keys, values, strict=True):
            self.values[provider_id, key] = value

    def _clear_values(self, provider_id: int, provider: Provider) -> None:
        for key in provider.product_keys:
            del self.values[provider_id, key]

    def _check_required(self, keys: tuple[str, ...]) -> None:
        found = 0
        for bits in map(bloom_bits, keys):
            if bits & _REQUIRED_BITS == bits:
                found |= bits
        if found & _REQUIRED_BITS != _REQUIRED_BITS:
            raise self.error("InsufficientCapabilitiesForProduct", PDP)

    # Reading

    def _existing(self, provider_id: int) -> Provider:
        _require(0 < provider_id <= self.totals.providers, "Provider does not exist")
        provider = self.provider(provider_id)
        _require(provider.address != ZERO, "Provider not found")
        return provider

    def _view(self, provider_id: int) -> ProviderView:
        provider = self.provider(provider_id)
        keys = provider.product_keys
        values = tuple(self.values[provider_id, key] for key in keys)
        return provider_id, provider.info, (PDP, keys, provider.product_active), values

    @external("getProvider")
    def get_provider(self, provider_id: int) -> InfoView:
        return provider_id, self._existing(provider_id).info

    @external("getProviderPayee")
    def get_provider_payee(self, provider_id: int) -> str:
        return self._existing(provider_id).payee

    @external("getProviderWithProduct")
    def get_provider_with_product(self, provider_id: int, product: int) -> ProviderView:
        _enum(product)
        self._existing(provider_id)
        return self._view(provider_id)

    @external("getProvidersByProductType")
    def get_providers_by_product_type(
        self, product: int, only_active: bool, offset: int, limit: int
    ) -> tuple[list[ProviderView], bool]:
        _enum(product)
        total = self.totals.active_pdp if only_active else self.totals.pdp
        if offset >= total or limit == 0:
            return [], False
        found = [
            provider_id
            for provider_id in range(1, self.totals.providers + 1)
            if self.provider(provider_id).product_active
            and (self.provider(provider_id).active or not only_active)
        ]
        page = [self._view(provider_id) for provider_id in found[offset : offset + limit]]
        # The contract sizes the page by its counters; removed products leave empty records behind.
        missing = min(limit, total - offset) - len(page)
        page += [(0, NOBODY[1], (PDP, (), False), ())] * missing
        return page, offset + limit < total

    @external("providerHasProduct")
    def provider_has_product(self, provider_id: int, product: int) -> bool:
        _enum(product)
        return self._existing(provider_id).product_active

    @external("getProviderByAddress")
    def get_provider_by_address(self, address: str) -> InfoView:
        provider_id = self.ids[address]
        return (provider_id, self.provider(provider_id).info) if provider_id else NOBODY

    @external("getProviderIdByAddress")
    def get_provider_id_by_address(self, address: str) -> int:
        return self.ids[address]

    @external("addressToProviderId")
    def address_to_provider_id(self, address: str) -> int:
        return self.ids[address]

    @external("isProviderActive")
    def is_provider_active(self, provider_id: int) -> bool:
        return self._existing(provider_id).active

    @external("isRegisteredProvider")
    def is_registered_provider(self, address: str) -> bool:
        provider_id = self.ids[address]
        return provider_id != 0 and self.provider(provider_id).active

    @external("getAllActiveProviders")
    def get_all_active_providers(self, offset: int, limit: int) -> tuple[list[int], bool]:
        total = self.totals.active
        if offset >= total or limit == 0:
            return [], False
        active = [n for n in range(1, self.totals.providers + 1) if self.provider(n).active]
        return active[offset : offset + limit], offset + limit < total

    @external("getProvidersByIds")
    def get_providers_by_ids(self, provider_ids: tuple[int, ...]) -> tuple[list[InfoView], list[bool]]:
        valid = [0 < n <= self.totals.providers and self.provider(n).active for n in provider_ids]
        infos = [
            (n, self.provider(n).info) if ok else NOBODY for n, ok in zip(provider_ids, valid, strict=True)
        ]
        return infos, valid

    @external("getProductCapabilities")
    def get_product_capabilities(self, provider_id: int, product: int, keys: tuple[str, ...]) -> list[bytes]:
        _enum(product)
        self._existing(provider_id)
        return [self.values[provider_id, key] for key in keys]

    @external("getAllProductCapabilities")
    def get_all_product_capabilities(
        self, provider_id: int, product: int
    ) -> tuple[bool, tuple[str, ...], tuple[bytes, ...]]:
        _enum(product)
        self._existing(provider_id)
        _, _, (_, keys, active), values = self._view(provider_id)
        return active, keys, values

    @external("productCapabilities")
    def product_capability(self, provider_id: int, product: int, key: str) -> bytes:
        _enum(product)
        return self.values[provider_id, key]

    @external("providers")
    def raw_provider(self, provider_id: int) -> Info:
        return self.provider(provider_id).info

    @external("providerProducts")
    def provider_product(self, provider_id: int, product: int) -> tuple[int, bool]:
        _enum(product)
        return PDP, self.provider(provider_id).product_active

    @external("getProviderCount")
    def get_provider_count(self) -> int:
        return self.totals.providers

    @external("getNextProviderId")
    def get_next_provider_id(self) -> int:
        return self.totals.providers + 1

    @external("activeProviderCount")
    def active_provider_count(self) -> int:
        return self.totals.active

    @external("productTypeProviderCount")
    def product_type_provider_count(self, product: int) -> int:
        _enum(product)
        return self.totals.pdp

    @external("activeProductTypeProviderCount")
    def active_product_type_provider_count(self, product: int) -> int:
        _enum(product)
        return self.totals.active_pdp

    @external("VERSION")
    def version(self) -> str:
        return VERSION

    @external("REGISTRATION_FEE")
    def registration_fee(self) -> int:
        return REGISTRATION_FEE

    @external("MAX_CAPABILITIES")
    def max_capabilities(self) -> int:
        return MAX_CAPABILITIES

    @external("MAX_CAPABILITY_KEY_LENGTH")
    def max_capability_key_length(self) -> int:
        return MAX_KEY

    @external("MAX_CAPABILITY_VALUE_LENGTH")
    def max_capability_value_length(self) -> int:
        return MAX_VALUE


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Revert.text(message)


def _enum(product: int) -> None:
    if product != PDP:  # Solidity refuses an enum value out of range while decoding
        raise Revert


def _only_pdp(product: int) -> None:
    _enum(product)


def _check_words(title: str, description: str) -> None:
    _require(len(title.encode()) <= MAX_NAME, "Name too long")
    _require(len(description.encode()) <= MAX_DESCRIPTION, "Description too long")


def _check_capabilities(keys: tuple[str, ...], values: tuple[bytes, ...]) -> None:
    _require(len(keys) == len(values), "Keys and values arrays must have same length")
    _require(len(keys) <= MAX_CAPABILITIES, "Too many capabilities")
    for key, value in zip(keys, values, strict=True):
        _require(len(key) > 0, "Capability key cannot be empty")
        _require(len(key.encode()) <= MAX_KEY, "Capability key too long")
        _require(len(value) > 0, "Capability value cannot be empty")
        _require(len(value) <= MAX_VALUE, "Capability value too long")
