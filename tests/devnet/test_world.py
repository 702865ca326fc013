"""The devnet as a process: what others can ask, what a restart and a kill keep, who may serve a folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from fpin.devnet import attach, info
from fpin.devnet.accounts import PROVIDERS, USERS
from fpin.devnet.info import RunningServer, Urls, native_address, read_server
from fpin.devnet.ipni.identity import base58_decode
from fpin.devnet.lock import FolderInUse, hold_folder
from fpin.devnet.world import World
from fpin.errors import LocalError, NodeUnavailable, UsageError

# A process that keeps a devnet up until its standard input ends.
UP = """
import sys
from pathlib import Path
from fpin.devnet.world import World
with World.start(Path(sys.argv[1]), mode=sys.argv[2], epoch_ms=0):
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def process(folder: Path, mode: str = "up") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-c", UP, str(folder), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            yield running
        finally:
            if running.poll() is None:
                running.communicate(timeout=30)


def read_info(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert found["version"] == 1
    body: dict[str, Any] = found["info"]
    return body


def rpc(url: str, method: str, *params: object) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(url, json=body, trust_env=False).json()["result"]


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def test_a_new_devnet_serves_a_chain_three_providers_and_an_indexer(tmp_path: Path) -> None:
    with World.start(tmp_path / "new", epoch_ms=0) as world:
        found = read_info(world.info_path)
        assert rpc(found["lotus"]["host_rpc_url"], "eth_chainId") == hex(31415926)
        assert [sp["provider_id"] for sp in found["pdp_sps"]] == [1, 2, 3]
        for number, sp in enumerate(found["pdp_sps"], 1):
            assert sp["pdp_service_url"] == world.provider(number).service_url
            assert get(f"{sp['pdp_service_url']}/pdp/ping").status_code == 200
        assert get(f"{found['indexer_url']}/health").text.startswith("ready")


def test_the_first_user_can_pay_at_once_and_the_last_has_nothing(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0) as world:
        found = read_info(world.info_path)
        balances = [
            int(rpc(world.urls.chain, "eth_getBalance", user["evm_addr"], "latest"), 16)
            for user in found["users"]
        ]
    assert [user["name"] for user in found["users"]] == ["USER_1", "USER_2", "USER_3"]
    assert [balance > 0 for balance in balances] == [True, True, False]


def test_the_info_file_holds_keys_and_is_for_the_owner_alone(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0) as world:
        assert stat.S_IMODE(world.info_path.stat().st_mode) == 0o600
        found = read_info(world.info_path)
    assert found["pdp_sps"][1]["private_key_hex"] == "0x" + PROVIDERS[1].key.hex()
    assert found["users"][0]["private_key_hex"] == "0x" + USERS[0].key.hex()


def test_native_addresses_are_those_of_the_network() -> None:
    address = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"  # chain reference, devnet-info example
    assert native_address(address) == "t410ff2miuodkpgpvazutpe6guwxwwvg7vk73us3ijva"


def test_the_registry_names_each_provider_and_its_identity(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0) as world:
        registry = world.chain.deployed.provider_registry
        for number in (1, 2, 3):
            provider = world.provider(number)
            with world.chain.state_at(None):
                product = registry.get_provider_with_product(number, 0)
            assert provider.service_url.encode() in str(product).encode()
            assert str(base58_decode(provider.peer_id)) in str(product)
            assert provider.address == PROVIDERS[number - 1].address


def test_time_passes_only_when_it_is_told_to_with_a_manual_clock(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0) as world:
        before = world.chain.epoch
        assert world.mine(3) == before + 3
        assert (
            httpx.post(f"{world.urls.chain}/devnet/mine", content="2", trust_env=False).json() == before + 5
        )
        assert httpx.post(f"{world.urls.chain}/devnet/mine", content="x", trust_env=False).status_code == 400


def test_the_clock_moves_the_chain_by_itself(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=1) as world:
        first = world.chain.epoch
        moved = threading.Event()
        provider = world.provider(1)
        tick = provider.tick

        def watched(epoch: int) -> None:
            tick(epoch)
            if epoch > first + 3:
                moved.set()

        provider.tick = watched  # type: ignore[method-assign]
        assert moved.wait(30)


def test_a_hurry_makes_epochs_pass_without_waiting(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=3_600_000) as world:
        until = world.chain.epoch + 20
        passed = threading.Event()

        def hurry() -> bool:
            if world.chain.epoch >= until:
                passed.set()
            return not passed.is_set()

        world.provider(2).hurry = hurry  # type: ignore[method-assign]
        assert passed.wait(30)
        assert world.chain.epoch == until


def test_a_restart_keeps_the_ports_and_the_state(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0) as world:
        epoch, urls = world.mine(5), world.urls
    assert read_server(tmp_path) is None
    with World.start(tmp_path, epoch_ms=0) as world:
        assert world.urls == urls
        assert world.chain.epoch == epoch  # nothing had to be registered anew


def test_a_port_that_was_taken_is_replaced_and_registered(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0) as world:
        old = world.urls
    port = httpx.URL(old.providers[0]).port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with World.start(tmp_path, epoch_ms=0) as world:
            assert world.urls.providers[0] != old.providers[0]
            assert world.urls.providers[1:] == old.providers[1:]
            with world.chain.state_at(None):
                product = world.chain.deployed.provider_registry.get_provider_with_product(1, 0)
            assert world.urls.providers[0].encode() in str(product).encode()


def test_a_killed_devnet_comes_back_as_it_was(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        server = read_server(tmp_path)
        assert server is not None
        assert (server.pid, server.mode) == (running.pid, "up")
        epoch = attach.mine(tmp_path, 45)  # more than one request asks for
        running.send_signal(signal.SIGKILL)
        running.wait(30)
    assert read_server(tmp_path) == server  # nobody tidied up
    assert attach.kept_up(tmp_path) is None
    with World.start(tmp_path, epoch_ms=0) as world:
        assert world.urls == server.urls
        assert world.chain.epoch == epoch


def test_commands_attach_to_the_devnet_that_is_kept_up(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        with attach.attach_or_start(tmp_path) as path:
            assert path == tmp_path / "devnet-info.json"
            server = read_server(tmp_path)
            assert server is not None
            assert server.pid == running.pid
        assert attach.kept_up(tmp_path) == server  # leaving the block stopped nothing
        assert get(f"{server.urls.indexer}/health").status_code == 200
    assert running.returncode == 0


def test_without_a_running_devnet_a_command_is_the_devnet_for_its_time(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # other tests may have a devnet in this process
    with attach.attach_or_start(tmp_path) as path:
        server = read_server(tmp_path)
        assert server is not None
        assert (server.pid, server.mode) == (os.getpid(), "embedded")
        assert get(f"{read_info(path)['indexer_url']}/health").status_code == 200
    assert not server.answers()
    begun = set(threading.enumerate()) - before
    assert not [each for each in begun if each.name.startswith("devnet-")]


def test_two_commands_take_turns_and_the_second_is_told_so(tmp_path: Path) -> None:
    told: list[str] = []
    with process(tmp_path, "embedded") as running:
        assert running.stdin is not None

        def waiting(what: str) -> None:
            told.append(what)
            assert running.stdin is not None
            running.stdin.close()  # it ends now

        with attach.attach_or_start(tmp_path, on_wait=waiting):
            server = read_server(tmp_path)
            assert server is not None
            assert server.pid == os.getpid()
        running.wait(30)
    assert told == [f"another command that uses the devnet in {tmp_path}"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(LocalError, match="file/devnet"), World.start(tmp_path / "file" / "devnet"):
        pass


def test_waiting_for_another_command_has_an_end(tmp_path: Path) -> None:
    with (
        hold_folder(tmp_path),
        pytest.raises(FolderInUse, match="another process"),
        attach.attach_or_start(tmp_path, timeout=0),
    ):
        pass


def test_what_a_killed_process_wrote_down_is_not_believed(tmp_path: Path) -> None:
    urls = Urls(chain="http://127.0.0.1:1", providers=("http://127.0.0.1:1",), indexer="http://127.0.0.1:1")
    info.write_server(tmp_path, "up", urls)
    assert read_server(tmp_path) == RunningServer(pid=os.getpid(), mode="up", urls=urls)
    assert attach.kept_up(tmp_path) is None
    with hold_folder(tmp_path):
        assert attach.kept_up(tmp_path) is None  # somebody is starting, and nobody listens there yet


def test_reset_deletes_the_devnet_and_nothing_else(tmp_path: Path) -> None:
    World.reset(tmp_path / "never was there")
    with World.start(tmp_path, epoch_ms=0) as world:
        epoch = world.mine(30)
        with pytest.raises(FolderInUse):
            World.reset(tmp_path)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    World.reset(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "notes.txt"]
    with World.start(tmp_path, epoch_ms=0) as world:
        assert world.chain.epoch < epoch


def test_a_new_chain_can_be_tuned(tmp_path: Path) -> None:
    with World.start(tmp_path, epoch_ms=0, tune=lambda genesis: replace(genesis, proving_period=30)) as world:
        assert world.chain.deployed.fwss.state.settings.max_proving_period == 30


def test_providers_alone_serve_a_chain_that_runs_elsewhere(tmp_path: Path) -> None:
    with World.start(tmp_path / "chain", epoch_ms=0) as other:
        chain_url, epoch = f"{other.urls.chain}/rpc/v1", other.chain.epoch
        with World.serve_providers(tmp_path / "providers", chain_url, other.info_path) as world:
            found = read_info(world.info_path)
            assert found["lotus"]["host_rpc_url"] == chain_url
            assert found["indexer_url"] == world.urls.indexer != other.urls.indexer
            assert [sp["pdp_service_url"] for sp in found["pdp_sps"]] == [*world.urls.providers]
            assert other.chain.epoch > epoch  # they have registered their new URLs there
            with other.chain.state_at(None):
                product = other.chain.deployed.provider_registry.get_provider_with_product(3, 0)
            assert world.urls.providers[2].encode() in str(product).encode()
            with pytest.raises(LookupError):
                world.mine()


def test_providers_alone_say_what_is_wrong_with_chain_or_file(tmp_path: Path) -> None:
    with World.start(tmp_path / "chain", epoch_ms=0) as other:
        document = json.loads(other.info_path.read_text(encoding="utf-8"))
        chain_url = f"{other.urls.chain}/rpc/v1"
    folder, path = tmp_path / "providers", tmp_path / "info.json"
    with (
        pytest.raises(NodeUnavailable, match="eth_blockNumber"),
        World.serve_providers(folder, chain_url, other.info_path),
    ):
        pass
    with pytest.raises(LocalError, match="cannot read"), World.serve_providers(folder, chain_url, path):
        pass
    del document["info"]["pdp_sps"][0]["private_key_hex"]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError) as caught, World.serve_providers(folder, chain_url, path):
        pass
    assert caught.value.hint == "each entry of pdp_sps needs a private_key_hex"
