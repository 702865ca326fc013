"""`fpin key`: keys in the keyring, the order of the places a key can be in, and looking without one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from fpin.chain.signer import Signer
from tests.cli.conftest import Here, Tenant
from tests.cli.terminal import terminal
from tests.cli.test_bad_input import CLOSED, told
from tests.conftest import Fpin
from tests.keyrings import own_keyring

__all__ = ["own_keyring"]

KEYS = {number: f"{number:02x}" * 32 for number in range(1, 6)}
ADDRESS = {number: Signer.from_key(key).address for number, key in KEYS.items()}
NOBODY = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_key_is_kept_used_shown_and_forgotten(
    here: Here, own_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, f"0x{KEYS[1]}\n")
    kept = here("key", "set", "--network", "calibration", "--json")
    assert (kept.code, kept.json["name"], kept.json["address"]) == (0, "calibration", ADDRESS[1])
    assert KEYS[1] in own_keyring.read_text()
    shown = here("key", "show", "--network", "calibration", "--json").json
    assert shown["key"] == {"address": ADDRESS[1], "origin": "the keyring's entry calibration"}
    assert here("key", "show", "--network", "mainnet", "--json").json["key"] is None
    told(here("key", "rm", "calibration"), 2, ADDRESS[1], "nobody is there to agree", "--yes")
    assert here("key", "rm", "calibration", "--yes").code == 0
    assert json.loads(own_keyring.read_text()) == {}
    told(here("key", "rm", "calibration", "--yes"), 1, "calibration", "none")


def test_a_keyring_in_which_somebody_changed_the_key_signs_for_nobody(
    tenant: Tenant, own_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, tenant.env["FPIN_PRIVATE_KEY"])
    assert tenant.here("key", "set", "devnet").code == 0
    own_keyring.write_text(json.dumps({"fpin/devnet": KEYS[1]}))
    changed = tenant.here("payments", "deposit", "1", env={"FPIN_PRIVATE_KEY": ""})
    told(changed, 4, ADDRESS[1], tenant.wallet)


def test_another_key_is_not_overwritten_unasked(
    here: Here, own_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # the same one again is no loss
        typed(monkeypatch, KEYS[1])
        assert here("key", "set", "work").code == 0
    typed(monkeypatch, KEYS[2])
    told(here("key", "set", "work"), 2, ADDRESS[1], ADDRESS[2], "--yes")
    assert KEYS[1] in own_keyring.read_text()
    typed(monkeypatch, KEYS[2])
    assert here("key", "set", "work", "--yes").code == 0
    assert KEYS[2] in own_keyring.read_text()


def test_a_key_in_place_of_a_name_is_refused_and_not_repeated(here: Here, own_keyring: Path) -> None:
    for command in (("key", "set", KEYS[1]), ("key", "rm", "0x" + KEYS[1]), ("status", "--wallet", KEYS[1])):
        outcome = here(*command)
        assert outcome.code == 2
        assert KEYS[1] not in outcome.stdout + outcome.stderr


def test_a_machine_without_a_keyring_is_told_where_else_a_key_can_be(fpin: Fpin, home: Path) -> None:
    env = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    outcome = fpin("key", "set", env=env, stdin=KEYS[1].encode())
    told(outcome, 1, "no keyring", "FPIN_PRIVATE_KEY_FILE", "FPIN_PRIVATE_KEY_COMMAND")
    forgetful = fpin(
        "key", "set", env={"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}, stdin=b"1" * 64
    )
    told(forgetful, 1, "did not keep the key", "FPIN_PRIVATE_KEY_FILE")
    assert not (home / "data" / "keys.json").exists()


def test_a_locked_keyring_is_told_only_where_the_key_is_needed(
    tenant: Tenant, own_keyring: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("to be kept")
    typed(monkeypatch, tenant.env["FPIN_PRIVATE_KEY"])
    assert tenant.here("key", "set", "devnet").code == 0
    monkeypatch.delenv("TEST_KEYRING")
    env = {"FPIN_PRIVATE_KEY": ""}
    looked = tenant.here("payments", "status", "--json", env=env)
    assert (looked.code, looked.json["account"]["address"]) == (0, tenant.wallet)
    told(tenant.here("add", note, env=env), 4, "the keyring is locked", "unlock")


def test_the_places_of_a_key_are_asked_in_the_order_that_is_written_down(
    here: Here, own_keyring: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text(KEYS[2])
    file.chmod(0o600)
    other = tmp_path / "other"
    other.write_text(KEYS[3])
    typed(monkeypatch, KEYS[5])
    assert here("key", "set", "devnet").code == 0
    ways = [
        ("FPIN_PRIVATE_KEY", KEYS[1], ADDRESS[1]),
        ("FPIN_PRIVATE_KEY_FILE", str(file), ADDRESS[2]),
        ("FPIN_PRIVATE_KEY_COMMAND", f"cat {other}", ADDRESS[3]),
        ("PRIVATE_KEY", KEYS[4], ADDRESS[4]),
    ]
    env = {name: value for name, value, _ in ways}
    for name, _, address in ways:
        shown = here("key", "show", "--json", env=env).json["key"]
        assert shown["address"] == address
        assert shown["origin"].startswith(name)
        del env[name]
    assert here("key", "show", "--json").json["key"]["address"] == ADDRESS[5]
    (home / "config.toml").write_text(f'key = "file:{file}"\n')
    assert here("key", "show", "--json").json["key"]["address"] == ADDRESS[2]
    (home / "config.toml").write_text(f'key = "command:cat {other}"\n')
    assert here("key", "show", "--json").json["key"]["address"] == ADDRESS[3]
    (home / "config.toml").write_text('use = "ci"\n[profiles.ci]\nkey = "keyring:devnet"\n')
    assert here("key", "show", "--json").json["key"]["address"] == ADDRESS[5]
    assert here("ls").code == 0  # a setting that is no option is one of every command all the same


def test_a_profile_takes_the_key_that_is_called_like_it(
    here: Here, own_keyring: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text('[profiles.work]\nnetwork = "calibration"\n')
    env = {"FPIN_NETWORK": ""}
    typed(monkeypatch, KEYS[1])
    assert here("key", "set", "--use", "work", "--json", env=env).json["name"] == "work"
    assert here("key", "show", "--use", "work", "--json", env=env).json["key"]["address"] == ADDRESS[1]
    assert here("key", "show", "--network", "calibration", "--json", env=env).json["key"] is None


def test_a_key_in_the_settings_is_refused_with_its_line_and_not_repeated(here: Here, home: Path) -> None:
    home.mkdir(exist_ok=True)
    for value in (KEYS[1], f"0x{KEYS[1]}", f"keyrings:{KEYS[1]}", ""):
        (home / "config.toml").write_text(f'copies = 1\nkey = "{value}"\n')
        outcome = here("ls")
        told(outcome, 2, "config.toml:2", "reference", "keyring:NAME")
        assert KEYS[1] not in outcome.stdout + outcome.stderr


def test_a_command_that_gives_the_key_is_given_none(here: Here, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = tmp_path / "give"
    script.write_text(f"#!/bin/sh\nenv > '{seen}'\necho {KEYS[2]}\n")
    script.chmod(0o700)
    env = {"FPIN_PRIVATE_KEY_COMMAND": str(script), "PRIVATE_KEY": KEYS[1], "SESSION_KEY": KEYS[3]}
    assert (
        here("key", "show", "--json", env={**env, "FPIN_WALLET_ADDRESS": ADDRESS[2]}).json["key"]["address"]
        == ADDRESS[2]
    )
    assert KEYS[1] not in seen.read_text()
    assert KEYS[3] not in seen.read_text()


# Watch-only


@pytest.mark.parametrize("variable", ["FPIN_WALLET_ADDRESS", "WALLET_ADDRESS"])
def test_an_address_alone_reads_everything(tenant: Tenant, tmp_path: Path, variable: str) -> None:
    note = tmp_path / "note.txt"
    note.write_text(f"to be kept {variable}")
    assert tenant.here("add", note, "--copies", "1", "-q").code == 0
    env = {"FPIN_PRIVATE_KEY": "", variable: tenant.wallet}
    [pin] = tenant.here("status", note, "--json", env=env).json["pins"]
    assert pin["pieces"][0]["copies"][0]["state"] == "advertised"
    assert tenant.here("payments", "status", "--json", env=env).json["account"]["address"] == tenant.wallet
    [data_set] = tenant.here("data-set", "ls", "--json", env=env).json["data_sets"]
    assert data_set["state"] == "live"
    assert tenant.here("cost", note, "--json", env=env).code == 0
    assert tenant.here("add", note, "--dry-run", "--json", env=env).code == 0


def test_an_address_goes_before_the_key_and_only_its_own_key_signs(tenant: Tenant, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("of somebody else")
    looked = tenant.here("payments", "status", "--wallet", NOBODY, "--json")
    assert (looked.code, looked.json["account"]["address"]) == (0, NOBODY)
    told(tenant.here("payments", "setup", "--wallet", NOBODY), 4, NOBODY, tenant.wallet)
    assert tenant.here("payments", "status", "--wallet", tenant.wallet.lower()).code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("add", "{note}"),
        ("payments", "deposit", "1"),
        ("payments", "setup"),
        ("payments", "withdraw", "1"),
        ("payments", "fund", "--days", "30"),
        ("session", "create", "--out", "{note}.key"),
    ],
)
def test_what_has_to_sign_says_that_an_address_is_not_enough(
    tenant: Tenant, tmp_path: Path, command: tuple[str, ...]
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("to be kept")
    args = [word.format(note=note) for word in command]
    env = {"FPIN_PRIVATE_KEY": "", "FPIN_WALLET_ADDRESS": tenant.wallet}
    outcome = tenant.here(*args, "--json", env=env)
    assert (outcome.code, outcome.json["error"]["kind"]) == (4, "NoKey")
    told(outcome, 4, tenant.wallet, "fpin key set", "FPIN_PRIVATE_KEY_FILE")
    assert not (tmp_path / "note.txt.key").exists()


@pytest.mark.parametrize("wrong", [NOBODY.replace("A", "a", 1), NOBODY[:-1], "f410fabc", "none"])
def test_what_is_no_address_is_refused_before_anybody_is_asked(here: Here, wrong: str) -> None:
    network = ("--network", "calibration", "--rpc-url", CLOSED)
    told(here("payments", "status", "--wallet", wrong, *network), 2, "address")


def test_at_a_terminal_a_key_is_asked_for_and_not_shown(tenant: Tenant, tmp_path: Path) -> None:
    """A prompt of a real terminal: it echoes what is typed unless it is told not to."""
    root = Path(__file__).parents[2]
    env = {
        "FPIN_PRIVATE_KEY": "",
        "PYTHON_KEYRING_BACKEND": "tests.keyring_file.FileKeyring",
        "PYTHONPATH": str(root),
        "TEST_KEYRING": str(tmp_path / "keyring.json"),
    }
    key = tenant.env["FPIN_PRIVATE_KEY"]
    with terminal(tenant.fpin, "key", "set", "work", env=env) as screen:
        screen.until("private key for work")
        screen.type(key + "\n")
        assert screen.wait() == 0
        assert f"kept in the keyring as work: the key of {tenant.wallet}" in screen.seen
        assert key[2:] not in screen.seen
    assert key in (tmp_path / "keyring.json").read_text()
    looking = {**env, "FPIN_WALLET_ADDRESS": tenant.wallet}
    with terminal(tenant.fpin, "payments", "setup", env=looking) as screen:
        screen.until("private key for devnet")
        screen.type(key + "\n")
        assert screen.wait() == 0
        assert "may use the account already" in screen.seen
        assert key[2:] not in screen.seen
    with terminal(tenant.fpin, "key", "rm", "work", env=env) as screen:
        screen.until(r"\[y/N\]")
        screen.type("n\n")
        assert screen.wait() == 1
    assert key in (tmp_path / "keyring.json").read_text()
