"""What every command can do without saying so: settings from environment and ``config.toml``, a time limit.

A new command brings only its own options (`declare`) and a line in `app`. The value of an option is what the
command line says, else ``FPIN_`` and its name, else the profile in use, else its default; one parser takes
them all.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource

from fpin.cli import deadline, output
from fpin.cli.completion import complete
from fpin.cli.declare import SettableOption, long_name, parameters
from fpin.cli.typed_keys import keys_among
from fpin.config import NEVER, REFERENCES, Config, Setting, read
from fpin.errors import FpinError, UsageError

CONFIG = "fpin.config"  # where a context keeps the `Config` in force
WALLET = "fpin.wallet"  # … and the address whose account is meant


def _take_settings(ctx: click.Context, _option: click.Parameter, use: str | None) -> str | None:
    if not ctx.resilient_parsing:
        config = ctx.meta[CONFIG] = read(use)
        output.hide(keys_among(str(setting.value) for setting in config.settings.values()))
        _refuse_unknown(config, ctx)
        ctx.default_map = {
            option.name: _spelled(option, found)
            for option in options_of(ctx.command)
            if (found := config.settings.get(long_name(option))) is not None
        }
    return use


def _take_wallet(ctx: click.Context, _option: click.Parameter, address: str | None) -> str | None:
    ctx.meta[WALLET] = address
    return address


def _limit_time(ctx: click.Context, _option: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not ctx.resilient_parsing:
        deadline.arm(seconds)
    return seconds


def _mute(_ctx: click.Context, _option: click.Parameter, quiet: bool) -> bool:
    output.mute(quiet)
    return quiet


@functools.cache
def _options_of_all() -> tuple[click.Option, ...]:
    """Return the options that are added to every command that has none of that name."""
    return (
        SettableOption(
            ["--quiet", "-q"],
            is_flag=True,
            callback=_mute,
            expose_value=False,
            help="Print nothing but failures.",
        ),
        SettableOption(
            ["--timeout"],
            metavar="SECONDS",
            type=click.FloatRange(min=0),
            callback=_limit_time,
            expose_value=False,
            help="Give up after this long; what was done is written down.",
        ),
        # Eager, so that the settings are there before the options that look for them.
        SettableOption(
            ["--use"],
            metavar="PROFILE",
            shell_complete=complete,
            callback=_take_settings,
            is_eager=True,
            expose_value=False,
            help="Take settings from this profile of config.toml.",
        ),
    )


@functools.cache
def _wallet_option() -> click.Option:
    """Return the option that is added to every command that goes to the network."""
    return SettableOption(
        ["--wallet", "--wallet-address"],
        metavar="ADDRESS",
        callback=_take_wallet,
        expose_value=False,
        help="Whose account is meant; without a key, fpin only looks.",
    )


class Command(click.Command):
    """A command that calls *function*, whose parameters are its options and arguments."""

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self._function = function
        super().__init__(name, callback=function, help=inspect.getdoc(function))
        del self.params

    @cached_property
    def params(self) -> list[click.Parameter]:  # type: ignore[override]
        """The function's own and those of all commands, read when they are needed."""
        own = parameters(self._function)
        names = {parameter.name for parameter in own}
        added = [_wallet_option()] if "rpc_url" in names else []
        return [*own, *added, *(option for option in _options_of_all() if option.name not in names)]

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002  (lines are wrapped, not cut off)
        """Return the first paragraph of the help."""
        return (self.help or "").partition("\n\n")[0].replace("\n", " ")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; a value that does not fit is told with the place it came from."""
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            origin = origin_of(ctx, error.param) if isinstance(error.param, click.Option) else None
            if origin is not None:
                error.param_hint = origin
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run; a value that leads to a failure is told with the place it came from."""
        try:
            return super().invoke(ctx)
        except FpinError as error:
            named = [option for option in options_of(self) if _is_about(error, option, ctx)]
            places = [
                f"--{long_name(one)} is from {place}" for one in named if (place := origin_of(ctx, one))
            ]
            if places:
                error.hint = "; ".join([*places, *([error.hint] if error.hint else [])])
            raise


class Group(click.Group):
    """Commands by name; a function is named by ``module:function`` and imported when it is asked for."""

    def __init__(self, name: str, *, help: str, commands: Mapping[str, str | Group]) -> None:
        super().__init__(name, help=help)
        self._places = commands

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002  (lines are wrapped, not cut off)
        """Return the help, which is one sentence."""
        return self.help or ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; one that is not there is told with the one that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if not isinstance(place, str):
            return place
        module, _, function = place.partition(":")
        return Command(cmd_name, getattr(import_module(module), function))


def commands(root: click.Group, ctx: click.Context | None = None) -> Iterator[tuple[str, Command]]:
    """Yield every command that does something, by its full name such as ``payments setup``."""
    context = ctx or click.Context(root, info_name="fpin")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, Group):
            yield from ((f"{name} {inner}", leaf) for inner, leaf in commands(command, context))
        elif isinstance(command, Command):
            yield name, command


def origin_of(ctx: click.Context, option: click.Option) -> str | None:
    """Return where an option's value came from; None for the command line and for defaults."""
    source = ctx.get_parameter_source(option.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(option.envvar)
    config = ctx.meta.get(CONFIG)
    if source is ParameterSource.DEFAULT_MAP and config is not None:
        setting = config.settings[long_name(option)]
        return f"{setting.origin} ({setting.key})"
    return None


def _is_about(error: FpinError, option: click.Option, ctx: click.Context) -> bool:
    """Tell whether *error* names an option, or shows the value that it has."""
    value, name = ctx.params.get(option.name or ""), long_name(option)
    shown = isinstance(value, str) and repr(value) in error.message
    return shown or error.values.get("option") == name or f"--{name} " in f"{error.message} "


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command."""
    return (param for param in command.params if isinstance(param, click.Option))


def _spelled(option: click.Option, setting: Setting) -> str | list[str]:
    """Return a TOML value as the command line would have it: one parser takes them all."""
    value = setting.value
    if option.multiple:
        return [_text(one) for one in (value if isinstance(value, list) else [value])]
    if isinstance(value, (list, dict)):
        raise UsageError(f"{setting.origin}: {setting.key} takes a single value")
    return _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_unknown(config: Config, ctx: click.Context) -> None:
    known = {long_name(option) for option in options_of(ctx.command)} - NEVER
    if config.settings.keys() - REFERENCES <= known:
        return
    every = {long_name(option) for _, command in commands(root_of(ctx)) for option in options_of(command)}
    config.check(every)


def root_of(ctx: click.Context) -> click.Group:
    """Return the group that all commands are in."""
    root = ctx.find_root().command
    return root if isinstance(root, click.Group) else click.Group(commands={"": root})
