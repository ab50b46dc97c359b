"""What the day-to-night trainings share: networks of one design, views, sheets and measurements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from augforge.algorithms.metrics import NightReference, grid_ratio
from augforge.models.edges import LUMA, EdgeOperator, edge_overlap
from augforge.models.networks.night import REFERENCE
from augforge.models.networks.translation import Norm, PatchDiscriminator, ResnetGenerator, initialise
from augforge.models.networks.upsampling import Upsampling, with_upsampling
from augforge.models.tensors import eval_mode, to_picture, to_tensor
from augforge.training.night.views import SHOWN, Pixels, Unpaired
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask

BETAS = (0.5, 0.999)
MOST_COMPARED = 128
"""Real pictures of a kind at most that translations are compared with."""
AT_ONCE = 8
"""Images at a time where nothing is learnt."""


@dataclass(frozen=True, slots=True)
class Design:
    """Architecture, side of the squares, first channels, residual blocks, norm, Adam's rate, upsampling."""

    arch: str
    size: int
    width: int
    blocks: int
    norm: Norm
    rate: float
    upsampling: Upsampling = "resize"
    darken_weight: float = 0.0
    """Of the distance to the darkened day, in all four; none of them has it as published."""

    def generator(self) -> ResnetGenerator:
        """A fresh generator."""
        net = with_upsampling(ResnetGenerator(self.width, self.blocks, norm=self.norm), self.upsampling)
        initialise(net)
        return net

    def discriminator(self) -> PatchDiscriminator:
        """A fresh discriminator of 70 px patches."""
        net = PatchDiscriminator(self.width, norm=self.norm)
        initialise(net)
        return net

    def adam(self, *nets: nn.Module) -> torch.optim.Adam:
        """One optimiser of all their parameters."""
        parameters = [parameter for net in nets for parameter in net.parameters()]
        return torch.optim.Adam(parameters, self.rate, BETAS)


