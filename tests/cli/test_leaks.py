"""A key is nowhere but where it was put: not in what fpin prints, writes or starts, however it is spelled."""

from __future__ import annotations

import base64
import io
import json
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.chain.rpc import JsonRpc
from fpin.chain.signer import Signer
from fpin.cli.typed_keys import HIDDEN
from fpin.devnet.accounts import DevAccount
from fpin.errors import NoKey
from fpin.keys import WALLET, Keychain, Secret, find, resolve
from tests.cli.conftest import Here, Tenant
from tests.cli.test_bad_input import CLOSED
from tests.keyrings import own_keyring

__all__ = ["own_keyring"]

KEY = DevAccount("LEAKS").key
FRAGMENT = 16  # digits of a key that are no coincidence


def spellings(key: bytes) -> Iterator[bytes]:
    """Yield every form in which somebody might find *key*, parts of it included."""
    digits = key.hex()
    for start in range(len(digits) - FRAGMENT + 1):
        yield digits[start : start + FRAGMENT].encode()
    yield key
    yield key[::-1]
    yield str(int.from_bytes(key, "big")).encode()
    yield repr(key)[2:-1].encode()
    yield str(list(key)).encode()
    for shift in range(3):  # base64 in the middle of something else
        encoded = base64.b64encode(b"\0" * shift + key)[4:-4]
        yield encoded
        yield encoded.replace(b"+", b"-").replace(b"/", b"_")


def assert_nowhere(key: bytes, *texts: str | bytes) -> None:
    for text in texts:
        data = text.encode() if isinstance(text, str) else text
        assert HIDDEN.encode() not in data  # there was nothing to hide
        for spelled in spellings(key):
            assert spelled not in data
            assert spelled.upper() not in data


def written(folder: Path, *but: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(path.is_relative_to(one) for one in but):
            yield path, path.read_bytes()


def test_the_scan_finds_a_key_in_every_spelling() -> None:
    for spelled in (KEY.hex(), KEY.hex().upper(), base64.b64encode(b"x" + KEY).decode(), f"key={KEY!r}"):
        with pytest.raises(AssertionError):
            assert_nowhere(KEY, f"something {spelled} something")


def test_nothing_that_fpin_prints_or_writes_holds_the_key_of_the_wallet_or_of_a_session(
    tenant: Tenant, tmp_path: Path, home: Path
) -> None:
    note, file = tmp_path / "note.txt", tmp_path / "outside" / "session.key"
    note.write_text("to be kept, unlike a key")
    file.parent.mkdir()
    texts = []
    for args in (
        ("session", "create", "--out", file, "--json"),
        ("add", note, "--copies", "1", "-v"),
        ("payments", "deposit", "1", "--json"),
        ("payments", "withdraw", "1000000"),
        ("key", "show"),
        ("session", "ls"),
        ("doctor", "--json"),
        ("config", "show", "--origin"),
        ("status", "--refresh", "--json"),
        ("rm", note, "-v"),
        ("add", note, "--network", "calibration", "--rpc-url", CLOSED),
    ):
        outcome = (tenant.fpin if args[0] == "add" else tenant.here)(*args)
        texts += [outcome.stdout, outcome.stderr]
    session = bytes.fromhex(file.read_text().strip().removeprefix("0x"))
    by_session = {
        "FPIN_PRIVATE_KEY": "",
        "FPIN_WALLET_ADDRESS": tenant.wallet,
        "FPIN_SESSION_KEY_FILE": str(file),
    }
    note.write_text("to be kept, too")
    for args in (
        ("add", note, "--copies", "1", "-v"),
        ("payments", "deposit", "1"),
        ("key", "show", "--json"),
    ):
        outcome = tenant.here(*args, env=by_session)
        texts += [outcome.stdout, outcome.stderr]
    found = list(written(home, home / "devnet"))
    assert any(path.name == "fpin.sqlite" for path, _ in found)
    for key in (tenant.fpin.wallet.key, session):
        assert_nowhere(key, *texts, *(data for _, data in found))


def test_the_keyring_alone_has_a_key_that_was_set(
    here: Here, own_keyring: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY.hex()))
    outcomes = [here("key", "set", "--json"), here("key", "show"), here("config", "show", "--origin")]
    assert KEY.hex() in own_keyring.read_text()
    assert_nowhere(KEY, *(text for one in outcomes for text in (one.stdout, one.stderr)))
    assert_nowhere(KEY, *(data for _, data in written(home)))


