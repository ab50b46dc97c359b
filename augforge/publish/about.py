"""What a run folder tells of itself, for the card and the metadata of an export. Loads no model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from augforge.data.classes import filed_labels
from augforge.data.splits import split_counts
from augforge.data.stage_facts import read_facts
from augforge.errors import StoreError
from augforge.provenance.lock import NAME, Lock, read_lock
from augforge.publish.card import CardFacts
from augforge.publish.private import PRIVATE, hide_reason, hide_recipe, is_path


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is told of a run: the facts of its card, its sources (name, images, digest), its stages, and its date."""

    card: CardFacts
    sources: tuple[Mapping[str, Any], ...]
    stages: tuple[str, ...]
    date: str

    @property
    def name(self) -> str:
        """The name of the recipe."""
        return self.card.name

    @property
    def real(self) -> int:
        """Kept real images."""
        return self.card.real

    @property
    def synthetic(self) -> int:
        """Kept synthetic images."""
        return self.card.synthetic

    def plain(self) -> dict[str, Any]:
        """As JSON-like values."""
        return asdict(self)


def facts_of(folder: Path, ledger: pq.ParquetFile, private: bool) -> RunFacts:
    """The facts of a finished run; with `private`, without the name of any file or folder.

    Raises:
        StoreError: a file of the run is missing or damaged.
    """
    lock = read_lock(folder / NAME)
    recipe = lock["recipe"]
    shown = hide_recipe(recipe) if private else recipe
    rows = ledger.read(
        columns=[
            *("label", "annotations", "origin", "kept", "dropped", "dropped_by"),
            *("generation_config", "sampled_params", "split"),
        ]
    )
    columns = {name: rows.column(name).to_pylist() for name in rows.column_names if name != "annotations"}
    columns["label"] = filed_labels(rows, list(lock["result"]["classes"]))
    card = CardFacts(
        name=str(recipe.get("name", folder.name)),
        recipe=yaml.safe_dump(shown, sort_keys=False, allow_unicode=True),
        classes={label: (count["real"], count["synthetic"]) for label, count in lock["result"]["classes"].items()},
        drops=_drops(columns, private),
        generators=_makers(columns, private),
        judges=_judges(lock, private),
        certificates=_certificates(folder),
        real=_count(columns, "real"),
        synthetic=_count(columns, "synthetic"),
        splits=_splits(columns, list(lock["result"]["classes"])),
        together=_together(folder),
        said=read_facts(folder),
    )
    return RunFacts(card, _sources(lock, private), tuple(lock["stages"]), _date(folder))


def _count(columns: Mapping[str, Any], origin: str) -> int:
    return sum(kept and of == origin for kept, of in zip(columns["kept"], columns["origin"], strict=True))


def _splits(columns: Mapping[str, Any], classes: list[str]) -> dict[str, dict[str, int]]:
    kept = [
        (s, label) for s, label, kept in zip(columns["split"], columns["label"], columns["kept"], strict=True) if kept
    ]
    return split_counts([split for split, _ in kept], [label for _, label in kept], classes)


def _together(folder: Path) -> Mapping[str, int]:
    """What the run's own summary says of groups that were kept together; {} if it made no splits."""
    found: Mapping[str, int] = json.loads((folder / "run.json").read_text())["summary"].get("together", {})
    return found


def _drops(columns: Mapping[str, Any], private: bool) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for stage, reason in zip(columns["dropped_by"], columns["dropped"], strict=True):
        if stage is not None:
            told = hide_reason(str(reason)) if private else str(reason)
            found.setdefault(stage, Counter())[told] += 1
    return {stage: dict(reasons.most_common()) for stage, reasons in sorted(found.items())}


def _makers(columns: Mapping[str, Any], private: bool) -> dict[str, int]:
    """Kept images by generation config; of images generated elsewhere it is among their sampled parameters."""
    rows = zip(columns["generation_config"], columns["sampled_params"], columns["kept"], strict=True)
    counted = Counter(
        generation_config or sampled_params
        for generation_config, sampled_params, kept in rows
        if kept and (generation_config or '"model"' in (sampled_params or ""))
    )
    found: Counter[str] = Counter()
    for generation_config, count in counted.items():
        made = json.loads(generation_config)
        if isinstance(made.get("model"), dict) and "generator" in made:
            model = {**made["model"], "name": _name(str(made["model"].get("name")), private)}
            found[json.dumps({"generator": str(made["generator"]), "model": model}, sort_keys=True)] += count
    return dict(found)


def _judges(lock: Lock, private: bool) -> list[tuple[Mapping[str, Any], str]]:
    """The models that the recipe's stages name, but for those that make images, which the makers tell of."""
    found: list[tuple[Mapping[str, Any], str]] = []
    for stage in lock["recipe"].get("stages") or ():
        verb, name = next(iter(stage.items()))
        for value in stage.values() if verb != "generate" else ():
            if isinstance(value, str) and value in lock["models"]:
                found.append(({"name": _name(value, private), **lock["models"][value]}, f"{verb} {name}"))
    return found


def _sources(lock: Lock, private: bool) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "name": PRIVATE if private else " ".join(map(str, next(iter(source["source"].items())))),
            "images": source["images"],
            "digest": source["digest"],
        }
        for source in lock["sources"]
    )


def _name(model: str, private: bool) -> str:
    return PRIVATE if private and is_path(model) else model


def _certificates(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "certificates.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{folder}/certificates.json is missing or damaged", "run the recipe again") from error


def _date(folder: Path) -> str:
    """The day on which the run ended."""
    return datetime.fromtimestamp((folder / "run.json").stat().st_mtime, UTC).date().isoformat()
