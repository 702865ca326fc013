"""The files a devnet leaves: `devnet-info.json` for clients, `server.json` and `ports.json` for itself.

Knows their shapes and is cheap to import; starts nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from fpin.values import dataclass

if (
    TYPE_CHECKING
):  # both bring libraries that take a second to import, and a client that attaches needs neither
    from fpin.devnet.accounts import DevAccount
    from fpin.devnet.chain import ContractAddresses

INFO, SERVER, PORTS = "devnet-info.json", "server.json", "ports.json"
Mode = Literal["up", "embedded"]
Json = dict[str, Any]

_CONTRACT_FIELDS = {
    "multicall3_addr": "multicall3",
    "mockusdfc_addr": "usdfc",
    "fwss_service_proxy_addr": "fwss",
    "fwss_state_view_addr": "fwss_view",
    "fwss_impl_addr": "fwss_impl",
    "pdp_verifier_proxy_addr": "pdp_verifier",
    "pdp_verifier_impl_addr": "pdp_verifier_impl",
    "service_provider_registry_proxy_addr": "provider_registry",
    "service_provider_registry_impl_addr": "provider_registry_impl",
    "filecoin_pay_v1_addr": "pay",
    "endorsements_addr": "endorsements",
    "session_key_registry_addr": "session_key_registry",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where the services of a running devnet are."""

    chain: str
    providers: tuple[str, ...]
    indexer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """What `server.json` says; true only while somebody holds the folder's lock."""

    pid: int
    mode: Mode
    urls: Urls

    def answers(self) -> bool:
        """Whether anybody listens there: a process that was killed has left the file behind."""
        parts = urlsplit(self.urls.indexer)
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1):
                return True
        except OSError:
            return False


def contracts_of(addresses: ContractAddresses) -> dict[str, str]:
    """The ``contracts`` object of `devnet-info.json`."""
    return {field: getattr(addresses, name) for field, name in _CONTRACT_FIELDS.items()}


def make_info(
    *,
    contracts: Mapping[str, str],
    urls: Urls,
    rpc_url: str,
    users: Sequence[DevAccount],
    providers: Sequence[DevAccount],
) -> Json:
    """A whole `devnet-info.json`, version 1, in which provider n has the registry's id n."""
    container = {"container_id": "fpin", "container_name": "fpin"}
    # No provider here has a database server, but synapse-core up to 0.5.2 refuses a file without one.
    database = {"web_ui_url": urls.chain, "master_rpc_port": 1, "ysql_port": 1}
    return {
        "version": 1,
        "info": {
            "run_id": "fpin",
            "start_time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "startup_duration": "0s",
            "users": [{"name": user.name, **_account(user, "evm_addr")} for user in users],
            "contracts": dict(contracts),
            "lotus": {"host_rpc_url": rpc_url, **container},
            "lotus_miner": {**container, "api_port": urlsplit(urls.chain).port},
            "pdp_sps": [
                {
                    "provider_id": number,
                    **_account(provider, "eth_addr"),
                    "pdp_service_url": url,
                    **container,
                    "yugabyte": database,
                    "is_approved": True,
                    "is_endorsed": True,
                }
                for number, (provider, url) in enumerate(zip(providers, urls.providers, strict=True), 1)
            ],
            "indexer_url": urls.indexer,
        },
    }


def native_address(address: str) -> str:
    """The ``t410f…`` form of an Ethereum address on a test network.

    >>> native_address("0x2e988A386a799F506693793c6A5AF6B54dfAaBfB")
    't410ff2miuodkpgpvazutpe6guwxwwvg7vk73us3ijva'
    """
    payload = bytes.fromhex(address[2:])
    # Protocol 4 (delegated), namespace 10 (the Ethereum Address Manager); both count in the checksum.
    checksum = hashlib.blake2b(b"\x04\x0a" + payload, digest_size=4).digest()
    return "t410f" + base64.b32encode(payload + checksum).decode().lower().rstrip("=")


def write_server(folder: Path, mode: Mode, urls: Urls) -> None:
    _write(folder / SERVER, asdict(RunningServer(pid=os.getpid(), mode=mode, urls=urls)))


def read_server(folder: Path) -> RunningServer | None:
    """What the folder's last server wrote, or None where nothing (readable) is there."""
    try:
        found = json.loads((folder / SERVER).read_bytes())
        urls = Urls(**{**found["urls"], "providers": tuple(found["urls"]["providers"])})
        return RunningServer(pid=found["pid"], mode=found["mode"], urls=urls)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_info(folder: Path, info: Json) -> Path:
    """Write `devnet-info.json`, which holds keys, for the owner's eyes; its path."""
    _write(folder / INFO, info)
    return folder / INFO


def read_ports(folder: Path) -> dict[str, int]:
    """The port of each service at its last start; empty where there was none."""
    try:
        found = json.loads((folder / PORTS).read_bytes())
        return {str(name): int(port) for name, port in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def write_ports(folder: Path, ports: Mapping[str, int]) -> None:
    _write(folder / PORTS, dict(ports))


def _account(account: DevAccount, field: str) -> dict[str, str]:
    return {
        field: account.address,
        "native_addr": native_address(account.address),
        "private_key_hex": "0x" + account.key.hex(),
    }


def _write(path: Path, value: object) -> None:
    """All or nothing, and readable by the owner alone from the first byte on."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
    part.replace(path)
