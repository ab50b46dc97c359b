"""The commands `export` and `check-marks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from augforge.cli.completion import among
from augforge.cli.options import HERE, AsJson, DryRun, Folder, Replace, as_it_is

MARKS, CARD, PIXELS, HUB = "Marks", "Card", "Images", "Hub"
FORMATS = ("folder", "parquet", "webdataset", "coco", "yolo", "voc", "hf", "fiftyone", "label-studio", "hub")


def export(
    folder: Folder,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="folder, parquet, webdataset, coco, yolo, voc, hf, fiftyone, label-studio, or hub to push to the Hub.",
            show_default=False,
            autocompletion=among(*FORMATS),
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            **HERE,
            help="The folder to write; again into it to go on.",
            show_default=False,
        ),
    ],
    image_mode: Annotated[
        str | None,
        typer.Option(
            "--image-mode",
            metavar="RGB|L",
            rich_help_panel=PIXELS,
            help="Make all images RGB or grey, 8 bits, decoded as the stages saw them; else bytes stay as they are.",
            autocompletion=among("RGB", "L"),
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", rich_help_panel=PIXELS, help="Make all images squares of N px (RGB), cropped from the centre."
        ),
    ] = None,
    repo: Annotated[
        str, typer.Option("--repo", metavar="OWNER/NAME", rich_help_panel=HUB, help="For hub: where to push it.")
    ] = "",
    public: Annotated[
        bool, typer.Option("--public", rich_help_panel=HUB, help="For hub: everybody may see it; else it is private.")
    ] = False,
    mark: Annotated[
        bool, typer.Option("--mark/--no-mark", rich_help_panel=MARKS, help="Mark synthetic images as such, in XMP.")
    ] = True,
    sign: Annotated[
        bool, typer.Option("--sign", rich_help_panel=MARKS, help="Sign synthetic images with C2PA, too.")
    ] = False,
    cert: Annotated[
        Path | None, typer.Option("--cert", rich_help_panel=MARKS, help="For --sign: the certificate chain, PEM.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", rich_help_panel=MARKS, help="For --sign: its private key, PEM.")
    ] = None,
    private_sources: Annotated[
        bool,
        typer.Option(
            "--private-sources", rich_help_panel=CARD, help="Keep names of files and folders out of it; digests stay."
        ),
    ] = False,
    license: Annotated[
        str, typer.Option("--license", rich_help_panel=CARD, help="Of the data set: an SPDX id or a URL.")
    ] = "",
    url: Annotated[str, typer.Option("--url", rich_help_panel=CARD, help="Where the data set will be found.")] = "",
    creator: Annotated[str, typer.Option("--creator", rich_help_panel=CARD, help="Who publishes it.")] = "",
    dry_run: DryRun = False,
    replace: Replace = False,
    json: AsJson = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=1024, help="Threads that hash, decode and encode images (1 if absent)."),
    ] = None,
) -> None:
    """Write the kept images of a run, with their provenance, as others read them."""
    from augforge.cli.render.export import export_and_show
    from augforge.publish.export import Described, uniform_of
    from augforge.publish.marks import marker_of

    options: dict[str, Any] = {"private": private_sources, "described": Described(license, url, creator)}
    options |= {"uniform": uniform_of(image_mode, size), "marker": marker_of(mark, sign, cert, key)}
    options |= {"dry_run": dry_run, "replace": replace, "workers": workers}
    export_and_show(as_it_is(folder), to, out, json, repo=repo, public=public, **options)


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
