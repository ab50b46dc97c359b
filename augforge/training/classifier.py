"""The training of a classifier: a timm network on crops of the pictures, or a linear layer on their embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn
from torch.nn import functional

from augforge.algorithms.labels import classification_metrics
from augforge.errors import RecipeError
from augforge.models.batches import in_batches
from augforge.models.classifier import PROBE, TIMM, View, begin_timm, timm_view
from augforge.models.embedders import load_embedder
from augforge.models.networks.probe import Probe
from augforge.models.table import Model
from augforge.models.tensors import eval_mode
from augforge.models.vision import ImageEmbedder
from augforge.training.images import TrainingImages
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask

Loss = Literal["cross-entropy", "balanced-softmax"]
Pixels = NDArray[np.uint8]
RATES = {PROBE: 1e-2, TIMM: 1e-3}
MOST_ON_TRAIN = 1000
EMBEDDED_AT_ONCE = 256
ROWS, COLUMNS = 10, 6
CELL, FRAME, CAPTION = 96, 3, 12
RIGHT, WRONG = (30, 150, 60), (200, 40, 40)


class Crops:
    """Normalised crops (b, 3, s, s): random ones to learn from, the centre to judge by."""

    def __init__(self, train: TrainingImages, held_out: TrainingImages, view: View, flip: bool) -> None:
        self.train, self.held_out, self.view, self.flip = train, held_out, view, flip
        self.facts = view.facts()

    def drawn(self, indices: Sequence[int], random: np.random.Generator) -> NDArray[np.float32]:
        """A random crop of each, half of them mirrored if they may be."""
        crops = [self.view.random(Image.fromarray(self.train.image(i)), random, self.flip) for i in indices]
        return np.stack([self.view.numbers(crop) for crop in crops])

    def fixed(self, indices: Sequence[int], held_out: bool) -> NDArray[np.float32]:
        """The centre of each."""
        pictures = self.held_out if held_out else self.train
        whole = (Image.fromarray(pictures.image(i)) for i in indices)
        return np.stack([self.view.numbers(self.view.centre(image)) for image in whole])


class Embedded:
    """Embeddings (b, d) of unit length, computed once."""

    def __init__(self, train: TrainingImages, held_out: TrainingImages, embedder: Model, device: str) -> None:
        model = load_embedder(embedder, device)
        self.vectors = {False: _embed(train, model), True: _embed(held_out, model)}
        self.facts = {"embedder": model.facts["model"], "size": None, "mean": None, "std": None}

    def drawn(self, indices: Sequence[int], random: np.random.Generator) -> NDArray[np.float32]:
        """The embeddings themselves."""
        return self.fixed(indices, held_out=False)

    def fixed(self, indices: Sequence[int], held_out: bool) -> NDArray[np.float32]:
        """The embeddings themselves."""
        return self.vectors[held_out][list(indices)]


Inputs = Crops | Embedded
"""What the network sees of the pictures; its `facts` are what a model directory records about that."""


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """How a classifier is trained.

    Attributes:
        backbone: `timm:NAME` for a network of timm, all of which learns, or `probe` for a linear layer.
        embedder: probe: the image-text model whose embeddings it sees.
        size: timm: the side of the crops in px; the network's own if absent.
        batch: images per step, in this process.
        rate: the learning rate of AdamW; 1e-2 for a probe and 1e-3 for a network if absent.
        pretrained: timm: a safetensors file to begin from, or `pretrained` for timm's own weights from the hub.
        loss: `balanced-softmax` makes up for classes of different size; see `class_loss`.
        weight_decay: AdamW's, of matrices and kernels; biases and norms have none.
        flip: timm: whether half of the crops are mirrored, which digits and left feet do not survive.
    """

    backbone: str
    embedder: Model | None = None
    size: int | None = None
    batch: int = 32
    rate: float | None = None
    pretrained: str | None = None
    loss: Loss = "cross-entropy"
    weight_decay: float = 0.01
    flip: bool = True

    @property
    def learning_rate(self) -> float:
        """`rate`, or the usual one of the kind of backbone."""
        return self.rate or RATES[PROBE if self.backbone == PROBE else TIMM]


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images to learn from, those held out (perhaps none), and the names of the classes in the order of the logits.

    Every label of `train` is among the classes.
    """

    train: TrainingImages
    held_out: TrainingImages
    classes: Sequence[str]


