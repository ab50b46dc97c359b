"""Run labelers and splitters: stages that say more about real images, before others use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.annotations import parse_annotations
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.data.splits import joined, kept_together, unlabelled_stay
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.empty import REASONS, usual_reason
from augforge.engine.rows import Encoded, Look, drop_all, look_at, without_rows
from augforge.errors import RecipeError, shortened
from augforge.models import find_model
from augforge.stages.labeler import Labeler
from augforge.stages.splitter import Splitter

HASHES = pa.schema([("digest", pa.string()), ("hash", pa.uint64())])


def run_labeler(stage: Labeler, title: str, context: RunContext) -> dict[str, int]:
    """Label the unlabelled images that the classifier is sure of, and drop the other unlabelled ones."""
    ledger = context.ledger
    indices = unlabelled(ledger)
    if not len(indices):
        context.progress.say(f"{title}: nothing to label: every image to learn from has a label")
        return {"measured": 0, "reused": 0}
    embedder = context.embedders.of(stage.model, "classification")
    before = embedder.computed
    logits = embedder.images(ledger, indices, context.drop_as(title))
    still = ledger.kept[indices]
    decide_labels(stage, title, ledger, indices[still], logits[still])
    if not ledger.coded("labelled_by").equal(title, indices).any():
        why = usual_reason(ledger, indices)
        context.empty(f"{title}: it labelled none of the {len(indices):,} images without a label: {why}", REASONS)
    else:
        context.progress.about(said_of_labels(title, ledger, indices))
    computed = embedder.computed - before
    return {"measured": computed, "reused": len(still) - computed}


def said_of_labels(title: str, ledger: Ledger, indices: Indices) -> str:
    """How many of the images at `indices` a labeler labelled, as what, and how sure it was at least."""
    mine = indices[ledger.coded("labelled_by").equal(title, indices)]
    counts = Counter(str(label) for label in ledger.column("label", mine))
    classes = shortened(f"{label} {count:,}" for label, count in counts.most_common())
    least, most = (float(find(ledger.scores["confidence"][mine])) for find in (np.min, np.max))
    return f"{title}: labelled {len(mine):,} of {len(indices):,}: {classes}; confidence {least:.2f} to {most:.2f}"


def decide_labels(stage: Labeler, title: str, ledger: Ledger, indices: Indices, logits: NDArray[np.float32]) -> None:
    """Label or drop the unlabelled images at `indices` by their logits (n, c)."""
    from augforge.models.loading import classes_of

    classes = classes_of(find_model(stage.model, "classification"))
    verdict = stage.decide(logits, ledger.column("id", indices), classes)
    sure = verdict.accepted
    ledger.score("confidence", indices, verdict.confidence)
    ledger.relabel(indices[sure], [classes[i] for i in verdict.labels[sure]], title, new_classes=True)
    ledger.drop(indices[~sure], verdict.reasons[~sure], title)


def unlabelled(ledger: Ledger) -> Indices:
    """The kept real samples without a label that are there to learn from: evaluation splits are left alone.

    What has several labels or a soft label is none of them, nor what is known to be of no class (`labels` of []).
    """
    indices = ledger.reference(unlabelled=True)
    free = ledger.coded("label").equal(None, indices)
    free[list(ledger.several(indices))] = False
    found = indices[free]
    said = ledger.each(("annotations",), found)
    usable: Indices = found[np.array(["labels" not in parse_annotations(text) for (text,) in said], dtype=bool)]
    return usable


def run_splitter(stage: Splitter, title: str, context: RunContext) -> dict[str, int]:
    """Give every kept real image its split."""
    ledger = context.ledger
    if made := len(ledger.visible("synthetic")):
        raise RecipeError(
            f"{title}: the source holds {made:,} generated images, whose parents it would put into the test set",
            "split the real images first, and generate from what is left for training",
        )
    indices = ledger.visible("real")
    parts = hash_parts(context.store)
    todo, seen = without_rows(ledger, indices, parts), len(indices)
    refused = look_at(Hashing(), ledger, todo, parts, context.place, context.engine)
    drop_all(refused.dropped, context.drop_as(title))
    indices = indices[ledger.kept[indices]]
    before = ledger.column("split", indices)
    together = decide_splits(stage, ledger, indices, parts)
    after = ledger.column("split", indices)
    for told in (joined(before, after), unlabelled_stay(ledger.column("label", indices), after)):
        if told:
            context.progress.about(f"{title}: {told}")
    return {"measured": len(todo), "reused": seen - len(todo), **together}


def decide_splits(stage: Splitter, ledger: Ledger, indices: Indices, parts: Parts) -> dict[str, int]:
    """Split the images at `indices` by their hashes, which are all in `parts`; the groups that were kept together."""
    labels = [label or "" for label in ledger.filed_under(indices)]
    digests = ledger.column("digest", indices)
    hashes = _or_digests(_stored(parts, digests), digests)
    ids = ledger.column("id", indices)
    splits = stage.assign(hashes, ids, labels, ledger.column("split", indices))
    ledger.resplit(indices, splits)
    return kept_together(stage.groups(hashes, ids), splits)


def _or_digests(hashes: NDArray[np.uint64], digests: Sequence[str]) -> NDArray[np.uint64]:
    """The hashes (n,), of images without structure the first 64 bits of their digests: near to exact copies alone."""
    from augforge.algorithms.duplicates import NO_STRUCTURE

    exact = np.array([int(digest[:16], 16) for digest in digests], dtype=np.uint64)
    return np.where(hashes == NO_STRUCTURE, exact, hashes)


def hash_parts(store: Store) -> Parts:
    """Where the perceptual hashes of a run lie, by digest."""
    return store.parts("hash-1", HASHES, by="digest")


@dataclass(frozen=True)
class Hashing(Look):
    """Hashes images."""

    title: str = "hash"

    def see(self, image: Encoded) -> dict[str, int]:
        """As `Look.see`: a column of `HASHES`."""
        from augforge.algorithms.duplicates import hash_bytes

        return {"hash": int(hash_bytes(image.data))}


def _stored(parts: Parts, digests: list[str]) -> NDArray[np.uint64]:
    if not digests:
        return np.zeros(0, dtype=np.uint64)
    return np.asarray(parts.take(digests, ["hash"]).column("hash").to_numpy(), dtype=np.uint64)
