"""`fpin data-set`: what your account pays for, each looked at and ended."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from fpin.cli import exits, options
from fpin.cli.consent import agree
from fpin.cli.declare import Argument, Option
from fpin.cli.output import count, print_json, print_sent, print_table, print_text, short
from fpin.cli.session import Session
from fpin.settings import DEFAULT_NETWORK
from fpin.units import format_epochs, format_size, format_time

if TYPE_CHECKING:
    from fpin.backends.base import DataSetDetail
    from fpin.flows.ending import EndingResult
    from fpin.flows.inspect import DataSetResult

DataSetId = Annotated[
    int, Argument(metavar="ID", min=0, help="Number of the data set; fpin data-set ls shows yours.")
]


def data_set_ls(
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """List your data sets.

    Example: fpin data-set ls
    """
    from fpin.flows import inspect as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        found = flow.data_sets(services)
    if json:
        sets = [{**dataclasses.asdict(one), "metadata": dict(one.metadata)} for one in found]
        print_json("fpin.data-set.ls/1", {"network": network, "data_sets": sets})
        return exits.DONE
    if quiet:
        for one in found:
            print_text(str(one.data_set_id))
        return exits.DONE
    rows = [
        (
            str(one.data_set_id),
            str(one.provider_id),
            one.state,
            format_size(one.size),
            ", ".join(f"{key}={value}" if value else key for key, value in one.metadata),
        )
        for one in found
    ]
    print_table(("ID", "PROVIDER", "STATE", "SIZE", "METADATA"), rows)
    return exits.DONE


def data_set_show(
    data_set_id: DataSetId,
    start: Annotated[
        int, Option("--from", metavar="PIECE", min=0, help="List pieces from this number on.")
    ] = 0,
    limit: Annotated[int, Option(metavar="N", min=1, help="How many pieces to list.")] = 100,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show a data set: metadata, proofs, payments, how long it is paid for, and its pieces.

    Example: fpin data-set show 1
    """
    from fpin.flows import inspect as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        result = flow.data_set(services, data_set_id, start=start, limit=limit)
    if json:
        print_json("fpin.data-set.show/1", dataclasses.asdict(result))
    elif quiet:
        for piece in result.data_set.pieces:
            print_text(piece.piece_cid)
    else:
        _show(result)
    return exits.DONE


def data_set_terminate(
    data_set_id: DataSetId,
    yes: Annotated[bool, Option("--yes", "-y", help="Agree beforehand.")] = False,
    network: options.Network = DEFAULT_NETWORK,
    rpc_url: options.RpcUrl = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """End a data set: it takes no more pieces, and what it holds is stored for about 30 days longer.

    Asks, with the amounts and the pins that lose a copy, or needs --yes. Takes the wallet's own key.

    Example: fpin data-set terminate 1 --yes
    """
    from fpin.flows import ending as flow

    session = Session(network=network, rpc_url=rpc_url, json=json, quiet=quiet)
    with session.printer() as printer, session.services(printer) as services:
        proposal = flow.propose(services, data_set_id)
        if not proposal.ending.terminated:
            printer.close()
            agree(_proposal(proposal), yes=yes, json=json)
        result = flow.terminate(services, data_set_id, on_event=printer)
    if json:
        print_json("fpin.data-set.terminate/1", dataclasses.asdict(result))
        return exits.DONE
    ending = result.ending
    if result.tx is None:
        print_text("nothing was needed: it was terminated already")
    else:
        print_sent(result.tx, result.gas)
    print_text(
        f"data set  {ending.data_set_id} at provider {ending.provider_id} on {result.network}: terminated"
    )
    print_text(
        f"stored    until epoch {ending.ends}, about {format_time(ending.ends_at)}, and then no longer"
    )
    for pin in proposal.pins:
        print_text(
            f"pin       {pin.name or pin.root_cid}: {_left(pin.left, pin.wanted)}; fpin repair makes another"
        )
    return exits.DONE


def _proposal(proposal: EndingResult) -> str:
    ending = proposal.ending
    pins = ", ".join(f"{pin.name or pin.root_cid} ({_left(pin.left, pin.wanted)})" for pin in proposal.pins)
    lose = "loses" if len(proposal.pins) == 1 else "lose"
    losing = (
        f"{count(len(proposal.pins), 'pin')} here {lose} a copy: {pins}" if pins else "no pin here loses one"
    )
    return (
        f"terminate data set {ending.data_set_id} at provider {ending.provider_id} on {proposal.network}: "
        f"its {format_size(ending.size)} are stored until about {format_time(ending.ends_at)}, for which "
        f"{short(ending.to_be_paid)} {ending.token} more are paid out of the {short(ending.locked)} locked, "
        f"and {short(ending.per_month)} a month are saved from then on; {losing}"
    )


def _left(left: int, wanted: int) -> str:
    return f"{left} of {count(wanted, 'copy', 'copies')} left"


def _show(result: DataSetResult) -> None:
    found = result.data_set
    print_text(f"data set  {found.data_set_id} on {result.network}: {found.state}, {format_size(found.size)}")
    print_text(f"provider  {found.provider_id} {found.provider_url}")
    print_text(f"payer     {found.payer}")
    for key, value in sorted(found.metadata.items()):
        print_text(f"metadata  {key}={value}" if value else f"metadata  {key}")
    print_text(f"proofs    {_proofs(found)}")
    print_text(f"paid for  {short(found.per_month)} {found.token} a month, {_lasts(found)}")
    for rail in found.rails:
        ends = "" if rail.ended is None else f", ends with epoch {rail.ended}"
        print_text(
            f"  rail    {rail.rail_id} {rail.kind}: {short(rail.per_month)} a month, {short(rail.locked)} "
            f"locked, paid out up to epoch {rail.settled_up_to}{ends}"
        )
    if not found.pieces:
        print_text("pieces    none")
        return
    known = {one.piece_cid: one for one in result.known}
    rows = []
    for piece in found.pieces:
        pin = known.get(piece.piece_cid)
        rows.append(
            (
                str(piece.piece_id),
                piece.piece_cid,
                format_size(piece.size),
                "leaving" if piece.leaving else "",
                (pin.name or pin.root_cid) if pin else "",
            )
        )
    print_table(("PIECE", "PIECE CID", "SIZE", "", "OF"), rows)
    if found.next_piece_id is not None:
        print_text(f"more: fpin data-set show {found.data_set_id} --from {found.next_piece_id}")


def _proofs(found: DataSetDetail) -> str:
    proof = found.proof
    if proof is None:
        return "nothing to prove"
    last = (
        "never proved" if proof.last_proven is None else f"last proved {_ago(proof.last_proven, found.epoch)}"
    )
    if proof.next_challenge is None or proof.due is None:
        return f"{proof.state}, {last}"
    return (
        f"{proof.state}, {last}; next challenge {_ago(proof.next_challenge, found.epoch)}, due "
        f"{_ago(proof.due, found.epoch)}"
    )


def _ago(epoch: int, now: int) -> str:
    if epoch > now:
        return f"at epoch {epoch} (in {format_epochs(epoch - now)})"
    return f"at epoch {epoch} ({format_epochs(now - epoch)} ago)"


def _lasts(found: DataSetDetail) -> str:
    if found.paid_until is None:
        return "nothing is spending"
    when = f"until epoch {found.paid_until}"
    left = format_epochs(max(0, found.paid_until - found.epoch))
    if found.state == "terminated":
        return f"terminated: stored {when} ({left})"
    return f"without a deposit {when} ({left}); the account itself lasts {format_epochs(found.runway or 0)}"