class ClassifierTask(TrainingTask):
    """Labelled images and a network; see `classifier_task`."""

    def __init__(
        self, data: LabelledImages, context: TrainingContext, net: nn.Module, inputs: Inputs, options: ClassifierOptions
    ) -> None:
        super().__init__(context)
        self.classes, self.inputs, self.options = list(data.classes), inputs, options
        self.apart = len(data.held_out) > 0  # else the training images are judged
        self.judged = data.held_out if self.apart else data.train
        self.labels = _labels(data.train, self.classes)
        balanced = options.loss == "balanced-softmax"
        self.counts = torch.from_numpy(class_counts(data.train, self.classes)) if balanced else None
        self.net = net
        self.nets = {"classifier": net}
        groups = param_groups_weight_decay(net, options.weight_decay)
        self.optimizers = {"classifier": torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=0.0)}

    def batch(self, random: np.random.Generator) -> Batch:
        """Images drawn with replacement, each as likely."""
        indices = random.integers(len(self.labels), size=self.options.batch)
        inputs = torch.from_numpy(self.inputs.drawn(indices.tolist(), random))
        return {"inputs": inputs, "labels": torch.from_numpy(self.labels[indices])}

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Down the gradient of the loss over one batch."""
        logits = self.net(batch["inputs"]).float()
        loss = class_loss(logits, batch["labels"], self.counts)
        self.update("classifier", loss)
        return {"loss": loss.detach()}

    def logits(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """(n, c) logits of judged pictures, in eval mode."""
        with eval_mode(self.net):
            return in_batches(self.net, lambda few: self.inputs.fixed(few, self.apart), indices)

    def measure(self) -> dict[str, float]:
        """`classification_metrics` of the held-out images; where none are, of training images, and named so."""
        indices = self._measured()
        truth = [str(self.judged.samples[i].label) for i in indices]
        predicted = [self.classes[best] for best in self.logits(indices).argmax(1)]
        prefix = "" if self.apart else "train-"
        return {prefix + name: value for name, value in classification_metrics(truth, predicted).items()}

    def sample_grid(self) -> SampleGrid:
        """A row for each of the first classes: judged pictures, framed green where right and red where wrong."""
        labels = sorted({str(sample.label) for sample in self.judged.samples})
        rows = [self._of_class(label) for label in labels[:ROWS]]
        logits = self.logits([index for row in rows for index in row])
        best = iter(logits.argmax(1))
        judged = self.judged
        cells = [
            [framed(judged.image(i), str(judged.samples[i].label), self.classes[next(best)]) for i in row]
            for row in rows
        ]
        blank = np.full_like(cells[0][0], 255)
        title = f"{'held-out' if self.apart else 'training'} pictures: class > predicted class"
        return SampleGrid([title] + [""] * (COLUMNS - 1), [row + [blank] * (COLUMNS - len(row)) for row in cells])

    def result(self) -> Result:
        """The network, its classes and how it sees a picture."""
        facts = {"architecture": self.options.backbone, "classes": self.classes, **self.inputs.facts}
        return Result({name: value.detach().cpu().clone() for name, value in self.net.state_dict().items()}, facts)

    def _measured(self) -> list[int]:
        """All that are held out; a fixed share of the training pictures, spread evenly."""
        count = len(self.judged)
        few = count if self.apart else min(count, MOST_ON_TRAIN)
        return [place * count // few for place in range(few)]

    def _of_class(self, label: str) -> list[int]:
        found = (index for index, sample in enumerate(self.judged.samples) if sample.label == label)
        return [index for index, _ in zip(found, range(COLUMNS), strict=False)]


def classifier_task(data: LabelledImages, context: TrainingContext, options: ClassifierOptions) -> ClassifierTask:
    """A training on the images `data.train`, judged by those that are held out.

    Raises:
        RecipeError: options or labels that do not go together.
        ModelError: weights that are not to be had or do not fit.
    """
    begin = _begin_probe if options.backbone == PROBE else _begin_network
    net, inputs = begin(data, context, options)
    return ClassifierTask(data, context, net, inputs, options)


def _begin_probe(
    data: LabelledImages, context: TrainingContext, options: ClassifierOptions
) -> tuple[nn.Module, Inputs]:
    """A linear layer, and the embeddings that it sees."""
    if options.embedder is None:
        raise RecipeError("a probe needs an embedder", "name a model that embeds images, such as builtin-clip")
    inputs = Embedded(data.train, data.held_out, options.embedder, context.device.type)
    vectors = inputs.vectors[False]
    return Probe(vectors.shape[1], len(data.classes)).standardise(vectors), inputs


def _begin_network(
    data: LabelledImages, context: TrainingContext, options: ClassifierOptions
) -> tuple[nn.Module, Inputs]:
    """A network of timm, and the crops that it sees."""
    name = options.backbone.removeprefix(TIMM)
    net, begun = begin_timm(name, len(data.classes), options.size, options.pretrained, context.seed)
    if options.batch < 2 and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in net.modules()):
        raise RecipeError("batch norm cannot learn from one image at a time", "use a batch of at least 2")
    inputs = Crops(data.train, data.held_out, timm_view(net, options.size), options.flip)
    inputs.facts |= begun
    return net, inputs


def class_loss(logits: Tensor, labels: Tensor, counts: Tensor | None = None) -> Tensor:
    """Cross-entropy of logits (b, c), scalar; with the classes' sizes (c,), of logits + log sizes: balanced softmax.

    The logits themselves, which are used afterwards, then do not lean towards the large classes. Ren et al., NeurIPS
    2020, arXiv 2007.10740. Equal sizes give the plain cross-entropy.
    """
    if counts is not None:
        logits = logits + counts.to(logits).log()
    return functional.cross_entropy(logits, labels)


def class_counts(pictures: TrainingImages, classes: Sequence[str]) -> NDArray[np.float32]:
    """(c,) how many real pictures each class has. RecipeError where one has none: its share is then not known."""
    real = Counter(sample.label for sample in pictures.samples if sample.origin == "real")
    if missing := [label for label in classes if not real[label]]:
        raise RecipeError(
            f"balanced-softmax needs real images of every class; {missing[0]!r} has none",
            "use the loss cross-entropy, or add real images of it",
        )
    return np.array([real[label] for label in classes], dtype=np.float32)


def framed(picture: Pixels, label: str, predicted: str) -> Pixels:
    """A picture fitted into a square, framed green if it is predicted right, else red; both classes stand below."""
    image = Image.fromarray(picture)
    zoom = CELL / max(image.size)
    sides = (max(1, round(image.width * zoom)), max(1, round(image.height * zoom)))
    cell = Image.new("RGB", (CELL + 2 * FRAME, CELL + 2 * FRAME + CAPTION), RIGHT if label == predicted else WRONG)
    cell.paste("white", (FRAME, FRAME, FRAME + CELL, FRAME + CELL))
    resized = image.resize(sides, Image.Resampling.BICUBIC)
    cell.paste(resized, (FRAME + (CELL - sides[0]) // 2, FRAME + (CELL - sides[1]) // 2))
    caption = f"{label} > {predicted}".encode("ascii", "replace").decode()
    ImageDraw.Draw(cell).text((FRAME, CELL + 2 * FRAME - 1), caption, fill="white")
    return np.asarray(cell)


def _labels(pictures: TrainingImages, classes: Sequence[str]) -> NDArray[np.int64]:
    """(n,) the number of each picture's class."""
    numbers = {label: number for number, label in enumerate(classes)}
    for sample in pictures.samples:
        if sample.label not in numbers:
            raise RecipeError(f"image {sample.id} has the label {sample.label!r}, which is none of the classes")
    return np.array([numbers[str(sample.label)] for sample in pictures.samples], dtype=np.int64)


def _embed(pictures: TrainingImages, model: ImageEmbedder) -> NDArray[np.float32]:
    """(n, d) embeddings, decoding a batch of pictures at a time."""
    starts = range(0, len(pictures), EMBEDDED_AT_ONCE)
    parts = [range(start, min(start + EMBEDDED_AT_ONCE, len(pictures))) for start in starts]
    made = [model.embed_images([Image.fromarray(pictures.image(i)) for i in part]) for part in parts]
    return np.concatenate(made) if made else np.zeros((0, 0), dtype=np.float32)
