"""Few-shot photographs: does a LoRA of the K shots turn what the built-in generator does to a learner into a gain?

python -m benchmarks.few_shot FOLDER --out runs/few-shot [--shots 1,2,4,8,16] [--draws 5] [--write]

FOLDER has class folders in `train` and `val`. In each draw K images of each class of `train` are chosen anew, and are
all that anything sees: a LoRA of builtin-unclip learns from them as recipes/flowers-lora.yaml has it, and 16 images of
each class are generated from them, with it and without. `augforge evaluate` trains a linear probe on EfficientNet-Lite2
with the shots alone and with the generated images, and judges by all of `val`. Unlike in benchmarks/proof.py a
difference is paired by draw: other shots, another LoRA, other images, another probe; the interval is Student's over
draws. A second time it goes on with what is in OUT. With --write the table goes into RESULTS.md, and every comparison
into benchmarks/results/few-shot.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from augforge.engine.run import run
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.intervals import paired
from augforge.evaluate.settings import settings_of
from augforge.recipe import Recipe, SourceSpec, build_stage, load_recipe
from augforge.stages.generator import Generator
from augforge.stages.trainer import Trainer
from benchmarks.sections import write_section

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PROBE = {"embedder": "efficientnet-lite2", "judge": "efficientnet-lite2", "arms": "real,real+synthetic", "seeds": 3}
MODEL = "builtin-unclip"
MODE = "random-image"
"""One of the ten modes, the plainest: an image is conditioned on one shot, as it is."""
EACH = 16
ARMS = {"model": "+ generated", "LoRA": "+ with a LoRA", "LoRA of the attention": "+ with a LoRA of the attention"}
"""What makes the images, and how it is called in the table."""
AT = {"LoRA of the attention": (4,)}
"""Arms that are measured at these K only, as each costs minutes."""
COMPARED = [
    ("model", "real"), ("LoRA", "real"), ("LoRA of the attention", "real"),
    ("LoRA", "model"), ("LoRA of the attention", "model"),
]  # fmt: skip
"""Arms, and what each is compared with."""
AGREED = "class-agreement"


def unlike_the_test(folder: Path, out: Path) -> set[str]:
    """The images of `train`, by CLASS/FILE, that are not nearly one of `val` or of another of `train`."""
    stage = build_stage("filter", "duplicates", {"against": str(folder / "val")})
    run(Recipe("clean", 0, (SourceSpec("folder", str(folder / "train")),), (stage,)), out / "clean")
    rows = pq.read_table(out / "clean" / "samples.parquet", columns=["ref", "kept"]).to_pylist()
    return {row["ref"].partition(":")[2] for row in rows if row["kept"]}


def draw(folder: Path, clean: set[str], shots: int, number: int, out: Path) -> Path:
    """A folder with `shots` images of each class of `folder`; fewer shots are among more of the same draw."""
    chosen = out / f"shots-{shots}-{number}"
    if not chosen.is_dir():
        begun = chosen.with_name(f"{chosen.name}-begun")
        shutil.rmtree(begun, ignore_errors=True)
        for place, kind in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
            files = sorted(kind.iterdir())
            (begun / kind.name).mkdir(parents=True)
            drawn = [files[one] for one in np.random.default_rng([number, place]).permutation(len(files))]
            for file in [file for file in drawn if f"{kind.name}/{file.name}" in clean][:shots]:
                shutil.copy(file, begun / kind.name)
        begun.rename(chosen)
    return chosen


def recipe_of(model: str, arm: str, source: Path, number: int) -> Recipe:
    """The recipe of flowers with LoRA as far as the generation, or what is left of it without a LoRA."""
    whole = load_recipe(ROOT / "recipes" / "flowers-lora.yaml")
    trainer = next(stage for stage in whole.stages if isinstance(stage, Trainer))
    generator = next(stage for stage in whole.stages if isinstance(stage, Generator))
    options = {"model": model, "mode": MODE, "per-class": EACH, "prompt": "a photo of a {label}"}
    stages: list[Any] = [build_stage("generate", generator.name, options)]
    if arm != "model":
        update = {"targets": ()} if arm == "LoRA of the attention" else {}
        trained = trainer.model_copy(update={"model": model, "held_out": 0.0, **update})
        known = {trainer.called: trainer.task}
        stages = [trained, build_stage("generate", generator.name, {**options, "lora": trainer.called}, known)]
    return Recipe(whole.name, number, (SourceSpec("folder", str(source)),), tuple(stages))


def measured(model: str, source: Path, test: Path, arm: str, number: int, path: Path) -> dict[str, Any]:
    """The accuracies of one draw, in [0, 1]: of the shots alone and with generated images; CPU minutes beside them."""
    if not path.is_file():
        out, place, began = path.parent, path.with_suffix(""), time.process_time()
        run(recipe_of(model, arm, source, number), place, store=out / "vectors")
        made = (time.process_time() - began) / 60
        record = evaluate(place, str(test), settings_of(PROBE), store=out / "vectors", replace=True)
        arms = record["arms"]
        accuracy = {each["name"]: each["accuracy"]["mean"] for each in arms}
        agreed = {name: record["metrics"][name] for name in (AGREED, f"{AGREED} of test images")}
        minutes = {"minutes": made, "minutes in all": (time.process_time() - began) / 60}
        images = next(each["images"] for each in arms if each["name"] != "real")
        classes = {each["name"]: {name: one["mean"] for name, one in each["per-class"].items()} for each in arms}
        path.write_text(json.dumps({**accuracy, **agreed, **minutes, "images": images, "per-class": classes}))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def of_classes(found: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """What was measured, with the mean accuracy of these classes alone in the place of that of all images."""
    if not classes:
        return found
    return found | {arm: np.mean([some[name] for name in classes]) for arm, some in found["per-class"].items()}


def percent(share: float) -> float:
    """A share in [0, 1] as it is written down."""
    return round(100 * share, 2)


def pairs(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Which arms that were measured are compared with what."""
    return [pair for pair in COMPARED if pair[0] in found]


