"""How large the report of a large run is, how long it takes to write, and how it behaves in a headless Chromium.

    python benchmarks/report.py --rows 50000 --folder FOLDER

The run is made up: two fifths real, the rest synthetic with two parents each, 100 classes of a long-tailed size, four
scores, a prompt and draws, vectors of 128 numbers (of the classes' prompts, too), and pictures of 128 px (JPEG of
smooth noise, quality 90). The kept ones lie in the dataset, the dropped ones in a part. FOLDER keeps the run for
another round; 0.4 GB for 50,000.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from augforge.data import images
from augforge.data.files import seal
from augforge.data.ids import key
from augforge.data.ledger import Ledger
from augforge.data.record import FORMAT
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedders, stored_vectors, vectors_key
from augforge.engine.finish import write_result
from augforge.engine.pixels import Pixels
from augforge.engine.runners.generated import GENERATED
from augforge.progress import Progress
from augforge.recipe import parse_recipe
from augforge.report import write_report

RECIPE = """
name: many
seed: 1
source: {folder: gone}
stages:
  - {generate: augmented-conditioning, model: builtin-unclip}
  - {filter: clip, model: builtin-clip, min: 0.27}
  - {select: random, share: 0.7}
"""
MODEL = {"name": "made-up", "digest": "0" * 64, "licence": "none"}
MAKER = json.dumps({"generator": "augmented-conditioning", "model": MODEL, "steps": 20})
PART = "generate-made-up"
SIDE, BANK, CLASSES, WIDE = 128, 256, 100, 128
SCORES = {"clip-prompt": (0.3, 0.05), "clip-margin": (0.1, 0.05), "clip-prototype": (0.8, 0.05), "sharpness": (300, 80)}


class MadeUp(Pixels):
    """The pictures of a bank, each made another file by what follows its end."""

    def __init__(self, random: np.random.Generator) -> None:
        super().__init__([])
        self._bank = [_jpeg(random) for _ in range(BANK)]
        self.files: dict[str, int] = {}

    def new(self, number: int) -> str:
        """The digest of file `number`."""
        digest = images.digest(self._file(number))
        self.files[digest] = number
        return digest

    def _file(self, number: int) -> bytes:
        return self._bank[number % BANK] + number.to_bytes(4, "big")

    def bytes_of(self, sample: Sample) -> bytes:
        """The file of a sample."""
        return self._file(self.files[sample.digest])


def _jpeg(random: np.random.Generator) -> bytes:
    small = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64)
    noisy = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", quality=90)
    return out.getvalue()


def _samples(rows: int, pixels: MadeUp, random: np.random.Generator) -> Iterator[Sample]:
    real: list[str] = []
    for number in range(rows):
        label = f"class {min(CLASSES - 1, int(random.exponential(CLASSES / 4))):02d}"
        scores = {name: float(random.normal(*shape)) for name, shape in SCORES.items()}
        common: dict[str, Any] = {"id": key("made up", number), "label": label, "digest": pixels.new(number)}
        common |= {"width": SIDE, "height": SIDE}
        if number < 2 * rows // 5:
            real.append(common["id"])
            file = f"train/{label}/{number:06d}.jpg"
            yield Sample(source=f"folder data/photos: {file}", split="train", ref=f"0:{file}", **common)
            continue
        sampled_params = {"prompt": f"a photo of {label}, {number}", "lam": float(random.random()), "slot": number % 32}
        sampled_params |= {
            "mask-seed": int(random.integers(2**62)),
            "batch-number": number // 32,
            "variant": number % 5,
        }
        yield Sample(
            origin="synthetic",
            parents=tuple(real[place] for place in random.integers(0, len(real), 2)),
            stage="1-generate-augmented-conditioning",
            seed=int(random.integers(2**62)),
            ref=f"generated:{PART}",
            sampled_params=sampled_params,
            generation_config=MAKER,
            scores=scores,
            **common,
            **_fate(scores["clip-prompt"], random),
        )


def _fate(score: float, random: np.random.Generator) -> dict[str, Any]:
    if score < 0.27:
        return {"kept": False, "dropped": "clip-prompt: under 0.27", "dropped_by": "2-filter-clip"}
    if random.random() < 0.3:
        return {"kept": False, "dropped": "not chosen", "dropped_by": "3-select-random"}
    return {}


def make(folder: Path, rows: int) -> None:
    """A made-up run."""
    random = np.random.default_rng(0)
    store, pixels, ledger = Store(folder), MadeUp(random), Ledger()
    samples = list(_samples(rows, pixels, random))
    ledger.extend(samples)
    with store.parts(PART, GENERATED).writing() as writer:
        for sample in (sample for sample in samples if not sample.kept):
            data = pixels.bytes_of(sample)
            writer.add([{**dict.fromkeys(GENERATED.names), "id": sample.id, "image": data}], len(data))
    centres = {label: random.normal(size=WIDE) for label in ledger.classes}
    with stored_vectors("builtin-clip", "image-embedding", store).writing() as writer:
        for sample in samples:
            vector = (centres[str(sample.label)] + random.normal(size=WIDE)).astype(np.float32)
            writer.add([{"digest": sample.digest, "vector": vector}])
    prompts = {label: hashlib.sha256(f"a photo of a {label}".encode()).hexdigest() for label in ledger.classes}
    with store.vectors(f"{vectors_key('builtin-clip')}-text").writing() as writer:
        writer.add([{"digest": d, "vector": centres[label].astype(np.float32)} for label, d in prompts.items()])
    write_result(parse_recipe(RECIPE), RunContext(ledger, Embedders(store, pixels, "cpu", Progress())))
    (folder / "run.json").write_bytes(seal({"format": FORMAT, "key": "made up", "summary": {}}))


ACTIONS = {
    "filter by class": "choose(0, 3)",
    "all classes again": "choose(0, 0)",
    "with those that have no picture": "document.getElementById('only').click()",
    "sort by a score": "choose(4, 2)",
    "turn the page": "document.getElementById('forth').click()",
    "first search, which reads the provenance": "wanted.words = 'of class 07, 4'; update()",
    "open an image": "document.querySelector('.card').click()",
    "close it": "document.getElementById('detail').close()",
    "move a threshold": "slide(0.31)",
    "hide a group on the map": "document.querySelector('#map-body input').click()",
}
HELP = """const choose = (field, option) => { const s = document.querySelectorAll('#filters select')[field];
s.selectedIndex = option; s.dispatchEvent(new Event('change')); };
const slide = (value) => { const s = document.querySelector('.threshold'); s.value = value;
s.dispatchEvent(new Event('input')); };"""
TIMED = "(() => {{ {} const t = performance.now(); {}; document.body.offsetHeight; return performance.now() - t; }})()"


def look(path: Path) -> None:
    """Open the report and time what a reader does; drawing on the screen is not in the times of the actions."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 860}, offline=True).new_page()
        page.on("pageerror", lambda error: print("error:", error))
        page.goto(path.absolute().as_uri())
        page.wait_for_selector("html[data-ready=true]")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        print(f"first paint {paint:.0f} ms, loaded and usable {loaded:.0f} ms")
        for section in ("scores", "map"):
            page.evaluate(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
            page.wait_for_timeout(1000)
        for name, script in ACTIONS.items():
            print(f"{name}: {page.evaluate(TIMED.format(HELP, script)):.0f} ms")
        print(f"{page.evaluate('document.querySelectorAll(`*`).length'):,} elements on the page")
        browser.close()


def main() -> None:
    """Make the run if it is not there, write its report, look at it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=40.0)
    options = parser.parse_args()
    if not (options.folder / "run.json").is_file():
        make(options.folder, options.rows)
    began = time.perf_counter()
    written = write_report(options.folder, megabytes=options.megabytes)
    seconds = time.perf_counter() - began
    print(f"{written.samples:,} samples: {written.size / 1e6:.1f} MB, {written.pictures:,} pictures")
    print(f"provenance of {written.traced:,}, written in {seconds:.0f} s")
    look(Path(written.path))


if __name__ == "__main__":
    main()
