"""The programs that fpin is proved against: which versions, how they are had, where they are.

`python -m tests.interop.programs` installs what the registries serve into `.interop/`, and says what it could
not get and why. A program that is on PATH counts where `.interop/` has none, which is how one that was built
by hand is used. Nothing here knows what the programs prove.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".interop"
NPM = CACHE / "npm"


@dataclass(frozen=True, kw_only=True)
class GoProgram:
    """A command of a Go module, whose own go.mod pins all that it is built from."""

    name: str  # of the executable
    title: str
    module: str
    version: str
    package: str

    @property
    def installed(self) -> Path:
        return CACHE / "go" / f"{self.name}@{self.version}" / self.name

    @property
    def refusal(self) -> Path:
        """Holds the reason why the last try to install it failed."""
        return self.installed.with_name("refused.txt")

    def find(self) -> Path | None:
        if self.installed.exists():
            return self.installed
        found = shutil.which(self.name)
        return Path(found) if found else None

    def missing(self) -> str:
        """Why it is not there, for the reason of a skip."""
        if self.refusal.exists():
            return f"no {self.title}: {self.refusal.read_text().strip()}"
        return f"no {self.title}: `make interop` installs {self.module} {self.version}, which needs Go"

    def install(self) -> None:
        folder = self.installed.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.refusal.unlink(missing_ok=True)
        # A module of our own around it, as `go install module@version` refuses what has an `exclude` in its
        # go.mod, which kubo has.
        lines = ["module interop", "", "go 1.25", "", f"require {self.module} {self.version}", ""]
        (folder / "go.mod").write_text("\n".join(lines))
        (folder / "go.sum").unlink(missing_ok=True)
        done = subprocess.run(
            ["go", "build", "-mod=mod", "-o", str(self.installed), self.package],
            cwd=folder,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            why = _reason(done.stderr)
            self.refusal.write_text(f"{self.module} {self.version} did not install: {why}\n")


class Libraries:
    """The Go libraries that such programs are made of, behind a small program of ours, `tests/interop/go`."""

    source = ROOT / "tests" / "interop" / "go"
    modules = ("github.com/ipld/go-car/v2", "github.com/ipfs/boxo", "github.com/ipni/go-libipni")

    @property
    def built(self) -> Path:
        """The executable, in a folder of its own for each state of its sources."""
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(self.source.iterdir())))
        return CACHE / "go" / f"libraries@{digest.hexdigest()[:12]}" / "libraries"

    @property
    def refusal(self) -> Path:
        return self.built.with_name("refused.txt")

    def missing(self) -> str:
        if self.refusal.exists():
            return f"no Go libraries: {self.refusal.read_text().strip()}"
        return "no Go libraries: `make interop` builds a program with them, which needs Go"

    def install(self) -> None:
        self.built.parent.mkdir(parents=True, exist_ok=True)
        self.refusal.unlink(missing_ok=True)
        # go.sum is part of the source: the modules are held against it, whoever serves them.
        done = subprocess.run(
            ["go", "build", "-mod=readonly", "-o", str(self.built), "."],
            cwd=self.source,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.refusal.write_text(f"they did not build: {_reason(done.stderr)}\n")

    def versions(self) -> dict[str, str]:
        """The versions of the libraries, where the program is there."""
        if not self.built.exists():
            return {}
        lines = (line.split() for line in (self.source / "go.mod").read_text().splitlines())
        found = {fields[0]: fields[1] for fields in lines if len(fields) >= 2}
        return {f"{module.removeprefix('github.com/')} (library)": found[module] for module in self.modules}


def _reason(said: str) -> str:
    """The end of what Go said; which mirror was asked is nobody's business."""
    lines = " ".join(line.strip() for line in said.splitlines() if "downloading" not in line)
    return re.sub(r"https?://\S+", "…", lines)[-200:]


# kubo 0.43.1 builds only with a fork of go-libp2p that its go.mod puts in the place of the real one.
KUBO = GoProgram(
    name="ipfs",
    title="kubo",
    module="github.com/ipfs/kubo",
    version="v0.43.0",
    package="github.com/ipfs/kubo/cmd/ipfs",
)
GO_CAR = GoProgram(
    name="car",
    title="go-car",
    module="github.com/ipld/go-car/cmd",
    version="v0.0.0-20260623052755-d891b59c4c02",
    package="github.com/ipld/go-car/cmd/car",
)
STORETHEINDEX = GoProgram(
    name="storetheindex",
    title="storetheindex",
    module="github.com/ipni/storetheindex",
    version="v0.12.1",
    package="github.com/ipni/storetheindex",
)
GATEWAY_CONFORMANCE = GoProgram(
    name="gateway-conformance",
    title="gateway-conformance",
    module="github.com/ipfs/gateway-conformance",
    version="v0.13.2",
    package="github.com/ipfs/gateway-conformance/cmd/gateway-conformance",
)
GO_PROGRAMS = (KUBO, GO_CAR, STORETHEINDEX, GATEWAY_CONFORMANCE)
LIBRARIES = Libraries()


def version_of(program: GoProgram) -> str | None:
    """The version of the module that the executable was built from; None where it is not there."""
    path = program.find()
    if path is None:
        return None
    if shutil.which("go") is None:
        return "of unknown version"
    done = subprocess.run(["go", "version", "-m", path], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        fields = line.split()
        if fields[:1] in (["mod"], ["dep"]) and fields[1] == program.module:
            return fields[2]
    return "of unknown version"


def npm_versions() -> dict[str, str]:
    """The versions of the JavaScript packages that are installed, and of Node.js; empty where none are."""
    if shutil.which("node") is None or not (NPM / "node_modules").is_dir():
        return {}
    wanted = json.loads((NPM / "package.json").read_bytes())["dependencies"]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return {"Node.js": node.stdout.strip(), **wanted}


def install_npm() -> str | None:
    """Install the JavaScript packages of `npm/package-lock.json`; why not, where that fails."""
    if shutil.which("npm") is None:
        return "there is no npm"
    NPM.mkdir(parents=True, exist_ok=True)
    wanted = ROOT / "tests" / "interop" / "npm"
    stamp = NPM / "node_modules" / ".package-lock.json"
    lock = (wanted / "package-lock.json").read_bytes()
    same = (NPM / "package-lock.json").exists() and (NPM / "package-lock.json").read_bytes() == lock
    if stamp.exists() and same:
        return None
    shutil.copy(wanted / "package.json", NPM)
    (NPM / "package-lock.json").write_bytes(lock)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
        cwd=NPM,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        stamp.unlink(missing_ok=True)
        return (done.stderr or done.stdout).strip()[:300]
    return None


def main() -> int:
    """Install all of it; only what is there can be printed, so a program that is missing is no failure."""
    has_go = shutil.which("go") is not None
    for program in GO_PROGRAMS:
        began = time.monotonic()
        if has_go and program.find() is None:
            program.install()
        version = version_of(program)
        took = time.monotonic() - began
        print(f"{program.title:20} {version or program.missing()}  ({took:.0f} s)", flush=True)  # noqa: T201
    if has_go and not LIBRARIES.built.exists():
        LIBRARIES.install()
    for name, version in LIBRARIES.versions().items():
        print(f"{name:20} {version}", flush=True)  # noqa: T201
    if not LIBRARIES.built.exists():
        print(LIBRARIES.missing(), flush=True)  # noqa: T201
    refused = install_npm()
    print(f"{'npm packages':20} {refused or 'as in tests/interop/npm/package-lock.json'}", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
