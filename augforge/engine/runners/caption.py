"""Run captioners: describe what has no caption yet, each image once, and write the words into the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from augforge.data.annotations import parse_annotations
from augforge.data.ids import key
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.loading import loading
from augforge.engine.pixels import Located, Pixels
from augforge.engine.rows import OfDigests, decoded, drop_all, look_at, without_rows
from augforge.engine.work import Made, Maker, Refused
from augforge.models import find_model, model_key
from augforge.progress import Progress
from augforge.recipe.looked_at import looked_at
from augforge.stages.captioner import Captioner

CAPTIONS = pa.schema([("digest", pa.string()), ("caption", pa.string())])

UNSAID = "..."
"""The caption of an image that is still to be described."""


def run_captioner(stage: Captioner, title: str, context: RunContext) -> dict[str, int]:
    """Describe the images that `stage` looks at and that have no caption; counts what was described and was there."""
    ledger, parts = context.ledger, caption_parts(stage, context.store)
    indices = to_describe(stage, ledger)
    todo, asked = without_rows(ledger, indices, parts), len(indices)
    refused = look_at(Describing(stage.name, stage), ledger, todo, parts, context.place, context.engine)
    drop_all(refused.dropped, context.drop_as(title))
    told = write_captions(stage, title, ledger, indices[ledger.kept[indices]], parts)
    context.progress.about(f"{title}: {told:,} of {len(ledger.visible()):,} images have a caption by it")
    return {"measured": len(todo), "reused": asked - len(todo)}


def caption_parts(stage: Captioner, store: Store) -> Parts:
    """Where the words of a captioner lie, by digest: "" of an image for which the model found none."""
    models = [model_key(find_model(name, task)) for name, task in stage.models()]
    named = set(stage.tasks())
    options = {name: value for name, value in stage.measured_options().items() if name not in named}
    name = f"caption-{stage.name}-{key(stage.name, stage.version, options, models)[:12]}"
    return store.parts(name, CAPTIONS, by="digest")


def to_describe(stage: Captioner, ledger: Ledger) -> Indices:
    """The kept samples that a captioner looks at and that have no caption yet; with `anew` all that it looks at."""
    indices = looked_at(stage, ledger)
    if stage.anew:
        return indices
    said = (parse_annotations(text) for (text,) in ledger.each(("annotations",), indices))
    found: Indices = indices[np.fromiter(("caption" not in each for each in said), dtype=bool, count=len(indices))]
    return found


def write_captions(stage: Captioner, title: str, ledger: Ledger, indices: Indices, parts: Parts) -> int:
    """Write the words that lie in `parts` into the annotations of the samples at `indices`; how many have any."""
    words = [row["caption"] for row in parts.rows(ledger.column("digest", indices), ["caption"])]
    told = np.array([bool(each) for each in words], dtype=bool)
    before = (parse_annotations(text) for (text,) in ledger.each(("annotations",), indices[told]))
    by = {"stage": title, **stage.about()}
    new = ({**old, "caption": word, "captioned_by": by} for old, word in zip(before, filter(None, words), strict=True))
    ledger.annotate(indices[told], new)
    return int(told.sum())


def foresee_captions(stage: Captioner, title: str, ledger: Ledger, store: Store) -> tuple[int, int]:
    """How many images are to be described, and how many were; in the ledger all of them have a caption after it."""
    parts, indices = caption_parts(stage, store), to_describe(stage, ledger)
    there = parts.find(ledger.texts("digest", indices)) >= 0
    write_captions(stage, title, ledger, indices[there], parts)
    unsaid = indices[~there]
    before = (parse_annotations(text) for (text,) in ledger.each(("annotations",), unsaid))
    ledger.annotate(unsaid, ({**old, "caption": UNSAID} for old in before))
    return len(unsaid), int(there.sum())


@dataclass(frozen=True)
class Describing(OfDigests):
    """Describes images of different digests."""

    title: str
    stage: Captioner
    per_batch: int = 64
    per_unit: int = 256
    uses_device: ClassVar[bool] = True

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Describer(self.stage, pixels, device, progress)

    def models(self) -> Sequence[tuple[str, str]]:
        """As `Work.models`."""
        return self.stage.models()


class _Describer(Maker):
    """A captioner with its model: loading decodes."""

    def __init__(self, stage: Captioner, pixels: Pixels, device: str, progress: Progress) -> None:
        with loading(stage, progress):
            self._describe = stage.load(device)
        self._pixels = pixels

    def load(self, batch: Sequence[Located]) -> tuple[dict[str, Any], dict[str, str]]:
        """The images that can be read, and why the others cannot, by digest."""
        return decoded(batch, self._pixels)

    def make(self, loaded: tuple[dict[str, Any], dict[str, str]]) -> Made:
        """Their words."""
        pictures, dropped = loaded
        words = self._describe(list(pictures.values())) if pictures else []
        rows = [{"digest": digest, "caption": each} for digest, each in zip(pictures, words, strict=True)]
        return Made(rows, refused=Refused(dropped))

    def rows(self, made: Made) -> Made:
        """As they are."""
        return made
