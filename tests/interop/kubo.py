"""A kubo repository that asks nobody: no bootstrap, no autoconf, no telemetry, loopback only."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.conftest import Program

_QUIET: dict[str, Any] = {
    "AutoConf.Enabled": False,
    "Bootstrap": [],
    "DNS.Resolvers": {},
    "Routing.DelegatedRouters": [],
    "Ipns.DelegatedPublishers": [],
    "AutoTLS.Enabled": False,
    "Discovery.MDNS.Enabled": False,
    "Plugins.Plugins.telemetry.Disabled": True,
    "Swarm.DisableNatPortMap": True,
    "Swarm.RelayClient.Enabled": False,
    "Addresses.Swarm": ["/ip4/127.0.0.1/tcp/0"],
    "Addresses.API": "/ip4/127.0.0.1/tcp/0",
    "Addresses.Gateway": "/ip4/127.0.0.1/tcp/0",
    "Provide.Enabled": False,
}


def repository(ipfs: Program, folder: Path, *, profile: str = "unixfs-v1-2025") -> Program:
    """`ipfs` with a new repository in *folder* that imports with *profile*."""
    found = Program(ipfs.path, {**ipfs.env, "IPFS_PATH": str(folder)})
    found("init", f"--profile=test,{profile}")
    configure(folder, _QUIET)
    return found


def configure(repo: Path, values: Mapping[str, Any]) -> None:
    """Set *values*, whose names are paths into the file; `ipfs config` would be one run for each."""
    path = repo / "config"
    config = json.loads(path.read_bytes())
    for name, value in values.items():
        *parents, last = name.split(".")
        at = config
        for parent in parents:
            at = at.setdefault(parent, None) or at.update({parent: {}}) or at[parent]
        at[last] = value
    path.write_text(json.dumps(config, indent=2), "utf-8")


def roots_of_entries(ipfs: Program, folder: Path, *options: str) -> dict[str, str]:
    """The CID that `ipfs add` gives to each entry of *folder*, all in one run; nothing is stored."""
    said = ipfs("add", "--only-hash", "--recursive", "--offline", *options, folder)
    found = {}
    for line in said.splitlines():
        match = re.fullmatch(rf"added (\w+) {folder.name}/([\w-]+)", line)
        if match:
            found[match[2]] = match[1]
    return found


@contextmanager
def daemon(ipfs: Program) -> Iterator[None]:
    """The repository's daemon, for as long as the block does."""
    process = subprocess.Popen(
        [ipfs.path, "daemon"], env=ipfs.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Daemon is ready"):
                break
        else:
            raise AssertionError("the daemon did not start: " + "".join(said)[-2000:])
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()
