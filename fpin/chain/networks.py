"""Networks: where the contracts, nodes, indexers and gateways of mainnet, calibration and a devnet are.

Knows constants and `devnet-info.json`; asks nobody anything. Whoever holds a `Network` cannot tell a devnet
from a public network, except by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from fpin.addresses import host_of
from fpin.errors import LocalError, UsageError
from fpin.settings import ENCRYPTED
from fpin.values import dataclass

DEVNET = "devnet"
DEVNET_CHAIN_ID = 31415926

IndexerRole = Literal["poll", "confirm", "route"]
_ROLES: tuple[IndexerRole, ...] = ("poll", "confirm", "route")

# By which a devnet's providers come in the order of their numbers: there is no load to be spread, and what
# the documentation shows happens to everybody.
_IN_ORDER = "22715"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """Checksummed addresses. *view* is a default: the service names the one in force (`Chain.view`)."""

    multicall3: str
    usdfc: str
    pay: str
    fwss: str
    view: str
    pdp_verifier: str
    registry: str
    session_keys: str
    endorsements: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """An IPNI indexer. *poll*: may be asked for a CID early and often, it remembers no empty answers.

    *confirm*: has negative caching or many readers; asked for a CID only after other evidence. *route*: a
    delegated router, asked from whom content is to be had where no indexer to poll names anybody.
    """

    url: str
    roles: frozenset[IndexerRole]
    encrypted: bool = False  # asked by second hash, and not told what is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One chain and the services around it.

    *genesis_timestamp* is None where chain time has no fixed relation to the calendar (devnet); *gateways*
    are URL templates with ``{cid}`` and ``{path}``; *cdn_domain* is None where there is no CDN. *seed* orders
    providers that are as good as each other; None: each wallet has an order of its own.
    """

    name: str
    title: str
    chain_id: int
    testnet: bool
    rpc_url: str
    contracts: Contracts
    genesis_timestamp: int | None
    explorer: str | None
    indexers: tuple[Indexer, ...]
    gateways: tuple[str, ...]
    cdn_domain: str | None
    seed: str | None = None

    def indexers_for(self, role: IndexerRole) -> tuple[Indexer, ...]:
        return tuple(indexer for indexer in self.indexers if role in indexer.roles)

    def with_indexers(self, named: Iterable[tuple[str, Iterable[str]]]) -> Network:
        """Return this network with other indexers, given as URLs and roles."""
        indexers = (
            Indexer(
                url=url,
                roles=frozenset(role for role in _ROLES if role in roles),
                encrypted=ENCRYPTED in roles,
            )
            for url, roles in named
        )
        return replace(self, indexers=tuple(indexers))


@dataclass(frozen=True, slots=True, kw_only=True)
class DevnetUser:
    """A funded account of a devnet. Its key is public by design, and still kept out of the repr."""

    name: str
    address: str
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevnetInfo:
    """What a `devnet-info.json` (versions 1 and 2) says to a client."""

    path: Path
    rpc_url: str
    contracts: Contracts
    users: tuple[DevnetUser, ...]
    indexer_url: str | None

    @classmethod
    def read(cls, path: Path) -> DevnetInfo:
        """Read *path*. Raises LocalError when it cannot be read, UsageError when it is something else."""
        try:
            document = json.loads(path.read_bytes())
        except OSError as exc:
            raise LocalError(
                f"cannot read {path}: {exc.strerror or exc}",
                hint="start the devnet first (fpin devnet up), or name its devnet-info.json",
                path=str(path),
            ) from exc
        except ValueError as exc:
            raise UsageError(f"{path} is not JSON: {exc}", path=str(path)) from exc
        try:
            return cls._parse(path, document["info"])
        except (KeyError, TypeError, IndexError, ValueError) as exc:
            raise UsageError(
                f"{path} is not a devnet-info.json: {type(exc).__name__} {exc}", path=str(path)
            ) from exc

    @classmethod
    def _parse(cls, path: Path, info: Mapping[str, Any]) -> DevnetInfo:
        users = tuple(
            DevnetUser(name=user["name"], address=user["evm_addr"], private_key=user["private_key_hex"])
            for user in info["users"]
        )
        if not users:
            raise ValueError("no users")
        return cls(
            path=path,
            rpc_url=info["lotus"]["host_rpc_url"],
            contracts=_devnet_contracts(info["contracts"]),
            users=users,
            indexer_url=info.get("indexer_url"),
        )


