"""The commands `export` and `check-marks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def export(
    folder: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    to: Annotated[str, typer.Option("--to", help="folder, parquet, webdataset, coco or hf.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", help="The folder to write; again into it to go on.", show_default=False)
    ],
    mark: Annotated[bool, typer.Option("--mark/--no-mark", help="Mark synthetic images as such, in XMP.")] = True,
    sign: Annotated[bool, typer.Option("--sign", help="Sign synthetic images with C2PA, too.")] = False,
    cert: Annotated[Path | None, typer.Option("--cert", help="For --sign: the certificate chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="For --sign: its private key, PEM.")] = None,
    private_sources: Annotated[
        bool, typer.Option("--private-sources", help="Keep names of files and folders out of it; digests stay.")
    ] = False,
    license: Annotated[str, typer.Option("--license", help="Of the data set: an SPDX id or a URL.")] = "",
    url: Annotated[str, typer.Option("--url", help="Where the data set will be found.")] = "",
    creator: Annotated[str, typer.Option("--creator", help="Who publishes it.")] = "",
    json: AsJson = False,
) -> None:
    """Write the kept images of a run, with their provenance, as others read them."""
    from augforge.cli.render.export import export_and_show
    from augforge.publish.export import Described
    from augforge.publish.marks import marker_of

    options = {"private": private_sources, "described": Described(license, url, creator)}
    export_and_show(folder, to, out, json, marker=marker_of(mark, sign, cert, key), **options)


def check_marks(
    folder: Annotated[Path, typer.Argument(help="An export, or what became of it.", show_default=False)],
    signed: Annotated[
        bool | None, typer.Option("--signed/--not-signed", help="Whether C2PA is expected; else export.json says so.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Say which synthetic images have lost their marks; exit code 3 if any has."""
    from augforge.cli.render.export import check_and_show

    if check_and_show(folder, signed, json):
        raise typer.Exit(3)
