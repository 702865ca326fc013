"""The devnet's chain: emulated contracts, blocks in SQLite, a JSON-RPC node. Start at `DevChain.open`."""

from fpin.devnet.chain.chain import DevChain
from fpin.devnet.chain.contracts import ContractAddresses
from fpin.devnet.chain.genesis import CHAIN_ID, Genesis, GenesisProvider, GenesisUser
from fpin.devnet.chain.prices import PRICES_1_3, PRICES_1_4, PriceList

__all__ = [
    "CHAIN_ID",
    "PRICES_1_3",
    "PRICES_1_4",
    "ContractAddresses",
    "DevChain",
    "Genesis",
    "GenesisProvider",
    "GenesisUser",
    "PriceList",
]
