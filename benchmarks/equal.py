"""Whether every engine comes to the same bytes: recipes by `local`, and by Ray with 1, 2 and 4 workers, on disk and S3.

    python -m benchmarks.equal --flowers FOLDER

The machines are raylets of one CPU each, and the store is a server on this machine (`tests.faults.cluster_kills`).
Compared are the ledger (ids, parameters, drops, selection, digests, scores), certificates and the dataset, as bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
import uuid
from pathlib import Path

from augforge.data.places import folder_to_write
from augforge.engine.engines.choose import engine_of
from augforge.engine.run import run
from augforge.recipe import Recipe, load_recipe, parse_recipe
from tests.faults.cluster_kills import Bucket, Keeper

OPERATORS = {
    "name": "operators",
    "seed": 5,
    "source": {"sample": "digits"},
    "stages": [
        {"generate": "mix", "op": "cutmix", "per-class": 40},
        {"generate": "weather", "kind": "fog", "per-class": 20},
        {"generate": "randaugment", "per-class": 20},
        {"filter": "quality"},
        {"filter": "duplicates"},
        {"filter": "clip", "on": "synthetic", "keep": 0.8},
        {"select": "facility-location", "on": "synthetic", "share": 0.5},
    ],
}
FILES = ("samples.parquet", "certificates.json", "dataset/*", "dataset/*/*")


def digest(folder: Path) -> str:
    """Of the files of a result."""
    total = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern) if path.is_file()}):
        total.update(path.relative_to(folder).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def recipes(flowers: Path | None) -> list[tuple[Recipe, int | None]]:
    """What is run, and how many source images of it."""
    found = [(load_recipe(Path("recipes/quickstart.yaml")), None), (parse_recipe(json.dumps(OPERATORS)), None)]
    if flowers is not None:
        text = Path("recipes/flowers-few-shot.yaml").read_text(encoding="utf-8")
        found.append((parse_recipe(text.replace("data/flowers/train", str(flowers))), 200))
    return found


def main() -> None:
    """Run all, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flowers", type=Path)
    given = parser.parse_args()
    bucket, keeper = Bucket(), Keeper(4, uuid.uuid4().hex)
    print("| recipe | engine | place | seconds | digest of the result |\n|---|---|---|---|---|", flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["AUGFORGE_CACHE"] = str(Path(folder) / "cache")
            for recipe, limit in recipes(given.flowers):
                seen = set()
                for workers in (0, 1, 2, 4):
                    for place in ("disk", "S3"):
                        name = f"{recipe.name}-{workers}-{place}"
                        out = folder_to_write(bucket.url(name)) if place == "S3" else Path(folder) / name
                        ray = engine_of("ray", workers=workers, address=keeper.address) if workers else engine_of()
                        began = time.monotonic()
                        run(recipe, out, limit=limit, engine=ray, yes=True)
                        seen.add(found := digest(out))
                        engine = f"Ray, {workers} workers" if workers else "local"
                        seconds = time.monotonic() - began
                        print(f"| {recipe.name} | {engine} | {place} | {seconds:.0f} | `{found}` |", flush=True)
                print(f"{recipe.name}: {'equal' if len(seen) == 1 else 'NOT EQUAL'}", flush=True)
    finally:
        keeper.end()
        bucket.end()


if __name__ == "__main__":
    main()
