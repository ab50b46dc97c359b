"""What the filters drop without a rule: of clean photographs (which should be nothing), and of planted faults.

    python benchmarks/defaults.py --flowers FOLDER --cifar FOLDER --streets FOLDER --webcams FOLDER

quality     the checks on every photograph, and on copies that were blurred, darkened or lightened
outliers    prototype, outlier, clip, margin, classifier and sharpness: false drops on clean images; with 5 % faults the
            share of them that goes, and in brackets the share of the good ones; beside the rules that were not taken
duplicates  pairs of a photograph and a worse copy: how often the worse one is kept

flowers has class folders in `train` and `val`, cifar the files cifar10_{train,test}.parquet, streets and webcams any
images. What has no folder is left out. The built-in model was trained on the training parts, so the others are judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from outliers import outliers
from PIL import Image
from planted import blurred, of_cifar, of_folder
from sections import run_and_show, write_section

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filters.quality import CHECKS, Quality


def levels(image: Image.Image, function: Callable[[int], float]) -> Image.Image:
    """Every level changed."""
    return image.point([int(function(level)) for level in range(256)] * 3)


DEFECTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blur 2 %": lambda image: blurred(image, 0.02),
    "blur 3 %": lambda image: blurred(image, 0.03),
    "blur 5 %": lambda image: blurred(image, 0.05),
    "a tenth of the light": lambda image: levels(image, lambda level: level / 10),
    "a fifth of the light": lambda image: levels(image, lambda level: level / 5),
    "a tenth of the shade": lambda image: levels(image, lambda level: 255 - (255 - level) / 10),
}


def failed(images: Iterable[Image.Image]) -> list[str | None]:
    """Which check each image fails, None where it passes all."""
    rows = [Quality().measure(image) for image in images]
    scores = {name: np.array([row[name] for row in rows]) for name in Quality.measures}
    _, reasons = Quality().decide(scores, [str(i) for i in range(len(rows))], np.zeros(len(rows), np.int64), "all")
    return [None if reason is None else reason.split(": ")[1].split(",")[0] for reason in reasons]


def quality(given: argparse.Namespace) -> None:
    """False drops by check, and what goes of spoilt copies."""
    sets = {name: of_folder(getattr(given, name)) for name in ("flowers", "streets", "webcams") if getattr(given, name)}
    if given.cifar:
        sets["cifar"] = of_cifar(given.cifar, "test", 10_000)
    checks = [check.replace("_", " ") for check in CHECKS]
    print("photographs dropped, of each set, by check; with `keep: 0.8`, the default before, a fifth of each went")
    for name, photos in sets.items():
        found = failed(photos.images)
        counts = {check: found.count(check) for check in checks if found.count(check)}
        grey = sum(Quality().measure(image)["quality-colour"] < 0.03 for image in photos.images)
        print(
            f"{name:8} {len(found):6} {len(found) - found.count(None):4}  {counts or ''}  (grey, not dropped: {grey})"
        )
    print("\nspoilt copies dropped, % of 200 of each set (a blur of x % of the shorter side)")
    print(f"{'':22}" + "".join(f"{name:>9}" for name in sets))
    for defect, spoil in DEFECTS.items():
        found = [failed(map(spoil, few(photos.images, 200))) for photos in sets.values()]
        print(f"{defect:22}" + "".join(f"{100 * (1 - each.count(None) / len(each)):9.0f}" for each in found))


def few(images: Sequence[Image.Image], count: int) -> list[Image.Image]:
    """Some of them, evenly spread."""
    return [images[i] for i in np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]


WORSE: dict[str, Callable[[Image.Image], tuple[str, Image.Image, dict[str, Any]]]] = {
    "half the size": lambda image: ("JPEG", image.resize((image.width // 2, image.height // 2)), {"quality": 95}),
    "JPEG, quality 50": lambda image: ("JPEG", image, {"quality": 50}),
    "mirrored, quality 40": lambda image: ("JPEG", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), {"quality": 40}),
}


def duplicates(given: argparse.Namespace) -> None:
    """In how many pairs the worse copy is kept."""
    if not given.flowers:
        return
    paths = sorted((given.flowers / "val").rglob("*.jpg"))[::7][:100]
    for name, worse in WORSE.items():
        with TemporaryDirectory() as folder:
            _write_pairs(paths, worse, Path(folder) / "pairs")
            recipe = Recipe("pairs", 0, (SourceSpec("folder", str(Path(folder) / "pairs")),), (_duplicates(),))
            run(recipe, Path(folder) / "out", device="cpu")
            rows = pq.read_table(Path(folder) / "out" / "samples.parquet").to_pylist()
        gone = [row for row in rows if not row["kept"]]
        wrong = sum("good" in row["source"] for row in gone)
        by_id = _by_id(rows)
        print(f"{name:22} {len(paths)} pairs, {len(gone)} found; the worse kept in {wrong}; by the id alone in {by_id}")


def _by_id(rows: list[dict[str, Any]]) -> int:
    ids = {row["source"].rsplit(": ", 1)[-1]: row["id"] for row in rows}
    names = {name.split("-", 1)[1] for name in ids}
    return sum(ids[f"poor-{name}"] < ids[f"good-{name}"] for name in names)


def _duplicates() -> Any:
    return build_stage("filter", "duplicates", {})


def _write_pairs(paths: Sequence[Path], worse: Callable[..., Any], folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in paths:
        (folder / f"good-{path.name}").write_bytes(path.read_bytes())
        kind, image, options = worse(Image.open(path).convert("RGB"))
        image.save(folder / f"poor-{path.name}", kind, **options)


FOLDERS = ("flowers", "cifar", "streets", "webcams")
PARTS = {"quality": quality, "outliers": outliers, "duplicates": duplicates}


def main() -> None:
    """Measure the parts that were asked for; with `--write` each into its section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in FOLDERS:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    given = parser.parse_args()
    for name in given.only:
        if not given.write:
            PARTS[name](given)
            continue
        named = {key: getattr(given, key) for key in FOLDERS}
        words = [word for key, folder in named.items() if folder for word in (f"--{key}", str(folder))]
        write_section(f"defaults-{name}", run_and_show(["defaults.py", *words, "--only", name]))


if __name__ == "__main__":
    main()
