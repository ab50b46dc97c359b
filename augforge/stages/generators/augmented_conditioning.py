"""Diffusion conditioned on augmented real images (arXiv 2502.04475): no fine-tuning, ten ways to augment.

Mode `references` is none of the ten: nothing is mixed, and the model is given both parents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.ids import key, rng, seed_of
from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.stages.generator import GenerationInput, SampledParams, required
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.generators.negatives import NegativeClass, draw_negative, has_negative, without_negative
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from augforge.models.backends import Backend

Mode = Literal[
    "random-image",
    "dropout",
    "mixup",
    "mixup-dropout",
    "cutmix",
    "cutmix-dropout",
    "embed-mixup",
    "embed-mixup-dropout",
    "embed-cutmix",
    "embed-cutmix-dropout",
]
ONE_IMAGE = ("random-image", "dropout")
REFERENCES = "references"
"""The mode in which both parents are given to the model as they are, as two images to refer to."""
NEGATIVE = frozenset(
    {"negative-class", "negative-guidance", "positive-guidance", "negative-nearest", "similarity-model"}
)
"""The options of a negative image."""


class AugmentedConditioning(DiffusionGenerator):
    """Condition a diffusion model on a mix of real images of a class, in pixel or in embedding space."""

    name: ClassVar[str] = "augmented-conditioning"
    task: ClassVar[str] = "conditioning"
    example: ClassVar[Mapping[str, Any]] = {"per-class": 2, "mode": "embed-cutmix-dropout", "steps": 2}

    model: Annotated[str, Task("conditioning")] = Field(default="builtin-unclip", description="The diffusion model.")
    mode: Mode | Literal["references"] = Field(
        default="embed-cutmix-dropout",
        description="How the conditioning image is augmented; references gives the model both parents as they are.",
    )
    alpha: float = Field(default=1.0, gt=0, le=1000, description="Mixing share ~ Beta(alpha, alpha).")
    lam: float | None = Field(
        default=None, ge=0, le=1, description="Fix the mixing share instead: 1 is the first image alone."
    )
    dropout: float = Field(
        default=0.4, ge=0, le=1, description="Share of embedding coordinates zeroed in the dropout modes."
    )
    rescale: bool = Field(
        default=False, description="Divide by 1 - dropout afterwards (the published method does not)."
    )
    fallback: Literal["dropout", "crop"] = Field(
        default="dropout",
        description="For a class of one image: drop coordinates instead of mixing, or mix with a crop of itself.",
    )
    crop_min_area: float = Field(
        default=0.08, gt=0, le=1, description="Least area of the random crop that pixel mixes take."
    )
    noise_level: int = Field(
        default=0, ge=0, le=999, description="unCLIP: noise added to the embedding, in steps of its schedule."
    )
    strength: float | None = Field(
        default=None, gt=0, le=1, description="image-to-image: how much of the image is replaced."
    )
    negative_class: NegativeClass = Field(
        default="none",
        description="Guide away from an image of another class (DIPSY): of a similar one, or of any; ip-adapter only.",
    )
    negative_guidance: float = Field(default=1.0, ge=0, le=100, description="The weight of the negative image.")
    positive_guidance: float | None = Field(
        default=None, ge=0, le=100, description="With a negative: a weight of the positive image apart from the text."
    )
    negative_nearest: int = Field(
        default=3, ge=1, le=1000, description="Of how many most similar classes the negative's is drawn."
    )
    similarity_model: Annotated[str | None, Task("image-embedding")] = Field(
        default=None, description="The model that says how similar classes are, for negative-class: similar."
    )
    scale: float = Field(default=1.0, ge=0, le=100, description="IP-Adapter, Redux: the weight of the embedding.")

    def idle_options(self) -> frozenset[str]:
        """As `Stage.idle_options`: without a negative image all that is said of one."""
        return super().idle_options() | (NEGATIVE if self.negative_class == "none" else frozenset())

    @model_validator(mode="after")
    def _similar(self) -> AugmentedConditioning:
        if self.negative_class == "similar" and self.similarity_model is None:
            raise ValueError("negative-class: similar needs a similarity-model, which says what is similar")
        return self

    @property
    def plans_by_likeness(self) -> bool:
        """Whether negatives are of similar classes."""
        return self.negative_class == "similar"

    def check(self) -> None:
        """Refuse a mode that the back-end does not support."""
        from augforge.models.backends import backend_class

        super().check()
        if self.mode == REFERENCES and not backend_class(self.backend_name).refers_to_several:
            raise RecipeError(
                f"key 'mode': {self.backend_name} refers to one image only, so it cannot do {self.mode}",
                "use another mode, or a model for references, redux or ip-adapter",
            )
        if not self._mixes_embeddings and (self.mode.startswith("embed") or self.mode.endswith("dropout")):
            raise RecipeError(
                f"key 'mode': {self.backend_name} carries no embedding, so it cannot do {self.mode}",
                "use random-image, mixup or cutmix, or a model that is conditioned on an embedding",
            )
        if not self._mixes_embeddings and self.fallback == "dropout" and self.mode not in ONE_IMAGE:
            raise RecipeError(
                f"key 'fallback': {self.backend_name} carries no embedding, so it cannot drop coordinates",
                "use fallback: crop",
            )

        if self.negative_class != "none":
            self._check_negative()

    def _check_negative(self) -> None:
        from augforge.models.backends import backend_class

        if not backend_class(self.backend_name).takes_negative_image:
            raise RecipeError(
                f"key 'negative-class': {self.backend_name} cannot be guided away from an image", "use ip-adapter"
            )
        if self._guidance <= 1:
            raise RecipeError(f"negative-class needs guidance above 1, not {self._guidance:g}", "raise guidance")
        if self.perp_neg:
            raise RecipeError("negative-class and perp-neg exclude each other", "leave one of them out")

    @property
    def _mixes_embeddings(self) -> bool:
        from augforge.models.backends import backend_class

        return "embedding" in backend_class(self.backend_name).carries

    def sample_params(self, label: str, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        """One parent, or two distinct ones of the class, with the mixing share, box, crops and mask seed."""
        parent = required(parent)
        mode, partner = self._mode_and_partner(parent, pool, variant)
        sampled_params: dict[str, Any] = {"mode": mode, "variant": variant, **self.prompt_of(label, seed)}
        if mode != self.mode:
            sampled_params["fallback"] = f"one image in the class: {mode} instead of {self.mode}"
        if partner is None:
            return [parent], sampled_params | self._dropout_params(mode, seed)
        mixed = self._mixing_params(mode, [parent, partner], rng(seed, "mix"))
        return [parent, partner], sampled_params | mixed | self._dropout_params(mode, seed)

    def further_parents(self, label: Any, pools: Pools, seed: int) -> SampledParams:
        """The negative image, of another class; it is the last parent."""
        if self.negative_class == "none":
            return [], {}
        return draw_negative(label, pools, self.negative_class, self.negative_nearest, seed)

    def _mixing_params(self, mode: str, parents: Sequence[Sample], random: np.random.Generator) -> dict[str, Any]:
        """The share of two parents where they are mixed, their crops, and the box of a CutMix."""
        from augforge.algorithms import mixing

        mixed: dict[str, Any] = {}
        if mode != REFERENCES:
            mixed["lam"] = float(random.beta(self.alpha, self.alpha)) if self.lam is None else self.lam
        crops = [self._crop(mode, index, parents, random) for index in (0, 1)]
        if any(crops):
            mixed["crops"] = crops
        if mode.startswith("cutmix"):
            mixed["box"] = mixing.draw_box(mixed["lam"], random)
        return mixed

    def _dropout_params(self, mode: str, seed: int) -> dict[str, Any]:
        """The share of coordinates that are dropped, and the seed of the mask that says which."""
        masked = {"mask-seed": seed_of(f"mask:{seed}")}
        if mode.endswith("dropout"):
            return {"p": self.dropout} | masked
        return masked if mode.startswith("embed-cutmix") else {}

    def _mode_and_partner(self, parent: Sample, pool: Pool, variant: int) -> tuple[str, Sample | None]:
        if self.mode in ONE_IMAGE:
            return self.mode, None
        if partner := pool.partner(parent, variant):
            return self.mode, partner
        return ("dropout", None) if self.fallback == "dropout" else (self.mode, parent)

    def _crop(self, mode: str, index: int, parents: Sequence[Sample], random: np.random.Generator) -> list[int] | None:
        from augforge.algorithms import mixing

        itself = index == 1 and parents[0].id == parents[1].id
        if mode.startswith(("embed", REFERENCES)) and not itself:
            return None
        of = parents[index]
        return list(mixing.draw_crop(of.width, of.height, self.crop_min_area, random))

    def condition(self, batch: Sequence[GenerationInput], backend: Backend) -> Mapping[str, Any]:
        """The mixed embeddings of a batch, or its mixed images where the back-end takes no embedding; or all of both
        parents, where the model refers to them.
        """
        import numpy as np

        if not self._mixes_embeddings:
            return self._pictures(batch, max(getattr(backend, "native_size", None) or (224, 224)))
        own = [without_negative(item) for item in batch]
        views = [view for item in own for view in self._views(item, backend.encoder_size)]
        keys = [name for item in own for name in self._view_keys(item)]
        vectors = iter(backend.embed_once(keys, views))
        embeds = np.stack([self._mixed_vector(item, vectors) for item in own])
        more = {"noise_level": self.noise_level, "scale": self.scale, **self._negatives(batch, backend, embeds)}
        return {"embeds": embeds, **more}

    def _negatives(
        self, batch: Sequence[GenerationInput], backend: Backend, embeds: NDArray[np.float32]
    ) -> dict[str, Any]:
        """The embeddings that a batch is guided away from, of zeros ("no image") where there is no other class."""
        import numpy as np

        marked = [place for place, item in enumerate(batch) if has_negative(item)]
        if not marked:
            return {}
        parents = [(batch[place].job.parents[-1], batch[place].images[-1]) for place in marked]
        found = backend.embed_once([key("view", parent.digest, None) for parent, _ in parents], [i for _, i in parents])
        negatives = np.zeros_like(embeds)
        negatives[marked] = np.tile(found, embeds.shape[1] // found.shape[1])
        weights = {"negative_guidance": self.negative_guidance, "positive_guidance": self.positive_guidance}
        return {"negative_embeds": negatives, **weights}

    def _pictures(self, batch: Sequence[GenerationInput], side: int) -> Mapping[str, Any]:
        """The pictures that a back-end is given that takes no embedding."""
        looked_at = [self._views(item, side) for item in batch]
        pictures = {"images": [first for first, *_ in looked_at], "strength": self.strength}
        return pictures | ({"references": [more for _, *more in looked_at]} if self.mode == REFERENCES else {})

    def _views(self, item: GenerationInput, size: int) -> list[Image.Image]:
        """What the encoder looks at: one picture mixed in pixel space, or each parent's picture."""
        sampled_params = item.job.sample.sampled_params
        images = [
            _cropped(image, crop)
            for image, crop in zip(item.images, sampled_params.get("crops", [None, None]), strict=False)
        ]
        if sampled_params["mode"].startswith(("mixup", "cutmix")):
            return [mixed_picture(sampled_params, images, size)]
        return images

    def _view_keys(self, item: GenerationInput) -> list[str]:
        """What each of the views depends on: a picture that was mixed is met once, a parent's many times."""
        sampled_params = item.job.sample.sampled_params
        if sampled_params["mode"].startswith(("mixup", "cutmix")):
            return [key("mixed", [p.digest for p in item.job.parents], dict(sampled_params))]
        crops = sampled_params.get("crops", [None, None])
        return [key("view", p.digest, crop) for p, crop in zip(item.job.parents, crops, strict=False)]

    def _mixed_vector(self, item: GenerationInput, vectors: Any) -> NDArray[np.float32]:
        """The embedding that one image is made from; with two references both, one after the other.

        A class of one image has its own twice then, so that the embeddings of a batch are of one length.
        """
        import numpy as np

        from augforge.algorithms import mixing

        sampled_params = item.job.sample.sampled_params
        vector: NDArray[np.float32] = next(vectors)
        if sampled_params["mode"] == REFERENCES:
            return np.concatenate([vector, next(vectors)])
        if sampled_params["mode"].startswith("embed-mixup"):
            vector = mixing.mix_vectors(vector, next(vectors), sampled_params["lam"])
        elif sampled_params["mode"].startswith("embed-cutmix"):
            vector = mixing.cut_vectors(vector, next(vectors), sampled_params["lam"], sampled_params["mask-seed"])
        if "p" in sampled_params:
            vector = mixing.drop_coordinates(
                vector, sampled_params["p"], sampled_params["mask-seed"], rescale=self.rescale
            )
        return np.tile(vector, 2) if self.mode == REFERENCES else vector


def mixed_picture(sampled_params: Mapping[str, Any], images: Sequence[Image.Image], size: int) -> Image.Image:
    """Two images mixed in pixel space at `size` px a side, by `lam` or by `box`."""
    import numpy as np
    from PIL import Image

    from augforge.algorithms import mixing

    first, second = (
        np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32) for image in images
    )
    if sampled_params["mode"].startswith("mixup"):
        mixed = mixing.mix_pixels(first, second, sampled_params["lam"])
    else:
        mixed = mixing.cut_pixels(first, second, sampled_params["box"])
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def _cropped(image: Image.Image, crop: Sequence[int] | None) -> Image.Image:
    return image if crop is None else image.crop((crop[0], crop[1], crop[2], crop[3]))
