"""Replace or add? Each real image gives its place with a probability to one made from it; or the made ones come on top.

python -m benchmarks.replacement FLOWERS --out DIR [--write]

The handwritten digits of recipes/quickstart.yaml (a long tail; a small network from scratch) and 16 photographs of each
kind of flower (FLOWERS has class folders in `train` and `val`; a linear probe on EfficientNet-Lite2). Two images are
generated from each real one on average (mode `random-image`: conditioned on one real image as it is), and `filter clip`
keeps the best 75 % of each class. All arms take as many steps; 5 seeds, paired with real images alone. With --write the
table goes into RESULTS.md and every comparison into benchmarks/results/replacement.json. A second time it goes on with
what is in DIR.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from augforge.engine.run import run
from augforge.evaluate.evaluation import evaluate
from augforge.evaluate.settings import settings_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from benchmarks.sections import write_section
from benchmarks.worth import About, rows_of, write

SHARES = (None, 0.1, 0.3, 0.5, 0.7)
"""The published protocols have 0.1 to 0.7; None adds, and half of each batch is generated."""
ARMS = {"real+synthetic": "all that was made", "real+kept": "what the filter kept"}
SHOTS = 16


def recipe_of(name: str, source: SourceSpec, first: Any) -> Recipe:
    """Long tail or few shots, two images from each real one, and the filter."""
    generated = {"model": "builtin-unclip", "mode": "random-image", "real-to-synthetic": "1:2"}
    prompts = {"prompt": "a photo of a {label}"} if first else {}
    stages = [
        build_stage("generate", "augmented-conditioning", {**generated, **prompts}),
        build_stage("filter", "clip", {"model": "builtin-clip", "on": "synthetic", "keep": 0.75}),
    ]
    return Recipe(name, 1, (source,), tuple([first, *stages] if first else stages))


def studies(flowers: Path) -> Iterator[tuple[str, Recipe, str, str | None, dict[str, Any]]]:
    """The name of each data set, its recipe, test set and split, and how the learner is set."""
    digits = recipe_of("digits", SourceSpec("sample", "digits"), None)
    network = {"learner": "resnet", "flip": False, "size": 16, "steps": 250}
    yield "digits, long tail", digits, "sample:digits", "test", network
    shots = build_stage("select", "few-shot", {"shots": SHOTS})
    few = recipe_of("flowers", SourceSpec("folder", str(flowers / "train")), shots)
    yield f"flowers5, K = {SHOTS}", few, str(flowers / "val"), None, {"embedder": "efficientnet-lite2"}


def measured(path: Path, folder: Path, test: tuple[str, str | None], settings: dict[str, Any]) -> dict[str, Any]:
    """The record of one evaluation, or what was found before."""
    if not path.is_file():
        arms = ",".join(["real", *ARMS])
        how = settings_of({**settings, "arms": arms, "seeds": 5})
        record = evaluate(folder, test[0], how, test_split=test[1], store=path.parent / "vectors", replace=True)
        path.write_text(json.dumps(record))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def comparisons(flowers: Path, out: Path) -> Iterator[dict[str, Any]]:
    """Every comparison of each data set."""
    for number, (data, recipe, test, split, settings) in enumerate(studies(flowers)):
        run(recipe, out / recipe.name, store=out / "vectors")
        for share in SHARES:
            how = settings if share is None else {**settings, "replacement": share}
            record = measured(out / f"{number}-{share}.json", out / recipe.name, (test, split), how)
            way = "added" if share is None else f"in place of real ones, p = {share}"
            about = About("classification, replaced or added", data, "accuracy", "real")
            for row in rows_of(record, about, dict.fromkeys(ARMS, "generate augmented-conditioning")):
                yield {**row, "arm": f"{ARMS[row['arm']]}, {way}", "share": share, "kept": row["arm"] == "real+kept"}


def points(row: dict[str, Any]) -> str:
    """A difference with its interval in points, bold where the interval does not hold 0."""
    low, high = (100 * end for end in row["interval"])
    text = f"{100 * row['mean_difference']:+.1f} ({low:+.1f} to {high:+.1f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def table(rows: list[dict[str, Any]]) -> str:
    """A line of Markdown for each data set and what is taken, a column for each share."""
    head = ["data", "real alone, %", "generated", *("added" if s is None else f"p = {s}" for s in SHARES)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for data in dict.fromkeys(row["data"] for row in rows):
        for kept in (False, True):
            mine = [row for row in rows if row["data"] == data and row["kept"] == kept]
            base = 100 * sum(mine[0]["baseline_values"]) / len(mine[0]["baseline_values"])
            name = list(ARMS.values())[kept]
            lines.append(f"| {' | '.join([data, f'{base:.1f}', name, *map(points, mine)])} |")
    return "\n".join(lines)


def main() -> None:
    """Run, evaluate, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    started = time.process_time()
    given.out.mkdir(parents=True, exist_ok=True)
    rows = list(comparisons(given.folder, given.out))
    print(table(rows))
    if given.write:
        write_section("replacement", table(rows))
        plain = [{key: value for key, value in row.items() if key not in ("share", "kept")} for row in rows]
        write("replacement", plain, started, "python -m benchmarks.replacement FLOWERS --out DIR --write")


if __name__ == "__main__":
    main()
