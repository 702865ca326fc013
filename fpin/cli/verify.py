"""`fpin verify`: is all of some content retrievable and right."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.declare import Argument, Option
from fpin.cli.output import count, print_json, print_text
from fpin.cli.session import Session
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_size

if TYPE_CHECKING:
    from fpin.flows.verify import ProviderVerdict, VerifyResult


def verify(
    what: Annotated[
        str, Argument(metavar="CID[/PATH]", help="What to verify; a pin's name or path works too.")
    ],
    sample: Annotated[
        int | None, Option("--sample", metavar="N", help="Only N blocks, drawn by chance, at each provider.")
    ] = None,
    sample_seed: Annotated[
        int | None, Option("--sample-seed", metavar="NUMBER", help="Draw the sample of an earlier run again.")
    ] = None,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Fetch every block from each provider that has it, and hash it; nothing is written.

    Example: fpin verify site
    """
    from fpin.flows import verify as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet, verbose=verbose)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.verify(services, what, sample=sample, seed=sample_seed, on_event=printer)
    if json:
        print_json("fpin.verify/1", dataclasses.asdict(result))
    elif not quiet:
        _show(result)
    if result.complete:
        return exits.DONE
    # A provider that is silent may be right about everything; one that lacks or damaged something is not.
    bad = result.lost or any(one.wrong or one.missing for one in result.providers)
    return exits.VERIFICATION if bad else exits.TEMPORARY


def _show(result: VerifyResult) -> None:
    print_text(f"root CID  {result.root_cid}" + (f"/{result.path}" if result.path else ""))
    chosen = "all of them" if result.sample is None else f"drawn with --sample-seed {result.seed}"
    print_text(f"blocks    {result.blocks}, {chosen}")
    for verdict in result.providers:
        name = "routing's" if verdict.provider_id is None else f"provider {verdict.provider_id}"
        print_text(f"{name:<10} {verdict.provider_url}: {_words(verdict)}")
        for cid in verdict.missing_cids:
            print_text(f"  missing {cid}")
    for cid in result.lost:
        print_text(f"lost      {cid}: nobody gave it")
    print_text("complete" if result.complete else "not complete")


def _words(verdict: ProviderVerdict) -> str:
    words = [f"{count(verdict.blocks, 'block')} right, {format_size(verdict.bytes)}"]
    if verdict.missing:
        words.append(f"{count(verdict.missing, 'block')} missing that it should have")
    if verdict.elsewhere:
        words.append(f"{count(verdict.elsewhere, 'block')} not there, of pieces that it need not hold")
    words += [reason for reason in (verdict.wrong, verdict.unavailable) if reason]
    return "; ".join(words)
