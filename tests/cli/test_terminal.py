"""What a person sees: bars, tables that fit, colours with a meaning, Ctrl-C; and what no terminal gets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.cli.conftest import Here, Tenant
from tests.conftest import Fpin

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

from tests.cli.terminal import terminal

BAR = r"uploading to provider 1: .*\d+%\|.*B/s"


def plain(text: str) -> str:
    """Return what is left on the screen of lines that were drawn over: the last of each."""
    without = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return "\n".join(line.rpartition("\r")[2] for line in without.replace("\r\n", "\n").split("\n"))


@pytest.fixture
def large(tenant: Tenant, tmp_path: Path) -> Path:
    """Enough that it is on its way for a moment, and that no provider has yet."""
    path = tmp_path / "large.bin"
    path.write_bytes(Random(tenant.wallet).randbytes(24 * 2**20))
    return path


def test_bytes_that_move_are_a_bar_with_rate_and_stages_are_lines_that_stay(
    tenant: Tenant, large: Path
) -> None:
    tenant.world.provider(1).faults.rate = 24 * 2**20
    with terminal(tenant.fpin, "add", large, "--provider", "1") as screen:
        assert screen.wait() == 0, screen.seen
        assert re.search(BAR, screen.seen)
        assert re.search(r"hashing: +\d+%\|", screen.seen)
        bars = [line for line in re.split(r"[\r\n]", screen.seen) if "%|" in line]
        # The first is as wide as can be; after that there is room for the ^C of who has had enough.
        assert max(len(line.rstrip()) for line in bars[-3:]) == 97
        left = plain(screen.seen)
    lines = [line for line in left.splitlines() if line.strip()]
    assert not any("%|" in line for line in lines), "a bar was left on the screen"
    for text in ("1 file, 24", "provider 1: uploaded", "provider 1: on chain", "routing: found"):
        assert any(text in line for line in lines), text


def test_what_is_fetched_has_a_bar_with_the_time_that_is_left(
    tenant: Tenant, large: Path, tmp_path: Path
) -> None:
    assert tenant.here("add", large, "--copies", "1").code == 0
    with terminal(tenant.fpin, "get", large, "-o", tmp_path / "back") as screen:
        assert screen.wait() == 0, screen.seen
    assert re.search(r"fetching: +\d+%\|.*/24\.0M \[\d\d:\d\d<.*iB/s", screen.seen)
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


def test_ctrl_c_ends_with_130_says_what_to_do_and_the_same_command_goes_on(
    tenant: Tenant, large: Path
) -> None:
    tenant.world.provider(1).faults.rate = 8 * 2**20
    with terminal(tenant.fpin, "add", large, "--provider", "1") as screen:
        screen.until("uploading to provider 1")
        screen.type("\x03")
        assert screen.wait() == 130, screen.seen
        end = plain(screen.seen)
    assert "fpin: interrupted; what was done is written down" in end
    assert "run the same command again to go on" in end
    assert "Traceback" not in end
    tenant.world.provider(1).faults.rate = 0.0
    again = tenant.fpin("add", large, "--provider", "1", "--json")
    assert (again.code, again.json["complete"]) == (0, True), again.stderr


@pytest.mark.parametrize("columns", [200, 80, 66])
def test_a_table_is_no_wider_than_the_terminal_and_loses_nothing_where_there_is_none(
    tenant: Tenant, site: Path, columns: int
) -> None:
    root = tenant.here("add", site, "--copies", "1", "-q").stdout.strip()
    with terminal(tenant.fpin, "ls", columns=columns) as screen:
        assert screen.wait() == 0
        shown = plain(screen.seen)
    rows = [line for line in shown.splitlines() if line.strip()]
    assert max(map(len, rows)) <= columns
    assert (root in shown) == (columns == 200)
    assert root[:8] in shown
    assert root[-8:] in shown
    assert root in tenant.here("ls").stdout


@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_failures_are_red_on_a_terminal_that_wants_colours(
    fpin: Fpin, env: dict[str, str], coloured: bool
) -> None:
    with terminal(fpin, "cid", "absent", env=env) as screen:
        assert screen.wait() == 2
    assert ("\x1b[31mfpin:\x1b[0m" in screen.seen) == coloured
    assert ("\x1b[" in screen.seen) == coloured


def test_without_a_terminal_there_are_no_bars_no_colours_and_no_questions(
    tenant: Tenant, large: Path
) -> None:
    outcome = tenant.fpin("add", large, "--copies", "1", env={"FORCE_COLOR": "1"})
    assert outcome.code == 0, outcome.stderr
    assert "\x1b" not in outcome.stderr + outcome.stdout
    assert "\r" not in outcome.stderr
    assert "%|" not in outcome.stderr


def test_watching_goes_on_until_ctrl_c_which_is_no_failure(tenant: Tenant, site: Path) -> None:
    tenant.here("add", site, "--copies", "1", "-q")
    with terminal(tenant.fpin, "status", "--watch", "1") as screen:
        screen.until(r"(?s)site.*\x1b\[H\x1b\[2J.*site")
        screen.type("\x03")
        assert screen.wait() == 0
    assert tenant.here("status", "--watch", "1", "--json").code == 2


def completed(fpin: Fpin, words: str) -> list[str]:
    """Return what bash offers after *words*, through the script that fpin prints."""
    script = f"""
        PATH={Path(sys.executable).parent}:$PATH
        eval "$(fpin completion bash)"
        COMP_WORDS=({words} "")
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _fpin_completion fpin
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], env=fpin.env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_tab_key_offers_commands_pins_providers_and_data_sets(tenant: Tenant, site: Path) -> None:
    root = tenant.here("add", site, "--provider", "2", "--name", "lighthouse", "-q").stdout.strip()
    [(_, data_set, _)] = tenant.on_chain(tenant.pins()[0]["pieces"][0]["piece_cid"])
    assert {"add", "status", "payments"} <= set(completed(tenant.fpin, "fpin"))
    assert completed(tenant.fpin, "fpin payments")[0] == "status"
    assert completed(tenant.fpin, "fpin rm") == ["lighthouse", root]
    assert completed(tenant.fpin, "fpin add --provider") == ["2"]
    assert completed(tenant.fpin, "fpin add --data-set") == [str(data_set)]
    assert set(completed(tenant.fpin, "fpin ls --network")) == {"mainnet", "calibration", "devnet"}
    # Where nothing is stored, or the store cannot be read, nothing is offered and nothing is said.
    assert completed(tenant.fpin, "fpin rm --network mainnet") == []
    (tenant.fpin.home / "data" / "fpin.sqlite").write_text("not a database")
    assert completed(tenant.fpin, "fpin status") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(here: Here, shell: str) -> None:
    script = here("completion", shell)
    assert script.code == 0
    assert "_FPIN_COMPLETE" in script.stdout
    assert here("completion", "csh").code == 2
