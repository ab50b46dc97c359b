"""The score filters of a finished run, and what they measured: what suggestions and doubts are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from augforge.data.record import AGAIN, LEDGER, check_ledger, no_run
from augforge.data.reviewed import read_reviewed
from augforge.errors import RecipeError, StoreError
from augforge.recipe.plain_yaml import read_yaml
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.filter import Filter

COLUMNS = ("id", "label", "kept", "dropped_by", "digest", "scores")
RECIPE = "recipe.yaml"


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """A filter that scores images: stage `number` of the recipe, from 1, and what it is called in the ledger."""

    number: int
    title: str
    stage: Filter

    @property
    def measure(self) -> str:
        """The score that decides."""
        return self.stage.primary_measure

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better."""
        return self.measure in self.stage.lower_is_better


@dataclass(frozen=True, slots=True)
class Measured:
    """The n samples of a run: the columns `COLUMNS` of the ledger, and which filters dropped what (also what was kept
    against them)."""

    rows: pa.Table
    filters: list[ScoreFilter]
    overruled: dict[str, str]

    def __len__(self) -> int:
        return len(self.rows)

    def scores(self, measure: str) -> NDArray[np.float64]:
        """(n,) of a measure, NaN where there is none."""
        column = self.rows.column("scores").combine_chunks()
        found = pc.map_lookup(column, measure, "first").to_numpy(zero_copy_only=False)
        return np.asarray(found, dtype=np.float64)

    def dropped_by(self, title: str) -> NDArray[np.bool_]:
        """(n,) which samples a stage dropped, also those that a person kept against it."""
        dropped = pc.fill_null(pc.equal(self.rows.column("dropped_by"), title), False)
        against = pa.array([i for i, by in self.overruled.items() if by == title], pa.string())
        back = pc.is_in(self.rows.column("id"), value_set=against)
        found: NDArray[np.bool_] = np.asarray(pc.or_(dropped, back))
        return found


def measured(folder: Path) -> Measured:
    """What the run in `folder` measured.

    Raises:
        StoreError: it is no finished run, or damaged.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise no_run(folder)
    check_ledger(folder)
    try:
        rows = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}", AGAIN) from error
    overruled = [each for did in read_reviewed(folder).values() for each in did.get("overruled", {}).items()]
    return Measured(rows, score_filters(folder), {identity: by["stage"] for identity, by in overruled})


def score_filters(folder: Path) -> list[ScoreFilter]:
    """The filters of the recipe of a run that score images, in their order; their models need not be here.

    Raises:
        StoreError: the run has no recipe that can be read.
    """
    try:
        stages = read_yaml((folder / RECIPE).read_text(encoding="utf-8"))["stages"]
        found = [_score_filter(number, dict(entry)) for number, entry in enumerate(stages, start=1)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError, RecipeError) as error:
        raise StoreError(f"{folder / RECIPE} cannot be read: {error}", AGAIN) from error
    return [each for each in found if each is not None]


def _score_filter(number: int, options: dict[str, Any]) -> ScoreFilter | None:
    """The filter that an entry of a recipe is; None of another stage. ValueError where its options are none."""
    name = options.pop(Filter.verb, None)
    if (Filter.verb, name) not in STAGES:
        return None
    cls = stage_class(Filter.verb, str(name))
    if not issubclass(cls, Filter):
        return None
    try:
        stage = cls.model_validate(options, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ValueError(f"stage {number} ({Filter.verb}: {name}): {error.errors()[0]['msg']}") from error
    return ScoreFilter(number, f"{number}-{stage.verb}-{stage.name}", stage)
