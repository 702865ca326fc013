"""The sessions that the pages show, run again: ``python -m reference.transcripts`` puts the output in place.

A block of ``console`` after ``<!-- run -->`` is run, line by line, in a folder that has `fixtures/site`, on a
devnet of its own; after ``<!-- run: varies -->`` its output depends on the machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parent.parent
PAGES = (TOP / "README.md", TOP / "docs" / "tutorial.md")
BLOCK = re.compile(r"(<!-- run(?P<varies>: varies)? -->\n```console\n)(?P<session>.*?)(```\n)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a page and what it printed there."""

    command: str
    shown: str
    varies: bool


class Shell:
    """Runs commands one after the other; ``export`` holds for those that follow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FPIN_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "FPIN_HOME": str(folder / "home"),
        }

    def run(self, command: str, *, together: bool) -> str:
        """Return what *command* prints; *together* with standard error, as in a terminal."""
        if match := re.fullmatch(r"export (\w+)=(\S+)", command):
            self._env[match[1]] = match[2]
            return ""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
        if done.returncode:
            raise SystemExit(
                f"{command} ended with code {done.returncode}:\n{done.stdout}{done.stderr or ''}"
            )
        # Where it ran is nobody's business.
        return done.stdout.replace(str(self._folder), "~").replace(sys.prefix, "~/.venv")


@contextlib.contextmanager
def shell() -> Iterator[Shell]:
    """Give a shell in a folder of its own, with a devnet that stays up."""
    with tempfile.TemporaryDirectory(prefix="fpin-session-") as name:
        folder = Path(name)
        shutil.copytree(TOP / "fixtures" / "site", folder / "fixtures" / "site")
        env = {**os.environ, "FPIN_HOME": str(folder / "home")}
        command = [sys.executable, "-m", "fpin", "devnet", "up", "--json"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as devnet:
            assert devnet.stdout is not None
            devnet.stdout.readline()  # it is up
            try:
                yield Shell(folder)
            finally:
                devnet.terminate()


def steps_of(text: str) -> Iterator[Step]:
    """Yield the commands of a page that are run."""
    for block in BLOCK.finditer(text):
        for part in re.split(r"^\$ ", block["session"], flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield Step(command=command, shown=shown.strip("\n"), varies=bool(block["varies"]))


def rerun(text: str, at: Shell) -> str:
    """Return a page with what its commands print now."""

    def again(block: re.Match[str]) -> str:
        parts = ""
        for command in re.findall(r"^\$ (.*)$", block["session"], re.MULTILINE):
            printed = at.run(command, together=True)
            parts += f"$ {command}\n{printed}" + ("\n" if printed else "")
        return block[1] + parts.rstrip() + "\n" + block[4]

    return BLOCK.sub(again, text)


def main() -> None:
    """Run every page again and write it."""
    for page in PAGES:
        with shell() as at:
            text = page.read_text(encoding="utf-8")
            page.write_text(rerun(text, at), encoding="utf-8")


if __name__ == "__main__":
    main()
