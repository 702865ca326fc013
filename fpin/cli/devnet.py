"""`fpin devnet`: the embedded network, kept running."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from fpin.cli import exits
from fpin.cli.output import print_json, print_text
from fpin.errors import UsageError
from fpin.settings import folders, make_folder

devnet = typer.Typer(help="A Filecoin network of your own, on this machine.", no_args_is_help=True)

EpochMs = Annotated[
    int, typer.Option(min=0, metavar="MS", help="Real milliseconds an epoch takes; 0: time moves by mine only.")
]


@devnet.command("up")
def devnet_up(
    chain: Annotated[
        str | None, typer.Option(metavar="URL", help="Run only providers and indexer, against this node.")
    ] = None,
    devnet_info: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The devnet-info.json that names that node's contracts.")
    ] = None,
    epoch_ms: EpochMs = 1000,
) -> int:
    """Run the devnet until it is interrupted; other commands then share it."""
    from fpin.devnet.world import World, serve_providers

    if (chain is None) != (devnet_info is None):
        raise UsageError("--chain and --devnet-info belong together", hint="give both, or neither")
    folder = make_folder(folders().devnet)
    running = (
        serve_providers(folder, chain, devnet_info)
        if chain and devnet_info
        else World.start(folder, epoch_ms=epoch_ms)
    )
    stop = threading.Event()

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    with running as world:
        print_text(f"chain     {world.rpc_url}")
        for index, url in enumerate(world.provider_urls, start=1):
            print_text(f"provider  {index}  {url}")
        print_text(f"indexer   {world.indexer_url}")
        print_text(f"info      {world.info_path}")
        print_text("stop it with Ctrl-C; its state is kept")
        typer.get_text_stream("stdout").flush()
        stop.wait()
    return exits.DONE
