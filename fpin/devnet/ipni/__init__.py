"""IPNI on the devnet: a provider's advertisement chain, and the indexer that reads such chains.

Shares no code with the client's own reading of advertisements, so that each can catch the other's mistakes.
"""

from fpin.devnet.ipni.front import CachingFront
from fpin.devnet.ipni.identity import peer_id_of_seed
from fpin.devnet.ipni.indexer import Indexer
from fpin.devnet.ipni.multiaddr import from_url as multiaddr_of_url
from fpin.devnet.ipni.publisher import PublishedAd, Publisher

__all__ = ["CachingFront", "Indexer", "PublishedAd", "Publisher", "multiaddr_of_url", "peer_id_of_seed"]
