"""Marks of synthetic images: XMP, and C2PA with c2pa-python's own settings beside ours. Run from the repository.

    python benchmarks/marks.py --images 200 --size 512

Rates are images a second of one thread, by the clock and by the time of the processor, the best of the rounds; every
round measures every way, so that they share whatever else the machine does. The certificate is made on the spot.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from augforge.data.images import encode_png
from augforge.publish.marks.sign import Signer, state_of
from augforge.publish.marks.xmp import add_mark, source_type
from tests.publish.marks.certificates import write_chain

KIND = "compositeWithTrainedAlgorithmicMedia"


def pictures(count: int, size: int) -> list[bytes]:
    """Smooth random PNG pictures, about as large as those of a diffusion model."""
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (count, 24, 24, 3), dtype=np.uint8)
    noise = random.integers(-2, 3, (size, size, 3), dtype=np.int16)
    found = []
    for pixels in small:
        large = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
        found.append(encode_png(Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8))))
    return found


def rates(do: Callable[[bytes], object], images: Sequence[bytes]) -> tuple[float, float]:
    """Images a second by the clock, and a second of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    for image in images:
        do(image)
    return len(images) / (time.perf_counter() - clock), len(images) / (time.process_time() - processor)


def main() -> None:
    """Measure all ways and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=512, help="px")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    images = pictures(given.images, given.size)
    with tempfile.TemporaryDirectory() as folder:
        chain, key = write_chain(Path(folder))
        ours, theirs = Signer(chain, key), Signer(chain, key, {})
    marked = [add_mark(image, KIND, "id") or b"" for image in images]
    signed = [ours.sign(image, KIND, "id") for image in marked]
    slow = images[: max(8, given.images // 20)]
    variants: dict[str, tuple[Callable[[bytes], object], Sequence[bytes]]] = {
        "XMP mark": (lambda image: add_mark(image, KIND, "id"), images),
        "look for the XMP mark": (source_type, marked),
        "C2PA, settings of c2pa-python": (lambda image: theirs.sign(image, KIND, "id"), slow),
        "C2PA, thumbnail and verify-after-sign off": (lambda image: ours.sign(image, KIND, "id"), images),
        "verify the signature": (state_of, signed),
    }
    best = dict.fromkeys(variants, (0.0, 0.0))
    for _ in range(given.rounds):
        for name, (do, some) in variants.items():
            clock, processor = rates(do, some)
            best[name] = max(best[name][0], clock), max(best[name][1], processor)
    size = sum(map(len, images)) / len(images)
    theirs_size = len(theirs.sign(marked[0], KIND, "id")) - len(marked[0])
    print(f"{given.images} PNG images of {given.size} px, {size / 1024:,.0f} KiB each")
    print(f"{'images a second':<44} {'clock':>9} {'processor':>9}")
    for name, (clock, processor) in best.items():
        print(f"{name:<44} {clock:>9,.0f} {processor:>9,.0f}")
    print(f"bytes added: XMP {len(marked[0]) - len(images[0]):,}, C2PA {len(signed[0]) - len(marked[0]):,}", end="")
    print(f" (with the settings of c2pa-python {theirs_size:,})")
    slowly, quickly = best[list(variants)[2]], best[list(variants)[3]]
    print(f"ours over theirs: {quickly[0] / slowly[0]:.0f} times, by the processor {quickly[1] / slowly[1]:.0f} times")


if __name__ == "__main__":
    main()
