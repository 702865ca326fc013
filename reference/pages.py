"""The pages of `docs/reference/` that the program itself decides, as Markdown."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

import fpin
from fpin import errors
from fpin.cli import exits
from reference import commands
from reference.results import RESULTS
from reference.schemas import file_name

PACKAGE = Path(fpin.__file__).parent
MADE = "<!-- Written by `make reference` from the program itself. -->"

# Variables that are no options. A test finds those that the source reads and that are not here.
VARIABLES = {
    "FPIN_HOME": "Puts configuration, store, cache and devnet below one folder.",
    "FPIN_CONFIG": "The configuration file, instead of `config.toml` in fpin's folder.",
    "FPIN_PRIVATE_KEY": "The wallet's private key, 64 hexadecimal digits.",
    "FPIN_PRIVATE_KEY_FILE": "A file that holds the key and that only you can read.",
    "FPIN_PRIVATE_KEY_COMMAND": "A command that prints the key, such as one of a password manager.",
    "PRIVATE_KEY": "The key, where none of the above is set.",
    "FPIN_SESSION_KEY": "A session key, with `FPIN_WALLET_ADDRESS`: it adds and removes, and moves no money.",
    "FPIN_SESSION_KEY_FILE": "A file that holds the session key and that only you can read.",
    "FPIN_SESSION_KEY_COMMAND": "A command that prints the session key.",
    "SESSION_KEY": "The session key, where none of the above is set.",
    "WALLET_ADDRESS": "The wallet, where `FPIN_WALLET_ADDRESS` is not set.",
    "FPIN_INDEXERS": "The indexers and routers to use, instead of the network's: "
    "`https://HOST=poll,https://HOST=confirm,https://HOST=route`.",
    "FPIN_PIECE_KERNEL": "Which code computes piece commitments, instead of the fastest this processor has.",
    "NO_COLOR": "Set to anything, no colours.",
    "DEVNET_INFO_PATH": "The `devnet-info.json` of a devnet that runs already.",
}

ENVIRONMENT = """\
A variable is what an option says unless the command line says otherwise; one parser takes both.
A switch is `1`, `true`, `yes` or `on`, or the opposite.
Several values stand one a line, or on a single line with commas between them.
The command line goes before the environment, that before the profile in use of
[`config.toml`](configuration.md), that before the default."""
EXIT_CODES = """\
The last lines on standard error are the sentence that says what went wrong, and the way out.
With `--json` both are also in the object [`fpin.error/1`](json/fpin.error.1.json) on standard output."""
JSON = """\
With `--json` standard output is exactly one object, also on failure.
Lines of standard error that are objects are progress.
`schema` says what an object is.
A field keeps its name and its type as long as the number stays.
Amounts of tokens are decimal numbers in strings, exact to the last digit."""


def all_pages() -> dict[str, str]:
    """Return every generated page by the name of its file."""
    return {
        "commands.md": commands_page(),
        "environment.md": environment_page(),
        "exit-codes.md": exit_codes_page(),
        "json.md": json_page(),
    }


def commands_page() -> str:
    """Return what each command takes."""
    parts = [
        "# Commands",
        MADE,
        "Options also stand in the [environment](environment.md) and in [`config.toml`](configuration.md).",
        "These can be given to every command:",
        _options_table(list(_shared().values())),
    ]
    for name, command in commands.every_command().items():
        parts.append(f"## fpin {name}")
        arguments = [commands.placeholder(one) for one in commands.arguments_of(command)]
        parts.append(f"```text\nfpin {' '.join([name, '[OPTIONS]', *arguments])}\n```")
        parts.append(commands.description_of(command))
        if example := commands.example_of(command):
            parts.append(f"```console\n$ {example}\n```")
        rows = [(f"`{commands.placeholder(one)}`", one.help or "") for one in commands.arguments_of(command)]
        if rows:
            parts.append(_table(("Argument", "Meaning"), rows))
        own = [one for one in commands.options_of(command) if one.name not in _shared()]
        if own:
            parts.append(_options_table(own))
        if schemas := commands.schemas_of(command):
            links = ", ".join(f"[`{name}`](json/{file_name(name)})" for name in schemas)
            parts.append(f"`--json` prints {links}.")
    return _page(parts)


def environment_page() -> str:
    """Return every variable that changes what fpin does."""
    users: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    every = commands.every_command()
    for name, command in every.items():
        for option in commands.options_of(command):
            users.setdefault(str(option.envvar), []).append(name)
            spelled[str(option.envvar)] = max(option.opts, key=len)
    rows = [
        (
            f"`{variable}`",
            f"`{spelled[variable]}`",
            "every command" if len(names) == len(every) else ", ".join(f"`{name}`" for name in names),
        )
        for variable, names in sorted(users.items())
    ]
    return _page(
        [
            "# Environment",
            MADE,
            ENVIRONMENT,
            "## Options",
            _table(("Variable", "Option", "Commands"), rows),
            "## Keys, folders and the devnet",
            _table(("Variable", "Meaning"), [(f"`{name}`", text) for name, text in VARIABLES.items()]),
        ]
    )


def exit_codes_page() -> str:
    """Return the table of exit codes and the tree of errors behind it."""
    codes = [(str(code), meaning) for code, meaning in exits.MEANINGS.items()]
    document = inspect.cleandoc(errors.__doc__ or "")
    tree = "\n".join(line[4:] for line in document.splitlines() if line.startswith("    "))
    kinds = [
        (f"`{name}`", str(exits.code_of(kind(""))))
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.FpinError)
    ]
    return _page(
        [
            "# Exit codes and errors",
            MADE,
            _table(("Code", "Meaning"), codes),
            EXIT_CODES,
            "## The tree of errors",
            "In Python, and as `kind` in JSON:",
            f"```text\n{tree}\n```",
            _table(("Kind", "Code"), kinds),
        ]
    )


def json_page() -> str:
    """Return where the schema of each object is."""
    makers: dict[str, list[str]] = {}
    for name, command in commands.every_command().items():
        for schema in commands.schemas_of(command):
            makers.setdefault(schema, []).append(f"`fpin {name}`")
    rows = [
        (f"[`{schema}`](json/{file_name(schema)})", ", ".join(makers.get(schema, ())))
        for schema in sorted(RESULTS)
    ]
    rows += [
        ("[`fpin.error/1`](json/fpin.error.1.json)", "every command that fails"),
        ("[`fpin.event/1`](json/fpin.event.1.json)", "a line of progress on standard error"),
    ]
    return _page(
        [
            "# JSON",
            MADE,
            JSON,
            _table(("JSON Schema", "Printed by"), rows),
        ]
    )


def variables_read() -> set[str]:
    """Return the variables that the source names."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    names = r'"(FPIN_[A-Z_]*[A-Z]|NO_COLOR|PRIVATE_KEY|SESSION_KEY|WALLET_ADDRESS|DEVNET_INFO_PATH)"'
    return set(re.findall(names, text))


def _shared() -> dict[str, click.Option]:
    every = [
        {one.name: one for one in commands.options_of(command)}
        for command in commands.every_command().values()
    ]
    return {name: one for name, one in every[0].items() if all(name in options for options in every)}


def _options_table(options: Sequence[click.Option]) -> str:
    rows = [(f"`{commands.spelling(one)}`", one.help or "", commands.default_of(one)) for one in options]
    return _table(("Option", "Meaning", "Default"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *(list(map(_cell, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Return *text* without bars, which would end the cell.

    In code the site shows the backslash of an escaped one, so the code is written as HTML there.

    >>> _cell("`-o A|B`: one | the other")
    '<code>-o A&#124;B</code>: one &#124; the other'
    """
    spans = re.sub(r"`([^`]*\|[^`]*)`", lambda found: f"<code>{html.escape(found[1])}</code>", text)
    return spans.replace("|", "&#124;")


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
