"""`fpin devnet`: the embedded network, kept running."""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.declare import Argument, Option
from fpin.cli.output import print_json, print_text
from fpin.errors import NotFound, UsageError
from fpin.settings import folders, make_folder

if TYPE_CHECKING:
    from fpin.devnet.info import Urls

ChainUrl = Annotated[
    str | None,
    Option("--chain", metavar="URL", help="Run only providers and indexer, against this node."),
]
InfoFile = Annotated[
    Path | None,
    Option("--devnet-info", metavar="FILE", help="The devnet-info.json that names that node's contracts."),
]
EpochMs = Annotated[
    int, Option(min=0, metavar="MS", help="Real milliseconds an epoch takes; 0: only mine moves time.")
]
Prices = Annotated[
    str,
    Option("--prices", metavar="VERSION", help="A new devnet's price list: that of contracts 1.3 or 1.4."),
]
Epochs = Annotated[int, Argument(min=1, metavar="EPOCHS", help="How many epochs; one is 30 s of chain time.")]


def devnet_up(
    chain: ChainUrl = None,
    devnet_info: InfoFile = None,
    epoch_ms: EpochMs = 1000,
    prices: Prices = "1.4",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Run the devnet until it is interrupted; other commands then share it.

    Example: fpin devnet up
    """
    from fpin.devnet.chain.prices import PRICE_LISTS
    from fpin.devnet.world import World

    if prices not in PRICE_LISTS:
        raise UsageError(f"--prices {prices!r} is not known", hint=f"one of: {', '.join(PRICE_LISTS)}")
    if (chain is None) != (devnet_info is None):
        raise UsageError("--chain and --devnet-info belong together", hint="give both, or neither")
    folder = make_folder(folders().devnet)
    if chain and devnet_info:
        running = World.serve_providers(folder, chain, devnet_info)
    else:
        running = World.start(
            folder,
            epoch_ms=epoch_ms,
            mode="up",
            tune=lambda genesis: dataclasses.replace(genesis, prices=PRICE_LISTS[prices]),
        )
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    with running as world:
        if json:
            _print_found(world.info_path, world.urls)
        elif quiet:
            print_text(str(world.info_path))
        else:
            print_text(f"chain     {world.urls.chain}")
            for number, url in enumerate(world.urls.providers, start=1):
                print_text(f"provider  {url} ({number})")
            print_text(f"indexer   {world.urls.indexer}")
            print_text(f"info      {world.info_path}")
            print_text("stop it with Ctrl-C; its state is kept")
        sys.stdout.flush()
        stop.wait()
    return exits.DONE


def devnet_info(json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Show where the devnet and its parts are, and whether it is up.

    Example: fpin devnet info
    """
    from fpin.devnet.info import read_server

    where = folders()
    if not where.devnet_info.exists():
        raise NotFound(f"there is no devnet in {where.devnet}", hint="fpin devnet up starts one")
    server = read_server(where.devnet)
    if server is not None and not server.answers():
        server = None  # the file outlived its process
    if json:
        _print_found(where.devnet_info, server.urls if server else None)
        return exits.DONE
    if quiet:
        print_text(str(where.devnet_info))
        return exits.DONE
    print_text(f"folder    {where.devnet}")
    print_text(f"info      {where.devnet_info}")
    if server is None:
        print_text("not up; commands with --network devnet start it for themselves")
        return exits.DONE
    print_text(f"up        process {server.pid}")
    print_text(f"chain     {server.urls.chain}")
    for number, url in enumerate(server.urls.providers, start=1):
        print_text(f"provider  {url} ({number})")
    print_text(f"indexer   {server.urls.indexer}")
    return exits.DONE


def devnet_mine(epochs: Epochs = 1, json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Let chain time pass, the providers proving and removing as it does.

    Example: fpin devnet mine 10
    """
    from fpin.devnet.attach import mine

    epoch = mine(make_folder(folders().devnet), epochs)
    if json:
        print_json("fpin.devnet.mine/1", {"epoch": epoch})
    else:
        print_text(str(epoch) if quiet else f"epoch {epoch}")
    return exits.DONE


def devnet_reset(json: options.Json = False) -> int:
    """Delete the devnet's state, and forget the pins on it: its ids begin again and would mean others.

    Example: fpin devnet reset
    """
    from fpin.devnet.world import World
    from fpin.flows.remove import forget_devnet

    where = folders()
    World.reset(where.devnet)
    forgotten = forget_devnet(where)
    if json:
        print_json("fpin.devnet.reset/1", {"folder": str(where.devnet), "forgotten": forgotten})
    else:
        print_text(f"the devnet in {where.devnet} is empty; pins forgotten: {forgotten}")
    return exits.DONE


def _print_found(info: Path, urls: Urls | None) -> None:
    found = {"up": urls is not None, "info": str(info), "urls": dataclasses.asdict(urls) if urls else None}
    print_json("fpin.devnet.info/1", found)
