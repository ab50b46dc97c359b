"""How fast classical operators are: beside torchvision v2, kornia and albumentations, and end to end beside a loop.

    python benchmarks/operators.py --rounds 5 --images 2000

The nearest operation of each library at the same strength, on 64 made-up pictures of 224 px, each as the library takes
it (augforge and torchvision's first column Pillow images, torchvision's second uint8 tensors, kornia float tensors,
albumentations uint8 arrays), one image at a time, one thread, by processor time. Each gives an array or a tensor, ours
also how the image was moved. End to end: a folder of JPEGs of 224 px through `generate randaugment` in as many
processes as there are cores (decode, operate, encode PNG, commit with provenance), beside a Python loop with
torchvision's `v2.RandAugment` that saves PNGs, at our level of compression and at Pillow's own; by the time of day, and
by the processor time of all processes. The order of the ways changes from round to round. A ratio is that of the rates
in one round, the median over rounds with the lowest and highest; above 1 augforge is faster. kornia and albumentations
are no dependencies: `pip install kornia albumentations==2.0.8` where you run this; without one its column is empty.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augforge.algorithms.policies import applied, draw_randaugment
from augforge.data.ids import rng
from augforge.data.images import PNG_LEVEL
from augforge.engine.run import run
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage

SIDE, PICTURES = 224, 64
LEAST = 0.1
"""Seconds of processor time in which a rate is measured."""
STEPS = {
    "Rotate": 20.0,
    "ShearX": 0.2,
    "TranslateX": 20.0,
    "Brightness": 0.5,
    "Color": 0.5,
    "Contrast": 0.5,
    "Sharpness": 0.5,
    "Posterize": 4,
    "Solarize": 0.5,
    "AutoContrast": 0.0,
    "Equalize": 0.0,
    "Invert": 0.0,
}
LIBRARIES = ("torchvision, Pillow", "torchvision, tensor", "kornia", "albumentations")
Way = Callable[[int], Any]
"""Operates on the picture of a number."""


def picture(number: int) -> Image.Image:
    """Smooth noise."""
    draws = np.random.default_rng(number).integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    return Image.fromarray(draws).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


# -- operations -------------------------------------------------------------------------------------------------------


def ours(pictures: Sequence[Image.Image]) -> dict[str, Way]:
    """Each operation, and RandAugment with its draws."""

    def operate(steps: Any, number: int) -> Any:
        return applied(pictures[number], steps)

    def policy(number: int) -> Any:
        return operate(draw_randaugment(rng(number), (SIDE, SIDE)), number)

    return {name: partial(operate, [(name, m)]) for name, m in STEPS.items()} | {"RandAugment": policy}


def torchvisions(inputs: Sequence[Any]) -> dict[str, Way]:
    """The same operations through the class that applies them."""
    from torchvision.transforms import v2

    policy = v2.RandAugment()

    def given(made: Any) -> Any:
        return np.asarray(made) if isinstance(made, Image.Image) else made

    def operate(name: str, magnitude: float, number: int) -> Any:
        way, fill = policy.interpolation, policy._fill
        return given(policy._apply_image_or_video_transform(inputs[number], name, magnitude, way, fill))

    found: dict[str, Way] = {name: partial(operate, name, magnitude) for name, magnitude in STEPS.items()}
    return found | {"RandAugment": lambda number: given(policy(inputs[number]))}


def kornias(pictures: Sequence[Image.Image]) -> dict[str, Way]:
    """The nearest functions, and its RandAugment."""
    import kornia
    from kornia.augmentation.auto import RandAugment

    inputs = [torch.from_numpy(np.array(each)).permute(2, 0, 1)[None].float() / 255 for each in pictures]
    moved, enhance = kornia.geometry.transform, kornia.enhance
    policy = RandAugment(n=2, m=9)
    functions: dict[str, Callable[[Any], Any]] = {
        "Rotate": lambda x: moved.rotate(x, torch.tensor([20.0]), mode="nearest"),
        "ShearX": lambda x: moved.shear(x, torch.tensor([[0.2, 0.0]]), mode="nearest"),
        "TranslateX": lambda x: moved.translate(x, torch.tensor([[20.0, 0.0]]), mode="nearest"),
        "Brightness": lambda x: enhance.adjust_brightness(x, 0.5),
        "Color": lambda x: enhance.adjust_saturation(x, 1.5),
        "Contrast": lambda x: enhance.adjust_contrast(x, 1.5),
        "Sharpness": lambda x: enhance.sharpness(x, 1.5),
        "Posterize": lambda x: enhance.posterize(x, 4),
        "Solarize": lambda x: enhance.solarize(x, 0.5),
        "Equalize": lambda x: enhance.equalize(x),
        "Invert": lambda x: enhance.invert(x),
        "RandAugment": lambda x: policy(x),
    }
    return {name: partial(lambda f, number: f(inputs[number]), function) for name, function in functions.items()}


def albumentations(pictures: Sequence[Image.Image]) -> dict[str, Way]:
    """The nearest transforms; of RandAugment, two of them at random."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as a

    inputs = [np.array(each) for each in pictures]
    still, more = (0.0, 0.0), (0.5, 0.5)
    transforms: dict[str, Any] = {
        "Rotate": a.Affine(rotate=(20, 20), interpolation=0, p=1),
        "ShearX": a.Affine(shear={"x": (11.31, 11.31), "y": still}, interpolation=0, p=1),
        "TranslateX": a.Affine(translate_px={"x": (20, 20), "y": (0, 0)}, interpolation=0, p=1),
        "Brightness": a.RandomBrightnessContrast(more, still, p=1),
        "Color": a.ColorJitter((1, 1), (1, 1), (1.5, 1.5), still, p=1),
        "Contrast": a.RandomBrightnessContrast(still, more, p=1),
        "Sharpness": a.Sharpen(alpha=more, lightness=(1.0, 1.0), p=1),
        "Posterize": a.Posterize(num_bits=(4, 4), p=1),
        "Solarize": a.Solarize(threshold_range=more, p=1),
        "AutoContrast": a.AutoContrast(p=1),
        "Equalize": a.Equalize(p=1),
        "Invert": a.InvertImg(p=1),
    }
    transforms["RandAugment"] = a.SomeOf(list(transforms.values()), n=2, replace=True, p=1)
    return {name: partial(lambda t, number: t(image=inputs[number]), each) for name, each in transforms.items()}


