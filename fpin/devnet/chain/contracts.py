"""The emulated contracts at their addresses, wired to each other."""

from __future__ import annotations

from fpin.devnet.chain.fwss import WarmStorage
from fpin.devnet.chain.fwss_view import StateView
from fpin.devnet.chain.machine import Machine
from fpin.devnet.chain.multicall import Multicall3
from fpin.devnet.chain.pay import FilecoinPay
from fpin.devnet.chain.pdp_verifier import PDPVerifier
from fpin.devnet.chain.prices import PriceList
from fpin.devnet.chain.provider_id_set import ProviderIdSet
from fpin.devnet.chain.provider_registry import ServiceProviderRegistry
from fpin.devnet.chain.session_keys import SessionKeyRegistry
from fpin.devnet.chain.token import Token
from fpin.values import dataclass

FILBEAM_BENEFICIARY = "0x1d60d2f5960af6341e842c539985fa297e10d6ea"


def _at(number: int) -> str:
    return f"0xde00{number:036x}"


@dataclass(frozen=True, kw_only=True)
class ContractAddresses:
    """Where the contracts stand, the same in every devnet. Nothing is behind an ``_impl`` address."""

    multicall3: str = _at(1)
    usdfc: str = _at(2)
    pay: str = _at(3)
    fwss: str = _at(4)  # the proxy: record keeper and verifying contract
    fwss_view: str = _at(5)
    fwss_impl: str = _at(6)
    pdp_verifier: str = _at(7)
    pdp_verifier_impl: str = _at(8)
    provider_registry: str = _at(9)
    provider_registry_impl: str = _at(10)
    endorsements: str = _at(11)
    session_key_registry: str = _at(12)


ADDRESSES = ContractAddresses()


@dataclass(frozen=True, kw_only=True)
class DeployedContracts:
    usdfc: Token
    pay: FilecoinPay
    fwss: WarmStorage
    fwss_view: StateView
    pdp_verifier: PDPVerifier
    provider_registry: ServiceProviderRegistry
    endorsements: ProviderIdSet
    session_key_registry: SessionKeyRegistry
    multicall3: Multicall3


def deploy(
    machine: Machine,
    *,
    chain_id: int,
    prices: PriceList,
    challenge_finality: int,
    seed: bytes,
    piece_metadata_getters: bool,
) -> DeployedContracts:
    """Put the contracts' code in place; their state is whatever the machine's storage holds."""
    at = ADDRESSES
    usdfc = Token(machine, at.usdfc, chain_id)
    pay = FilecoinPay(machine, at.pay)
    registry = ServiceProviderRegistry(machine, at.provider_registry)
    sessions = SessionKeyRegistry(machine, at.session_key_registry)
    verifier = PDPVerifier(machine, at.pdp_verifier, challenge_finality=challenge_finality, seed=seed)
    fwss = WarmStorage(
        machine,
        at.fwss,
        chain_id=chain_id,
        pay=pay,
        token=at.usdfc,
        prices=prices,
        verifier=verifier,
        registry=registry,
        sessions=sessions,
        filbeam_beneficiary=FILBEAM_BENEFICIARY,
    )
    return DeployedContracts(
        usdfc=usdfc,
        pay=pay,
        fwss=fwss,
        fwss_view=StateView(machine, at.fwss_view, fwss, piece_metadata_getters=piece_metadata_getters),
        pdp_verifier=verifier,
        provider_registry=registry,
        endorsements=ProviderIdSet(machine, at.endorsements),
        session_key_registry=sessions,
        multicall3=Multicall3(machine, at.multicall3, chain_id),
    )
