"""Label errors: how many planted ones `select: noisy-labels` lists, and how much of the list is right.

python -m benchmarks.label_errors FOLDER [--model efficientnet-lite2] [--shares 0.05 0.1 0.2] [--by prune-by-noise-rate]

FOLDER has a folder of pictures for each class. Of every picture a hash decides whether it moves to another class, and
to which. What was labelled wrong in FOLDER before counts as a false alarm.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from augforge.data.ids import unit
from augforge.data.label_errors import read_label_errors
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage


def plant(source: Path, target: Path, share: float) -> None:
    """Link pictures into class folders, `share` of them into a wrong one; a name begins with the truth."""
    classes = sorted(path.name for path in source.iterdir() if path.is_dir())
    for number, truth in enumerate(classes):
        for path in sorted((source / truth).iterdir()):
            given = truth
            if unit("wrong", truth, path.name) < share:
                step = 1 + int(unit("which", truth, path.name) * (len(classes) - 1))
                given = classes[(number + step) % len(classes)]
            (target / given).mkdir(parents=True, exist_ok=True)
            os.link(path, target / given / f"{truth}@{path.name}")


def figures(source: Path, folder: Path, share: float, model: str, by: str) -> list[str]:
    """The cells of one line of the table."""
    plant(source, folder / f"set-{share}", share)
    stage = build_stage("select", "noisy-labels", {"model": model, "by": by})
    out = folder / f"out-{share}"
    run(
        Recipe("planted", 0, (SourceSpec("folder", str(folder / f"set-{share}")),), (stage,)),
        out,
        store=folder / "store",
    )
    rows = pq.read_table(out / "samples.parquet").to_pylist()
    truth = {row["id"]: row["source"].rsplit("/", 1)[-1].partition("@")[0] for row in rows}
    wrong = {row["id"] for row in rows if row["label"] != truth[row["id"]]}
    listed = {error.id: error.suggested for error in read_label_errors(out)}
    found = wrong & set(listed)
    right = np.mean([listed[identity] == truth[identity] for identity in found])
    shares = (len(found) / len(listed), len(found) / len(wrong), right)
    return [f"{100 * share:g} %", f"{len(rows):,}", f"{len(listed):,}", *(f"{value:.2f}" for value in shares)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="efficientnet-lite2")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    parser.add_argument("--by", default="prune-by-noise-rate")
    given = parser.parse_args()
    print("| changed labels | images | listed | precision | recall | suggested class is the true one |")
    print("|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=given.folder.parent) as folder:
        for share in given.shares:
            print(f"| {' | '.join(figures(given.folder, Path(folder), share, given.model, given.by))} |", flush=True)


if __name__ == "__main__":
    main()
