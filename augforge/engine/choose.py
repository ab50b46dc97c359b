"""Run selectors: gather what the models say of each image, choose, certify the choice, and remember it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.engine.judge import Embedders, dropper
from augforge.ids import key
from augforge.ledger import Indices, Ledger
from augforge.models import find_model, model_key
from augforge.progress import Progress
from augforge.stage import Selector
from augforge.store import Store, write_atomically

Matrix = NDArray[np.float32]


def run_selector(
    stage: Selector,
    title: str,
    ledger: Ledger,
    embedders: Embedders,
    progress: Progress,
    certificates: dict[str, Any],
) -> dict[str, int]:
    """Choose among the samples that `stage` looks at; drop the others, weight the chosen, file the certificate."""
    indices, features, computed = _features(stage, title, ledger, embedders)
    if not len(indices):
        return {"measured": computed, "chosen": 0}
    saved, order = _remembered(stage, ledger, indices, features, embedders.store, progress)
    if saved["certificate"] is not None:
        certificates[title] = saved["certificate"]
    chosen = order[np.array(saved["chosen"], dtype=np.int64)]
    ledger.drop(indices[np.setdiff1d(np.arange(len(indices)), chosen)], "not chosen", title)
    ledger.weight[indices[chosen]] = np.array(saved["weights"], dtype=np.float64)
    return {"measured": computed, "chosen": len(chosen)}


def _features(stage: Selector, title: str, ledger: Ledger, embedders: Embedders) -> tuple[Indices, Matrix | None, int]:
    """The samples to choose among, what the models that the stage needs say of them, and how many were embedded."""
    indices = ledger.visible(stage.on)
    tasks, parts, computed = stage.tasks(), [], 0
    for option in stage.needs if len(indices) else ():
        embedder = embedders.of(getattr(stage, option), tasks[option])
        before = embedder.computed
        parts.append(embedder.images(ledger, indices, dropper(ledger, title)))
        computed += embedder.computed - before
    still = ledger.kept[indices]
    return indices[still], np.hstack(parts)[still] if parts else None, computed


def _remembered(
    stage: Selector, ledger: Ledger, indices: Indices, features: Matrix | None, store: Store, progress: Progress
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """The choice among the samples in the order of their ids, and that order."""
    ids = ledger.column("id", indices)
    order = np.argsort(ids)
    ids = [ids[i] for i in order]
    labels = [label or "" for label in ledger.column("label", indices[order])]
    ordered = None if features is None else features[order]
    models = [
        model_key(find_model(name, task))
        for option, task in stage.tasks().items()
        if (name := getattr(stage, option)) is not None
    ]
    name = key(stage.name, stage.version, stage.options(), models, ids, labels, ledger.column("digest", indices[order]))
    path = store.folder / "parts" / f"select-{stage.name}" / f"{name}.json"
    if not path.is_file():
        chosen = _chosen(stage, labels, ids, ordered)
        for note in chosen["notes"]:
            progress.say(f"{stage.name}: {note}")
        write_atomically(path, json.dumps(chosen).encode())
    return json.loads(path.read_text()), order


def _chosen(stage: Selector, labels: list[str], ids: list[str], features: Matrix | None) -> dict[str, Any]:
    selection = stage.choose(stage.budget(len(ids)), labels, ids, features)
    certificate = None if features is None else stage.certify(selection, labels, ids, features)
    return {
        "chosen": selection.indices.tolist(),
        "weights": selection.weights.tolist(),
        "notes": selection.notes,
        "objective": selection.objective,
        "upper-bound": selection.upper_bound,
        "method": selection.method,
        "certificate": None if certificate is None else certificate.facts(),
    }
