"""Where fpin keeps its files, and where its wallet's key is.

Knows environment variables and folders. Knows nothing of networks, keys' formats or commands.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fpin.errors import LocalError, NoKey

DEFAULT_NETWORK = "mainnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders fpin writes to, the devnet's own, and the one it only reads."""

    config: Path  # config.toml
    data: Path  # the store: what was pinned where
    cache: Path  # may be deleted at any time
    devnet: Path  # the embedded network: chain, providers, indexer

    @property
    def store(self) -> Path:
        return self.data / "fpin.sqlite"

    @property
    def spool(self) -> Path:
        """Input that can be read only once, while it is needed."""
        return self.cache / "spool"

    @property
    def notes(self) -> Path:
        """What temporary names fpin has made elsewhere."""
        return self.cache / "temporary"

    @property
    def devnet_info(self) -> Path:
        return self.devnet / "devnet-info.json"


def folders(env: Mapping[str, str] | None = None) -> Folders:
    """Return fpin's folders: all below ``FPIN_HOME`` when it is set, else the platform's own."""
    env = os.environ if env is None else env
    home = env.get("FPIN_HOME")
    if home:
        base = Path(home).expanduser().absolute()
        return Folders(config=base, data=base / "data", cache=base / "cache", devnet=base / "devnet")
    import platformdirs

    data = Path(platformdirs.user_data_dir("fpin"))
    return Folders(
        config=Path(platformdirs.user_config_dir("fpin")),
        data=data,
        cache=Path(platformdirs.user_cache_dir("fpin")),
        devnet=data / "devnet",
    )


def make_folder(path: Path) -> Path:
    """Create *path*, readable by its owner only, and return it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise LocalError(
            f"cannot create the folder {path}: {exc.strerror}",
            hint="set FPIN_HOME to a folder that can be written",
            path=str(path),
        ) from exc
    return path


class Secret:
    """A secret and where it came from. It never shows itself: `reveal` is the only way to the text."""

    __slots__ = ("_text", "origin")

    def __init__(self, text: str, origin: str) -> None:
        self._text = text
        self.origin = origin

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret(from {self.origin})"


def private_key(env: Mapping[str, str] | None = None) -> Secret | None:
    """Return the wallet's private key from the environment; None when no variable names one.

    Asked in this order: ``FPIN_PRIVATE_KEY``, ``FPIN_PRIVATE_KEY_FILE`` (a path),
    ``FPIN_PRIVATE_KEY_COMMAND`` (its standard output), ``PRIVATE_KEY``. Raises NoKey when the one
    that is set cannot be read; the message never holds what was read.
    """
    env = os.environ if env is None else env
    if env.get("FPIN_PRIVATE_KEY"):
        return Secret(env["FPIN_PRIVATE_KEY"].strip(), "FPIN_PRIVATE_KEY")
    if env.get("FPIN_PRIVATE_KEY_FILE"):
        return _from_file(Path(env["FPIN_PRIVATE_KEY_FILE"]).expanduser())
    if env.get("FPIN_PRIVATE_KEY_COMMAND"):
        return _from_command(env["FPIN_PRIVATE_KEY_COMMAND"])
    if env.get("PRIVATE_KEY"):
        return Secret(env["PRIVATE_KEY"].strip(), "PRIVATE_KEY")
    return None


def _from_file(path: Path) -> Secret:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise NoKey(
            f"the key file {path} cannot be read: {exc.strerror}",
            hint="correct FPIN_PRIVATE_KEY_FILE",
            path=str(path),
        ) from exc
    except UnicodeDecodeError:
        # Not chained: the cause would carry the file's bytes.
        raise NoKey(
            f"the key file {path} holds no key", hint="it should hold 64 hexadecimal digits"
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise NoKey(
            f"the key file {path} can be read by other users of this machine",
            hint=f"chmod 600 {shlex.quote(str(path))}",
            path=str(path),
        )
    return Secret(text, f"FPIN_PRIVATE_KEY_FILE={path}")


def _from_command(command: str) -> Secret:
    import subprocess  # hardly anybody needs it, and it takes 4 ms

    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
        raise NoKey(
            f"FPIN_PRIVATE_KEY_COMMAND could not be run: {type(exc).__name__}",
            hint="it should print the key and nothing else",
        ) from None
    if done.returncode != 0 or not done.stdout.strip():
        raise NoKey(
            f"FPIN_PRIVATE_KEY_COMMAND printed no key (exit code {done.returncode})",
            hint="run it by hand to see what it says",
        )
    return Secret(done.stdout.strip(), "FPIN_PRIVATE_KEY_COMMAND")
