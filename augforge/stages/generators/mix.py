"""Two images in one: mixup, CutMix, ResizeMix, TransMix, and copy-paste of instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.ids import rng
from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.errors import ModelError
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, LoadedGenerator, SampledParams
from augforge.stages.generators.bounds import too_large
from augforge.stages.generators.mix_labels import classes_of, labelled, of_its_things, said_of_both
from augforge.stages.generators.operator import OperatorGenerator
from augforge.stages.stage import Share, Task

if TYPE_CHECKING:
    import numpy as np

    from augforge.algorithms.mix import Scene
    from augforge.models.attention import PatchAttention

ALPHAS = {"mixup": 0.2, "cutmix": 1.0, "transmix": 1.0}
"""The published parameter of the Beta distribution that the share is drawn from."""
SCALES = (0.1, 0.8)
"""The published sides of the image that ResizeMix pastes, as shares of those that it is pasted into."""
TAKEN = 0.5
"""How likely each instance is pasted."""
DIGITS = 6
"""Decimals of a share of attention."""


class Mix(OperatorGenerator):
    """Mix two images into one, labelled by what is seen of each, or paste instances of one into another.

    `mixup` is their weighted mean (Zhang et al., 2018), `cutmix` a box of the second in the first (Yun et al., 2019),
    `resizemix` the whole second image, shrunk, in the first (Qin et al., 2020), and `transmix` a CutMix whose label
    counts what a vision transformer looks at (Chen et al., 2022). The second image is scaled to cover the first. The
    result has a soft label: of a box, its share of the pixels as it is, not as it was drawn. Boxes, outlines, keypoints
    and label maps of both go along, as far as both are annotated, and lose what is covered.

    `copy-paste` (Ghiasi et al., 2021) takes instances of the second image by their outlines into the first, scaled,
    perhaps mirrored, at any place. They keep their labels; what lies below loses what is covered.
    """

    name: ClassVar[str] = "mix"
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scipy", "pycocotools")
    example: ClassVar[Mapping[str, Any]] = {"per-class": 3, "op": "cutmix"}

    op: Literal["mixup", "cutmix", "resizemix", "transmix", "copy-paste"] = Field(
        default="cutmix", description="How the two images become one."
    )
    partner: Literal["any", "other-class", "same-class"] = Field(
        default="any", description="Of which class the second image is, beside the first."
    )
    severity: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="How much of the second image: 0 leaves the first alone, 1 is published.",
    )
    min_visibility: float = Field(
        default=0.1, ge=0, le=1, description="Keep a box if at least this share of it can still be seen."
    )
    alpha: float | None = Field(
        default=None, gt=0, le=100, description="Share from Beta(alpha, alpha); 0.2 for mixup, else 1, if absent."
    )
    model: Annotated[str | None, Task("attention")] = Field(
        default=None, description="transmix: the vision transformer, of timm or transformers, that looks."
    )
    attention: Share = Field(
        default=0.5, description="transmix: weight of attention in the label; the rest is area. 1: attention alone."
    )
    scale: float = Field(
        default=1.25, ge=1, le=2, description="copy-paste: instances become up to so many times as large, or as small."
    )
    whole_boxes: bool = Field(
        default=False, description="copy-paste: paste the whole rectangle of a box that has no outline."
    )

    def check(self) -> None:
        """TransMix needs a model."""
        super().check()
        if self.op == "transmix" and self.model is None:
            from augforge.models.find import ways_to_name

            raise ModelError("generate mix: op transmix needs a model that looks", ways_to_name("attention"))

    def packages(self) -> tuple[str, ...]:
        """What a vision transformer runs in."""
        return ("torch",) if self.op == "transmix" else ()

    def child_label(self, label: str | None) -> str | None:
        """The class of the first image, if all that is seen is of it; else the result has a soft label."""
        return label if self.op == "copy-paste" or self.partner == "same-class" else None

    def made_label(self, label: str | None, parents: Sequence[Sample], sampled_params: Mapping[str, Any]) -> str | None:
        """As `child_label`; none where a class comes in beside one that the first image has for its things."""
        found = self.child_label(label)
        if self.op != "copy-paste" or len(parents) < 2 or not of_its_things(parents[0]):
            return found
        boxes = parents[1].annotations["boxes"]
        return found if all(boxes[place].get("label") == found for place in sampled_params["instances"]) else None

    def processes_for(self, images: int) -> int:
        """One for a model, unless more are asked for."""
        return (self.processes or 1) if self.op == "transmix" else super().processes_for(images)

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The images in turn; for copy-paste those whose boxes are known."""
        if self.op == "copy-paste":
            pool = Pool(sample for sample in pool.samples if "boxes" in sample.annotations)
        return super().choose_parents(pool, count)

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The second image, and its share and place, or the instances that are pasted and how."""
        partner = pools.together.partner(parent, variant, self._fits(parent))
        if partner is None:
            return [parent], {"variant": variant}
        random = rng(seed, "mix")
        drawn = self._instances(partner, random) if self.op == "copy-paste" else self._share(parent, random)
        return [parent, partner], {"variant": variant, **drawn}

    def refusal(self, job: Job) -> str:
        """That there is nothing to mix with, or that an image is too large."""
        if len(job.parents) < 2:
            return self._no_partner(job.parents[0])
        return next(filter(None, (too_large(parent.width, parent.height) for parent in job.parents)), "")

    def _no_partner(self, parent: Sample) -> str:
        """Why there is no second image, with what instances need that are pasted."""
        if self.op != "copy-paste":
            return "there is no other image to mix it with"
        boxes = parent.annotations.get("boxes", ())
        if (
            not self.whole_boxes
            and "instances" in parent.pictures
            and any(not {"id", "segmentation"} & box.keys() for box in boxes)
        ):
            return (
                "there is no other image with an instance to paste: boxes have no id that says which number in "
                "'instances' they are; give ids, or set whole-boxes"
            )
        needs = "a box" if self.whole_boxes else "a box with an outline, or any box with whole-boxes"
        return f"there is no other image with an instance to paste: {needs}"

    def load(self, device: str) -> LoadedGenerator:
        """The model that looks, if there is one to load."""
        loaded = super().load(device)
        if self.op != "transmix" or self.model is None:
            return loaded
        from augforge.models import find_model
        from augforge.models.attention import open_attention

        looks = open_attention(find_model(self.model, "attention"), device)

        def make(batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
            return self._looked_at(batch, list(loaded.generate(batch)), looks)

        return LoadedGenerator(make, {**loaded.facts, **looks.facts}, refusal=self.refusal)

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The parents mixed as was drawn, labelled by area. It is not recorded as moved: `undo` is for one image."""
        first, second = _scene(item, 0), _scene(item, 1)
        if self.op == "copy-paste":
            made = self._pasted(item, labelled(item, first.outlined()), second.outlined())
            said = dict(made.annotations)
        else:
            made, share = self._mixed(item, first, second)
            said = said_of_both(item, made.annotations, share)
        return GeneratedImage(made.pixels, pictures=made.pictures, annotations=said)

    def _fits(self, parent: Sample) -> Callable[[Sample], bool]:
        """Whether an image can be the second one beside `parent`."""
        from augforge.algorithms.mix import knowledge

        known, classes = knowledge(parent.label, parent.annotations), set(classes_of(parent))

        def fits(other: Sample) -> bool:
            if self.op == "copy-paste":
                known_too = bool(self._candidates(other))
            else:
                known_too = knowledge(other.label, other.annotations) == known
            if not known_too or self.partner == "any":
                return known_too
            theirs = set(classes_of(other))
            return theirs == classes if self.partner == "same-class" else theirs.isdisjoint(classes)

        return fits

    def _candidates(self, sample: Sample) -> list[int]:
        """The places of the boxes of an image that can be pasted: outlined ones, or those in its map of instances."""
        boxes, any_box = sample.annotations.get("boxes", ()), self.whole_boxes
        mapped = "instances" in sample.pictures
        return [
            place
            for place, box in enumerate(boxes)
            if not box.get("iscrowd") and (any_box or "segmentation" in box or (mapped and "id" in box))
        ]

    def _share(self, parent: Sample, random: np.random.Generator) -> dict[str, Any]:
        """The share of the second image as drawn, and its box in px, but for mixup."""
        from augforge.algorithms.mix import cut_box, place_box, shrunk

        size, place = (parent.height, parent.width), (float(random.random()), float(random.random()))
        if self.op == "resizemix":
            scale = self.severity * float(random.uniform(*SCALES))
            box = place_box(shrunk(scale, size), place, size) if scale else (0, 0, 0, 0)
            return {"scale": scale, "box": list(box)}
        alpha = ALPHAS[self.op] if self.alpha is None else self.alpha
        lam = 1.0 - self.severity * float(random.beta(alpha, alpha))
        return {"lam": lam} if self.op == "mixup" else {"lam": lam, "box": list(cut_box(1.0 - lam, place, size))}

    def _instances(self, partner: Sample, random: np.random.Generator) -> dict[str, Any]:
        """Each instance with the same probability, at least one; scale, flip and place for all of them together."""
        candidates = self._candidates(partner)
        taken = [place for place in candidates if random.random() < TAKEN * self.severity]
        one = candidates[int(random.integers(len(candidates)))]
        stretch = self.scale ** (self.severity * random.uniform(-1, 1))
        flip, place = bool(random.random() < 0.5), [float(random.random()), float(random.random())]
        chosen = (taken or [one]) if self.severity else []
        return {"instances": chosen, "scale": float(stretch), "flip": flip, "place": place}

    def _mixed(self, item: GenerationInput, first: Scene, second: Scene) -> tuple[Scene, float]:
        """The mixed scene, and the share of its pixels that is of the second."""
        from augforge.algorithms.geometry import Crop, Geometry, Resize
        from augforge.algorithms.mix import area_share, blend, covering, overlay, window

        drawn, size = item.job.sample.sampled_params, first.size
        if self.op == "mixup":
            moved = second.moved(covering(second.size, size), self.min_visibility)
            return blend(first, moved, drawn["lam"], self.min_visibility), 1.0 - drawn["lam"]
        left, top, right, bottom = box = tuple(drawn["box"])
        if self.op == "resizemix" and right > left:
            moves = Geometry((Resize(bottom - top, right - left), Crop(-top, -left, *size)))
        else:
            moves = covering(second.size, size)
        moved = second.moved(moves, self.min_visibility)
        return overlay(first, moved, window(box, size), self.min_visibility), area_share(box, size)

    def _pasted(self, item: GenerationInput, first: Scene, second: Scene) -> Scene:
        from augforge.algorithms.mix import Pasted, around, copy_paste, paste_geometry, silhouettes

        drawn = item.job.sample.sampled_params
        if not drawn["instances"]:
            return first
        boxes = [second.annotations["boxes"][place] for place in drawn["instances"]]
        seen = silhouettes(boxes, second.size, self.whole_boxes)
        if not seen.any():
            return first
        how = Pasted(drawn["scale"], drawn["flip"], tuple(drawn["place"]))
        geometry = paste_geometry(how, second.size, first.size, around(seen))
        return copy_paste(first, second, drawn["instances"], geometry, (self.min_visibility, self.whole_boxes))

    def _looked_at(
        self, batch: Sequence[GenerationInput], made: list[GeneratedImage], looks: PatchAttention
    ) -> list[GeneratedImage]:
        """Mixed images, labelled by how much of the attention falls on the box."""
        from dataclasses import replace

        from PIL import Image

        from augforge.algorithms.mix import area_share, attention_share, box_coverage

        weighed = []
        for item, image in zip(batch, made, strict=True):
            attention = looks.attend(Image.fromarray(image.pixels))
            box, size = item.job.sample.sampled_params["box"], image.pixels.shape[:2]
            seen = round(attention_share(attention, box_coverage(box, size, attention.shape)), DIGITS)
            share = self.attention * seen + (1.0 - self.attention) * area_share(box, size)
            said = said_of_both(item, image.annotations, share)
            weighed.append(replace(image, annotations=said, facts={**image.facts, "attention-share": seen}))
        return weighed


def _scene(item: GenerationInput, place: int) -> Scene:
    import numpy as np

    from augforge.algorithms.mix import Scene
    from augforge.data.pictures import kind_of

    encoded = item.pictures[place] if item.pictures else {}
    pictures = {name: kind_of(name).decoded(data) for name, data in encoded.items()}
    return Scene(np.asarray(item.images[place]), item.job.parents[place].annotations, pictures)