def rate(way: Way) -> float:
    """Images a second of processor time, which others on the machine change less than the time of day."""
    way(0)
    start, times = time.process_time(), 0
    while time.process_time() - start < LEAST:
        times += 1
        for number in range(PICTURES):
            way(number)
    return PICTURES * times / (time.process_time() - start)


def operations(rounds: int) -> None:
    """A table of our rate, and of its ratio to each library's."""
    pictures = [picture(number) for number in range(PICTURES)]
    tensors = [torch.from_numpy(np.array(each)).permute(2, 0, 1).contiguous() for each in pictures]
    ways = {"augforge": ours(pictures)}
    ways |= {LIBRARIES[0]: torchvisions(pictures), LIBRARIES[1]: torchvisions(tensors)}
    ways |= {"kornia": kornias(pictures)} if find_spec("kornia") else {}
    ways |= {"albumentations": albumentations(pictures)} if find_spec("albumentations") else {}
    print(
        f"\n| operation | images/s of one core | {' | '.join(LIBRARIES)} |\n|{'---|' * (2 + len(LIBRARIES))}",
        flush=True,
    )
    for name in (*STEPS, "RandAugment"):
        those = [library for library in ways if name in ways[library]]
        found = [{each: rate(ways[each][name]) for each in turned(those, turn)} for turn in range(rounds)]
        mine = statistics.median(each["augforge"] for each in found)
        cells = [ratio(found, library) if library in those else "" for library in LIBRARIES]
        print(f"| {name} | {mine:,.0f} | {' | '.join(cells)} |", flush=True)


def turned(names: Sequence[str], turn: int) -> list[str]:
    """The names in another order."""
    return [*names[turn % len(names) :], *names[: turn % len(names)]]


def ratio(found: Sequence[Mapping[str, float]], other: str) -> str:
    """Median, lowest and highest over rounds."""
    values = [each["augforge"] / each[other] for each in found]
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


# -- end to end -------------------------------------------------------------------------------------------------------


Seconds = NDArray[np.float64]
"""(2,) the time of day, and the processor time of this process and of those that it waited for."""


def now() -> Seconds:
    """As far as they have got."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used)])


class Timed(Progress):
    """When each stage begins."""

    def __init__(self) -> None:
        self.begun: dict[str, Seconds] = {}

    def stage(self, title: str) -> None:
        """Note the time."""
        self.begun[title] = now()


def generated(source: Path, out: Path) -> Seconds:
    """Of the stage, from its plan to its last commit."""
    stage = build_stage("generate", "randaugment", {"processes": len(os.sched_getaffinity(0))})
    progress = Timed()
    recipe = Recipe("benchmark", 1, (SourceSpec("folder", str(source)),), (stage,))
    run(recipe, out, device="cpu", progress=progress)
    return progress.begun["write"] - progress.begun["1-generate-randaugment"]


def looped(level: int | None, source: Path, out: Path) -> Seconds:
    """Of a loop over the files, in this process."""
    from torchvision.transforms import v2

    policy = v2.RandAugment()
    out.mkdir()
    options = {} if level is None else {"compress_level": level}
    start = now()
    for path in sorted(source.rglob("*.jpg")):
        with Image.open(path) as image:
            made = policy(image.convert("RGB"))
        made.save(out / f"{path.stem}.png", **options)
    return now() - start


def end_to_end(rounds: int, images: int) -> None:
    """Rates of the whole way."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        (source / "things").mkdir(parents=True)
        for number in range(images):
            data = io.BytesIO()
            picture(number).save(data, "JPEG", quality=90)
            (source / "things" / f"{number:06}.jpg").write_bytes(data.getvalue())
        ways: dict[str, Callable[[Path, Path], Seconds]] = {
            "augforge": generated,
            f"loop, PNG level {PNG_LEVEL}": partial(looped, PNG_LEVEL),
            "loop, Pillow's PNG": partial(looped, None),
        }
        found = []
        for turn in range(rounds):
            row = {}
            for name in turned(list(ways), turn):
                row[name] = images / ways[name](source, Path(folder) / "out")
                shutil.rmtree(Path(folder) / "out")
            found.append(row)
        print("\n| way | images/s | faster by | with less processor time by |\n|---|---|---|---|", flush=True)
        for name in ways:
            day, processor = ([{each: row[each][place] for each in row} for row in found] for place in (0, 1))
            mine = statistics.median(row[name] for row in day)
            print(f"| {name} | {mine:,.0f} | {ratio(day, name)} | {ratio(processor, name)} |")


def main() -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=2000, help="of end to end")
    parser.add_argument("--parts", nargs="*", default=["operations", "end-to-end"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cores = len(os.sched_getaffinity(0))
    print(f"{sys.platform}, {cores} cores, Python {sys.version.split()[0]}, torch {torch.__version__}")
    if "operations" in asked.parts:
        operations(asked.rounds)
    if "end-to-end" in asked.parts:
        end_to_end(asked.rounds, asked.images)


if __name__ == "__main__":
    main()
