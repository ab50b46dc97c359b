"""Night: is a place recognised at night by a network that saw it, or other places, only by day?

    python benchmarks/night.py --data amos_day_night_384.tar --work DIR
    python benchmarks/night.py --data amos_day_night_384.tar --work DIR --archs hedngan hedgan cyclegan cut --steps 4000

Webcam frames by day and at night. A camera takes its frames at the same second of every half hour, so that the times in
the names say which frames are of one place (`PLACES`); frames of seconds that two cameras share are left out. Every
place is trained on, by the others it is judged (`--fold` says which), so that no frame has a twin there.
The translator sees the same training places and no others. Arms: day alone; with gamma darkening; with the same days
translated to night; of the first architecture also with those that `diverse-anchors` selected, and a random choice of
as many. Night frames ask, day frames answer (mAP); and day frames ask each other, which says what is lost by day.
"""

from __future__ import annotations

import argparse
import re
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from worth import About, rows_of, table, write

from augforge.engine.run import run
from augforge.engine.runners.train import train_alone
from augforge.evaluate.arms import Arm
from augforge.evaluate.describers import Describer
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Answers
from augforge.evaluate.settings import settings_of
from augforge.recipe import Recipe, SourceSpec, build_stage

ARCHS = ("hedngan", "hedgan", "cyclegan", "cut")
PLACES: dict[str, tuple[tuple[int, int], ...]] = {
    "arena": ((0, 30), (275, 323), (574, 614), (884, 884), (887, 908), (1192, 1214), (1480, 1494), (1786, 1799)),
    "temple": ((43, 72),),
    "valley": ((82, 90), (92, 123)),
    "yard": ((327, 352),),
    "church": ((634, 674),),
    "bridge": ((676, 687), (689, 694)),
    "town": ((835, 873),),
    "mountain": ((920, 945),),
    "palace": ((950, 1002),),
    "street": ((1162, 1178),),
    "desert": ((1234, 1269),),
    "roofs": ((1333, 1355), (1374, 1379)),
    "suburb": ((1399, 1409), (1411, 1413)),
    "city": ((1499, 1499), (1501, 1510), (1512, 1539)),
    "square": ((1541, 1561), (1563, 1593)),
}
"""Seconds of the half hour at which each camera alone took frames, both ends included."""
HALF_HOUR = 1800
HALVES, LIGHTS = ("train", "test"), ("day", "night")
STAGES = {"real+classical": "gamma", "real+selected": "select diverse-anchors", "real+random": "select random"}


def place_of(name: str) -> str | None:
    """The place of a frame called `YYYYMMDD_HHMMSS.jpg`, None where two cameras share its second."""
    minutes, seconds = re.fullmatch(r"\d{8}_\d\d(\d\d)(\d\d)", Path(name).stem).groups()
    second = (60 * int(minutes) + int(seconds)) % HALF_HOUR
    return next((p for p, ranges in PLACES.items() if any(a <= second <= b for a, b in ranges)), None)


def lay_out(archive: Path, folders: dict[str, Path], fold: int, side: int) -> None:
    """Fill `train-day`, `train-night`, `test-day` and `test-night`, a class a place, shorter side `side` px."""
    with tarfile.open(archive) as tar:
        for member in tar:
            place = place_of(member.name) if member.name.endswith(".jpg") else None
            if place is None:
                continue
            half = "test" if list(PLACES).index(place) % 2 == fold else "train"
            folder = folders[f"{half}-{Path(member.name).parent.name}"] / place
            folder.mkdir(parents=True, exist_ok=True)
            image = Image.open(tar.extractfile(member)).convert("RGB")
            scale = side / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
            image.save(folder / f"{Path(member.name).stem}.png")