class NightTask(TrainingTask):
    """Unpaired days and nights; a subclass brings the step, and whatever it needs beside one generator."""

    def __init__(self, pictures: Unpaired, context: TrainingContext, design: Design) -> None:
        super().__init__(context)
        self.pictures, self.design = pictures, design
        self.generator, self.discriminator = design.generator(), design.discriminator()
        self.nets = {"generator": self.generator, "discriminator": self.discriminator}
        self.edge_detector: nn.Module = EdgeOperator()
        """Shows the edges on the sample sheet."""

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Learn from `day` and `night`, each (b, 3, s, s) in [-1, 1]."""

    def batch(self, random: np.random.Generator) -> Batch:
        """`day` and `night`, each (b, 3, s, s) in [-1, 1]; with a weight for it `darkened`, the day of the baseline."""
        drawn = self.pictures.batch(random)
        if not self.design.darken_weight:
            return drawn
        dark = self.reference.darkened([to_picture(day) for day in drawn["day"]])
        return {**drawn, "darkened": torch.stack([to_tensor(picture) for picture in dark])}

    def darkening(self, made: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The loss that keeps translations (b, 3, s, s) near the darkened days, by name; {} without a weight for it.

        A discriminator alone says where a short training goes wrong, but not where it should have gone.
        """
        weight = self.design.darken_weight
        return {"darkened": weight * F.l1_loss(made, batch["darkened"])} if weight else {}

    def sample_grid(self) -> SampleGrid:
        """Day, its translation, the darkened day, edges, and a real night that has nothing to do with it.

        The titles say how far translations and darkened days are from real nights; see `measure`.
        """
        days, nights = self.pictures.days(), self.pictures.nights(SHOWN)
        made, dark = self._translated(days), self.reference.darkened(days[:SHOWN])
        found = self.reference.distances(days, made)
        titles = [f"{name} KID {found[kid]:.1f}" for name, kid in (("made", "night_kid"), ("dark", "darkened_kid"))]
        rows = [
            [day, made[number], dark[number], self._edges(day), self._edges(made[number]), nights[number % len(nights)]]
            for number, day in enumerate(days[:SHOWN])
        ]
        return SampleGrid(("day", *titles, "edges of day", "edges of made", "some real night"), rows)

    def measure(self) -> dict[str, float]:
        """Of held-out days and nights (where `held_out` is 0: of training pictures).

        `luminance` is the mean brightness (Rec. 601) of translated days in [0, 1], `night_luminance` that of real
        nights, `luminance_ratio` the first over the second; `edge_overlap` the mean of `edge_overlap` between a day
        and its translation; `night_kid` and `darkened_kid` the distances of `NightReference` to real nights, those
        that are learnt from among them; `grid_ratio` as in `grid_ratio`.
        """
        days = self.pictures.days()
        made = self._translated(days)
        luminance, night = _luminance(made), _luminance(self.pictures.nights())
        overlap = float(np.mean([edge_overlap(day, night) for day, night in zip(days, made, strict=True)]))
        return {
            "luminance": luminance,
            "night_luminance": night,
            "luminance_ratio": luminance / night if night else float("nan"),
            "edge_overlap": overlap,
            **self.reference.distances(days, made),
            "grid_ratio": grid_ratio(made, self.pictures.spread(MOST_COMPARED)[1]),
            "held_out": float(self.pictures.held_out),
        }

    def outputs(self) -> NDArray[np.float32] | None:
        """(n, s, s, 3) in [0, 1]: the translations of the sheet's different days; None where they are all alike."""
        different = {day.tobytes(): day for day in self.pictures.days(SHOWN)}
        if len(different) < 2:
            return None
        found = [(picture + 1) / 2 for picture in self._made(list(different.values()))]
        return torch.cat(found).permute(0, 2, 3, 1).numpy().astype(np.float32)

    @cached_property
    def reference(self) -> NightReference:
        """What translations are compared with: real days and nights, also those that are learnt from."""
        return NightReference.of(*self.pictures.spread(MOST_COMPARED))

    def result(self) -> Result:
        """The generator, with the running statistics of its norms, and what its nights are compared with."""
        weights = {name: value.detach().cpu().clone() for name, value in self.generator.state_dict().items()}
        weights |= {REFERENCE + name: torch.from_numpy(array) for name, array in self.reference.arrays().items()}
        return Result(weights, {"architecture": "resnet", **self._design_facts(), **self.facts()})

    def facts(self) -> Mapping[str, Any]:
        """What an architecture has to say beside the design."""
        return {}

    def _design_facts(self) -> dict[str, Any]:
        design = self.design
        names = ("arch", "size", "width", "blocks", "norm", "upsampling")
        return {name: getattr(design, name) for name in names}

    def _made(self, pictures: Sequence[Pixels]) -> list[Tensor]:
        """Translations (b, 3, s, s) in [-1, 1], a few at a time, on the CPU."""
        made = []
        for start in range(0, len(pictures), AT_ONCE):
            days = torch.stack([to_tensor(picture) for picture in pictures[start : start + AT_ONCE]])
            with eval_mode(self.generator):
                made.append(self.generator(days.to(self.context.device)).float().cpu())
        return made

    def _translated(self, pictures: Sequence[Pixels]) -> list[Pixels]:
        return [to_picture(picture) for part in self._made(pictures) for picture in part]

    def _edges(self, picture: Pixels) -> Pixels:
        """(s, s, 3) grey: white where there is no edge, black where there is one."""
        detector = self.edge_detector.to(self.context.device)
        with eval_mode(detector):
            edges = detector(to_tensor(picture)[None].to(self.context.device)).float().sigmoid()[0]
        return to_picture(1 - 2 * edges.expand(3, -1, -1))


def _luminance(pictures: Sequence[Pixels]) -> float:
    """The mean brightness of pictures (h, w, 3), in [0, 1]."""
    return float(np.mean([(picture @ np.array(LUMA)).mean() for picture in pictures])) / 255
