"""Do the generated images help? The three recipes that tell the story, every way of conditioning, judged by a test set.

    python benchmarks/proof.py --out runs/proof --data DIR              all of it, at full size: hours on two cores
    python benchmarks/proof.py --out runs/proof --only digits           one of digits, cifar10, flowers
    python benchmarks/proof.py --out runs/proof --reduced               less of all: the captions say of what
    python benchmarks/proof.py --out runs/proof --reduced cifar10       less of this one

DIR holds cifar10_train.parquet, cifar10_test.parquet and flowers5/{train,val}. Arms are those of `augforge evaluate`:
real images alone; with RandAugment; with all that was made; with what the CLIP filter kept; with what was then
selected; with a random choice of as many. 5 seeds; the interval is Student's over seeds, the difference is paired with
the real arm. Writes OUT/proof.json, OUT/proof.md and OUT/proof.png. A second time it goes on with what is there.

What the generator knows: builtin-unclip was trained on all 50,000 training images of CIFAR-10, all training photos of
the flowers and the training part of the digits (their long tails and shots included, and far more); on no test image.
So a gain here is that of a generator that knows the classes, as large pretrained ones do, not of the few shots alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import matplotlib
import numpy as np
import pyarrow.parquet as pq

from augforge.engine.run import run
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.settings import Settings, settings_of
from augforge.progress import LineProgress
from augforge.recipe import Recipe, SourceSpec, build_stage, load_recipe
from augforge.stages.generator import Generator
from augforge.stages.generators.augmented_conditioning import Mode
from augforge.stages.selectors.few_shot import FewShot
from augforge.stages.selectors.random import Random

ROOT = Path(__file__).parents[1]
MODES = get_args(Mode)
SHOTS = (1, 2, 4, 8, 16)
SETS = "digits,cifar10,flowers"
LATER_ARMS = "real,real+synthetic,real+kept,real+selected,real+random"
FIRST_ARMS = f"{LATER_ARMS},real+classical"
NAMES = {
    "real": "real",
    "real+classical": "+ RandAugment",
    "real+synthetic": "+ all generated",
    "real+kept": "+ kept by the filter",
    "real+selected": "+ selected of these",
    "real+random": "+ random of these",
}
COLOURS = dict(zip(NAMES, ("black", "0.5", "tab:orange", "tab:blue", "tab:green", "tab:pink"), strict=True))


@dataclass(frozen=True)
class Study:
    """One recipe with its test set, and how the learner is set."""

    name: str
    recipe: Recipe
    test: str
    settings: dict[str, Any]
    test_split: str | None = None
    modes: tuple[str, ...] = MODES
    shots: tuple[int, ...] = ()
    limit: int | None = None
    caption: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    def variant(self, mode: str, shots: int | None) -> Recipe:
        """The recipe with another way of conditioning and another number of shots."""
        stages = []
        for stage in self.recipe.stages:
            update: dict[str, Any] = {"mode": mode} if isinstance(stage, Generator) else {}
            if isinstance(stage, FewShot):
                update = {"shots": shots}
            stages.append(stage.model_copy(update=update))
        return replace(self.recipe, stages=tuple(stages))

    def go(self, out: Path) -> None:
        """Run and evaluate every variant."""
        for shots in self.shots or (None,):
            for number, mode in enumerate(self.modes):
                started = time.monotonic()
                folder = out / self.name / f"{mode}{'' if shots is None else f'-{shots}'}"
                settings = settings_of({**self.settings, "arms": LATER_ARMS if number else FIRST_ARMS})
                record = self.known(folder, settings) or self.measured(folder, mode, shots, settings, out / "vectors")
                self.rows.extend(self.row(mode, shots, arm, record["metrics"]) for arm in record["arms"])
                print(f"{self.name} {mode} {shots or ''}: {time.monotonic() - started:.0f} s", flush=True)

    def measured(self, folder: Path, mode: str, shots: int | None, settings: Settings, store: Path) -> dict[str, Any]:
        """What a run and its evaluation give."""
        progress = LineProgress()
        run(self.variant(mode, shots), folder, limit=self.limit, store=store, progress=progress)
        return evaluate(folder, self.test, settings, test_split=self.test_split, store=store, progress=progress)

    def known(self, folder: Path, settings: Settings) -> dict[str, Any] | None:
        """What was measured before with these settings, if it was."""
        path = folder / "evaluation.json"
        if not path.is_file():
            return None
        record: dict[str, Any] = json.loads(path.read_text())
        same = record["settings"] == settings.model_dump(mode="json", by_alias=True) and record["test"] == self.test
        return record if same else None

    def row(self, mode: str, shots: int | None, arm: dict[str, Any], metrics: dict[str, float]) -> dict[str, Any]:
        """One line of the table; what real images alone do belongs to no mode."""
        own = mode if arm["difference"] is not None and arm["name"] != "real+classical" else ""
        plain = {"set": self.name, "shots": shots, "mode": own, "arm": arm["name"], "images": arm["images"]}
        return {**plain, "accuracy": arm["accuracy"], "macro-f1": arm["macro-f1"], "difference": arm["difference"],
                "metrics": metrics if own else {}}  # fmt: skip


def covering(name: str) -> Recipe:
    """A recipe of ours that selects by facility location, to be compared with a random choice of as many."""
    recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    options = {"model": "builtin-clip", "on": "synthetic", "share": 0.7}
    chosen = build_stage("select", "facility-location", options)
    return replace(recipe, stages=tuple(chosen if isinstance(s, Random) else s for s in recipe.stages))


def digits(reduced: bool) -> Study:
    """Digits with a long tail of 10; a small network from scratch, which knows nothing before."""
    recipe = covering("quickstart")
    settings = {"learner": "resnet", "flip": False, "size": 16, "steps": 1000}
    study = Study("digits", recipe, "sample:digits", settings, "test", caption="all training digits, 1,000 steps")
    if not reduced:
        return study
    settings |= {"steps": 60}
    return replace(study, limit=200, caption="200 training digits (a hash chose them), 60 steps of 64 images")


def cifar10(data: Path, reduced: bool, out: Path) -> Study:
    """CIFAR-10 with a long tail of 100; a small network with Balanced Softmax."""
    recipe = replace(
        covering("cifar10-long-tail"),
        sources=(SourceSpec("parquet", str(data / "cifar10_train.parquet")),),
    )
    photos = {"embedder": "efficientnet-lite2"}  # for the metrics, and the judge of class agreement
    settings = {"learner": "resnet", "loss": "balanced-softmax", "steps": 6000, "batch": 128, **photos}
    study = Study("cifar10", recipe, str(data / "cifar10_test.parquet"), settings, caption="12,406 real images")
    if not reduced:
        return study
    small = out / "cifar10_test_1000.parquet"
    if not small.is_file():
        out.mkdir(parents=True, exist_ok=True)
        whole = pq.read_table(data / "cifar10_test.parquet")
        pq.write_table(whole.take(list(range(0, len(whole), 10))), small)  # the file goes class by class
    settings = {"learner": "probe", "loss": "balanced-softmax", **photos}
    caption = (
        "1,000 training images before the long tail, every tenth test image, and in place of the network a probe on "
        "EfficientNet-Lite2, trained on ImageNet"
    )
    return replace(study, settings=settings, test=str(small), limit=1000, caption=caption)


def flowers(data: Path, reduced: bool, out: Path) -> Study:
    """Five kinds of flowers, K photos of each; a linear probe on EfficientNet-Lite2, trained on ImageNet."""
    recipe = replace(
        covering("flowers-few-shot"),
        sources=(SourceSpec("folder", str(data / "flowers5" / "train")),),
    )
    settings = {"embedder": "efficientnet-lite2", "judge": "efficientnet-lite2"}
    study = Study("flowers", recipe, str(data / "flowers5" / "val"), settings, shots=SHOTS, caption="736 test photos")
    if not reduced:
        return study
    small = out / "flowers_val_50"
    for photo in sorted((data / "flowers5" / "val").glob("*/*")) if not small.is_dir() else ():
        (small / photo.parent.name).mkdir(parents=True, exist_ok=True)
        if len(list((small / photo.parent.name).iterdir())) < 50:
            shutil.copyfile(photo, small / photo.parent.name / photo.name)
    stages = [s.model_copy(update={"per_class": 12}) if isinstance(s, Generator) else s for s in recipe.stages]
    caption = "the first 50 test photos of each class, 12 generated images a class in place of 16"
    return replace(study, recipe=replace(recipe, stages=tuple(stages)), test=str(small), caption=caption)


def table(studies: list[Study]) -> str:
    """Two tables as Markdown: accuracy of real images alone and what each arm adds to it, and macro-F1."""
    head = ("set", "K", "mode", *NAMES.values())
    begin = [" | ".join(head), " | ".join(["---"] * len(head))]
    accuracy, macro = [*begin], [*begin]
    for names, real, arms in groups(studies):
        others = [arms.get(arm) for arm in list(NAMES)[1:]]
        accuracy.append(" | ".join((*names, percent(real["accuracy"]), *map(change, others))))
        macro.append(" | ".join((*names, percent(real["macro-f1"]), *map(score, others))))
    return (
        "Accuracy of real images alone in %, and points more or less with others (**bold**: not within noise):\n\n"
        + "".join(f"| {line} |\n" for line in accuracy)
        + "\nMacro-F1 in %:\n\n"
        + "".join(f"| {line} |\n" for line in macro)
    )


def summary(studies: list[Study]) -> str:
    """Over all modes: the mean difference to real images alone, from the worst mode to the best, and verdicts."""
    head = ("set", "K", "real", *list(NAMES.values())[1:])
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    for study in studies:
        for shots in study.shots or (None,):
            rows = [row for row in study.rows if row["shots"] == shots]
            real = percent(next(row for row in rows if row["arm"] == "real")["accuracy"])
            cells = [over_modes([r["difference"] for r in rows if r["arm"] == arm]) for arm in list(NAMES)[1:]]
            lines.append(" | ".join((study.name, str(shots or ""), real, *cells)))
    return "".join(f"| {line} |\n" for line in lines)


def over_modes(values: list[dict[str, Any]]) -> str:
    """Mean, range and how many are better or worse; one value as it is."""
    if len(values) == 1:
        return change({"difference": values[0]})
    points = [100 * value["mean"] for value in values]
    better, worse = (sum(value["verdict"] == verdict for value in values) for verdict in ("better", "worse"))
    return f"{np.mean(points):+.1f} ({min(points):+.1f} to {max(points):+.1f}; {better} better, {worse} worse)"


def groups(studies: list[Study]) -> Iterator[tuple[tuple[str, str, str], dict[str, Any], dict[str, dict[str, Any]]]]:
    """Set, shots and mode; the row of real images alone; the rows of the arms, RandAugment with the first mode."""
    for study in studies:
        for shots in study.shots or (None,):
            rows = [row for row in study.rows if row["shots"] == shots]
            real = next(row for row in rows if row["arm"] == "real")
            classical = [row for row in rows if row["arm"] == "real+classical"]
            for number, mode in enumerate(study.modes):
                mine = [row for row in rows if row["mode"] == mode] + ([] if number else classical)
                yield (study.name, str(shots or ""), mode), real, {row["arm"]: row for row in mine}


def percent(value: dict[str, Any]) -> str:
    """Mean and half the interval."""
    return f"{100 * value['mean']:.1f} ± {100 * (value['high'] - value['mean']):.1f}"


def change(row: dict[str, Any] | None) -> str:
    """The difference to real images alone and half its interval, with a sign."""
    if row is None:
        return ""
    value = row["difference"]
    said = f"{100 * value['mean']:+.1f} ± {100 * (value['high'] - value['mean']):.1f}"
    return said if value["verdict"] == "within noise" else f"**{said}**"


def score(row: dict[str, Any] | None) -> str:
    """The mean of macro-F1."""
    return "" if row is None else f"{100 * row['macro-f1']['mean']:.1f}"


def plot(studies: list[Study], path: Path) -> None:
    """A panel for each set: points against real images alone by mode, or, of shots, accuracy by K over all modes."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(studies), figsize=(5.2 * len(studies), 4.8), squeeze=False)
    for axis, study in zip(axes[0], studies, strict=True):
        (by_shots if study.shots else by_mode)(axis, study)
        axis.set_title(study.name)
        if study is studies[0] or study.shots:
            axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def by_mode(axis: Any, study: Study) -> None:
    """The paired difference to real images alone, with its interval, of every mode and arm."""
    rows = [row for row in study.rows if row["difference"] is not None]
    modes = [*dict.fromkeys(row["mode"] for row in rows if row["mode"]), ""]
    for place, arm in enumerate(list(NAMES)[1:]):
        mine = [row for row in rows if row["arm"] == arm]
        places = [modes.index(row["mode"]) + 0.16 * (place - 2) for row in mine]
        means = [100 * row["difference"]["mean"] for row in mine]
        halves = [100 * (row["difference"]["high"] - row["difference"]["mean"]) for row in mine]
        axis.errorbar(means, places, xerr=halves, fmt="o", ms=3, color=COLOURS[arm], label=NAMES[arm])
    axis.axvline(0, color="black", lw=0.8)
    axis.set_yticks(range(len(modes)), [mode or "RandAugment" for mode in modes], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("points of accuracy against real alone, 95 % intervals", fontsize=8)


def by_shots(axis: Any, study: Study) -> None:
    """Accuracy by the number of shots: the mean over all modes, and from the worst mode to the best."""
    for arm, name in NAMES.items():
        values = [
            [100 * row["accuracy"]["mean"] for row in study.rows if row["arm"] == arm and row["shots"] == shots]
            for shots in study.shots
        ]
        means, low, high = ([float(f(v)) for v in values] for f in (np.mean, min, max))
        axis.plot(study.shots, means, marker="o", ms=3, color=COLOURS[arm], label=name)
        axis.fill_between(study.shots, low, high, color=COLOURS[arm], alpha=0.12, lw=0)
    axis.set_xscale("log", base=2)
    axis.set_xticks(study.shots, [str(shots) for shots in study.shots])
    axis.set_xlabel("real images per class; bands from the worst mode to the best", fontsize=8)
    axis.set_ylabel("accuracy, %", fontsize=8)


def main() -> None:
    """Run the studies that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", default=SETS)
    parser.add_argument("--modes", help="only these ways of conditioning, separated by commas")
    parser.add_argument("--shots", help="only these numbers of shots, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="train networks for so many steps only")
    parser.add_argument("--reduced", nargs="?", const=SETS, default="", help="at reduced size: all or these")
    options = parser.parse_args()
    wanted = options.only.split(",")
    reduced = options.reduced.split(",")
    made = {
        "digits": lambda: digits("digits" in reduced),
        "cifar10": lambda: cifar10(options.data, "cifar10" in reduced, options.out),
        "flowers": lambda: flowers(options.data, "flowers" in reduced, options.out),
    }
    studies = [made[name]() for name in wanted]
    if options.modes:
        studies = [replace(study, modes=tuple(options.modes.split(","))) for study in studies]
    if options.shots:
        shots = tuple(map(int, options.shots.split(",")))
        studies = [replace(study, shots=shots) if study.shots else study for study in studies]
    if options.steps:
        said = f"; but trained for {options.steps} steps only"
        studies = [
            replace(study, settings={**study.settings, "steps": options.steps}, caption=study.caption + said)
            if study.settings.get("learner") == "resnet"
            else study
            for study in studies
        ]
    for study in studies:
        study.settings["seeds"] = options.seeds
        study.go(options.out)
    captions = "".join(f"{study.name}: {study.caption}. " for study in studies)
    (options.out / "proof.json").write_text(json.dumps([row for study in studies for row in study.rows], indent=1))
    (options.out / "proof.md").write_text(f"{captions.strip()}\n\n{summary(studies)}\n{table(studies)}")
    plot(studies, options.out / "proof.png")
    print(table(studies))


if __name__ == "__main__":
    main()
