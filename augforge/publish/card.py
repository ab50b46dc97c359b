"""The dataset card: what is in the dataset, what made it, under which licences."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml

from augforge import __version__
from augforge.data.classes import plain as rounded
from augforge.data.ledger import Ledger
from augforge.data.splits import Counts, split_counts, told
from augforge.data.stage_facts import Facts, said
from augforge.models import find_model
from augforge.recipe import Recipe
from augforge.stages.generator import Generator

EXPECTED = "\nAn image with several labels counts for each of them, one with a soft label for each class by its share."


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card tells. `classes` has the real and synthetic images of each; `generators` how many images each made.

    `judges` are the models that judged or chose, as (facts, what they did); a generator is JSON, as in the ledger.
    `splits` and `together` are as in the summary of a run, `said` is what stages say of their own work.
    """

    name: str
    recipe: str
    classes: Mapping[str, tuple[float, float]]
    drops: Mapping[str, Mapping[str, int]]
    generators: Mapping[str, int]
    judges: Sequence[tuple[Mapping[str, Any], str]]
    certificates: Mapping[str, Mapping[str, Any]]
    real: int
    synthetic: int
    splits: Counts = field(default_factory=dict)
    together: Mapping[str, int] = field(default_factory=dict)
    said: Mapping[str, Facts] = field(default_factory=dict)


def dataset_card(
    recipe: Recipe,
    ledger: Ledger,
    certificates: Mapping[str, Mapping[str, Any]],
    together: Mapping[str, int],
    stages: Mapping[str, Facts],
) -> str:
    """The card of a run as Markdown with the YAML header of the Hugging Face hub."""
    real, synthetic = (ledger.class_counts(ledger.visible(origin)) for origin in ("real", "synthetic"))
    facts = CardFacts(
        name=recipe.name,
        recipe=recipe.yaml(),
        classes={label: (real[label], synthetic[label]) for label in ledger.classes},
        drops=ledger.drops_by_stage(),
        generators=generators_of(ledger),
        judges=_judges(recipe),
        certificates=certificates,
        real=len(ledger.visible("real")),
        synthetic=len(ledger.visible("synthetic")),
        splits=counted_splits(ledger),
        together=together,
        said=stages,
    )
    about = (
        "every row's `provenance` says where it came from, and `samples.parquet` lists every image that was ever seen, "
        "with the reason if it was dropped."
    )
    licences = "The licences of the source images are those of their sources, which augforge cannot know."
    return card_text(header(facts), facts, about, licences)


def header(facts: CardFacts) -> dict[str, Any]:
    """What the YAML header of every card says."""
    return {
        "pretty_name": facts.name,
        "task_categories": ["image-classification"],
        "tags": ["augforge", "synthetic"] if facts.synthetic else ["augforge"],
        "size_categories": [_size_category(facts.real + facts.synthetic)],
    }


