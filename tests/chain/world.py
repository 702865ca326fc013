"""The devnet's chain with two providers and two users, and a provider's hand to send storage operations.

The chain checks what arrives with code of its own; nothing here computes what it is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fpin.chain import typed_data
from fpin.chain.abi import function
from fpin.chain.contracts import Chain
from fpin.chain.networks import Contracts, Network
from fpin.chain.node import Receipt
from fpin.chain.rpc import JsonRpc
from fpin.chain.signer import Signer, Transaction
from fpin.devnet.chain.chain import DevChain
from fpin.devnet.chain.genesis import Genesis, GenesisProvider, GenesisUser
from fpin.devnet.chain.prices import PRICES_1_3, PriceList
from fpin.http import Http
from tests.chain.nodes import Waits, make_rpc, serve_app

P0 = bytes.fromhex("01559120220005de6815dcb348843215a94de532954b60be550a4bec6e74555665e9a5ec4e0f3c")
P1 = bytes.fromhex("01559120227e03642a607ef886b004bf2c1978463ae1d4693ac0f410eb2d1b7a47fe205e5e750f")
METADATA = [("source", "fpin"), ("withIPFSIndexing", "")]


def signer(number: int) -> Signer:
    return Signer.from_key(number.to_bytes(32, "big"))


READY, FUNDED, POOR, DEPLOYER = signer(11), signer(12), signer(13), signer(14)
SENDERS, PAYEE = (signer(21), signer(22)), signer(31)


@dataclass
class World:
    devchain: DevChain
    network: Network
    rpc: JsonRpc
    chain: Chain

    def send(self, sender: Signer, to: str, data: bytes, value: int = 0) -> Receipt:
        """Send a transaction, whether it reverts or not."""
        node = self.chain.node
        fees = node.fees()
        raw, _ = sender.sign_transaction(
            Transaction(
                chain_id=self.network.chain_id,
                nonce=node.next_nonce(sender.address),
                to=to,
                data=data,
                gas=1_000_000_000,
                max_fee=fees.max_fee,
                max_priority_fee=fees.max_priority_fee,
                value=value,
            )
        )
        return node.wait_for_receipt(node.send_raw(raw))

    def create(self, payer: Signer, number: int, *, provider: int = 1, by: Signer | None = None) -> Receipt:
        """Create a data set as provider *provider* would, with the payer's signature or another's (*by*)."""
        payee = self.chain.provider(provider).payee
        message = typed_data.create_data_set(number, payee, METADATA)
        signature = (by or payer).sign_digest(message.digest(self.chain.domain))
        extra = typed_data.create_extra_data(payer.address, number, METADATA, signature)
        data = function("PDPVerifier", "createDataSet").encode(self.network.contracts.fwss, extra)
        return self.send(SENDERS[provider - 1], self.network.contracts.pdp_verifier, data, value=10**17)

    def add(self, payer: Signer, data_set_id: int, nonce: int, pieces: list[bytes]) -> Receipt:
        data_set = self.chain.data_set(data_set_id)
        metadata: list[list[tuple[str, str]]] = [[("name", f"piece {n}")] for n in range(len(pieces))]
        message = typed_data.add_pieces(data_set.client_data_set_id, nonce, pieces, metadata)
        signature = payer.sign_digest(message.digest(self.chain.domain))
        extra = typed_data.add_extra_data(nonce, metadata, signature)
        data = function("PDPVerifier", "addPieces").encode(
            data_set_id, "0x" + "00" * 20, [(cid,) for cid in pieces], extra
        )
        return self.send(SENDERS[data_set.provider_id - 1], self.network.contracts.pdp_verifier, data)

    def remove(self, payer: Signer, data_set_id: int, piece_ids: list[int]) -> Receipt:
        data_set = self.chain.data_set(data_set_id)
        message = typed_data.schedule_piece_removals(data_set.client_data_set_id, piece_ids)
        extra = typed_data.signature_extra_data(payer.sign_digest(message.digest(self.chain.domain)))
        data = function("PDPVerifier", "schedulePieceDeletions").encode(data_set_id, piece_ids, extra)
        return self.send(SENDERS[data_set.provider_id - 1], self.network.contracts.pdp_verifier, data)


def genesis(prices: PriceList = PRICES_1_3) -> Genesis:
    providers = tuple(
        GenesisProvider(
            address=sender.address,
            payee=PAYEE.address,  # not the sender: signatures must carry the payee
            name=f"provider {number}",
            service_url=f"http://127.0.0.1:{7000 + number}/",
            peer_id=bytes([0, 1, number]),
            endorsed=number == 1,
        )
        for number, sender in enumerate(SENDERS, 1)
    )
    users = (GenesisUser.ready(READY.address), GenesisUser.funded(FUNDED.address))
    return Genesis(deployer=DEPLOYER.address, providers=providers, users=users, prices=prices)


def network_of(devchain: DevChain, url: str) -> Network:
    at = devchain.contracts
    return Network(
        name="devnet",
        title="a test's devnet",
        chain_id=devchain.chain_id,
        testnet=True,
        rpc_url=url,
        contracts=Contracts(
            multicall3=at.multicall3,
            usdfc=at.usdfc,
            pay=at.pay,
            fwss=at.fwss,
            view=at.fwss_view,
            pdp_verifier=at.pdp_verifier,
            registry=at.provider_registry,
            session_keys=at.session_key_registry,
            endorsements=at.endorsements,
        ),
        genesis_timestamp=None,
        explorer=None,
        indexers=(),
        gateways=(),
        cdn_domain=None,
    )


@contextmanager
def make_world(folder: Path) -> Iterator[World]:
    devchain = DevChain.open(folder / "chain.sqlite", genesis())
    try:
        with serve_app(devchain.app) as url, Http() as http:
            network, rpc = network_of(devchain, url), make_rpc(url, http, Waits())
            yield World(devchain=devchain, network=network, rpc=rpc, chain=Chain(network, rpc))
    finally:
        devchain.close()
