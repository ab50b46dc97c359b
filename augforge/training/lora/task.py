"""The training of LoRAs: a denoiser learns the noise of a few images, through low-rank layers alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from augforge.data.ids import key, seed_of
from augforge.data.sample import Sample
from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.diffusion import Diffusion
from augforge.models.tasks import LORA_WEIGHTS, TOKEN_WEIGHTS
from augforge.models.tensors import to_tensor
from augforge.training.images import Pixels, TrainingImages
from augforge.training.lora.adapters import Adapters, Size
from augforge.training.lora.denoisers import Condition, Denoiser, Shown
from augforge.training.lora.groups import Group, Per, groups_of
from augforge.training.lora.kinds import denoiser_for
from augforge.training.lora.noising import noising_of
from augforge.training.lora.tokens import Tokens
from augforge.training.night.views import SHOWN
from augforge.training.squares import Fit, Squares
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask

PROMPTS = "prompts.jsonl"
"""The file of what each image was learnt by, where that is not the same for all of a class."""
MOST_JUDGED = 32
TIMES_JUDGED = 4
"""Times of the schedule at which each image is judged."""


@dataclass(frozen=True, slots=True)
class LoraOptions:
    """How LoRAs are trained.

    Attributes:
        per: one for all images, one of each class, or one of each image.
        size: rank, alpha and layers.
        prompts: of each class, "" for images without one.
        own_prompts: of single images, by their ids; where there are some, every image has one, and they are left beside
            the weights.
        words: new words whose embeddings are learnt, each with the words that it begins as.
        texts: whether the text encoders learn, too.
        side: of the squares in px.
        fit, flip: how images become squares, and whether half are mirrored.
        batch: images per step, in this process.
        rate: learning rate of AdamW, constant.
        prior_weight: of the loss on images that the model itself makes; 0 leaves them out.
        prior_images: how many it makes for each image.
        recompute: whether activations are computed twice instead of kept.
        patience: evaluations without a lower held-out loss after which the training stops; None for never.
        steps, guidance: of the images that the model makes.
    """

    per: Per
    size: Size
    prompts: Mapping[str, str]
    own_prompts: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    texts: bool = False
    side: int = 512
    fit: Fit = "crop"
    flip: bool = False
    batch: int = 1
    rate: float = 1e-4
    prior_weight: float = 0.0
    prior_images: int = 1
    patience: int | None = None
    recompute: bool = False
    steps: int = 20
    guidance: float = 2.0

    def prompt(self, sample: Sample) -> str:
        """The prompt of an image."""
        return self.own_prompts[sample.id] if self.own_prompts else self.prompts[sample.label or ""]


class LoraTask(TrainingTask):
    """Low-rank layers that learn the noise of a few images, as DataDream (ECCV 2024, arXiv 2407.10910) trains them.

    With `prior_weight` also that of images that the model itself made from the same prompts, so that it does not forget
    them (DreamBooth, CVPR 2023). The weights with the lowest held-out loss are what is left. Of rank 0 new words learn
    alone, and without any nothing does: what is left is a LoRA that changes no bit.
    """

    def __init__(
        self,
        learnt: TrainingImages,
        held_out: TrainingImages,
        backend: Diffusion,
        context: TrainingContext,
        options: LoraOptions,
    ) -> None:
        super().__init__(context)
        self.options, self.backend = options, backend
        self.denoiser = denoiser_for(backend)
        self.noising = noising_of(backend.pipe.scheduler)
        self.groups = groups_of(options.per, learnt.samples, held_out.samples)
        self.learnt = learnt
        self._learnt = Squares(learnt, options.side, options.fit, options.flip)
        self._held_out = Squares(held_out, options.side, options.fit, options.flip)
        self.tokens = new_words(self.denoiser, options.words) if options.words else None
        self._prior = self._made_first() if options.prior_weight else []
        torch.manual_seed(seed_of(key(context.seed, "low-rank layers")))  # whatever was drawn while it was loaded
        self.adapters = Adapters(self.denoiser, [group.name for group in self.groups], options.size, options.texts)
        self.denoiser.texts_learn = options.texts or self.tokens is not None
        self._weights = [*self.adapters.weights(), *(self.tokens.rows if self.tokens else [])]
        if options.recompute:
            self.denoiser.net.enable_gradient_checkpointing()
            self.denoiser.net.train()  # where it is in force; nothing in it is drawn or averaged
        self.nets = {"lora": nn.ParameterList(self._weights)}
        self.optimizers = {"lora": torch.optim.AdamW(self._weights, options.rate)} if self._weights else {}
        self._best: dict[str, Any] = {"loss": math.inf, "weights": []}
        self._without: float | None = None

    def batch(self, random: np.random.Generator) -> Batch:
        """That of the first LoRA's turn; see `batch_at`."""
        return self.batch_at(0, random)

    def batch_at(self, step: int, random: np.random.Generator) -> Batch:
        """`images` (b, 3, s, s) in [-1, 1] of the LoRA whose turn it is, and their `places`; with a prior `prior`, too.

        The LoRAs take turns.
        """
        turn = step % len(self.groups)
        places = [int(place) for place in random.choice(self.groups[turn].places, size=self.options.batch)]
        views = [self._learnt.drawn(place, random) for place in places]
        batch: dict[str, Any] = {"turn": turn, "places": places, "images": _tensors(views)}
        if self._prior:
            drawn = random.integers(self.options.prior_images, size=len(places))
            batch["prior"] = _tensors([self._prior[p][n] for p, n in zip(places, drawn, strict=True)])
        return batch

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Learn the noise at times drawn at random."""
        self.adapters.activate(self.groups[batch["turn"]].name)
        shown = self._shown(self._learnt, batch["places"])
        losses = {"loss": self._loss(batch["images"], shown)}
        total = losses["loss"]
        if "prior" in batch:
            losses["prior"] = self._loss(batch["prior"], shown)
            total = total + self.options.prior_weight * losses["prior"]
        if total.requires_grad:  # not of rank 0 where no new word is in the prompts
            self.update("lora", total)
        return {name: loss.detach() for name, loss in losses.items()}

    def lr_factor(self, step: int) -> float:
        """Constant: the held-out loss says when it is enough."""
        return 1.0

    def measure(self) -> dict[str, float]:
        """`denoising`, the loss on held-out images (on those learnt from, where a LoRA has none), mean over the LoRAs.

        `without` is that of the model without LoRA. Noise and times are the same at every call.
        """
        if self._without is None:
            with self.disabled():
                self._without = self._judged()
        found = self._judged()
        if found < self._best["loss"]:
            self._best = {"loss": found, "weights": [weight.detach().clone() for weight in self._weights]}
        held_out = sum(len(group.held_out) for group in self.groups)
        return {"denoising": found, "without": self._without, "held_out": float(held_out)}

    def finished(self, measured: Sequence[Mapping[str, float]]) -> bool:
        """Whether the last `patience` measurements were none of them lower than all before, or nothing learns."""
        if not self._weights:
            return bool(measured)
        if self.options.patience is None or len(measured) <= self.options.patience:
            return False
        losses = [each["denoising"] for each in measured]
        return min(losses[-self.options.patience :]) >= min(losses[: -self.options.patience])

    def sample_grid(self) -> SampleGrid:
        """Real images, and what the model makes from their prompts without and with the LoRA."""
        rows = []
        for group in self.groups[:SHOWN]:
            places = list(group.places[: max(1, SHOWN // len(self.groups))])
            self.adapters.activate(group.name)
            with self.disabled():
                before = self.made(places, places)
            after = self.made(places, places)
            rows += [[self._learnt.whole(p), *pair] for p, *pair in zip(places, before, after, strict=True)]
        return SampleGrid(("real", "without", "with the LoRA"), rows)

    def result(self) -> Result:
        """The best weights, a file of diffusers for each LoRA."""
        present = replaced(self._weights, self._best["weights"]) if self._best["weights"] else None
        files = {self._file(group): self.adapters.state(group.name) for group in self.groups}
        words = {TOKEN_WEIGHTS: self.tokens.state()} if self.tokens else {}
        if present is not None:
            replaced(self._weights, present)
        first, *others = files
        loras = [
            {"name": group.name, "of": group.of, "file": self._file(group), "images": len(group.places)}
            for group in self.groups
        ]
        facts = {
            "architecture": "LoRA",
            "per": self.options.per,
            "rank": self.options.size.rank,
            "loras": loras,
            "words": list(self.options.words),
            "base": dict(self.backend.facts["model"]),
            "pipeline": type(self.backend.pipe).__name__,
            "size": self.options.side,
            "parameters": sum(weight.numel() for weight in self._weights),
        }
        return Result(
            files[first],
            facts,
            first,
            more_weights={**{name: files[name] for name in others}, **words},
            metadata=self.adapters.metadata(),
            files={PROMPTS: self._told()} if self.options.own_prompts else {},
        )

    def _told(self) -> bytes:
        """What each image was learnt by, word for word: a line of JSON an image."""
        told = [{"id": s.id, "digest": s.digest, "prompt": self.options.prompt(s)} for s in self.learnt.samples]
        return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in told).encode()

    def state_dict(self) -> dict[str, Any]:
        """The best weights so far."""
        return {"best": self._best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The best weights so far, where the network is."""
        best = state["best"]
        self._best = {**best, "weights": [weight.to(self.context.device) for weight in best["weights"]]}

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Meanwhile the model is what it was before it learnt; new words are what they began as."""
        with ExitStack() as stack:
            stack.enter_context(self.adapters.disabled())
            if self.tokens is not None:
                stack.enter_context(self.tokens.disabled())
            yield

    def _file(self, group: Group) -> str:
        return LORA_WEIGHTS if self.options.per == "set" else f"{group.name}/{LORA_WEIGHTS}"

    def _loss(self, images: Tensor, shown: Shown) -> Tensor:
        latents = self._latents(images, sample=True)
        noise = torch.randn_like(latents)
        places = self.noising.places(len(latents)).to(latents.device)
        return self._error(latents, noise, places, self.denoiser.condition(shown))

    def _error(self, latents: Tensor, noise: Tensor, places: Tensor, condition: Condition) -> Tensor:
        noised = self.noising.noised(latents, noise, places)
        predicted = self.denoiser.predict(noised, self.noising.times(places), condition)
        return F.mse_loss(predicted.float(), self.noising.target(latents, noise, places).float())

    def _latents(self, images: Tensor, sample: bool) -> Tensor:
        with torch.no_grad():
            return self.denoiser.latents(images.to(self.context.device), sample)

    @torch.no_grad()
    def _judged(self) -> float:
        """The mean loss over the LoRAs."""
        found = []
        for group in self.groups:
            self.adapters.activate(group.name)
            squares, places = (self._held_out, group.held_out) if group.held_out else (self._learnt, group.places)
            found.append(float(np.mean([self._judged_one(squares, place) for place in places[:MOST_JUDGED]])))
        return float(np.mean(found))

    def _judged_one(self, squares: Squares, place: int) -> float:
        """The loss on one image, at times spread evenly, with noise that its place decides."""
        images = _tensors([squares.whole(place)]).expand(TIMES_JUDGED, -1, -1, -1)
        latents = self._latents(images, sample=False)
        generator = torch.Generator().manual_seed(place)
        noise = torch.randn(latents.shape, generator=generator).to(latents.device, latents.dtype)
        places = self.noising.spread(TIMES_JUDGED).to(latents.device)
        shown = self._shown(squares, [place] * TIMES_JUDGED)
        return float(self._error(latents, noise, places, self.denoiser.condition(shown)))

    def _shown(self, squares: Squares, places: Sequence[int]) -> Shown:
        samples = [squares.pictures.samples[place] for place in places]
        return Shown(
            [self.options.prompt(sample) for sample in samples],
            [sample.id for sample in samples],
            [Image.fromarray(squares.pictures.image(place)) for place in places],
            [sample.label or "" for sample in samples],
        )

    def _made_first(self) -> list[list[Pixels]]:
        """(images, `prior_images`) what the model makes of each image's prompt (and embedding) before it learns."""
        count = self.options.prior_images
        return [
            self.made([place] * count, [seed_of(key("prior", self.context.seed, place, n)) for n in range(count)])
            for place in range(len(self._learnt.pictures))
        ]

    def made(self, places: Sequence[int], seeds: Sequence[int]) -> list[Pixels]:
        """(s, s, 3) squares that the model makes as it is, of the prompts (and embeddings) of images at `places`."""
        shown, side = self._shown(self._learnt, places), self.options.side
        sees = "embedding" in self.backend.carries
        request = Request(
            prompts=shown.prompts,
            negatives=[""] * len(places),
            seeds=seeds,
            steps=self.options.steps,
            guidance=self.options.guidance,
            embeds=self.backend.embed_once(shown.keys, shown.images) if sees else None,
            size=(side, side),
            labels=shown.labels,
        )
        if self.denoiser.texts_learn:
            self.backend.forget_texts()
        made = np.nan_to_num(self.backend.generate(request))
        return [np.rint(picture * 255).astype(np.uint8) for picture in made]


@torch.no_grad()
def replaced(weights: Sequence[nn.Parameter], others: Sequence[Tensor]) -> list[Tensor]:
    """Put the values `others` into `weights`; those that were there."""
    before = [weight.detach().clone() for weight in weights]
    for weight, other in zip(weights, others, strict=True):
        weight.copy_(other)
    return before


def new_words(denoiser: Denoiser, words: Mapping[str, str]) -> Tokens:
    """New words for the text encoder of a denoiser; ModelError where it has none, or several."""
    if denoiser.text_encoders != ("text_encoder",) or denoiser.prefix != "unet":
        kind = type(denoiser.pipe).__name__
        raise ModelError(f"a {kind} learns no new words", "leave `token` out, or use Stable Diffusion 1.5, 2 or unCLIP")
    return Tokens(denoiser.pipe, words)


def _tensors(views: Sequence[Pixels]) -> Tensor:
    return torch.stack([to_tensor(view) for view in views])
