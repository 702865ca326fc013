"""Run the tests of the compiled code over a build that watches its own memory accesses and arithmetic.

``python -m tests.piece.sanitize`` builds the extensions with the address and undefined-behaviour
sanitizers into a temporary folder, loads them in place of the installed ones and runs the tests; a finding
ends it with status 1. Needs GCC or Clang with its sanitizer libraries; `CC` names another compiler than `cc`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

import fpin

PACKAGE = Path(fpin.__file__).parent
SOURCES = {
    "fpin.piece._native": PACKAGE / "piece" / "_native.c",
    "fpin.pack._files": PACKAGE / "pack" / "_files.c",
}
TESTS = Path(__file__).parent.parent
VARIABLE = "FPIN_SANITIZED_EXTENSIONS"  # set for the second, instrumented run of this file
FLAGS = [
    *("-std=c11", "-O1", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"),
    "-DPy_LIMITED_API=0x030B0000",
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
]
LIBRARIES = ("libasan.so", "libubsan.so")


def build(folder: Path, compiler: str) -> None:
    """Compile the extensions with sanitizers into *folder*, each by the name of its module."""
    include = f"-I{sysconfig.get_paths()['include']}"
    for name, source in SOURCES.items():
        subprocess.run([compiler, *FLAGS, include, str(source), "-o", str(folder / name)], check=True)


def environment(folder: Path, compiler: str) -> dict[str, str]:
    """Return what an interpreter needs that itself was not built with sanitizers."""
    runtimes = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in LIBRARIES
    ]
    return {
        **os.environ,
        VARIABLE: str(folder),
        "LD_PRELOAD": " ".join(runtimes),
        "PYTHONMALLOC": "malloc",  # every object in a block of its own, so that reads beyond it are seen
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter leaves its own memory behind at exit
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def load(name: str, library: Path) -> None:
    """Put *library* in the place of the installed extension of that name."""
    spec = importlib.util.spec_from_file_location(
        name, library, loader=ExtensionFileLoader(name, str(library))
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


def run_tests(folder: Path) -> int:
    """Run the tests with the libraries in *folder*."""
    for name in SOURCES:
        load(name, folder / name)
    import pytest
    from hypothesis import settings

    settings.register_profile("patient", deadline=None)  # sanitized code is slow
    settings.load_profile("patient")

    from fpin.pack import reading
    from fpin.piece import core

    assert core.native is sys.modules["fpin.piece._native"]
    assert reading.read_files is sys.modules["fpin.pack._files"].read_files
    # A finding ends the process at once, so nothing may hold back output; other rooms' fixtures would load
    # libraries that the sanitizers refuse.
    options = ["-q", "-s", "-p", "no:xdist", "-p", "no:cacheprovider", "--noconftest"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Hypothesis is imported, for its profile
    return pytest.main([*options, str(TESTS / "piece"), str(TESTS / "pack" / "test_files.py")])


def main() -> int:
    if folder := os.environ.get(VARIABLE):
        return run_tests(Path(folder))
    compiler = os.environ.get("CC", "cc")
    with tempfile.TemporaryDirectory() as temporary:
        build(Path(temporary), compiler)
        command = [sys.executable, "-m", "tests.piece.sanitize"]
        return subprocess.run(command, env=environment(Path(temporary), compiler), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
