"""`fpin cid`, `pack` and `car`: what needs no account and asks nobody."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from fpin.cli import exits, options
from fpin.cli.content import contents
from fpin.cli.declare import Argument, Option
from fpin.cli.output import count, print_json, print_table, print_text
from fpin.units import format_size

Cars = Annotated[list[Path], Argument(metavar="FILE.car", help="CAR files, version 1 or 2.")]

Name = Annotated[str | None, Option(help="What standard input is called inside a directory.")]


def cid(
    paths: options.Sources,
    name: Name = None,
    profile: options.Profile = "unixfs-v1-2025",
    wrap: options.Wrap = False,
    hidden: options.Hidden = False,
    exclude: options.Exclude = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Compute the root CID and the piece CIDs of PATH; nothing is written or sent.

    Example: fpin cid site --exclude '*.tmp'
    """
    from fpin.cli.progress import choose
    from fpin.flows import packing

    with (
        choose(json_output=json, quiet=quiet, verbose=False) as printer,
        contents(
            paths, printer, name=name, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile
        ) as content,
    ):
        result = packing.cid(content, on_event=printer)
    if json:
        print_json("fpin.cid/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.root_cid)
    else:
        print_text(f"root CID  {result.root_cid}")
        for piece in result.pieces:
            print_text(f"piece     {piece.piece_cid} ({format_size(piece.size)})")
    return exits.DONE


def pack(
    paths: options.Sources,
    output: Annotated[Path, Option("--output", "-o", metavar="X.car", help="The CAR file to write.")],
    split: Annotated[
        bool, Option("--split", help="Write X-0.car, X-1.car, … when one piece cannot hold it.")
    ] = False,
    name: Name = None,
    profile: options.Profile = "unixfs-v1-2025",
    wrap: options.Wrap = False,
    hidden: options.Hidden = False,
    exclude: options.Exclude = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write PATH as CAR files, exactly the bytes that `fpin add` would upload.

    Example: fpin pack site -o packed.car
    """
    from fpin.cli.progress import choose
    from fpin.flows import packing
    from fpin.settings import folders
    from fpin.temporary import sweep

    with (
        choose(json_output=json, quiet=quiet, verbose=False) as printer,
        contents(
            paths, printer, name=name, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile
        ) as content,
    ):
        notes = folders().notes
        sweep(notes)
        result = packing.pack(content, output, split=split, notes=notes, on_event=printer)
    if json:
        print_json("fpin.pack/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.root_cid)
    else:
        print_text(f"root CID  {result.root_cid}")
        for one in result.cars:
            print_text(f"{one.path}  {one.piece_cid} ({format_size(one.size)})")
    return exits.DONE


def car_ls(
    file: Annotated[Path, Argument(metavar="FILE.car", help="A CAR file, version 1 or 2.")],
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """List the blocks of a CAR file.

    Example: fpin car ls site.car
    """
    from fpin.flows import cars

    result = cars.ls(file)
    if json:
        print_json("fpin.car.ls/1", dataclasses.asdict(result))
        return exits.DONE
    if quiet:
        for block in result.blocks:
            print_text(block.cid)
        return exits.DONE
    for root in result.roots:
        print_text(f"root  {root}")
    print_table(("CID", "OFFSET", "SIZE"), [(b.cid, str(b.offset), str(b.size)) for b in result.blocks])
    return exits.DONE


def car_verify(files: Cars, json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Hash every block, and tell whether the files together hold the whole DAG below their roots.

    Example: fpin car verify site.car
    """
    from fpin.flows import cars

    result = cars.verify(files)
    if json:
        print_json("fpin.car.verify/1", dataclasses.asdict(result))
    elif not quiet:
        for root in result.roots:
            print_text(f"root      {root}")
        print_text(f"blocks    {result.blocks}, all hashes right, {format_size(result.size)}")
        if result.repeated:
            print_text(f"repeated  {result.repeated} blocks are there more than once")
        for missing in result.missing[:10]:
            print_text(f"missing   {missing}")
        if len(result.missing) > 10:
            print_text(f"missing   … and {len(result.missing) - 10} more")
        print_text("complete" if result.complete else "not complete: blocks are missing")
    return exits.DONE if result.complete else exits.VERIFICATION


def car_extract(
    files: Cars,
    output: Annotated[
        Path, Option("--output", "-o", metavar="OUT", help="What the content is to be called.")
    ],
    root: Annotated[str | None, Option(help="The root CID to extract, where there are several.")] = None,
    path: Annotated[str, Option(help="Only what stands at this path inside the content.")] = "",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write the files that CAR files hold together; every block is hashed.

    Example: fpin car extract site.car -o extracted
    """
    from fpin.cli.progress import choose
    from fpin.flows import cars
    from fpin.settings import folders
    from fpin.temporary import sweep

    notes = folders().notes
    sweep(notes)
    with choose(json_output=json, quiet=quiet, verbose=False) as printer:
        result = cars.extract(files, output, root=root, inside=path, notes=notes, on_event=printer)
    if json:
        print_json("fpin.car.extract/1", dataclasses.asdict(result))
    elif quiet:
        print_text(result.out)
    else:
        for link in result.skipped:
            print_text(f"not made  {link}, a link that leads out of the content")
        files_in_words = count(result.files, "file")
        print_text(f"{result.out}: {files_in_words}, {format_size(result.bytes)}, verified")
    return exits.DONE
