"""Options that several commands share, each spelled out once."""

from __future__ import annotations

from typing import Annotated

from fpin.cli.declare import Argument, Option
from fpin.errors import UsageError
from fpin.units import parse_token

Network = Annotated[
    str,
    Option("--network", help="mainnet, calibration or devnet.", metavar="NAME"),
]
RpcUrl = Annotated[
    str | None,
    Option("--rpc-url", metavar="URL", help="Chain node to use instead of the network's own."),
]
Json = Annotated[bool, Option("--json", help="One JSON object on stdout, progress as JSON lines on stderr.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print only what a script wants.")]
Verbose = Annotated[bool, Option("--verbose", "-v", help="Say more about what happens.")]
Hidden = Annotated[bool, Option("--hidden", help="Include files whose names start with a dot.")]
Exclude = Annotated[
    list[str] | None,
    Option("--exclude", metavar="GLOB", help="Leave out names or paths that match; may be repeated."),
]
Profile = Annotated[
    str,
    Option("--profile", metavar="NAME", help="UnixFS profile; it decides the root CID."),
]
Sources = Annotated[
    list[str],
    Argument(
        metavar="PATH… | -",
        help="Files and directories, taken as they are, never matched as patterns; - is standard input. "
        "Several become the entries of one directory.",
    ),
]
Wrap = Annotated[
    bool, Option("--wrap", help="Put a single PATH into a directory too, so that its name is kept.")
]


def usdfc(text: str, option: str | None = None) -> int:
    """Return the base units of an amount on the command line, named *option* where it is one's."""
    try:
        return parse_token(text)
    except ValueError as exc:
        named = f"{option} {text!r}" if option else repr(text)
        raise UsageError(f"{named} is not an amount of USDFC", hint="a number such as 2.5") from exc
