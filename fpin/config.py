"""``config.toml``: settings that a user wrote down once, in profiles, each with the line it stands on.

Knows the file's form: keys, profiles and which of them is in use. Knows no options, so whoever takes a
setting has to say whether it is one (`Config.check`) and what it means.

    use = "ci"                    # the profile in use unless --use or FPIN_USE names another

    copies = 3                    # holds in every profile that does not say otherwise

    [profiles.ci]
    network = "calibration"
    max-cost = "0.5"
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from decimal import Decimal
from pathlib import Path

from fpin.errors import LocalError, UsageError
from fpin.settings import folders
from fpin.values import dataclass

USE = "use"
PROFILES = "profiles"
# What makes no sense to write down: which profile it is, whether a program reads the output, and consent to
# amounts that nobody has seen.
NEVER = frozenset({USE, "json", "help", "yes", "all"})
# Settings that are no options: where a key is (`keys.resolve`), because a key is never an argument.
REFERENCES = frozenset({"key", "session-key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value as TOML has it, and where it stands. *line* is None where it could not be told."""

    key: str
    value: object
    path: Path
    line: int | None
    profile: str | None  # None: holds in every profile

    @property
    def origin(self) -> str:
        return f"{self.path}:{self.line}" if self.line else str(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings in force. *profile* is None when none is in use."""

    path: Path
    profile: str | None = None
    profiles: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def check(self, known: Iterable[str]) -> None:
        """Raise UsageError for a setting that is none of those *known*."""
        names = (set(known) - NEVER) | REFERENCES
        for setting in self.settings.values():
            if setting.key in names:
                continue
            import difflib

            near = difflib.get_close_matches(setting.key, names, n=1)
            raise UsageError(
                f"{setting.origin}: there is no setting {setting.key!r}",
                hint=f"did you mean {near[0]!r}?"
                if near
                else "a setting is the name of an option, such as copies",
                path=str(setting.path),
                line=setting.line,
            )


def path_of(env: Mapping[str, str] | None = None) -> Path:
    """Return where ``config.toml`` is: ``FPIN_CONFIG``, else in fpin's folder for configuration."""
    env = os.environ if env is None else env
    named = env.get("FPIN_CONFIG")
    return Path(named).expanduser().absolute() if named else folders(env).config / "config.toml"


def read(use: str | None = None, env: Mapping[str, str] | None = None) -> Config:
    """Read the file; no file is no settings, unless ``FPIN_CONFIG`` names it.

    *use* is the profile wanted; None takes ``FPIN_USE``, then the file's own choice. Raises UsageError
    with file and line for what is no setting, LocalError for a file that this user may not read.
    """
    env = os.environ if env is None else env
    path = path_of(env)
    wanted = use or env.get("FPIN_USE")
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if env.get("FPIN_CONFIG"):
            raise UsageError(f"{path}: there is no such file", hint="correct FPIN_CONFIG") from None
        text = ""
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"{path}: cannot be read: it is not text in UTF-8", hint="correct it, or move it away"
        ) from exc
    except OSError as exc:
        raise LocalError(
            f"{path}: cannot be read: {exc.strerror}",
            hint="correct its permissions and those of its folder, or set FPIN_HOME to a folder of yours",
            path=str(path),
        ) from exc
    return _parse(path, text, wanted)


def setting(key: str, *, use: str | None = None, env: Mapping[str, str] | None = None) -> object:
    """Return what ``FPIN_*`` or the profile in use says of *key*; None where neither does."""
    env = os.environ if env is None else env
    from_env = env.get(variable(key))
    if from_env:
        return from_env
    found = read(use, env).settings.get(key)
    return None if found is None else found.value


def variable(key: str) -> str:
    """Return the environment variable of an option.

    >>> variable("max-cost")
    'FPIN_MAX_COST'
    """
    return "FPIN_" + key.upper().replace("-", "_")


def _parse(path: Path, text: str, wanted: str | None) -> Config:
    tables = _tables(path, text) if text else {}
    lines = _lines(text)
    profiles = tables.pop(PROFILES, {})
    chosen = tables.pop(USE, None)
    if not isinstance(profiles, dict) or not all(isinstance(one, dict) for one in profiles.values()):
        raise UsageError(
            f"{_at(path, lines.get((None, PROFILES)))}: profiles are tables",
            hint="write [profiles.NAME] and the settings below it",
        )
    if chosen is not None and not isinstance(chosen, str):
        raise UsageError(f"{_at(path, lines.get((None, USE)))}: use is the name of a profile")
    profile = wanted or chosen
    if profile is not None and profile not in profiles:
        known = ", ".join(profiles) or "none"
        where = path if wanted else _at(path, lines.get((None, USE)))
        raise UsageError(f"{where}: there is no profile {profile!r}", hint=f"there are: {known}")
    settings = {
        key: Setting(key=key, value=value, path=path, line=lines.get((name, key)), profile=name)
        for name, table in ((None, tables), (profile, profiles.get(profile, {})))
        for key, value in table.items()
    }
    for found in settings.values():
        if found.key in REFERENCES:
            _check_reference(found)
    return Config(path=path, profile=profile, profiles=tuple(profiles), settings=settings)


def _check_reference(found: Setting) -> None:
    """Raise UsageError for a key where a reference to one belongs, without repeating it."""
    from fpin.keys import check_reference  # 12 ms, and most profiles name no key

    try:
        check_reference(str(found.value))
    except UsageError as exc:
        raise UsageError(f"{found.origin}: {exc.message}", hint=exc.hint) from None


def _tables(path: Path, text: str) -> dict[str, object]:
    import tomllib

    try:
        # Decimal keeps an amount as it was written.
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
        line = int(place[1]) if place and place[1] else len(text.splitlines())
        sentence = message[: place.start()] if place else message
        raise UsageError(
            f"{path}:{line}: {sentence}",
            hint="correct that line, or move the file away",
            path=str(path),
            line=line,
        ) from exc


_TABLE = re.compile(r"\s*\[\s*(?:profiles\s*\.\s*)?\"?([^\]\"]+?)\"?\s*\]")
_KEY = re.compile(r"\s*\"?([A-Za-z0-9_-]+)\"?\s*=")


def _lines(text: str) -> dict[tuple[str | None, str], int]:
    """Return on which line each key stands, by profile; tomllib does not tell."""
    found: dict[tuple[str | None, str], int] = {}
    table: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = match[1]
        elif match := _KEY.match(line):
            found.setdefault((table, match[1]), number)
    return found


def _at(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)
