"""`make demo`: a small web site onto the devnet, back again, compared, and removed; every command shown.

Each step is a command that a user types. Ends with exit code 1 at the first that does not do what it should.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SITE = Path("fixtures/site")
FPIN = Path(sys.executable).with_name("fpin")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(*args: str) -> None:
    say(f"\n$ fpin {shlex.join(args)}")
    # Both streams to one place, as in a terminal.
    subprocess.run([FPIN, *args], check=True, stderr=subprocess.STDOUT)


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def devnet() -> Iterator[None]:
    """A devnet in the background, in a home of its own."""
    say("$ fpin devnet up &")
    process = subprocess.Popen([FPIN, "devnet", "up"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            say(line.rstrip())
            if line.startswith("stop it"):
                break
        else:
            raise SystemExit("the devnet did not start")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="fpin-demo-") as folder:
        os.environ["FPIN_HOME"] = folder
        os.environ["FPIN_NETWORK"] = "devnet"
        back = Path(folder) / "back"
        try:
            with devnet():
                run("add", str(SITE))
                run("status")
                run("get", str(SITE), "-o", str(back))
                same = files_of(SITE) == files_of(back) and not any(
                    filecmp.cmpfiles(SITE, back, files_of(SITE), shallow=False)[1:]
                )
                say(f"\n{len(files_of(SITE))} files compared: {'all the same' if same else 'THEY DIFFER'}")
                if not same:
                    return 1
                run("rm", str(SITE), "--wait")
                run("status", str(SITE))
        except subprocess.CalledProcessError as exc:
            say(f"fpin ended with exit code {exc.returncode}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