def translated(arch: str, folders: dict[str, Path], options: argparse.Namespace, work: Path) -> Path:
    """A run over the training days with their nights by a translator of this architecture, which is trained first."""
    lights = [SourceSpec("folder", str(folders[f"train-{light}"]), {"class": light}) for light in LIGHTS]
    small = {"size": options.size, "width": options.width, "blocks": options.blocks, "steps": options.steps}
    stage = build_stage("train", "night", {"arch": arch, "rate": 5e-4, "darken-weight": 10, **small})
    record = train_alone(Recipe("night", 1, tuple(lights), (stage,)), work / f"model-{arch}")
    print(arch, {name: round(value, 3) for name, value in record["measured"].items()}, flush=True)
    stages = (
        build_stage("generate", "night", {"model": str(work / f"model-{arch}"), "ratio": 1.0}),
        build_stage("select", "diverse-anchors", {"share": 0.5, "on": "synthetic"}),
    )
    source = SourceSpec("folder", str(folders["train-day"]))
    run(Recipe("nights", 1, (source,), stages), work / f"run-{arch}")
    return work / f"run-{arch}"


def judged(folder: Path, folders: dict[str, Path], options: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """The evaluation of a run, with the days of the other places as what answers."""
    settings = {
        "task": "retrieval",
        "learner": options.learner,
        "size": str(options.learner_size),
        "classical": "darken",
    }
    settings |= {"seeds": str(options.seeds), "steps": str(options.learner_steps), "batch": str(options.batch), **more}
    return evaluate(folder, str(folders["test-day"]), settings_of(settings), replace=True)


def keep_real() -> None:
    """Let all evaluations share the networks of the arm `real`: their images, steps and seeds are the same."""
    train, kept = Describer.predict, {}

    def predict(self: Describer, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        if arm.name != "real" or len(held_out) < 2:
            return train(self, arm, seed, held_out)
        named = (seed, arm.rows.tobytes())
        if named not in kept:
            kept[named] = train(self, arm, seed, held_out)
        return kept[named]

    Describer.predict = predict  # type: ignore[method-assign]  # of this process alone


def by_day(record: dict[str, Any]) -> dict[str, Any]:
    """The evaluation with the differences of the days that ask each other in the place of those of the nights."""
    return record | {"arms": [arm | {"difference": arm["difference-of-answers"]} for arm in record["arms"]]}


def main() -> None:
    """Train, generate and judge each architecture, and write benchmarks/results/night*.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="the archive with day_night/{training,test}/{day,night}"
    )
    parser.add_argument("--work", type=Path, required=True, help="a second time it goes on with what is there")
    parser.add_argument("--archs", nargs="*", default=["hedngan"], choices=ARCHS)
    parser.add_argument("--plain", action="store_true", help="without gamma and selection, into a file of its own")
    parser.add_argument("--fold", type=int, default=0, choices=(0, 1))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=400, help="of the translator")
    parser.add_argument("--learner", default="gem")
    parser.add_argument("--learner-size", type=int, default=64)
    parser.add_argument("--learner-steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=32, help="of the learner")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    started = time.process_time()
    folders = {f"{half}-{light}": options.work / f"{half}-{light}" for half in HALVES for light in LIGHTS}
    if not options.work.is_dir():
        lay_out(options.data, folders, options.fold, options.size)
    data = f"AMOS webcams, {options.learner_size} px, {options.learner_steps} steps, fold {options.fold}"
    name = f"night-fold-{options.fold}{'-archs' if options.plain else ''}"
    keep_real()
    rows = []
    for number, arch in enumerate(options.archs):
        folder = translated(arch, folders, options, options.work)
        arms = ("real", "real+synthetic", *(STAGES if number == 0 and not options.plain else ()))
        record = judged(folder, folders, options, arms=",".join(arms), queries=str(folders["test-night"]))
        stages = {"real+synthetic": f"generate night ({arch})", **STAGES}
        rows += rows_of(record, About("night asks day", data, "map"), stages)
        rows += rows_of(by_day(record), About("day asks day", data, "map-of-answers"), stages)
        write(name, rows, started)
    source = tuple(SourceSpec("folder", str(folders[f"train-{light}"])) for light in LIGHTS)
    run(Recipe("real nights", 1, source, ()), options.work / "run-real")
    real = judged(options.work / "run-real", folders, options, arms="real", queries=str(folders["test-night"]))
    print(f"with the real nights of the training places: mAP {100 * real['arms'][0]['map']['mean']:.1f}")
    print(write(name, rows, started))
    print(table(rows))


if __name__ == "__main__":
    main()
