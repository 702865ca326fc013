"""`fpin completion`: the script that lets a shell ask fpin what comes next."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import click

from fpin.cli import exits, options
from fpin.cli.command import root_of
from fpin.cli.completion import SHELLS
from fpin.cli.declare import Argument
from fpin.cli.output import print_json, print_text
from fpin.errors import UsageError
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionScript:
    """What a shell has to read, so that it asks fpin."""

    shell: str
    script: str


def completion(
    shell: Annotated[str, Argument(metavar="bash|zsh|fish", help="The shell to print it for.")],
    json: options.Json = False,
    quiet: options.Quiet = False,  # noqa: ARG001  (the script is all that is printed)
) -> int:
    """Print the script that lets a shell complete fpin's commands, options, pins, providers and data sets.

    \b
        bash, in ~/.bashrc:   eval "$(fpin completion bash)"
        zsh, in ~/.zshrc:     eval "$(fpin completion zsh)"
        fish, once:           fpin completion fish > ~/.config/fish/completions/fpin.fish

    Example: fpin completion zsh
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise UsageError(f"there is no completion for {shell!r}", hint=f"one of {', '.join(SHELLS)}")
    root = root_of(click.get_current_context())
    script = CompletionScript(shell=shell, script=kind(root, {}, "fpin", "_FPIN_COMPLETE").source().strip())
    if json:
        print_json("fpin.completion/1", dataclasses.asdict(script))
    else:
        print_text(script.script)
    return exits.DONE
