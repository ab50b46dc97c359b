"""Draw every classical operator of the catalog at three severities, with its annotations, and the page that shows them.

python -m scripts.operator_sheet [NAME ...]

Pictures go to docs/images/operators/, one for each operator (all, unless some are named); the page is made while the
site is built. An operator that is added to the catalog appears in both by itself.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from augforge.algorithms.mix import around
from augforge.cli.stage_options import choices_of
from augforge.data.annotations import segmentation
from augforge.data.images import decode, decode_mask, encode_mask
from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.errors import AugforgeError, BadImage
from augforge.io.sample_sets import sample_images
from augforge.io.sample_sets.streets import CLASSES
from augforge.recipe import build_stage
from augforge.report.drawing import annotated, sheet
from augforge.stages.catalog import STAGES, stage_about, stage_class
from augforge.stages.generator import GeneratedImage, GenerationInput, Job
from augforge.stages.generators.operator import OperatorGenerator

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "images" / "operators"
COMMAND = "python -m scripts.operator_sheet"
THINGS = ("car", "pedestrian", "sign")
SMALLEST = 300
"""Px of a thing that gets a box."""
STRENGTHS = ("severity", "magnitude", "amplitude", "strength")
"""Options that say how strong an operator is, the first that it has."""
KINDS = ("op", "kind")
"""Options that say which of several operators it is: a row for each value."""
SEED = 5
TRIES, CHANGED = 12, 3.0
"""Seeds that are tried until the mean value of an image changes by so much, of 255."""
SIDE = 144
QUALITY = 75
SCENES = 24
LABELS = ("busy", "quiet")


@dataclass(frozen=True, slots=True)
class Row:
    """One operator with its options, at several strengths, each with what stands below; without any, drawn anew."""

    title: str
    options: Mapping[str, Any]
    strengths: Sequence[tuple[str, Mapping[str, Any]]]


def operators() -> dict[str, type[OperatorGenerator]]:
    """The operators of the catalog by their names, but for those that pair images and change none."""
    known = ((name, stage_class(verb, name)) for verb, name in STAGES if verb == "generate")
    return {
        name: cls
        for name, cls in known
        if issubclass(cls, OperatorGenerator) and not cls.model_construct().plans_by_likeness
    }


def rows(cls: type[OperatorGenerator]) -> list[Row]:
    """What is drawn of an operator: a row for each of its kinds."""
    return [Row(title, options, list(_strengths(cls))) for title, options in _kinds(cls)]


def _kinds(cls: type[OperatorGenerator]) -> Iterator[tuple[str, dict[str, Any]]]:
    option = next((name for name in KINDS if name in cls.model_fields), None)
    named = choices_of(cls.model_fields[option].annotation) if option else []
    if option and named:
        yield from ((str(value), {option: value}) for value in named)
    else:
        yield cls.name, {}


def _strengths(cls: type[OperatorGenerator]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A third, two thirds and all of the option that says how strong, or of all amplitudes together."""
    fields = cls.model_fields
    named = next((name for name in STRENGTHS if name in fields), None)
    scaled = [named] if named else [n for n, f in fields.items() if (f.description or "").startswith("Amplitude")]
    for part in (1, 2, 3) if scaled else ():
        given = {name: _part(fields[name], part) for name in scaled}
        yield (f"{named} {given[named]:.2g}" if named else f"amplitudes x {part / 3:.2g}"), given


def _part(field: Any, part: int) -> float:
    """A third (two, three) of an option: of its bound where it is a severity, else of its default."""
    most = next((mark.le for mark in field.metadata if hasattr(mark, "le")), None)
    full = most if most is not None and most <= 1 and field.default >= 0.5 else field.default
    return round(full * part / 3) if isinstance(field.default, int) else full * part / 3


def picture(cls: type[OperatorGenerator]) -> Image.Image | None:
    """All rows of an operator; None where nothing of it can be made without a model."""
    cells = [cell for row in rows(cls) for cell in _cells(cls, row)]
    return sheet(cells, columns=4, side=SIDE) if cells else None


def _cells(cls: type[OperatorGenerator], row: Row) -> list[tuple[Image.Image, list[str]]]:
    """The first scene, and what becomes of it; nothing where it cannot be made."""
    parent, first = scenes()[0]
    more = {"partner": "other-class"} if "partner" in cls.model_fields else {}
    strengths = row.strengths or [(f"draw {number}", {}) for number in (1, 2, 3)]
    try:
        stages = [build_stage("generate", cls.name, {**more, **row.options, **given}) for _, given in strengths]
        seeds = [_telling_seed(stages[-1])] * len(stages) if row.strengths else [SEED + n for n in range(len(stages))]
        made = [_made(stage, seed) for stage, seed in zip(stages, seeds, strict=True)]
    except AugforgeError as error:
        print(f"{cls.name} {row.title}: {error.message}")
        return []
    shown = [(_drawn(first, parent.annotations), [row.title, str(parent.label)])]
    for (text, _), (image, label) in zip(strengths, made, strict=True):
        soft = image.annotations.get("soft_label", {})
        shares = ", ".join(f"{name} {share:.2f}" for name, share in soft.items())
        shown.append((_drawn(_picture(image), image.annotations), [text, label or shares]))
    return shown


