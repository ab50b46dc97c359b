"""The training of EfficientAD: first the teacher learns to see as a larger network does, then the student and the
autoencoder learn from the teacher, on good images alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from augforge.algorithms.efficientad import TOP, hard_mean, scale_of
from augforge.models.anomaly import REACH, STRIDE, coloured, seen_as
from augforge.models.networks.efficientad import EfficientAd
from augforge.models.patches import PatchNetwork
from augforge.models.table import Model
from augforge.models.tensors import eval_mode
from augforge.training.images import TrainingImages
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask

Pixels = NDArray[np.uint8]
WEIGHT_DECAY = 1e-5
FALL, FALLEN = 0.95, 0.1
"""From this share of the steps on the learning rate is a tenth."""
JITTER = (0.8, 1.2)
LEAST_AREA, GREY = 0.25, 0.1
"""What the teacher learns from are crops of at least this area, a tenth of them grey."""
MOST = 512
"""Images at most that statistics are taken of, spread evenly."""
AT_ONCE, SHOWN = 8, 6


@dataclass(frozen=True, slots=True)
class EfficientAdOptions:
    """How EfficientAD is trained.

    Attributes:
        size: side of the pictures in px.
        width: channels of the features.
        batch: images per step, in this process.
        rate: Adam's learning rate.
        distil: share of the steps in which the teacher learns, in [0, 1); the student learns in the others.
        features: the model whose feature maps the teacher learns to see.
    """

    size: int
    width: int
    batch: int
    rate: float
    distil: float
    features: Model


class EfficientAdTask(TrainingTask):
    """Good images, some held out that set the scales of the maps, and perhaps others for the penalty."""

    def __init__(
        self, pictures: Mapping[str, TrainingImages], context: TrainingContext, options: EfficientAdOptions
    ) -> None:
        super().__init__(context)
        self.good, self.apart, self.other = pictures["good"], pictures["held-out"], pictures["other"]
        self.judged = self.apart if len(self.apart) else self.good
        self.options, self.seen = options, seen_as(options.size)
        self.net = EfficientAd(options.size, options.width)
        self.nets = {"detector": self.net}
        self.optimizers = {
            "teacher": _adam(options.rate, self.net.teacher),
            "student": _adam(options.rate, self.net.student, self.net.autoencoder),
        }
        self.teacher_steps, self.done = round(options.distil * context.steps), 0
        self.target: _Target | None = None

    def batch(self, random: np.random.Generator) -> Batch:
        """`pictures` and their `crops` as the network sees them (b, s, s, 3); `jittered` and perhaps `other`."""
        chosen = random.integers(len(self.good), size=self.options.batch).tolist()
        whole = [self._square(self.good, index) for index in chosen]
        batch = {
            "pictures": self._input(whole),
            "jittered": self._input([jittered(picture, random) for picture in whole]),
            "crops": torch.from_numpy(np.stack([self._crop(random) for _ in chosen])),
        }
        if len(self.other):
            drawn = random.integers(len(self.other), size=self.options.batch).tolist()
            batch["other"] = self._input([self._square(self.other, index) for index in drawn])
        return batch

    def _crop(self, random: np.random.Generator) -> Pixels:
        """What the teacher learns from: a crop of a good image or, half of the time, of another one."""
        source = self.other if len(self.other) and random.random() < 0.5 else self.good
        return random_crop(source.image(int(random.integers(len(source)))), self.options.size, random)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Teach the teacher, or learn from it."""
        self.done += 1
        if self.done <= self.teacher_steps:
            return self._distil(batch["crops"])
        if self.done == self.teacher_steps + 1:
            self._standardise()
        return self._learn(batch)

    def _distil(self, crops: Tensor) -> dict[str, Tensor]:
        """The teacher's features towards those of the larger network, in the same places."""
        seen = crops.cpu().numpy()
        wanted = self._wanted(seen)
        inputs = self.seen.normalize(seen, str(self.context.device))
        loss = (self.net.teacher(inputs).float() - wanted).square().mean()
        self.update("teacher", loss)
        return {"distilling": loss.detach()}

    def _wanted(self, seen: Pixels) -> Tensor:
        """(n, c, g, g) what the teacher is to say of squares (n, s, s, 3)."""
        if self.target is None:
            samples = np.stack([self._square(self.good, index) for index in _spread(len(self.good), MOST // AT_ONCE)])
            self.target = _Target(self.options, samples, self.context.device)
        return self.target(seen)

    def _standardise(self) -> None:
        """Mean and deviation of each channel of the teacher, over good images."""
        count, total, squares = 0, 0.0, 0.0
        with eval_mode(self.net):
            for inputs in self._inputs(self.good, _spread(len(self.good), MOST)):
                features = self.net.teacher(inputs).double().transpose(0, 1).flatten(1)
                count += features.shape[1]
                total, squares = total + features.sum(dim=1), squares + features.square().sum(dim=1)
        mean = torch.as_tensor(total) / count
        deviation = (torch.as_tensor(squares) / count - mean.square()).clamp_min(0).sqrt()
        self.net.mean.copy_(mean)
        self.net.std.copy_(torch.where(deviation > 0, deviation, 1.0))

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        """The hard feature loss, the autoencoder's, and what the student makes of that; the penalty on other images."""
        with torch.no_grad():
            taught, jittered_taught = self.net.taught(batch["pictures"]), self.net.taught(batch["jittered"])
        mine, _ = self.net.learnt(batch["pictures"])
        _, ours = self.net.learnt(batch["jittered"])
        rebuilt = self.net.autoencoder(batch["jittered"])
        losses = {
            "student": hard_mean((taught - mine).float().square()),
            "autoencoder": (jittered_taught - rebuilt).float().square().mean(),
            "both": (rebuilt - ours).float().square().mean(),
        }
        if "other" in batch:
            losses["penalty"] = self.net.learnt(batch["other"])[0].float().square().mean()
        self.update("student", sum(losses.values(), mine.new_zeros(())))
        return {name: loss.detach() for name, loss in losses.items()}

    def measure(self) -> dict[str, float]:
        """Of held-out good images: the mean squared errors of both maps, and how many there are."""
        first, second = (float(raw.mean()) for raw in self._raw())
        return {"student_error": first, "autoencoder_error": second, "held_out": float(len(self.apart))}

    def sample_grid(self) -> SampleGrid:
        """A good image, its two maps and their mean; white where a place is as odd as one of 200 of good images."""
        self._set_scales()
        rows = []
        for index in _spread(len(self.judged), SHOWN):
            picture = self._square(self.judged, index)
            with eval_mode(self.net):
                inputs = self._input([picture]).to(self.context.device)
                raw = torch.cat(self.net.raw_maps(inputs))
                low, high = self.net.scales[:, 0, None, None], self.net.scales[:, 1, None, None]
                maps = TOP * (raw - low) / (high - low)
            heat = [*maps, maps.mean(dim=0)]
            rows.append([picture, *(coloured(one.float().cpu().numpy(), picture) for one in heat)])
        return SampleGrid(("good image", "student", "autoencoder", "both"), rows)

    def result(self) -> Result:
        """The three networks, with the scales that held-out good images set."""
        self._set_scales()
        weights = {name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()}
        return Result(weights, {**self.net.facts(), "held-out": len(self.apart)})

    def lr_factor(self, step: int) -> float:
        """A tenth from 95 % of the steps on, as published; of the teacher's and of the others' alike."""
        begun, steps = (
            (0, self.teacher_steps) if step < self.teacher_steps else (self.teacher_steps, self.context.steps)
        )
        return 1.0 if step - begun < FALL * (steps - begun) else FALLEN

    def state_dict(self) -> dict[str, Any]:
        """How many steps were done."""
        return {"done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after those steps."""
        self.done = int(state["done"])

    def _set_scales(self) -> None:
        """The scales of both maps from the good images that are judged."""
        for number, raw in enumerate(self._raw()):
            scale = scale_of(raw)
            self.net.scales[number] = torch.tensor([float(scale.low), float(scale.high)])

    def _raw(self) -> tuple[Tensor, Tensor]:
        """(n, g, g) both maps of the judged images."""
        found: list[tuple[Tensor, Tensor]] = []
        with eval_mode(self.net):
            for inputs in self._inputs(self.judged, _spread(len(self.judged), MOST)):
                first, second = self.net.raw_maps(inputs)
                found.append((first.float().cpu(), second.float().cpu()))
        firsts, seconds = zip(*found, strict=True)
        return torch.cat(firsts), torch.cat(seconds)

    def _inputs(self, pictures: TrainingImages, indices: Sequence[int]) -> Any:
        """The pictures as the network sees them, a few at a time, on the device."""
        for start in range(0, len(indices), AT_ONCE):
            few = [self._square(pictures, index) for index in indices[start : start + AT_ONCE]]
            yield self._input(few).to(self.context.device)

    def _square(self, pictures: TrainingImages, index: int) -> Pixels:
        return self.seen.resize_and_crop(Image.fromarray(pictures.image(index)))

    def _input(self, squares: Sequence[Pixels]) -> Tensor:
        return self.seen.normalize(np.stack(squares), "cpu")


class _Target:
    """What the teacher is to say: feature maps of a larger network, read in the teacher's places, as many channels,
    normalised by channel over good images (n, s, s, 3)."""

    def __init__(self, options: EfficientAdOptions, good: Pixels, device: torch.device) -> None:
        self._network, self._width = PatchNetwork(options.features, str(device)), options.width
        self._places = places_of(options.size).to(device)
        features = self._read(good)
        self._mean = features.mean(dim=(0, 2, 3), keepdim=True)
        self._std = features.std(dim=(0, 2, 3), keepdim=True).clamp_min(1e-6)

    def __call__(self, seen: Pixels) -> Tensor:
        """(n, c, g, g) of squares (n, s, s, 3)."""
        return (self._read(seen) - self._mean) / self._std

    def _read(self, seen: Pixels) -> Tensor:
        side, resample = self._network.preprocessing.size, self._network.preprocessing.resample
        squares = np.stack([np.asarray(Image.fromarray(one).resize((side, side), resample)) for one in seen])
        grid = self._places.expand(len(seen), -1, -1, -1)
        maps = [
            functional.grid_sample(layer.clone(), grid, padding_mode="border", align_corners=False)
            for layer in self._network.maps(squares)
        ]
        joined = torch.cat(maps, dim=1).permute(0, 2, 3, 1)
        shape = joined.shape[:3]
        pooled = functional.adaptive_avg_pool1d(joined.reshape(-1, 1, joined.shape[-1]), self._width)
        return pooled.reshape(*shape, self._width).permute(0, 3, 1, 2)


def places_of(size: int) -> Tensor:
    """(1, g, g, 2) the middles of what the teacher sees in each place, x and y, from -1 to 1 over the picture."""
    middles = torch.arange(0, size - REACH + 1, STRIDE) + REACH / 2
    along = 2 * middles / size - 1
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y], dim=-1)[None].float()


def jittered(picture: Pixels, random: np.random.Generator) -> Pixels:
    """The picture with another brightness, contrast or saturation, by a factor of 0.8 to 1.2."""
    values, factor = picture.astype(np.float32), random.uniform(*JITTER)
    grey = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    around = (np.zeros(1, np.float32), grey.mean(), grey[..., None])[int(random.integers(3))]
    return np.clip(around + factor * (values - around), 0, 255).round().astype(np.uint8)


def random_crop(picture: Pixels, size: int, random: np.random.Generator) -> Pixels:
    """(size, size, 3) a crop of a quarter of the area or more, half of them mirrored, a tenth grey."""
    height, width = picture.shape[:2]
    share = np.sqrt(random.uniform(LEAST_AREA, 1))
    left, top = random.uniform(0, width * (1 - share)), random.uniform(0, height * (1 - share))
    box = (left, top, left + share * width, top + share * height)
    crop = Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, box=box)
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(crop.convert("L").convert("RGB") if random.random() < GREY else crop)


def _spread(count: int, most: int) -> list[int]:
    """Indices of `most` of `count` at most, evenly of all."""
    few = min(count, most)
    return [number * count // few for number in range(few)]


def _adam(rate: float, *nets: torch.nn.Module) -> torch.optim.Adam:
    parameters = [parameter for net in nets for parameter in net.parameters()]
    return torch.optim.Adam(parameters, rate, weight_decay=WEIGHT_DECAY)
