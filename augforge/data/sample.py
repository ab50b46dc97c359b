"""A sample: one image, and where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

Origin = Literal["real", "synthetic"]
On = Literal["all", "synthetic", "real"]
"""Which samples a stage looks at."""
OnOption = Literal["auto", "all", "synthetic", "real"]
"""The same as an option: auto is settled by whether the run has synthetic images, see `augforge.recipe.looked_at`."""
EVALUATION_SPLITS = frozenset({"val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and its whole provenance, as a row of the ledger.

    `ref` locates the encoded bytes ("0:cats/1.jpg" in source 0, "generated:…" in the parts of this run), `source` is
    the same for people to read. `pictures` has the SHA-256 of the encoded pictures that go with the image, such as
    its mask, by their names, `annotations` what else is known of its content, by the names of
    `augforge.data.annotations.KINDS`,
    `labelled_by` the stage that gave the label if the source did not. `sampled_params` has every random parameter of
    the row, `generation_config` what all rows of a batch share (generator, options, model, device, versions), as JSON.
    """

    id: str
    label: str | None
    origin: Origin = "real"
    parents: tuple[str, ...] = ()
    stage: str = "source"
    seed: int | None = None
    source: str | None = None
    split: str | None = None
    digest: str = ""
    width: int = 0
    height: int = 0
    ref: str = ""
    sampled_params: Mapping[str, Any] = field(default_factory=dict)
    generation_config: str | None = None
    note: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    labelled_by: str | None = None
    kept: bool = True
    dropped: str | None = None
    dropped_by: str | None = None
    weight: float = 1.0
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def provenance(self) -> dict[str, Any]:
        """How this sample was generated, as one flat record: `generation_config` and the row's own `sampled_params`."""
        made = json.loads(self.generation_config) if self.generation_config else {}
        return {**made, "stage": self.stage, "seed": self.seed, **self.sampled_params}


def is_evaluation(split: str | None) -> bool:
    """Whether a split is for evaluation only, so that nothing may be conditioned or trained on it.

    A word of its name decides: "test", "dev-clean" and "validation_matched" are for evaluation.
    """
    return split is not None and _names_evaluation(split)


@lru_cache(1024)
def _names_evaluation(split: str) -> bool:
    return not EVALUATION_SPLITS.isdisjoint(re.split(r"[\W_\d]+", split.lower()))
