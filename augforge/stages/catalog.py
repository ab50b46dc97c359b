"""Every stage, one line each: verb, name and the class that does it. Adding a stage adds one line here."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from augforge.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from augforge.stages.stage import Stage

STAGES: dict[tuple[str, str], str] = {
    ("generate", "augmented-conditioning"): "augforge.stages.generators.augmented_conditioning:AugmentedConditioning",
    ("generate", "text2img"): "augforge.stages.generators.text2img:Text2Img",
    ("generate", "cross-class"): "augforge.stages.generators.cross_class:CrossClass",
    ("generate", "img2img"): "augforge.stages.generators.img2img:Img2Img",
    ("generate", "variation"): "augforge.stages.generators.variation:Variation",
    ("generate", "night"): "augforge.stages.generators.night:Night",
    ("generate", "paired"): "augforge.stages.generators.paired:Paired",
    ("generate", "controlled"): "augforge.stages.generators.controlled:Controlled",
    ("generate", "inpaint"): "augforge.stages.generators.inpaint:Inpaint",
    ("generate", "outpaint"): "augforge.stages.generators.outpaint:Outpaint",
    ("generate", "latent-shift"): "augforge.stages.generators.latent_shift:LatentShift",
    ("generate", "shifts"): "augforge.stages.generators.shifts:Shifts",
    ("generate", "weather"): "augforge.stages.generators.weather:Weather",
    ("generate", "fields"): "augforge.stages.generators.fields:Fields",
    ("generate", "isp"): "augforge.stages.generators.isp:Isp",
    ("generate", "degrade"): "augforge.stages.generators.degrade:Degrade",
    ("generate", "edges"): "augforge.stages.generators.edges:Edges",
    ("generate", "mix"): "augforge.stages.generators.mix:Mix",
    ("generate", "triplets"): "augforge.stages.generators.triplets:Triplets",
    ("generate", "randaugment"): "augforge.stages.generators.randaugment:RandAugment",
    ("generate", "trivialaugment"): "augforge.stages.generators.trivialaugment:TrivialAugment",
    ("generate", "autoaugment"): "augforge.stages.generators.autoaugment:AutoAugment",
    ("generate", "augmix"): "augforge.stages.generators.augmix:AugMix",
    ("generate", "madaug"): "augforge.stages.generators.madaug:MADAug",
    ("filter", "clip"): "augforge.stages.filters.clip:Clip",
    ("filter", "prototype"): "augforge.stages.filters.prototype:Prototype",
    ("filter", "margin"): "augforge.stages.filters.margin:Margin",
    ("filter", "classifier"): "augforge.stages.filters.classifier:Classifier",
    ("filter", "quality"): "augforge.stages.filters.quality:Quality",
    ("filter", "sharpness"): "augforge.stages.filters.sharpness:Sharpness",
    ("filter", "degenerate"): "augforge.stages.filters.degenerate:Degenerate",
    ("filter", "vlm"): "augforge.stages.filters.vlm:Vlm",
    ("filter", "safety"): "augforge.stages.filters.safety:Safety",
    ("filter", "label-preserved"): "augforge.stages.filters.label_preserved:LabelPreserved",
    ("filter", "edges"): "augforge.stages.filters.edges:Edges",
    ("filter", "duplicates"): "augforge.stages.filters.duplicates:Duplicates",
    ("filter", "outlier"): "augforge.stages.filters.outlier:Outlier",
    ("filter", "semantic-loss"): "augforge.stages.filters.semantic_loss:SemanticLoss",
    ("filter", "pre-screen"): "augforge.stages.filters.pre_screen:PreScreen",
    ("filter", "musc"): "augforge.stages.filters.musc:Musc",
    ("filter", "efficientad"): "augforge.stages.filters.efficientad:EfficientAd",
    ("filter", "weight-unicon"): "augforge.stages.filters.weight_unicon:WeightUnicon",
    ("filter", "weight-classifier"): "augforge.stages.filters.weight_classifier:WeightClassifier",
    ("filter", "marginal"): "augforge.stages.filters.marginal:Marginal",
    ("filter", "preference"): "augforge.stages.filters.preference:Preference",
    ("filter", "aesthetic"): "augforge.stages.filters.aesthetic:Aesthetic",
    ("filter", "watermark"): "augforge.stages.filters.watermark:Watermark",
    ("filter", "text"): "augforge.stages.filters.text:Text",
    ("filter", "memorised"): "augforge.stages.filters.memorised:Memorised",
    ("filter", "review"): "augforge.stages.filters.review:Review",
    ("select", "diverse-anchors"): "augforge.stages.selectors.diverse_anchors:DiverseAnchors",
    ("select", "facility-location"): "augforge.stages.selectors.facility_location:FacilityLocation",
    ("select", "gradient-matching"): "augforge.stages.selectors.gradient_matching:GradientMatching",
    ("select", "k-center"): "augforge.stages.selectors.k_center:KCenter",
    ("select", "similar-to"): "augforge.stages.selectors.similar_to:SimilarTo",
    ("select", "balanced"): "augforge.stages.selectors.balanced:Balanced",
    ("select", "hardness"): "augforge.stages.selectors.hardness:Hardness",
    ("select", "max-loss"): "augforge.stages.selectors.max_loss:MaxLoss",
    ("select", "noisy-labels"): "augforge.stages.selectors.noisy_labels:NoisyLabels",
    ("select", "random"): "augforge.stages.selectors.random:Random",
    ("select", "long-tail"): "augforge.stages.selectors.long_tail:LongTail",
    ("select", "few-shot"): "augforge.stages.selectors.few_shot:FewShot",
    ("select", "review"): "augforge.stages.selectors.review:Marked",
    ("train", "night"): "augforge.stages.trainers.night:TrainNight",
    ("train", "paired"): "augforge.stages.trainers.paired:TrainPaired",
    ("train", "efficientad"): "augforge.stages.trainers.efficientad:TrainEfficientAd",
    ("train", "classifier"): "augforge.stages.trainers.classifier:TrainClassifier",
    ("train", "diffusion"): "augforge.stages.trainers.diffusion:TrainDiffusion",
    ("train", "lora"): "augforge.stages.trainers.lora:TrainLora",
    ("caption", "vlm"): "augforge.stages.captioners.vlm:Vlm",
    ("caption", "classes"): "augforge.stages.captioners.classes:Classes",
    ("pseudo-label", "confidence"): "augforge.stages.labelers.confidence:Confidence",
    ("split", "near-duplicates"): "augforge.stages.splitters.near_duplicates:NearDuplicates",
}
VERBS = ("generate", "filter", "select", "train", "caption", "pseudo-label", "split")


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


def stage_about(verb: str, name: str) -> str:
    """The first sentence of a stage's docstring, read from its source: a list of stages need not load them."""
    module, _, attribute = STAGES[verb, name].partition(":")
    spec: Any = find_spec(module)
    source = spec.loader.get_source(module)
    found = re.search(rf'^class {attribute}\b.*?:\n    """(.+?\.)(?=\s|""")', source, re.DOTALL | re.MULTILINE)
    return " ".join(found[1].split()) if found else ""
