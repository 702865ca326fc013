"""What every command can do without saying so: settings from environment and ``config.toml``, a time limit.

`adopt` turns all commands of an app into these, so a new command brings only its own options. The value of
an option is what the command line says, else ``FPIN_`` and its name, else the profile in use, else its
default; one parser takes them all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from fpin.cli import deadline, output
from fpin.config import NEVER, Config, Setting, read, variable
from fpin.errors import UsageError

CONFIG = "fpin.config"  # where a context keeps the `Config` in force


def _take_settings(ctx: typer.Context, use: str | None) -> str | None:
    if not ctx.resilient_parsing:
        config = ctx.meta[CONFIG] = read(use)
        _refuse_unknown(config, ctx)
        ctx.default_map = {
            option.name: _spelled(option, found)
            for option in _options(ctx.command)
            if (found := config.settings.get(long_name(option))) is not None
        }
    return use


def _limit_time(ctx: typer.Context, seconds: float | None) -> float | None:
    if seconds is not None and not ctx.resilient_parsing:
        deadline.arm(seconds)
    return seconds


def _mute(quiet: bool) -> bool:
    output.mute(quiet)
    return quiet


# Eager, so that the settings are there before the options that look for them.
Use = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        callback=_take_settings,
        is_eager=True,
        expose_value=False,
        help="Take settings from this profile of config.toml.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        callback=_limit_time,
        expose_value=False,
        help="Give up after this long; what was done is written down.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_mute, expose_value=False, help="Print nothing but failures."),
]

_shared = typer.Typer(add_completion=False)


@_shared.command()
def _options_of_all(quiet: Quiet = False, timeout: Timeout = None, use: Use = None) -> None:
    """Carry the options that are added to every command that has none of that name."""


@functools.cache
def _added() -> tuple[Any, ...]:
    return tuple(typer.main.get_command(_shared).params)


class Command(TyperCommand):
    """A command whose options can also stand in the environment and in ``config.toml``."""

    def __init__(self, name: str | None, *, params: Any = None, **rest: Any) -> None:
        own = list(params or ())
        names = {param.name for param in own}
        super().__init__(name, params=own + [one for one in _added() if one.name not in names], **rest)
        for option in _options(self):
            option.envvar = option.envvar or variable(long_name(option))
            option.show_envvar = False  # every option has one, and they are all made the same way
            option.split_envvar_value = several  # type: ignore[assignment,method-assign]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; a value that does not fit is told with the place it came from."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            origin = origin_of(ctx, error.param) if isinstance(error.param, TyperOption) else None
            if origin is not None:
                error.param_hint = origin
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run; a value that makes no sense is told with the place it came from."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            named = [option for option in _options(self) if f"--{long_name(option)} " in f"{error.message} "]
            places = [
                f"--{long_name(one)} is from {place}" for one in named if (place := origin_of(ctx, one))
            ]
            if places:
                error.hint = "; ".join([*places, *([error.hint] if error.hint else [])])
            raise


def adopt(app: typer.Typer) -> None:
    """Make every command below *app* a `Command`."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            adopt(group.typer_instance)


def commands(root: Any, ctx: typer.Context | None = None) -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command that does something, by its full name such as ``payments setup``."""
    context = ctx or typer.Context(root, info_name="fpin")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {inner}", leaf) for inner, leaf in commands(command, context))
        elif isinstance(command, TyperCommand):
            yield name, command


def long_name(option: TyperOption) -> str:
    """Return what an option is called in full, without the dashes."""
    return max(option.opts, key=len).lstrip("-")


def several(text: str) -> list[str]:
    """Return the values that one variable holds: one a line, or on a single line between commas.

    >>> several("1, 2")
    ['1', '2']
    """
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def origin_of(ctx: typer.Context, option: TyperOption) -> str | None:
    """Return where an option's value came from; None for the command line and for defaults."""
    source = ctx.get_parameter_source(option.name)
    name = source.name if source is not None else ""
    if name == "ENVIRONMENT":
        return str(option.envvar)
    config = ctx.meta.get(CONFIG)
    if name == "DEFAULT_MAP" and config is not None:
        setting = config.settings[long_name(option)]
        return f"{setting.origin} ({setting.key})"
    return None


def _options(command: Any) -> Iterator[TyperOption]:
    return (param for param in command.params if isinstance(param, TyperOption))


def _spelled(option: TyperOption, setting: Setting) -> str | list[str]:
    """Return a TOML value as the command line would have it: one parser takes them all."""
    value = setting.value
    if option.multiple:
        return [_text(one) for one in (value if isinstance(value, list) else [value])]
    if isinstance(value, (list, dict)):
        raise UsageError(f"{setting.origin}: {setting.key} takes a single value")
    return _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_unknown(config: Config, ctx: typer.Context) -> None:
    if config.settings.keys() <= {long_name(option) for option in _options(ctx.command)} - NEVER:
        return
    every = {
        long_name(option) for _, command in commands(ctx.find_root().command) for option in _options(command)
    }
    config.check(every)
