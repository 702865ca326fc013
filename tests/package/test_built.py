"""Wheel and sdist, built as for a release, installed where nothing else is, and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.action.runner import ACTION

TOP = Path(__file__).parent.parent.parent
ROOT = "bafybeidtybo5no6ftz2rq7ispq4zk5gzxpjqpl5waskihggwkxhfaz3vpa"  # of fixtures/site

pytestmark = [
    pytest.mark.package,
    pytest.mark.skipif(
        "FPIN_PACKAGE" not in os.environ, reason="installs from a registry: set FPIN_PACKAGE=1"
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this tree, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, TOP], check=True, capture_output=True)
    return folder


def use(python: Path, home: Path) -> None:
    """Use what is installed for *python* as a user would."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "FPIN_HOME": str(home)}

    def say(*args: str | Path) -> str:
        return subprocess.run(
            [python.with_name("fpin"), *args], env=env, check=True, capture_output=True, text=True, cwd=home
        ).stdout

    assert say("--version").startswith("fpin ")
    assert say("cid", TOP / "fixtures" / "site", "-q").strip() == ROOT
    added = say("add", TOP / "fixtures" / "site", "-q", "--network", "devnet", "--copies", "1")
    assert added.strip() == ROOT
    assert say("get", ROOT, "-o", "back", "-q", "--network", "devnet").strip() == str(home / "back")


def install(folder: Path, what: Path, env: dict[str, str] | None = None) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", what],
        check=True,
        env={**os.environ, **(env or {})},
    )
    return python


def test_the_wheel_is_for_every_python_from_311_on_and_has_no_sources(built: Path, tmp_path: Path) -> None:
    [wheel] = built.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for module in ("piece/_native", "pack/_files"):
        assert f"fpin/{module}.abi3.so" in names
    assert "fpin/py.typed" in names
    assert "fpin/chain/networks.json" in names
    assert not [name for name in names if name.endswith((".c", ".h")) or name.startswith("tests/")]
    home = tmp_path / "home"
    home.mkdir()
    use(install(tmp_path / "venv", wheel), home)


def test_the_sdist_builds_where_there_is_no_compiler_and_works_all_the_same(
    built: Path, tmp_path: Path
) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    for source in ("piece/_native.c", "piece/_sha256.h", "pack/_files.c"):
        assert any(name.endswith(f"fpin/{source}") for name in names)
    home = tmp_path / "home"
    home.mkdir()
    python = install(tmp_path / "venv", sdist, {"CC": "false"})
    use(python, home)
    kernel = "from fpin.piece import implementation; print(implementation())"
    done = subprocess.run([python, "-P", "-c", kernel], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "python"


def test_the_action_installs_itself(tmp_path: Path) -> None:
    step = yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"][0]
    assert step["name"] == "Install fpin"
    env = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), "ACTION_PATH": str(TOP)}
    subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], env=env, check=True)
    python = tmp_path / "fpin-venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-P", "-m", "fpin.action"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "::error::INPUTS is no JSON object\n")


def test_what_the_container_copies_is_enough_to_install_fpin(tmp_path: Path) -> None:
    """The image itself is not built here; its first stage is what can go wrong."""
    lines = (TOP / "Containerfile").read_text(encoding="utf-8").splitlines()
    source = tmp_path / "src"
    source.mkdir()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            *names, target = line.split()[1:]
            for name in names:
                if (TOP / name).is_dir():
                    shutil.copytree(
                        TOP / name, source / target, ignore=shutil.ignore_patterns("*.so", "*.pyc")
                    )
                else:
                    shutil.copy(TOP / name, source)
    python = install(tmp_path / "venv", source)
    home = tmp_path / "home"
    home.mkdir()
    use(python, home)