def test_a_crash_shows_its_way_and_not_the_key(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fpin.cli import run

    def broken(signer: Signer, _digest: bytes) -> bytes:
        raise ZeroDivisionError(f"with {signer!r} and {vars}")

    monkeypatch.setattr(Signer, "sign_digest", broken)
    note = tmp_path / "note.txt"
    note.write_text("it breaks while this is signed for")
    for name, value in {**tenant.env, "FPIN_HOME": str(tmp_path / "home"), "FPIN_NETWORK": "devnet"}.items():
        monkeypatch.setenv(name, value)
    assert run(["add", str(note), "--copies", "1"]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" in err
    assert "ZeroDivisionError" in err
    assert_nowhere(tenant.fpin.wallet.key, out, err)


def slips(key: bytes) -> Iterator[str]:
    """Yield *key* with one mistake in it, of every kind."""
    digits = key.hex()
    yield digits[:-1]
    yield digits + "0"
    yield digits[:31] + "g" + digits[32:]
    yield digits[:40] + " " + digits[40:]
    yield "0x0x" + digits
    yield '"' + digits + '"'
    yield digits + "\N{ZERO WIDTH SPACE}"


@pytest.mark.parametrize("wrong", list(slips(KEY)), ids=range(7))
def test_a_key_with_a_slip_in_it_is_repeated_nowhere(
    here: Here, home: Path, own_keyring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    note, file = tmp_path / "note.txt", tmp_path / "key"
    note.write_text("to be kept")
    file.write_text(wrong, encoding="utf-8")
    file.chmod(0o600)
    own_keyring.write_text(json.dumps({"fpin/wrong": wrong}))
    home.mkdir(exist_ok=True)
    network = ("--network", "calibration", "--rpc-url", CLOSED)
    ways = [
        {"FPIN_PRIVATE_KEY": wrong},
        {"PRIVATE_KEY": wrong},
        {"FPIN_PRIVATE_KEY_FILE": str(file)},
        {"FPIN_PRIVATE_KEY_COMMAND": f"cat {file}"},
        {"FPIN_CONFIG": str(tmp_path / "reference.toml")},
    ]
    (tmp_path / "reference.toml").write_text('key = "keyring:wrong"\n')
    texts = []
    for env in ways:
        for more in ((), ("--json", "-v")):
            outcome = here("add", note, *network, *more, env=env)
            assert outcome.code == 4, outcome.stderr
            texts += [outcome.stdout, outcome.stderr]
    session = here("key", "show", env={"FPIN_SESSION_KEY": wrong, "FPIN_WALLET_ADDRESS": "0x" + "11" * 20})
    assert session.code == 4
    texts += [session.stdout, session.stderr]
    monkeypatch.setattr("sys.stdin", io.StringIO(wrong))
    outcome = here("key", "set", "other")
    assert outcome.code == 4
    (tmp_path / "literal.toml").write_text(f"key = '{wrong}'\n", encoding="utf-8")
    literal = here("ls", env={"FPIN_CONFIG": str(tmp_path / "literal.toml")})
    assert literal.code == 2
    texts += [outcome.stdout, outcome.stderr, literal.stdout, literal.stderr]
    for text in texts:
        assert HIDDEN not in text
        for start in range(len(wrong) - FRAGMENT + 1):
            assert wrong[start : start + FRAGMENT] not in text
    assert all(KEY.hex()[:FRAGMENT].encode() not in data for _, data in written(home))


@pytest.mark.parametrize("spelled", ["0x" + KEY.hex(), KEY.hex()[:31] + "g" + KEY.hex()[32:]])
@pytest.mark.parametrize(
    "command",
    [
        ("{key}",),
        ("add", "--private-key", "{key}", "x"),
        ("add", "--private-key={key}", "x"),
        ("status", "{key}"),
        ("payments", "status", "{key}"),
        ("payments", "deposit", "{key}"),
        ("status", "--wallet", "{key}"),
        ("key", "set", "{key}"),
        ("key", "rm", "{key}"),
        ("session", "create", "--address", "{key}"),
        ("session", "revoke", "{key}"),
        ("session", "create", "--scope", "{key}"),
        ("session", "create", "--expires", "{key}"),
        ("add", "{key}"),
        ("ls", "--network", "{key}"),
        ("ls", "--use", "{key}"),
    ],
)
def test_a_key_that_was_typed_as_an_argument_is_not_repeated(
    tenant: Tenant, command: tuple[str, ...], spelled: str
) -> None:
    args = [word.format(key=spelled) for word in command]
    for more in ((), ("--json",)):
        outcome = tenant.here(*args, *more)
        assert outcome.code != 0
        assert KEY.hex()[-FRAGMENT:] not in outcome.stdout + outcome.stderr


VARIABLES = (
    "FPIN_COPIES",
    "FPIN_NETWORK",
    "FPIN_INDEXERS",
    "FPIN_MAX_COST",
    "FPIN_PROFILE",
    "FPIN_USE",
    "FPIN_CONFIG",
    "FPIN_RPC_URL",
    "FPIN_SEED",
    "FPIN_WALLET_ADDRESS",
    "WALLET_ADDRESS",
    "FPIN_PRIVATE_KEY_FILE",
    "FPIN_PRIVATE_KEY_COMMAND",
    "FPIN_SESSION_KEY_FILE",
    "FPIN_METADATA",
    "FPIN_TIMEOUT",
    "FPIN_WAIT_FOR",
    "FPIN_JSON",
    "FPIN_SPREAD",
    "FPIN_DATA_SET",
    "DEVNET_INFO_PATH",
)


def test_a_key_in_a_variable_that_is_for_something_else_is_not_repeated(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JsonRpc, "_insist", lambda _, ask: ask())  # nobody answers the second time either
    note = tmp_path / "note.txt"
    note.write_text("to be kept")
    network = {"FPIN_NETWORK": "calibration", "FPIN_RPC_URL": CLOSED, "FPIN_PRIVATE_KEY": KEY.hex()[::-1]}
    for number, variable in enumerate(VARIABLES):
        spelled = ("0x" + KEY.hex(), KEY.hex()[:31] + "g" + KEY.hex()[32:])[number % 2]
        for command in (("add", note), ("config", "show"), ("key", "show")):
            outcome = here(*command, env={**network, variable: spelled})
            assert KEY.hex()[-FRAGMENT:] not in outcome.stdout + outcome.stderr, variable


def test_a_key_in_a_setting_that_is_for_something_else_is_not_repeated(here: Here, home: Path) -> None:
    home.mkdir()
    for setting in ("network", "wallet-address", "rpc-url", "profile", "max-cost", "use", "unheard-of"):
        (home / "config.toml").write_text(f'{setting} = "{KEY.hex()}"\n')
        for command in (("status",), ("config", "show", "--origin")):
            outcome = here(*command)
            assert KEY.hex()[-FRAGMENT:] not in outcome.stdout + outcome.stderr


def test_what_holds_a_key_shows_nothing_of_it_and_is_not_written_anywhere() -> None:
    secret = Secret(KEY.hex(), "the test")
    signer = Signer.from_secret(secret)
    assert_nowhere(
        KEY, repr(secret), str(secret), f"{secret}", repr(signer), f"{signer}", f"{[secret, signer]}"
    )
    for held in (secret, signer):
        with pytest.raises(TypeError):
            pickle.dumps(held)
        with pytest.raises(TypeError):
            json.dumps(held)


def test_a_traceback_with_the_values_of_its_frames_shows_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = KEY.hex()[:-1] + "g"
    file = tmp_path / "key"
    file.write_text(wrong)
    file.chmod(0o600)
    keychain = Keychain(tmp_path / "keys.json")
    sources = [
        find(WALLET, keychain=keychain, env={"FPIN_PRIVATE_KEY": wrong}),
        find(WALLET, keychain=keychain, env={"FPIN_PRIVATE_KEY_FILE": str(file)}),
        resolve(f"command:cat {file}", keychain),
    ]
    for source in sources:
        assert source is not None
        with pytest.raises(NoKey) as caught:
            Signer.from_secret(source.read())
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True, compact=True)
        # The first frame is this test's own, which knows the key.
        lines = [line for frame in list(shown.stack)[1:] for line in map(str, (frame.locals or {}).items())]
        assert lines
        assert not any(wrong[:FRAGMENT] in line for line in lines)


def test_programs_that_are_started_are_given_no_key(tenant: Tenant, tmp_path: Path) -> None:
    seen, note = tmp_path / "seen", tmp_path / "note.txt"
    note.write_text("to be shown")
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\nenv > '{seen}'\ntr '\\0' ' ' < /proc/$PPID/cmdline >> '{seen}'\n")
    browser.chmod(0o700)
    assert tenant.fpin("add", note, "--copies", "1", "-q").code == 0
    opened = tenant.fpin("status", note, "--open", env={"BROWSER": f"{browser} %s"})
    assert opened.code == 0, opened.stderr
    assert "BROWSER=" in seen.read_text()
    assert_nowhere(tenant.fpin.wallet.key, seen.read_bytes())
