"""The commands that are killed: each with tiny models of the real classes."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import write_images
from tests.faults.killing import MODEL, Command, once
from tests.tiny import save_tiny_clip, save_tiny_unclip

RECIPE = """
source: {{folder: {pictures}}}
stages:
  - generate: augmented-conditioning
    model: {unclip}
    per-class: 8
    batch: 4
    steps: 2
  - filter: clip
    model: {clip}
    keep: 0.7
  - select: facility-location
    model: {clip}
    share: 0.7
  - train: classifier
    as: judge
    embedder: {clip}
    steps: 8
    batch: 4
    checkpoint-every: 2
"""


def commands(folder: Path, export: bool = True) -> list[Command]:
    """generate, filter, select-subset, train and export by themselves, and a recipe of the first four."""
    pictures = str(write_images(folder / "pictures", {"cat": 8, "dog": 5}))
    clip, unclip = str(save_tiny_clip(folder / "clip")), str(save_tiny_unclip(folder / "unclip"))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(pictures=pictures, clip=clip, unclip=unclip))
    made = ("generate", "augmented-conditioning", pictures, "--model", unclip, "--per-class", "8", "--batch", "4")
    train = ("train", "classifier", pictures, "--embedder", clip, "--steps", "8", "--batch", "4")
    everything = ("samples.parquet", "recipe.*", "certificates.json", "dataset/*", "models/*/model.*")
    generate = Command("generate", (*made, "--steps", "2"))
    exported = ("export", str(once(generate, folder / "run")), "--to", "parquet") if export else ()
    return [
        generate,
        Command("filter", ("filter", "clip", pictures, "--model", clip, "--keep", "0.7")),
        Command("select", ("select-subset", "facility-location", pictures, "--model", clip, "--share", "0.6")),
        Command("train", (*train, "--checkpoint-every", "2"), MODEL),
        *([Command("export", exported, ("**/*",))] if export else []),
        Command("recipe of all four", ("run", str(recipe)), everything),
    ]
