"""Run the tests of `fpin.piece` over compiled code that watches its own memory accesses and arithmetic.

``python -m tests.piece.sanitize`` builds the extension with the address and undefined-behaviour sanitizers
into a temporary folder, loads it in place of the installed one and runs the tests; a finding ends it with
status 1. Needs GCC or Clang with its sanitizer libraries; `CC` names another compiler than `cc`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import fpin

SOURCE = Path(fpin.__file__).parent / "piece" / "_native.c"
MODULE = "fpin.piece._native"
VARIABLE = "FPIN_SANITIZED_EXTENSION"  # set for the second, instrumented run of this file
FLAGS = [
    *("-std=c11", "-O1", "-g", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"),
    "-DPy_LIMITED_API=0x030B0000",
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
]
LIBRARIES = ("libasan.so", "libubsan.so")


def build(folder: Path, compiler: str) -> Path:
    """Compile the extension with sanitizers and return the path of the library."""
    library = folder / "_native.abi3.so"
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run([compiler, *FLAGS, include, str(SOURCE), "-o", str(library)], check=True)
    return library


def environment(library: Path, compiler: str) -> dict[str, str]:
    """Return what an interpreter needs that itself was not built with sanitizers."""
    runtimes = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in LIBRARIES
    ]
    return {
        **os.environ,
        VARIABLE: str(library),
        "LD_PRELOAD": " ".join(runtimes),
        "PYTHONMALLOC": "malloc",  # every object in a block of its own, so that reads beyond it are seen
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter leaves its own memory behind at exit
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def run_tests(library: str) -> int:
    """Put *library* in the place of the installed extension and run the tests."""
    spec = importlib.util.spec_from_file_location(MODULE, library)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[MODULE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[MODULE])
    import pytest
    from hypothesis import settings

    settings.register_profile("patient", deadline=None)  # sanitized code is slow
    settings.load_profile("patient")

    from fpin.piece import core

    assert core.native is sys.modules[MODULE]
    # A finding ends the process at once, so nothing may hold back output; other rooms' fixtures would load
    # libraries that the sanitizers refuse.
    return pytest.main(
        ["-q", "-s", "-p", "no:xdist", "-p", "no:cacheprovider", "--noconftest", str(Path(__file__).parent)]
    )


def main() -> int:
    if library := os.environ.get(VARIABLE):
        return run_tests(library)
    compiler = os.environ.get("CC", "cc")
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder), compiler)
        command = [sys.executable, "-m", "tests.piece.sanitize"]
        return subprocess.run(command, env=environment(built, compiler), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
