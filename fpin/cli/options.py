"""Options that several commands share, each spelled out once."""

from __future__ import annotations

from typing import Annotated

import typer

Network = Annotated[
    str,
    typer.Option("--network", envvar="FPIN_NETWORK", help="mainnet, calibration or devnet.", metavar="NAME"),
]
RpcUrl = Annotated[
    str | None,
    typer.Option("--rpc-url", envvar="FPIN_RPC_URL", help="Chain node to use instead of the network's own."),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout, progress as JSON lines on stderr.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what a script wants.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what happens.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="Include files whose names start with a dot.")]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Leave out names or paths that match; may be repeated."),
]
Profile = Annotated[
    str,
    typer.Option("--profile", metavar="NAME", help="UnixFS profile; it decides the root CID."),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH… | -",
        help="Files and directories, taken as they are, never matched as patterns; - is standard input. "
        "Several become the entries of one directory.",
    ),
]
Wrap = Annotated[
    bool, typer.Option("--wrap", help="Put a single PATH into a directory too, so that its name is kept.")
]
