"""What filters and selectors measure of each image, and where it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from augforge.data.ids import key
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.embedding import stored_vectors
from augforge.engine.rows import Encoded, Look
from augforge.engine.runners.candidates import look_parts
from augforge.stages.filter import EmbeddingFilter, PixelFilter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.labeler import Labeler
from augforge.stages.stage import Stage


def measuring(stage: PixelFilter, store: Store) -> tuple[Look, Parts]:
    """What a filter measures of an image, and where it is stored."""
    return Measuring(stage.name, stage), score_parts(stage, store)


def score_parts(stage: PixelFilter, store: Store) -> Parts:
    """Where a filter's measures of each image lie, by digest."""
    schema = pa.schema([("digest", pa.string()), *((name, pa.float64()) for name in stage.measures)])
    name = f"filter-{stage.name}-{key(stage.name, stage.version, stage.measured_options())[:12]}"
    return store.parts(name, schema, by="digest")


def measured_parts(stage: Stage, store: Store) -> Parts | None:
    """Where what a filter or selector measures of each image lies, by digest; None if it measures nothing."""
    if isinstance(stage, PixelFilter) and stage.looks_at_pixels:
        return score_parts(stage, store)
    if isinstance(stage, Duplicates) and stage.by != "embedding":
        return None if stage.by == "exact" else look_parts(store)
    if isinstance(stage, Labeler):
        return stored_vectors(stage.model, "classification", store)
    if isinstance(stage, EmbeddingFilter):
        name, task = stage.judge
        return stored_vectors(name, task, store)
    model = getattr(stage, "model", None)
    return None if model is None else stored_vectors(model, stage.tasks()["model"], store)


@dataclass(frozen=True)
class Measuring(Look):
    """Measures images by what a filter looks at in their pixels."""

    title: str
    stage: PixelFilter

    def see(self, image: Encoded) -> Mapping[str, float]:
        """As `Look.see`: what could not be judged has no row, and is measured again another time."""
        return _checked(self.stage, self.stage.measure(image.image))


def _checked(stage: PixelFilter, measured: Mapping[str, float]) -> Mapping[str, float]:
    """What a filter measured; ValueError where it is not what its class declares, which is a defect of the filter."""
    if set(measured) != set(stage.measures):
        raise ValueError(f"filter: {stage.name} declares {sorted(stage.measures)} but measured {sorted(measured)}")
    return measured
