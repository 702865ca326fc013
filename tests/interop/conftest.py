"""The programs as fixtures, and what was found as a table.

Every test of this folder is a check: its module names the program (`PROGRAM`), its name is what must hold.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop import page, programs


@dataclass(frozen=True)
class Program:
    """A foreign program that runs with nothing of the caller's environment but PATH."""

    path: Path
    env: Mapping[str, str]

    def __call__(self, *args: str | Path, code: int | None = 0) -> str:
        """What it prints (on stderr, where it may fail); it has to end with *code*, unless that is None."""
        done = subprocess.run([self.path, *args], env=self.env, capture_output=True, timeout=300, check=False)
        said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert code in (None, done.returncode), f"{self.path.name} {args[:4]}: {said[-2000:]}"
        return (done.stdout if code == 0 else done.stderr).decode(errors="surrogateescape")


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}


def _go_program(program: programs.GoProgram, home: Path) -> Program:
    path = program.find()
    if path is None:
        pytest.skip(program.missing())
    return Program(path, _environment(home))


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The HOME of the programs."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="session")
def car(elsewhere: Path) -> Program:
    return _go_program(programs.GO_CAR, elsewhere)


@pytest.fixture(scope="session")
def ipfs(elsewhere: Path) -> Program:
    program = _go_program(programs.KUBO, elsewhere)
    # Its telemetry plugin would call out, and a new repository would fetch defaults.
    quiet = {"IPFS_TELEMETRY": "off", "IPFS_PATH": str(elsewhere / "no-such-repository")}
    return Program(program.path, {**program.env, **quiet})


@pytest.fixture(scope="session")
def storetheindex(elsewhere: Path) -> Program:
    return _go_program(programs.STORETHEINDEX, elsewhere)


@pytest.fixture(scope="session")
def gateway_conformance(elsewhere: Path) -> Program:
    program = _go_program(programs.GATEWAY_CONFORMANCE, elsewhere)
    # It compiles its tests when it runs them; with a HOME of its own that would begin with an empty cache.
    asked = ("GOCACHE", "GOMODCACHE")
    said = subprocess.run(["go", "env", *asked], capture_output=True, text=True, check=True).stdout
    return Program(program.path, {**program.env, **dict(zip(asked, said.split(), strict=True))})


@pytest.fixture(scope="session")
def libraries(elsewhere: Path) -> Program:
    """The program of `go/`, which does with the libraries what its first argument says."""
    if not programs.LIBRARIES.built.exists():
        pytest.skip(programs.LIBRARIES.missing())
    return Program(programs.LIBRARIES.built, _environment(elsewhere))


@dataclass(frozen=True)
class Node:
    """Node.js with the packages of `npm/package.json`, and the scripts of `npm/`."""

    program: Program

    def __call__(self, script: str, *args: str | Path, env: Mapping[str, str] | None = None) -> str:
        """What the script prints; it runs from where the packages are, as Node looks for them beside it."""
        here = programs.NPM / f"{os.getpid()}-{script}"
        shutil.copy(Path(__file__).parent / "npm" / script, here)
        try:
            return Program(self.program.path, {**self.program.env, **(env or {})})(here, *args)
        finally:
            here.unlink()

    def bin(self, name: str, *args: str | Path) -> str:
        """What the command *name* of one of the packages prints."""
        return Program(programs.NPM / "node_modules" / ".bin" / name, self.program.env)(*args)


@pytest.fixture(scope="session")
def node(elsewhere: Path) -> Node:
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node.js")
    if not (programs.NPM / "node_modules").is_dir():
        pytest.skip("no npm packages: `make interop` installs them")
    return Node(Program(Path(found), _environment(elsewhere)))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Results(), "interop-results")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("interop")


class _Results:
    """Gathers what came of each check, and shows it as a table at the end."""

    def __init__(self) -> None:
        self._outcomes: dict[str, page.Outcome] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.nodeid.startswith("tests/interop/"):
            return
        outcome = self._outcomes.setdefault(report.nodeid.split("[")[0], page.Outcome())
        if report.failed:
            outcome.failed = True
        elif report.skipped and isinstance(report.longrepr, tuple):
            outcome.skipped = report.longrepr[2].removeprefix("Skipped: ")
        elif report.when == "call":
            outcome.passed += 1
            outcome.cases += sum(int(str(value)) for name, value in report.user_properties if name == "cases")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._outcomes:
            table = page.table(self._outcomes)
            programs.CACHE.mkdir(exist_ok=True)
            page.TABLE.write_text(table, "utf-8")
            terminalreporter.section("compatibility")
            terminalreporter.write(table)