def _telling_seed(stage: Any) -> int:
    """A seed that is drawn with at every strength: the first by which the image is seen to change."""
    before = np.asarray(scenes()[0][1]).astype(int)
    for seed in range(SEED, SEED + TRIES):
        after = np.asarray(_picture(_made(stage, seed)[0])).astype(int)
        if after.shape != before.shape or np.abs(after - before).mean() >= CHANGED:
            return seed
    return SEED


def _made(stage: Any, seed: int) -> tuple[GeneratedImage, str | None]:
    """The first scene through a stage. BadImage if it cannot be made."""
    known = {sample.id: image for sample, image in scenes()}
    pools = Pools({name: Pool(sample for sample, _ in scenes() if sample.label == name) for name in LABELS})
    parent = scenes()[0][0]
    parents, drawn = stage.draw(parent.label, parent, pools, 0, seed)
    ids = tuple(each.id for each in parents)
    label = stage.made_label(parent.label, parents, drawn)
    job = Job(Sample("made", label, "synthetic", ids, sampled_params=drawn), tuple(parents))
    if why := stage.refusal(job):
        raise BadImage(why)
    masks = tuple({"mask": _masks()[each]} for each in ids)
    item = GenerationInput(job, tuple(known[each] for each in ids), masks)
    return stage.load("cpu").generate([item])[0], label


@cache
def scenes() -> list[tuple[Sample, Image.Image]]:
    """Squares of street scenes by day with their boxes and outlines; those with the largest things, the largest first.

    Every other one is called quiet, the rest busy, so that there are two classes to mix.
    """
    found = sorted(map(_square, _by_day()), key=lambda each: -_largest(each[0])[0])[:SCENES]
    return [(replace(sample, label=LABELS[number % 2]), image) for number, (sample, image) in enumerate(found)]


def _by_day() -> Iterator[tuple[str, Image.Image, NDArray[np.uint8]]]:
    for scene in sample_images("streets", "train"):
        if scene.mask is not None:
            yield scene.path, decode(scene.data), decode_mask(scene.mask)


def _square(scene: tuple[str, Image.Image, NDArray[np.uint8]]) -> tuple[Sample, Image.Image]:
    """The square of a scene that has its largest thing in the middle, as far as it can, at twice its size."""
    path, image, labels = scene
    side = image.height
    x0, _, x1, _ = max((box["box"] for box in things(labels)), key=_area, default=[0, 0, image.width, 0])
    left = round(min(max(0.0, (x0 + x1 - side) / 2), image.width - side))
    cut = image.crop((left, 0, left + side, side)).resize((2 * side, 2 * side), Image.Resampling.LANCZOS)
    mask = labels[:, left : left + side].repeat(2, axis=0).repeat(2, axis=1)
    _masks()[path] = encode_mask(mask)
    said = {"boxes": things(mask)}
    return Sample(
        path, None, digest=path, width=2 * side, height=2 * side, pictures={"mask": path}, annotations=said
    ), cut


@cache
def _masks() -> dict[str, bytes]:
    return {}


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _largest(sample: Sample) -> tuple[float, str]:
    return max((_area(box["box"]) for box in sample.annotations["boxes"]), default=0.0), sample.id


def things(labels: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """A box with its outline for each thing in a label map (h, w)."""
    boxes = []
    for name in THINGS:
        parts, count = ndimage.label(labels == CLASSES.index(name))
        for number in range(1, count + 1):
            inside = parts == number
            if inside.sum() >= SMALLEST:
                outline = segmentation.encoded(inside.astype(np.uint8))
                boxes.append({"box": around(inside), "label": name, "segmentation": outline})
    return boxes


def _picture(made: GeneratedImage) -> Image.Image:
    pixels = made.pixels if made.pixels.dtype == np.uint8 else np.rint(made.pixels * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _drawn(image: Image.Image, annotations: Mapping[str, Any]) -> Image.Image:
    return annotated(image, annotations, side=SIDE, names=False)


def page() -> str:
    """Every operator with what it does and its picture, as Markdown."""
    sections = [
        "# Operators",
        "Classical operators make images from images without a model. Every random number that they draw stands in "
        "the row of its image, and what is known of the image goes where its pixels go. Left the first image, "
        "with its boxes and outlines; the strength is below each.",
        f"Street scenes of `augforge samples streets`; the pictures are made by `{COMMAND}`.",
    ]
    for name in operators():
        sections += [f"## {name}", stage_about("generate", name)]
        shown = (FOLDER / f"{name}.webp").is_file()
        sections.append(f"![{name}](../images/operators/{name}.webp)" if shown else f"*Not drawn yet: `{COMMAND}`.*")
    return "\n\n".join(sections) + "\n"


def main(names: Sequence[str]) -> None:
    """Write the pictures of the operators that are named, or of all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, cls in operators().items():
        if names and name not in names:
            continue
        drawn = picture(cls)
        if drawn is None:
            print(f"{name}: nothing can be drawn")
            continue
        out = io.BytesIO()
        drawn.save(out, "WEBP", quality=QUALITY, method=6)
        (FOLDER / f"{name}.webp").write_bytes(out.getvalue())
        print(f"{name}.webp: {drawn.width}x{drawn.height} px, {len(out.getvalue()):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