def compared(data: str, model: str, found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What is written of every comparison on `data`; `found` has what was measured of each arm, draw by draw."""
    records = []
    for arm, baseline in pairs(found):
        values = [percent(one["real+synthetic"]) for one in found[arm]]
        name = "real" if baseline == "real" else "real+synthetic"
        base = [percent(one[name]) for one in found.get(baseline, found[arm])]
        difference = paired(values, base)
        records.append({
            "task": "few-shot classification", "data": data,
            "stage": "generate augmented-conditioning" if arm == "model" else "train lora",
            "arm": f"real + generated by {model}{'' if arm == 'model' else f' with a {arm}'}",
            "baseline": "real" if baseline == "real" else f"real + generated by {model}",
            "metric": "accuracy %", "seeds": list(range(len(values))), "values": values, "baseline_values": base,
            "mean_difference": round(difference.mean, 3),
            "interval": [round(end, 3) for end in (difference.low, difference.high)],
            "cpu_minutes": round(sum(one["minutes in all"] for one in found[arm]), 2),
            "images": found[arm][0]["images"],
        })  # fmt: skip
    return records


def points(record: dict[str, Any]) -> str:
    """A difference and half its interval in points, bold where the interval does not hold 0."""
    mean, (low, high) = record["mean_difference"], record["interval"]
    text = f"{mean:+.1f} ± {high - mean:.1f}"
    return f"**{text}**" if low > 0 or high < 0 else text


def row(shots: int, found: dict[str, list[dict[str, Any]]], records: list[dict[str, Any]]) -> str:
    """One line of the table."""
    by_pair = {pair: points(record) for pair, record in zip(pairs(found), records, strict=True)}
    real = 100 * np.mean([one["real"] for one in found["model"]])
    agreed = " / ".join(f"{100 * np.mean([one[AGREED] for one in some]):.0f}" for some in found.values())
    judge = 100 * np.mean([one[f"{AGREED} of test images"] for one in found["model"]])
    minutes = " / ".join(f"{np.mean([one['minutes'] for one in some]):.1f}" for some in found.values())
    cells = [by_pair.get(pair, "") for pair in COMPARED]
    return f"| {shots} | {real:.1f} | {' | '.join(cells)} | {agreed} ({judge:.0f}) | {minutes} |"


def main() -> None:
    """Draw, run, evaluate; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shots", default="1,2,4,8,16")
    parser.add_argument("--draws", type=int, default=5, help="at least 2, for an interval")
    parser.add_argument("--model", default=MODEL, help="another one, such as one that never saw a class")
    parser.add_argument("--classes", default="", help="judge by these alone: such as those that MODEL never saw")
    parser.add_argument("--data", default="flowers5", help="what FOLDER is called in the results")
    parser.add_argument("--write", default=None, nargs="?", const="few-shot", help="a file of benchmarks/results")
    given = parser.parse_args()
    classes = [word for word in given.classes.split(",") if word]
    given.out.mkdir(parents=True, exist_ok=True)
    shots = [int(word) for word in given.shots.split(",")]
    command = f"python -m benchmarks.few_shot FOLDER --out OUT --shots {given.shots} --draws {given.draws}"
    command += "" if given.model == MODEL else f" --model {Path(given.model).parent.name or given.model}"
    command += f" --classes {given.classes}" if classes else ""
    about = {"command": command, "date": datetime.now(UTC).date().isoformat()}
    measurements: dict[int, dict[str, list[dict[str, Any]]]] = {
        count: {arm: [] for arm in ARMS if count in AT.get(arm, shots)} for count in shots
    }
    clean = unlike_the_test(given.folder, given.out)
    for number in range(given.draws):
        for count, found in measurements.items():
            source = draw(given.folder / "train", clean, count, number, given.out)
            for arm, values in found.items():
                path = given.out / f"{arm.replace(' ', '-')}-{count}-{number}.json"
                values.append(
                    of_classes(measured(given.model, source, given.folder / "val", arm, number, path), classes)
                )
                print(number, count, arm, values[-1], flush=True)
    rows, records = [], []
    for count, found in measurements.items():
        data = f"{given.data}, K = {count}{f', {given.classes} alone' if classes else ''}"
        mine = compared(data, Path(given.model).parent.name or given.model, found)
        rows.append(row(count, found, mine))
        records += [{**record, **about} for record in mine]
    head = ["K", "real", *(f"{ARMS[arm]}, to {ARMS.get(base, base)}" for arm, base in COMPARED)]
    head += ["judged right, % (of the test photos)", "CPU min a draw"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows]
    print("\n".join(lines))
    if given.write:
        if given.write == "few-shot":
            write_section("few-shot", "\n".join(lines))
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{given.write}.json").write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
