"""`fpin config`: what is set, and where."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Annotated

import click

from fpin.addresses import shown
from fpin.cli import exits, options
from fpin.cli.command import CONFIG, commands, options_of, root_of
from fpin.cli.declare import Option, long_name
from fpin.cli.output import print_json, print_table, print_text
from fpin.cli.typed_keys import without_keys
from fpin.config import NEVER, REFERENCES, Config
from fpin.settings import folders
from fpin.values import dataclass

_ADDRESSES = ("rpc-url", "chain")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingReport:
    """A setting that is not its default, or whose default says something."""

    name: str
    value: str
    origin: str  # a variable, a file with its line, or "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReport:
    """The settings in force for commands that get none on their command line."""

    path: str  # of config.toml
    exists: bool
    profile: str | None  # in use; None: none is
    profiles: tuple[str, ...]
    folders: dict[str, str]
    settings: tuple[SettingReport, ...]


def config_show(
    origin: Annotated[bool, Option("--origin", help="Say where each value comes from.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show the settings in force: environment, profile and defaults.

    Example: fpin config show --origin
    """
    ctx = click.get_current_context()
    config: Config = ctx.meta[CONFIG]
    settings = tuple(_settings(ctx, config))
    report = ConfigReport(
        path=without_keys(str(config.path)),
        exists=config.path.exists(),
        profile=config.profile,
        profiles=config.profiles,
        folders={name: without_keys(str(path)) for name, path in dataclasses.asdict(folders()).items()},
        settings=settings,
    )
    if json:
        print_json("fpin.config.show/1", dataclasses.asdict(report))
        return exits.DONE
    if not quiet:
        missing = "" if report.exists else " (there is none)"
        profiles = f" of {', '.join(report.profiles)}" if report.profiles else ""
        print_text(f"file      {report.path}{missing}")
        print_text(f"profile   {report.profile or 'none'}{profiles}")
        for name, folder in report.folders.items():
            print_text(f"{name:<8}  {folder}")
    rows = [(one.name, one.value, one.origin) for one in settings]
    if origin:
        print_table(("SETTING", "VALUE", "FROM"), rows)
    else:
        print_table(("SETTING", "VALUE"), [row[:2] for row in rows])
    return exits.DONE


def _settings(ctx: click.Context, config: Config) -> Iterator[SettingReport]:
    every = {
        long_name(option): option for _, command in commands(root_of(ctx)) for option in options_of(command)
    }
    for name in sorted((every.keys() | REFERENCES) - NEVER):
        found = config.settings.get(name)
        if name not in every:
            if found is not None:  # where a key is, not the key
                yield SettingReport(name=name, value=without_keys(str(found.value)), origin=found.origin)
            continue
        option = every[name]
        if value := os.environ.get(str(option.envvar)):
            yield SettingReport(name=name, value=_safely(name, value), origin=str(option.envvar))
        elif found is not None:
            yield SettingReport(name=name, value=_safely(name, str(found.value)), origin=found.origin)
        elif isinstance(option.default, (str, int)) and option.default not in (False, ""):
            yield SettingReport(name=name, value=str(option.default), origin="default")


def _safely(name: str, value: str) -> str:
    """Return a value as it may be shown: the address of a node may hold a token, and any may be a key."""
    return shown(value) if name in _ADDRESSES else without_keys(value)
