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


def dataset_card(recipe: Recipe, ledger: Ledger, certificates: Mapping[str, Mapping[str, Any]]) -> str:
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
        *(_certificate(title, facts) for title, facts in certificates.items()),
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


def _certificate(title: str, facts: Mapping[str, Any]) -> str:
    """What the selection is worth, beside a random one and k-center, and what a smaller budget would have given."""
    center = "not computed" if facts["k-center"] is None else f"{facts['k-center']:,.2f}"
    curve = facts["curve"]
    points = np.linspace(0, len(curve["budget"]) - 1, min(5, len(curve["budget"]))).round().astype(int)
    rows = [f"| {curve['budget'][p]:,} | {curve['chosen'][p]:,.2f} | {curve['random'][p]:,.2f} |" for p in points]
    return "\n".join(
        [
            f"## Certificate of {_plain(title)}",
            "",
            f"Objective {facts['objective']:,.2f}; random {facts['random']:,.2f}, k-center {center}; no choice with "
            f"the same class budgets is over {facts['upper-bound']:,.2f}, so this one is within {facts['gap']:.2%} of "
            "the best. The whole curve is in `certificates.json`.",
            "",
            "| images kept | objective | of a random choice |",
            "|---:|---:|---:|",
            *rows,
        ]
    )


def _model_list(recipe: Recipe, ledger: Ledger) -> str:
    """The models that made an image that is there, and those that judged or chose."""
    lines = []
    for maker, count in makers(ledger).items():
        made: dict[str, Any] = json.loads(maker)
        if isinstance(made.get("model"), dict):
            lines.append(_model_line(made["model"], f"made {count:,} of the images ({made['generator']})"))
    for stage in recipe.stages:
        for option, task in stage.tasks().items():
            name = getattr(stage, option)
            if not isinstance(stage, Generator) and name is not None:
                lines.append(_model_line(find_model(name, task).facts(), f"{stage.verb} {stage.name}"))
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