# FOUND must be seen at an indexer of role "poll" first; an early question to cid.contact is remembered as
# "nothing there" by its caches (routing-and-retrieval.md, rule R8).
_PUBLIC_INDEXERS = (
    Indexer(url="https://filecoinpin.contact", roles=frozenset({"poll"})),
    Indexer(url="https://cid.contact", roles=frozenset({"confirm"})),
    Indexer(url="https://delegated-ipfs.dev", roles=frozenset({"route"})),
)
_PUBLIC_GATEWAYS = (
    "https://{cid}.ipfs.dweb.link/{path}",
    "https://ipfs.io/ipfs/{cid}/{path}",
    "https://trustless-gateway.link/ipfs/{cid}/{path}",
)
_ALIASES = {"calibnet": "calibration"}
_DEVNET_FIELDS = {
    "multicall3": "multicall3_addr",
    "usdfc": "mockusdfc_addr",
    "pay": "filecoin_pay_v1_addr",
    "fwss": "fwss_service_proxy_addr",
    "view": "fwss_state_view_addr",
    "pdp_verifier": "pdp_verifier_proxy_addr",
    "registry": "service_provider_registry_proxy_addr",
    "session_keys": "session_key_registry_addr",
    "endorsements": "endorsements_addr",
}
_PUBLIC_FIELDS = {
    "multicall3": "multicall3",
    "usdfc": "usdfc",
    "pay": "filecoinPay",
    "fwss": "fwss",
    "view": "fwssView",
    "pdp_verifier": "pdpVerifier",
    "registry": "serviceProviderRegistry",
    "session_keys": "sessionKeyRegistry",
    "endorsements": "endorsements",
}


def network_names() -> tuple[str, ...]:
    return tuple(_documents())


def load_network(name: str, *, rpc_url: str | None = None, devnet_info: Path | None = None) -> Network:
    """Return the network called *name* (``calibnet`` is calibration).

    *rpc_url* replaces its node. *devnet_info* is needed for ``devnet`` and ignored otherwise. Raises
    UsageError for an unknown name or a devnet without its file, and what `DevnetInfo.read` raises.
    """
    known = _ALIASES.get(name, name)
    if known not in _documents():
        names = ", ".join(network_names())
        raise UsageError(
            f"there is no network called {name!r}", hint=f"the networks are {names}", network=name
        )
    network = _devnet(devnet_info) if known == DEVNET else _public(known)
    if not rpc_url:
        return network
    if host_of(rpc_url) is None:  # not repeated: it may hold a token, or be a key
        raise UsageError(
            "--rpc-url is no http or https address", hint="such as https://api.node.glif.io/rpc/v1"
        )
    return replace(network, rpc_url=rpc_url)


@cache
def _documents() -> Mapping[str, Any]:
    text = resources.files("fpin.chain").joinpath("networks.json").read_text("utf-8")
    networks: Mapping[str, Any] = json.loads(text)["networks"]
    return networks


def _public(name: str) -> Network:
    document = _documents()[name]
    addresses = {key: document["contracts"][field]["address"] for key, field in _PUBLIC_FIELDS.items()}
    return Network(
        name=name,
        title=document["name"],
        chain_id=document["chainId"],
        testnet=document["testnet"],
        rpc_url=_default(document["rpc"]["http"]),
        contracts=Contracts(**addresses),
        genesis_timestamp=document["genesisTimestamp"],
        explorer=_default(document["explorers"]),
        indexers=_PUBLIC_INDEXERS,
        gateways=_PUBLIC_GATEWAYS,
        cdn_domain=document["filBeam"]["retrievalDomain"],
    )


def _devnet(path: Path | None) -> Network:
    if path is None:
        raise UsageError("the devnet needs its devnet-info.json", hint="start it with: fpin devnet up")
    info = DevnetInfo.read(path)
    roles: frozenset[IndexerRole] = frozenset({"poll", "confirm", "route"})
    return Network(
        name=DEVNET,
        title=_documents()[DEVNET]["name"],
        chain_id=DEVNET_CHAIN_ID,
        testnet=True,
        rpc_url=info.rpc_url,
        contracts=info.contracts,
        genesis_timestamp=None,
        explorer=None,
        indexers=(Indexer(url=info.indexer_url, roles=roles),) if info.indexer_url else (),
        gateways=(),
        cdn_domain=None,
        seed=_IN_ORDER,
    )


def _devnet_contracts(document: Mapping[str, str]) -> Contracts:
    from fpin.chain.keccak import checksum_address

    return Contracts(**{key: checksum_address(document[field]) for key, field in _DEVNET_FIELDS.items()})


def _default(entries: list[dict[str, Any]]) -> str:
    url: str = next(entry["url"] for entry in entries if entry.get("default"))
    return url
