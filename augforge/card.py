"""The dataset card: what is in the dataset, what made it, under which licences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml

from augforge import __version__
from augforge.ledger import Ledger
from augforge.models import find_model
from augforge.recipe import Recipe
from augforge.stage import Generator


def dataset_card(recipe: Recipe, ledger: Ledger) -> str:
    """The card as Markdown with the YAML header of the Hugging Face hub."""
    kept = ledger.visible()
    header = {
        "pretty_name": recipe.name,
        "task_categories": ["image-classification"],
        "tags": ["augforge", "synthetic"] if len(ledger.visible("synthetic")) else ["augforge"],
        "size_categories": [_size_category(len(kept))],
    }
    sections = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {_plain(recipe.name)}",
        f"{len(kept):,} images: {len(ledger.visible('real')):,} real, {len(ledger.visible('synthetic')):,} synthetic. "
        f"Made with augforge {__version__}; every row's `provenance` says where it came from, and `samples.parquet` "
        "lists every image that was ever seen, with the reason if it was dropped.",
        "## Classes\n\n" + _class_table(ledger),
        "## Dropped\n\n" + _dropped_table(ledger),
        "## Models\n\n" + _model_list(recipe, ledger),
        "## Licences\n\nThe licences of the source images are those of their sources, which augforge cannot know.",
        f"## Recipe\n\n```yaml\n{recipe.yaml()}```",
    ]
    return "\n\n".join(sections) + "\n"


def _class_table(ledger: Ledger) -> str:
    real = ledger.class_counts(ledger.visible("real"))
    synthetic = ledger.class_counts(ledger.visible("synthetic"))
    lines = [f"| {_plain(c)} | {real[c]:,} | {synthetic[c]:,} | {real[c] + synthetic[c]:,} |" for c in ledger.classes]
    return "\n".join(["| class | real | synthetic | all |", "|---|---:|---:|---:|", *lines])


def _dropped_table(ledger: Ledger) -> str:
    rows = [
        f"| {_plain(stage)} | {_plain(reason)} | {count:,} |"
        for stage, reasons in ledger.drops_by_stage().items()
        for reason, count in reasons.items()
    ]
    return "\n".join(["| stage | reason | images |", "|---|---|---:|", *rows]) if rows else "Nothing."


def _model_list(recipe: Recipe, ledger: Ledger) -> str:
    """The models that made an image that is there, and those that judged or chose."""
    lines = []
    for maker, count in makers(ledger).items():
        made: dict[str, Any] = json.loads(maker)
        if isinstance(made.get("model"), dict):
            lines.append(_model_line(made["model"], f"made {count:,} of the images ({made['generator']})"))
    for stage in recipe.stages:
        for option, task in stage.tasks().items():
            if not isinstance(stage, Generator):
                lines.append(
                    _model_line(find_model(getattr(stage, option), task).facts(), f"{stage.verb} {stage.name}")
                )
    return "\n".join(lines) if lines else "None."


def _model_line(facts: Mapping[str, Any], did: str) -> str:
    return f"- `{_plain(facts['name'])}`: {did}; licence {_plain(facts['licence'])}, weights {facts['digest'][:12]}"


def makers(ledger: Ledger) -> Counter[str]:
    """How many kept images each maker (as JSON) has made."""
    counts = Counter(ledger.column("maker", ledger.visible()))
    return Counter({maker: count for maker, count in counts.items() if maker})


def _plain(text: str) -> str:
    """Text that stays text in Markdown and HTML."""
    for sign, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("\n", " "), ("`", "'")):
        text = text.replace(sign, safe)
    return text


def _size_category(count: int) -> str:
    bounds = (1e3, 1e4, 1e5, 1e6)
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "n>1M")
    return names[int(np.searchsorted(bounds, count, side="right"))]
