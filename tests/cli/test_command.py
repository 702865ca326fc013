"""How a function becomes a command: options by flag and by environment, arguments, and what the help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from click.testing import CliRunner, Result

from fpin.cli.command import Command
from fpin.cli.declare import Argument, Option


def show(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="Which files.")],
    copies: Annotated[int | None, Option(min=1, help="How many.")] = None,
    provider_ids: Annotated[list[int] | None, Option("--provider", metavar="ID", help="Where.")] = None,
    dry_run: Annotated[bool, Option("--dry-run", "-n", help="Only say.")] = False,
    name: Annotated[str, Option(help="What it is called.")] = "nameless",
) -> None:
    """Show what came.

    More of it.
    """
    print([str(file) for file in files], copies, list(provider_ids or ()), dry_run, name)  # noqa: T201


def run(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(Command("show", show), args, env=env)


def test_parameters_come_with_their_types_and_defaults() -> None:
    assert run("a", "b").output == "['a', 'b'] None [] False nameless\n"
    assert run("a", "-n", "--copies", "3", "--provider", "1", "--provider", "2", "--name", "x").output == (
        "['a'] 3 [1, 2] True x\n"
    )


def test_every_option_can_be_set_by_the_environment_and_a_flag_is_stronger() -> None:
    env = {"FPIN_COPIES": "4", "FPIN_PROVIDER": "7, 8", "FPIN_DRY_RUN": "1", "FPIN_NAME": "from outside"}
    assert run("a", env=env).output == "['a'] 4 [7, 8] True from outside\n"
    assert run("a", "--copies", "5", "--name", "x", env=env).output == "['a'] 5 [7, 8] True x\n"


@pytest.mark.parametrize(
    ("args", "env", "what"),
    [
        ((), {}, "FILE…"),
        (("a", "--copies", "0"), {}, "x>=1"),
        (("a", "--copies", "two"), {}, "'two'"),
        (("a",), {"FPIN_COPIES": "two"}, "FPIN_COPIES"),
        (("a", "--nothing"), {}, "--nothing"),
    ],
)
def test_what_does_not_fit_is_named(args: tuple[str, ...], env: dict[str, str], what: str) -> None:
    refused = run(*args, env=env)
    assert refused.exit_code == 2
    assert what in refused.output


def test_the_help_has_a_line_about_each_parameter_and_the_list_of_commands_the_first_paragraph() -> None:
    shown = run("--help").output
    for text in ("Which files.", "How many.", "--provider ID", "-n, --dry-run", "[default: nameless]"):
        assert text in shown
    assert Command("show", show).get_short_help_str() == "Show what came."
