"""Every stage, one line each: verb, name and the class that does it. Adding a stage adds one line here."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from augforge.errors import RecipeError

if TYPE_CHECKING:
    from augforge.stage import Stage

STAGES: dict[tuple[str, str], str] = {
    ("generate", "augmented-conditioning"): "augforge.generators.augmented_conditioning:AugmentedConditioning",
    ("generate", "text2img"): "augforge.generators.text2img:Text2Img",
    ("generate", "img2img"): "augforge.generators.img2img:Img2Img",
    ("generate", "variation"): "augforge.generators.variation:Variation",
    ("generate", "night"): "augforge.generators.night:Night",
    ("generate", "paired"): "augforge.generators.paired:Paired",
    ("generate", "shifts"): "augforge.generators.shifts:Shifts",
    ("filter", "clip"): "augforge.filters.clip:Clip",
    ("filter", "prototype"): "augforge.filters.prototype:Prototype",
    ("filter", "margin"): "augforge.filters.margin:Margin",
    ("filter", "classifier"): "augforge.filters.classifier:Classifier",
    ("filter", "quality"): "augforge.filters.quality:Quality",
    ("filter", "sharpness"): "augforge.filters.sharpness:Sharpness",
    ("filter", "degenerate"): "augforge.filters.degenerate:Degenerate",
    ("filter", "safety"): "augforge.filters.safety:Safety",
    ("filter", "label-preserved"): "augforge.filters.label_preserved:LabelPreserved",
    ("filter", "duplicates"): "augforge.filters.duplicates:Duplicates",
    ("filter", "outlier"): "augforge.filters.outlier:Outlier",
    ("filter", "weight-unicon"): "augforge.filters.weight_unicon:WeightUnicon",
    ("select", "diverse-anchors"): "augforge.selectors.diverse_anchors:DiverseAnchors",
    ("select", "facility-location"): "augforge.selectors.facility_location:FacilityLocation",
    ("select", "k-center"): "augforge.selectors.k_center:KCenter",
    ("select", "balanced"): "augforge.selectors.balanced:Balanced",
    ("select", "hardness"): "augforge.selectors.hardness:Hardness",
    ("select", "max-loss"): "augforge.selectors.max_loss:MaxLoss",
    ("select", "random"): "augforge.selectors.random:Random",
    ("select", "long-tail"): "augforge.selectors.long_tail:LongTail",
    ("select", "few-shot"): "augforge.selectors.few_shot:FewShot",
    ("train", "night"): "augforge.trainers.night:TrainNight",
    ("train", "paired"): "augforge.trainers.paired:TrainPaired",
    ("train", "classifier"): "augforge.trainers.classifier:TrainClassifier",
    ("pseudo-label", "confidence"): "augforge.labelers.confidence:Confidence",
    ("split", "near-duplicates"): "augforge.splitters.near_duplicates:NearDuplicates",
}
VERBS = ("generate", "filter", "select", "train", "pseudo-label", "split")


@cache
def stage_class(verb: str, name: str) -> type[Stage]:
    """The class behind `verb: name`; RecipeError, with the likely name, when there is none."""
    try:
        module, _, attribute = STAGES[verb, name].partition(":")
    except KeyError:
        names = [n for v, n in STAGES if v == verb]
        raise RecipeError(f"there is no {verb} stage called {name!r}", did_you_mean(name, names)) from None
    found: type[Stage] = getattr(import_module(module), attribute)
    return found


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint that names the likely intended one of `known`, or lists them all."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(sorted(known)) if known else ""
