"""A LoRA of few real images: does the generator denoise images that it has not seen better, and draw nearer to them?

python -m benchmarks.lora FOLDER [--shots 4] [--steps 300] [--write]

FOLDER has class folders in `train` and `val`. Of each class of `train`, `--shots` images are learnt from. By the images
of `val`, 20 of each class, nothing is chosen; they are only measured: the loss of denoising them, and the mean cosine
of embeddings between them and images that are made from the embeddings of the shots. The model is builtin-unclip.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from augforge.data.images import digest
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.models import find_model
from augforge.models.backends import backend_class
from augforge.models.loading import load_embedder
from augforge.progress import Progress
from augforge.training.images import TrainingImages
from augforge.training.loop import Plan, accelerator_for, context_for, train
from augforge.training.lora.adapters import Size
from augforge.training.lora.task import LoraOptions, LoraTask
from benchmarks.sections import write_section

EVERYWHERE = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
ARMS: dict[str, tuple[str, tuple[str, ...], float]] = {
    "one, attention": ("set", (), 0.0),
    "one, every layer": ("set", EVERYWHERE, 0.0),
    "one, every layer, prior 0.5": ("set", EVERYWHERE, 0.5),
    "one of each class, every layer": ("class", EVERYWHERE, 0.0),
}
"""What is trained: per, layers, weight of the prior."""
UNSEEN, EACH = 20, 4
EMBEDDERS = ("builtin-clip", "efficientnet-lite2")


def images(folder: Path, most: int) -> TrainingImages:
    """The first `most` images of each class folder, in the order in which shots are chosen."""
    data = {str(path): path.read_bytes() for path in sorted(folder.glob("*/*.jpg"))}
    samples = [Sample(path, Path(path).parent.name, digest=digest(content)) for path, content in data.items()]
    labels = sorted({str(sample.label) for sample in samples})
    chosen = [shot for name in labels for shot in Pool((s for s in samples if s.label == name), most).samples]
    return TrainingImages(chosen, lambda sample: data[sample.id])


def likeness(made: list[Image.Image], labels: list[str], unseen: TrainingImages) -> list[float]:
    """For each embedder the mean cosine of made images with unseen ones of their class."""
    own = np.array([str(sample.label) for sample in unseen.samples])
    found = []
    for name in EMBEDDERS:
        embedder: Any = load_embedder(find_model(name, "image-embedding"), "cpu")
        real = embedder.embed_images([Image.fromarray(unseen.image(place)) for place in range(len(unseen))])
        cosines = embedder.embed_images(made) @ real.T
        found.append(float(np.mean([row[own == label].mean() for row, label in zip(cosines, labels, strict=True)])))
    return found


def made_of(learning: LoraTask, learnt: bool) -> tuple[list[Image.Image], list[str]]:
    """`EACH` images from the embedding of every shot, with the same seeds with and without what was learnt."""
    pictures, labels = [], []
    for group in learning.groups:
        learning.adapters.activate(group.name)
        for place in group.places:
            if learnt:
                made = learning.made([place] * EACH, range(EACH))
            else:
                with learning.adapters.disabled():
                    made = learning.made([place] * EACH, range(EACH))
            pictures += [Image.fromarray(picture) for picture in made]
            labels += [str(learning.learnt.samples[place].label)] * EACH
    return pictures, labels


def main() -> None:
    """Train each arm and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", type=int, default=4)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    shots, unseen = images(given.folder / "train", given.shots), images(given.folder / "val", UNSEEN)
    labels = {str(sample.label) for sample in shots.samples}
    base = LoraOptions(
        "set", Size(16, 16, ()), {label: f"a photo of a {label}" for label in labels},
        side=32, batch=8, rate=1e-3, prior_images=2, steps=12, guidance=2.5,
    )  # fmt: skip
    rows: list[str] = []
    for name, (per, targets, weight) in ARMS.items():
        options = replace(base, per=per, size=Size(16, 16, targets), prior_weight=weight)
        began = time.process_time()
        context = context_for(accelerator_for("cpu", "fp32"), 1, given.steps)
        backend: Any = backend_class("unclip")(find_model("builtin-unclip", "fine-tuning"), "cpu", "fp32")
        learning = LoraTask(shots, unseen, backend, context, options)
        with tempfile.TemporaryDirectory() as folder:
            plan = Plan(name, given.steps, options.batch, given.steps + 1, given.steps)
            measured = train(learning, plan, Path(folder), Progress(), name).measured[-1]
        minutes = (time.process_time() - began) / 60
        if not rows:
            before = likeness(*made_of(learning, False), unseen)
            rows.append(f"| none | {measured['without']:.4f} | {before[0]:.4f} | {before[1]:.4f} | |")
        after = likeness(*made_of(learning, True), unseen)
        rows.append(f"| {name} | {measured['denoising']:.4f} | {after[0]:.4f} | {after[1]:.4f} | {minutes:.1f} |")
        print(rows[-1], flush=True)
    head = [
        "| LoRA | loss on unseen images | cosine, builtin-clip | cosine, efficientnet-lite2 | CPU min |",
        "|---|---|---|---|---|",
    ]
    about = (
        f"{given.shots} shots of each of {len(labels)} classes, {given.steps} steps of {base.batch} images at 32 px, "
        f"rank 16; {len(unseen)} unseen images, {EACH * len(shots)} made ones, on one thread."
    )
    text = "\n".join([*head, *rows, "", about])
    print(text)
    if given.write:
        write_section("lora", text)


if __name__ == "__main__":
    main()
