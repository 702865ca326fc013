"""The devnet's first block: which contracts stand where, who owns what, which providers are known.

Runs the contracts' own functions to get there, as a deployer would; after that nothing here is used any more.
"""

from __future__ import annotations

from dataclasses import field

from fpin.devnet.chain.contracts import ADDRESSES, DeployedContracts
from fpin.devnet.chain.machine import Machine
from fpin.devnet.chain.prices import PRICES_1_4, PriceList
from fpin.devnet.chain.provider_registry import PDP, REGISTRATION_FEE
from fpin.devnet.chain.storage import Field, Record
from fpin.devnet.chain.token import UNLIMITED
from fpin.units import EPOCHS_PER_DAY, ONE_TOKEN
from fpin.values import dataclass

CHAIN_ID = 31415926


@dataclass(frozen=True, kw_only=True)
class GenesisProvider:
    """A storage provider to register. Amounts in attoFIL, sizes in bytes."""

    address: str  # sends the provider's transactions
    payee: str  # receives its money
    name: str
    service_url: str
    peer_id: bytes = b""  # binary libp2p peer id; empty: not announced
    description: str = ""
    location: str = "C=XX;ST=Devnet;L=Localhost"
    min_piece_size: int = 127
    max_piece_size: int = 1_065_353_216
    approved: bool = True
    endorsed: bool = True
    fil: int = 1000 * ONE_TOKEN

    def capabilities(self, *, token: str, prices: PriceList, proving_period: int) -> dict[str, bytes]:
        """The product's key/value pairs, as the registry stores them."""
        per_day = prices.storage_per_tib_per_month * EPOCHS_PER_DAY // prices.default_lockup_period
        values = {
            "serviceURL": self.service_url.encode(),
            "minPieceSizeInBytes": _minimal(self.min_piece_size),
            "maxPieceSizeInBytes": _minimal(self.max_piece_size),
            "storagePricePerTibPerDay": _minimal(per_day),
            "minProvingPeriodInEpochs": _minimal(proving_period),
            "location": self.location.encode(),
            "paymentTokenAddress": bytes.fromhex(token[2:]),
            "ipniPiece": b"\x01",
            "ipniIpfs": b"\x01",
        }
        if self.peer_id:
            values["ipniPeerId"] = self.peer_id
        return values


@dataclass(frozen=True, kw_only=True)
class GenesisUser:
    """A client's wallet. Amounts in base units; *deposit* is taken out of *usdfc*."""

    address: str
    fil: int = 0
    usdfc: int = 0
    deposit: int = 0  # goes to FilecoinPay
    approves_service: bool = False  # allows the warm storage service everything, as the SDK does

    @classmethod
    def ready(cls, address: str) -> GenesisUser:
        """A user who can store at once: tokens, 100 USDFC deposited, the service approved."""
        amounts = {"fil": 1000 * ONE_TOKEN, "usdfc": 1000 * ONE_TOKEN, "deposit": 100 * ONE_TOKEN}
        return cls(address=address, approves_service=True, **amounts)

    @classmethod
    def funded(cls, address: str) -> GenesisUser:
        """A user with FIL and USDFC who has not deposited or approved anything."""
        return cls(address=address, fil=1000 * ONE_TOKEN, usdfc=1000 * ONE_TOKEN)


@dataclass(frozen=True, kw_only=True)
class Genesis:
    """What a new chain starts with. Periods in epochs; devnet defaults of the upstream deploy scripts."""

    deployer: str  # owns the contracts, may mint USDFC
    providers: tuple[GenesisProvider, ...] = ()
    users: tuple[GenesisUser, ...] = ()
    chain_id: int = CHAIN_ID
    prices: PriceList = field(default=PRICES_1_4)
    proving_period: int = 120
    challenge_window: int = 10
    challenge_finality: int = 2
    piece_metadata_getters: bool = True  # contracts 1.4.0 have none


class ChainConfig(Record):
    """What stays true for the life of a chain; it lives in the chain's own storage."""

    chain_id = Field(0)
    genesis_timestamp = Field(0)
    seed = Field(b"")
    prices = Field[tuple[int, ...]](())
    challenge_finality = Field(0)
    piece_metadata_getters = Field(False)

    def price_list(self) -> PriceList:
        return PriceList.from_words(self.prices)


def bootstrap(machine: Machine, contracts: DeployedContracts, genesis: Genesis) -> None:
    """Give the contracts their owners and settings, then register the providers and fund the users."""
    deployer = genesis.deployer.lower()
    _own(contracts, deployer, genesis)
    machine.accounts.balances[deployer] = 1000 * ONE_TOKEN
    for provider in genesis.providers:
        _register(machine, contracts, deployer, genesis, provider)
    for user in genesis.users:
        _fund(machine, contracts, deployer, user)
    machine.logs.clear()  # the genesis block has no transactions, so nothing to attach them to


def _own(contracts: DeployedContracts, deployer: str, genesis: Genesis) -> None:
    contracts.usdfc.state.owner = deployer
    contracts.endorsements.state.owner = deployer
    settings = contracts.fwss.state.settings
    settings.owner = settings.filbeam_controller = deployer
    settings.view = ADDRESSES.fwss_view
    settings.max_proving_period = genesis.proving_period
    settings.challenge_window = genesis.challenge_window


def _register(
    machine: Machine,
    contracts: DeployedContracts,
    deployer: str,
    genesis: Genesis,
    provider: GenesisProvider,
) -> None:
    address = provider.address.lower()
    machine.accounts.balances[address] = provider.fil + REGISTRATION_FEE
    capabilities = provider.capabilities(
        token=ADDRESSES.usdfc, prices=genesis.prices, proving_period=genesis.proving_period
    )
    registry = contracts.provider_registry
    provider_id = machine.invoke(
        address,
        REGISTRATION_FEE,
        registry.register_provider,
        provider.payee.lower(),
        provider.name,
        provider.description,
        PDP,
        tuple(capabilities),
        tuple(capabilities.values()),
    )
    if provider.approved:
        machine.invoke(deployer, 0, contracts.fwss.add_approved_provider, provider_id)
    if provider.endorsed:
        machine.invoke(deployer, 0, contracts.endorsements.add_provider_id, provider_id)


def _fund(machine: Machine, contracts: DeployedContracts, deployer: str, user: GenesisUser) -> None:
    address, pay, token = user.address.lower(), contracts.pay, contracts.usdfc
    machine.accounts.balances[address] += user.fil
    if user.usdfc:
        machine.invoke(deployer, 0, token.mint, address, user.usdfc)
    if user.deposit:
        machine.invoke(address, 0, token.approve, pay.address, user.deposit)
        machine.invoke(address, 0, pay.deposit, token.address, address, user.deposit)
    if user.approves_service:
        service, period = contracts.fwss.address, contracts.fwss.prices.default_lockup_period
        limits = UNLIMITED, UNLIMITED, period
        machine.invoke(address, 0, pay.set_operator_approval, token.address, service, True, *limits)


def _minimal(number: int) -> bytes:
    """Big-endian, without leading zero bytes."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
