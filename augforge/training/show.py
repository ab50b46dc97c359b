"""What a training shows of itself: the sample sheet, the loss curves and the model card."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from augforge.data.images import encode_png
from augforge.optional import require
from augforge.training.task import SampleGrid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_SIDE = 96
GAP = 4
TITLE = 16
NO_CURVE = {"step", "held_out"}
LARGE = 10
"""Where a curve goes beyond, the axis becomes logarithmic, so that those between 0 and 1 are still seen."""


def grid_png(sheet: SampleGrid) -> bytes:
    """The sheet as PNG: a column under each title; small pictures are enlarged by a whole factor."""
    pictures = [[Image.fromarray(np.ascontiguousarray(cell)) for cell in row] for row in sheet.rows]
    width = max((cell.width for row in pictures for cell in row), default=1)
    height = max((cell.height for row in pictures for cell in row), default=1)
    zoom = max(1, -(-LEAST_SIDE // min(width, height)))
    cell_width, cell_height = width * zoom + GAP, height * zoom + GAP
    canvas = Image.new("RGB", (cell_width * len(sheet.titles) + GAP, cell_height * len(pictures) + TITLE), "white")
    pen = ImageDraw.Draw(canvas)
    for column, title in enumerate(sheet.titles):
        pen.text((column * cell_width + GAP, 2), title, fill="black")
    for place, row in enumerate(pictures):
        for column, cell in enumerate(row):
            large = cell.resize((cell.width * zoom, cell.height * zoom), Image.Resampling.NEAREST)
            canvas.paste(large, (column * cell_width + GAP, place * cell_height + TITLE))
    return encode_png(canvas)


def curves_png(losses: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]]) -> bytes:
    """Losses and measurements over the steps as PNG, one panel each."""
    require("matplotlib", extra="train")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for panel, (title, rows) in zip(figure.subplots(1, 2), (("losses", losses), ("measured", measured)), strict=True):
        _draw_curves(panel, rows)
        panel.set(title=title, xlabel="step")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _draw_curves(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """A line for each name over the steps at which it was written."""
    for name in dict.fromkeys(name for row in rows for name in row if name not in NO_CURVE):
        points = [(row["step"], row[name]) for row in rows if name in row]
        panel.plot(*zip(*points, strict=True), label=name, marker="o" if len(points) < 8 else "", linewidth=1.2)
    panel.grid(alpha=0.3)
    _scale(panel, rows)
    if rows and len(rows[0]) > 1:
        panel.legend(fontsize=7, frameon=False)


def _scale(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    values = [abs(value) for row in rows for name, value in row.items() if name not in NO_CURVE]
    if max(values, default=0.0) > LARGE:
        panel.set_yscale("symlog", linthresh=1)


def card(record: Mapping[str, Any], name: str, seconds: float | None) -> str:
    """The model card in Markdown, from the record of `model.json`; `seconds` if the training was measured whole."""
    parts = record["data"].items()
    data = "\n".join(f"| {role} | {facts['images']:,} | `{facts['digest']}` |" for role, facts in parts)
    measured = "\n".join(f"| {what} | {value:.4g} |" for what, value in record["measured"].items())
    options = "\n".join(f"| {option} | {value} |" for option, value in record["options"].items())
    images = record["steps"] * record["batch"]
    speed = (
        "its speed was not measured, as it was interrupted" if seconds is None else f"{images / seconds:,.1f} images/s"
    )
    return f"""# {name}

A model for `{record["task"]}`, trained by augforge {record["versions"]["augforge"]}: {record["steps"]:,} steps of
{record["batch"]} images on {record["device-name"]} in {record["dtype"]}; {speed}. Judge it by the pictures.

![samples](samples.png)

![losses](losses.png)

## Measured at the end

| what | value |
|---|---|
{measured}

## Trained on

| part | images | digest of the images' digests |
|---|---|---|
{data}

The licence of the model follows from the licences of these images and is not stated here.

## Options

| option | value |
|---|---|
{options}

Seed {record["seed"]}. What rebuilds the network: `model.json` and `model.safetensors`.
"""
