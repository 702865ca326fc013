"""Where fpin keeps its files.

Knows environment variables and folders. Knows nothing of networks, keys or commands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fpin.errors import LocalError, UsageError
from fpin.values import dataclass

DEFAULT_NETWORK = "mainnet"
JOBS = 3  # pieces that are sent at a time


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
    def keys(self) -> Path:
        """The addresses of the keys in the keyring; never a key."""
        return self.data / "keys.json"

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


INDEXER_ROLES = ("poll", "confirm", "route")
_WITHOUT_A_ROLE = ("poll", "confirm")
ENCRYPTED = "encrypted"  # stands beside a role: asked by second hash alone


def indexers(env: Mapping[str, str] | None = None) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    """Return the indexers that ``FPIN_INDEXERS`` names, with their roles; None when it is not set.

    It holds ``URL=ROLE`` with commas between, such as ``https://a.example=poll,https://b.example=confirm``; a
    URL alone has these two roles, several are joined by ``+``, and ``none`` names no indexer at all. Raises
    UsageError for anything else.
    """
    text = (os.environ if env is None else env).get("FPIN_INDEXERS", "").strip()
    if not text:
        return None
    from fpin.addresses import host_of  # not before it is needed: --help is to be fast

    found: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(text.split(",") if text != "none" else (), start=1):
        url, _, words = entry.strip().rpartition("=")
        roles = tuple(words.split("+"))
        if not set(roles) <= {*INDEXER_ROLES, ENCRYPTED}:
            url, roles = entry.strip(), _WITHOUT_A_ROLE
        host = host_of(url)
        if host is None or "=" in host or roles == (ENCRYPTED,):  # not repeated: it may hold a token
            raise UsageError(
                f"FPIN_INDEXERS: entry {number} is no indexer",
                hint="write https://HOST=poll, =confirm or =route, several with a comma between; or none",
            )
        found[url] = (*found.get(url, ()), *roles)
    return tuple(found.items())
