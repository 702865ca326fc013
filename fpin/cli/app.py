"""The commands and their groups. Each module brings its own; heavy rooms are imported when one runs."""

from __future__ import annotations

from typing import Annotated

import typer

from fpin._version import __version__
from fpin.cli import add, command, devnet, imports, network, offline, payments, pins

app = typer.Typer(
    help="Put files on Filecoin so that all of IPFS can fetch them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpin {__version__}")
        raise typer.Exit


@app.callback()
def _fpin(
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(add.add)
app.command("import")(imports.import_car)
app.command()(pins.status)
app.command()(pins.ls)
app.command()(pins.get)
app.command()(pins.check)
app.command()(pins.rm)
app.command()(add.cost)
app.command()(offline.cid)
app.command()(offline.pack)
app.add_typer(offline.car_app, name="car")
app.add_typer(payments.app, name="payments")
app.add_typer(network.provider, name="provider")
app.add_typer(network.data_set, name="data-set")
app.add_typer(devnet.app, name="devnet")

# Last: whatever was added above can be written down in the environment and in config.toml.
command.adopt(app)
