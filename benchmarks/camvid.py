"""Rare classes: do scenes drawn from masks that are rich in them help a network to segment streets?

    python benchmarks/camvid.py --data camvid_480x360.tar --work DIR
    python benchmarks/camvid.py --data camvid_480x360.tar --work DIR --pasted
    python benchmarks/camvid.py --data camvid_480x360.tar --work DIR --size 256 --width 64 --downs 4 --blocks 9

CamVid: pix2pixHD is trained from label maps to images on the training part alone, then draws scenes for the masks of
the third of it that has most of the rare classes (bicyclist, pedestrian, sign), flipped and warped; with `--pasted` the
masks are altered, too: each gets the rare objects of another of them. A U-Net is trained
with the real images; with flips, scales, colours and ClassMix; with the drawn scenes; with the half of them that
`filter outlier` keeps; and judged by the test part: mIoU, and the mean IoU of the rare classes alone.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from worth import About, rows_of, table, write

from augforge.engine.run import run
from augforge.engine.runners.train import train_alone
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.intervals import paired
from augforge.evaluate.settings import settings_of
from augforge.recipe import Recipe, SourceSpec, build_stage

SIGN, PEDESTRIAN, BICYCLIST, VOID = 6, 9, 10, 11
RARE = (SIGN, PEDESTRIAN, BICYCLIST)
STAGES = {
    "real+classical": "ClassMix",
    "real+synthetic": "generate paired (pix2pixHD)",
    "real+kept": "filter outlier",
}


def lay_out(archive: Path, work: Path, side: int, most: int) -> None:
    """Folders `rich`, `poor` and `test` of images and masks; `most` of each part, evenly spread, 0 for all."""
    parts: dict[str, dict[str, dict[str, bytes]]] = {part: {} for part in ("train", "test")}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            if member.isfile() and len(path.parts) > 2 and (part := path.parts[-3]) in parts:
                parts[part].setdefault(path.stem, {})[path.parts[-2]] = tar.extractfile(member).read()
    chosen = {part: spread(sorted(pairs), most) for part, pairs in parts.items()}
    share = {name: rarity(parts["train"][name]["masks"]) for name in chosen["train"]}
    rich = set(sorted(share, key=lambda name: -share[name])[: len(share) // 3])
    for part, names in chosen.items():
        for name in names:
            folder = "test" if part == "test" else "rich" if name in rich else "poor"
            save(parts[part][name], work / folder, name, side)


def spread(names: list[str], most: int) -> list[str]:
    """At most so many of them, evenly spread."""
    return names if not 0 < most < len(names) else [names[i] for i in np.linspace(0, len(names) - 1, most).astype(int)]


def rarity(mask: bytes) -> float:
    """The share of a mask's pixels that are of a rare class."""
    return float(np.isin(np.asarray(Image.open(io.BytesIO(mask))), RARE).mean())


def save(pair: dict[str, bytes], folder: Path, name: str, side: int) -> None:
    """An image and its mask, the shorter side `side` px."""
    for kind, resample in (("images", Image.Resampling.LANCZOS), ("masks", Image.Resampling.NEAREST)):
        picture = Image.open(io.BytesIO(pair[kind]))
        scale = side / min(picture.size)
        (folder / kind).mkdir(parents=True, exist_ok=True)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture.resize(size, resample).save(folder / kind / f"{name}.png")


def drawn(folders: dict[str, Path], options: argparse.Namespace) -> Path:
    """A run over the training part with scenes that a translator trained on it drew for the rich masks."""
    sources = tuple(SourceSpec("folder", str(folders[name]), {"class": name}) for name in ("rich", "poor"))
    small = {name: getattr(options, name) for name in ("size", "width", "downs", "blocks", "steps")}
    more = {"condition": "labelmap", "scales": 1, "batch": 2, "rate": 1e-3, "pixel-weight": 50}
    stage = build_stage("train", "paired", {**small, **more})
    record = train_alone(Recipe("scenes", 1, sources, (stage,)), options.work / "model")
    print({name: round(value, 3) for name, value in record["measured"].items()}, flush=True)
    how = {"model": str(options.work / "model"), "of": "rich", "per-class": options.made}
    stages = (
        build_stage("generate", "paired", how | ({"paste": RARE} if options.pasted else {})),
        build_stage("filter", "outlier", {"keep": 0.5, "on": "synthetic"}),
    )
    folder = options.work / ("run-pasted" if options.pasted else "run")
    run(Recipe("scenes", 1, sources, stages), folder)
    return folder


def rare_rows(record: dict[str, Any], data: str) -> list[dict[str, Any]]:
    """Rows of the mean IoU of the rare classes; the interval is over seeds alone."""
    rows = rows_of(record, About("segmentation of rare classes", data, "miou"), STAGES)
    base, *others = (rare(arm) for arm in record["arms"])
    for row, values in zip(rows, others, strict=True):
        found = paired(values, base)
        row |= {"metric": "rare-iou", "values": values.tolist(), "baseline_values": base.tolist()}
        row |= {"mean_difference": found.mean, "interval": [found.low, found.high]}
    return rows


def rare(arm: dict[str, Any]) -> np.ndarray:
    """(s,) the mean IoU of the rare classes, of every seed."""
    found = [arm["per-class"][str(value)]["seeds"] for value in RARE if str(value) in arm["per-class"]]
    return np.mean(found, axis=0)


def main() -> None:
    """Train, draw and judge, and write benchmarks/results/camvid.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the archive with camvid/{train,test}/{images,masks}")
    parser.add_argument("--work", type=Path, required=True, help="a second time it goes on with what is there")
    parser.add_argument("--most", type=int, default=0, help="images of each part, all if 0")
    parser.add_argument("--made", type=int, default=240, help="scenes that are drawn")
    parser.add_argument("--pasted", action="store_true", help="rare objects of another mask in every mask")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--downs", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000, help="of pix2pixHD")
    parser.add_argument("--learner-steps", type=int, default=800)
    parser.add_argument("--loss", default="balanced-softmax", choices=("balanced-softmax", "cross-entropy"))
    parser.add_argument("--arms", default="", help="some arms alone, by commas; real first")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    started = time.process_time()
    folders = {name: options.work / name for name in ("rich", "poor", "test")}
    if not folders["test"].is_dir():
        lay_out(options.data, options.work, options.size, options.most)
    settings = settings_of(
        {
            "task": "segmentation",
            "size": str(options.size),
            "ignore-index": str(VOID),
            "steps": str(options.learner_steps),
            "seeds": str(options.seeds),
            "loss": options.loss,
            "arms": options.arms or ",".join(("real", *STAGES)),
        }
    )
    record = evaluate(drawn(folders, options), str(folders["test"]), settings, replace=True)
    trained, tested = record["arms"][0]["images"], record["tested"]["images"]
    data = f"CamVid, {options.size} px, {trained} training and {tested} test images"
    data += ", balanced softmax" if options.loss == "balanced-softmax" else ""
    data += ", rare objects pasted into the masks" if options.pasted else ""
    rows = rows_of(record, About("segmentation", data, "miou"), STAGES) + rare_rows(record, data)
    name = f"camvid{'-pasted' if options.pasted else ''}{'-balanced' if options.loss == 'balanced-softmax' else ''}"
    print(write(name, rows, started))
    print(table(rows))


if __name__ == "__main__":
    main()
