"""The commands as they are: what they take, what they print, an example of each."""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import click

from fpin.cli.app import app
from fpin.cli.command import Command, commands
from fpin.cli.declare import long_name

ROOT = app
EXAMPLE = re.compile(r"^Example: (fpin .+)$", re.MULTILINE)
_SCHEMA = re.compile(r"fpin\.[a-z.-]+/\d+")


def every_command() -> dict[str, Command]:
    """Return all commands by their full names, in the order of `fpin --help`."""
    return dict(commands(ROOT))


def options_of(command: Command) -> list[click.Option]:
    """Return the options of a command, as it declares them."""
    return [param for param in command.params if isinstance(param, click.Option) and not param.hidden]


def arguments_of(command: Command) -> list[click.Argument]:
    """Return the arguments of a command, as it declares them."""
    return [param for param in command.params if isinstance(param, click.Argument)]


def description_of(command: Command) -> str:
    """Return what the help says of a command, without the example."""
    # \b tells click to leave lines as they are.
    return EXAMPLE.sub("", inspect.cleandoc(command.help or "")).replace("\b\n", "").strip()


def example_of(command: Command) -> str | None:
    """Return the command line that the help shows."""
    found = EXAMPLE.search(inspect.cleandoc(command.help or ""))
    return found[1] if found else None


def schemas_of(command: Command) -> list[str]:
    """Return the schemas of the objects that a command can print, found in its code."""
    assert command.callback is not None
    return sorted(set(_schemas(inspect.unwrap(command.callback), set())))


def spelling(option: click.Option) -> str:
    """Return an option as it is typed."""
    shown = ", ".join(sorted(option.opts, key=len))
    return shown if option.is_flag else f"{shown} {placeholder(option)}"


def placeholder(param: click.Option | click.Argument) -> str:
    """Return what stands for the value of an option or argument."""
    if param.metavar:
        return param.metavar
    return long_name(param).upper() if isinstance(param, click.Option) else param.name.upper()


def default_of(option: click.Option) -> str:
    """Return the default as it would be typed; empty where there is none."""
    given = isinstance(option.default, str | int | float)  # click says "none" in several ways
    return str(option.default) if given and not option.is_flag else ""


def _schemas(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> Iterator[str]:
    """Follow the calls that stay within the command line, and yield the names of schemas on the way."""
    if function in seen or not isinstance(function, FunctionType):
        return
    seen.add(function)
    holder: Any = None
    for step in dis.get_instructions(function):
        found: Any = None
        if step.opname == "LOAD_CONST" and isinstance(step.argval, str) and _SCHEMA.fullmatch(step.argval):
            yield step.argval
        elif step.opname == "LOAD_GLOBAL":
            found = function.__globals__.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(holder, ModuleType):
            found = getattr(holder, step.argval, None)
        if inspect.isfunction(found) and found.__module__.startswith("fpin.cli."):
            yield from _schemas(found, seen)
        holder = found
