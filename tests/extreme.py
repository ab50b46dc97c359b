"""Run every stage of the catalog over a folder with an extreme picture, in an address space that is limited.

`python -m tests.extreme WORK` reads `WORK/task.json` (`models`, `stages`, `size` in px, `spare` in bytes), and writes
what became of each stage to `WORK/result.json`. Before each stage the limit is what the process has then, and `spare`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

LARGE = (
    "torch",
    "torchvision",
    "diffusers",
    "transformers",
    "open_clip",
    "timm",
    "skimage.segmentation",
    "sklearn.svm",
)


def write_pictures(folder: Path, size: tuple[int, int]) -> Path:
    """Small pictures of two classes, and one of `size`, which is coarse."""
    from tests.conftest import write_images

    write_images(folder, {"cat": 5, "dog": 4})
    coarse = np.random.default_rng(7).integers(0, 256, (max(1, size[1] // 8), max(1, size[0] // 8), 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST).save(folder / "cat" / "extreme.png")
    return folder


def limit(spare: int) -> None:
    """Allow `spare` bytes more than what is there."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, hard))


def run_stage(models: dict[str, str], pictures: Path, stage: tuple[str, str], out: Path) -> dict[str, object]:
    """What became of the extreme picture, of what was made of it, and how long it took."""
    from augforge.engine.run import run
    from tests.test_laws import chain, rows

    began = time.perf_counter()
    options = {"per-class": 12} if stage[0] == "generate" else {}
    options |= {"size": 227} if stage == ("generate", "shifts") else {}
    run(chain(models, pictures, stage, **options), out)
    ledger = rows(out)
    extreme = next(row for row in ledger.values() if (row["source"] or "").endswith("extreme.png"))
    made = [row["dropped"] or "" for row in ledger.values() if extreme["id"] in row["parents"]]
    seconds = time.perf_counter() - began
    return {"dropped": extreme["dropped"] or "", "made": made, "rows": len(ledger), "seconds": seconds}


def main(work: Path) -> None:
    """See the module."""
    task = json.loads((work / "task.json").read_text())
    for name in LARGE:
        import_module(name)
    pictures = write_pictures(work / "pictures", tuple(task["size"]))
    found: dict[str, object] = {}
    for stage in task["stages"]:
        limit(task["spare"])
        try:
            found["-".join(stage)] = run_stage(task["models"], pictures, tuple(stage), work / "-".join(stage))
        except Exception:
            found["-".join(stage)] = {"failed": traceback.format_exc()}
        print("-".join(stage), str(found["-".join(stage)])[-300:], flush=True)
    (work / "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