def card_text(header: Mapping[str, Any], facts: CardFacts, about: str, licences: str) -> str:
    """A card with its header; `about` goes on after "Made with augforge", both texts are Markdown."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", facts.recipe)), default=0))
    sections = [
        f"---\n{yaml.safe_dump(dict(header), sort_keys=False, allow_unicode=True)}---",
        f"# {plain(facts.name)}",
        f"{facts.real + facts.synthetic:,} images: {facts.real:,} real, {facts.synthetic:,} synthetic. "
        f"Made with augforge {__version__}; {about}",
        "## Classes\n\n" + _class_table(facts),
        *(["## Splits\n\n" + _split_table(facts)] if facts.splits else []),
        "## Dropped\n\n" + _dropped_table(facts),
        *(["## What the stages say\n\n" + _said_by_stages(facts)] if facts.said else []),
        *(_certificate(title, told) for title, told in facts.certificates.items()),
        "## Models\n\n" + _model_list(facts),
        f"## Licences\n\n{licences}",
        f"## Recipe\n\n{fence}yaml\n{facts.recipe}{fence}",
    ]
    return "\n\n".join(sections) + "\n"


def _class_table(facts: CardFacts) -> str:
    sums = {name: rounded(real + made) for name, (real, made) in facts.classes.items()}
    lines = [f"| {plain(c)} | {real:,} | {made:,} | {sums[c]:,} |" for c, (real, made) in facts.classes.items()]
    expected = sum(sums.values()) > facts.real + facts.synthetic or any(isinstance(n, float) for n in sums.values())
    return "\n".join(["| class | real | synthetic | all |", "|---|---:|---:|---:|", *lines, *([EXPECTED] * expected)])


def _split_table(facts: CardFacts) -> str:
    """The images of each split, in all and by class, and whether near-duplicates were kept together."""
    splits = list(facts.splits)
    names = [plain(split) or "none" for split in splits]
    classes = next(iter(facts.splits.values()))
    rows = [("all", [sum(facts.splits[split].values()) for split in splits])]
    rows += [(plain(name) or "no class", [facts.splits[split][name] for split in splits]) for name in classes]
    lines = [f"| {' | '.join([name, *(f'{count:,}' for count in counts)])} |" for name, counts in rows]
    head = [f"| class | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    return "\n".join([*head, *lines]) + (f"\n\n{told(facts.together)}" if facts.together else "")


def counted_splits(ledger: Ledger) -> dict[str, dict[str, int]]:
    """The kept samples of a ledger by split and the class that they are filed under; {} where none has a split."""
    kept = ledger.visible()
    return split_counts(ledger.column("split", kept), ledger.filed_under(kept), ledger.classes)


def _dropped_table(facts: CardFacts) -> str:
    rows = [
        f"| {plain(stage)} | {plain(reason)} | {count:,} |"
        for stage, reasons in facts.drops.items()
        for reason, count in reasons.items()
    ]
    return "\n".join(["| stage | reason | images |", "|---|---|---:|", *rows]) if rows else "Nothing."


def _said_by_stages(facts: CardFacts) -> str:
    """A line for each stage that says something of its own work."""
    return "\n".join(f"- {plain(title)}: {plain(said(found))}" for title, found in facts.said.items())


def _certificate(title: str, facts: Mapping[str, Any]) -> str:
    """What the selection is worth, beside a random one and k-center, and what a smaller budget would have given."""
    center = "not computed" if facts["k-center"] is None else f"{facts['k-center']:,.2f}"
    curve = facts["curve"]
    points = np.linspace(0, len(curve["budget"]) - 1, min(5, len(curve["budget"]))).round().astype(int)
    rows = [f"| {curve['budget'][p]:,} | {curve['chosen'][p]:,.2f} | {curve['random'][p]:,.2f} |" for p in points]
    return "\n".join(
        [
            f"## Certificate of {plain(title)}",
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


def _model_list(facts: CardFacts) -> str:
    """The models that made an image that is there, and those that judged or chose."""
    lines = []
    for generation_config, count in facts.generators.items():
        made: dict[str, Any] = json.loads(generation_config)
        if isinstance(made.get("model"), dict):
            lines.append(_model_line(made["model"], f"made {count:,} of the images ({plain(str(made['generator']))})"))
    lines += [_model_line(model, plain(did)) for model, did in facts.judges]
    return "\n".join(lines) if lines else "None."


def _judges(recipe: Recipe) -> list[tuple[Mapping[str, Any], str]]:
    found: list[tuple[Mapping[str, Any], str]] = []
    for stage in recipe.stages:
        if not isinstance(stage, Generator):
            did = f"{stage.verb} {stage.name}"
            found += [(find_model(name, task).facts(), did) for name, task in stage.models()]
    return found


def _model_line(facts: Mapping[str, Any], did: str) -> str:
    name, licence, digest = (plain(str(facts.get(key))) for key in ("name", "licence", "digest"))
    return f"- {name}: {did}; licence {licence}, weights {digest[:12]}"


def generators_of(ledger: Ledger) -> Counter[str]:
    """How many kept images each maker (as JSON) has made."""
    counts = ledger.coded("generation_config").counts(ledger.visible())
    return Counter({generation_config: count for generation_config, count in counts.items() if generation_config})


def plain(text: str) -> str:
    """Text that stays text in Markdown and HTML: in a table, a list or a heading, whatever it holds."""
    return re.sub(r"[&<>|\\`*\[\]\"'\x00-\x1f\x7f]", lambda sign: _entity(sign.group()), text)


def _entity(sign: str) -> str:
    return " " if ord(sign) < 32 or sign == "\x7f" else f"&#{ord(sign)};"


def _size_category(count: int) -> str:
    bounds = (1e3, 1e4, 1e5, 1e6)
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "n>1M")
    return names[int(np.searchsorted(bounds, count, side="right"))]
