"""Duplicates: speed, recall and false pairs, beside imagededup 0.3.3.post2 on the same files.

    python benchmarks/duplicates.py --data FOLDER --oracle PYTHON
    python benchmarks/duplicates.py --hashes 1000000

FOLDER holds photos; 556 of them, with eight copies each, make 5,004 JPEGs. Crops take 5 % or 15 % off each side's
length, at a random place. PYTHON is an interpreter that can import imagededup; without it only ours is measured.
Found is an original and its edited copy as a pair; false is a pair of two different originals, counted over all
copies. Some photos of a collection are copies of each other: `--known-copies FILE` takes those pairs, one a line, that
somebody has looked at, out of the false ones. `--hashes N` settles N random hashes instead, one in a hundred of which
has a copy within 6 bits, and prints seconds, peak memory and the share of the copies that went.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import resource
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from augforge.algorithms.duplicates.crops import SLIGHTLY, SMALLEST, overlap
from augforge.algorithms.duplicates.hashes import Small, hash_many, hashes_of, reduced, shrunk
from augforge.algorithms.duplicates.pairs import near_pairs

KINDS = ("original", "exact", "re-encoded", "resized", "crop 5 %", "crop 15 %", "brightness", "blur", "flip")
EASY = ("exact", "re-encoded", "resized", "crop 5 %", "brightness", "blur")
Found = set[tuple[int, int]]

ORACLE = """
import json, sys, time
from imagededup.methods import PHash
method, began = PHash(verbose=False), time.perf_counter()
codes = method.encode_images(image_dir=sys.argv[1], num_enc_workers=int(sys.argv[2]))
hashed = time.perf_counter()
found = method.find_duplicates(encoding_map=codes, max_distance_threshold=10, num_dist_workers=int(sys.argv[2]))
done = time.perf_counter()
print(json.dumps({"hash": hashed - began, "find": done - hashed, "found": found}))
"""


def cropped(image: Image.Image, share: float, draw: random.Random) -> Image.Image:
    """A window of 1 - `share` of each side, anywhere."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    x, y = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((x, y, x + width, y + height))


def edit(kind: str, image: Image.Image, draw: random.Random) -> Image.Image:
    """The picture after an edit that is more than another encoding."""
    edits: dict[str, Callable[[], Image.Image]] = {
        "resized": lambda: image.resize((image.width * 2 // 3, image.height * 2 // 3)),
        "crop 5 %": lambda: cropped(image, 0.05, draw),
        "crop 15 %": lambda: cropped(image, 0.15, draw),
        "brightness": lambda: image.point(lambda v: min(255, int(v * 1.2))),
        "blur": lambda: image.filter(ImageFilter.GaussianBlur(1)),
        "flip": lambda: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }
    return edits.get(kind, image.copy)()


def build(data: Path, folder: Path, count: int, size: tuple[int, int] | None = None) -> list[str]:
    """Write `count` photos, made `size` px if given, and copies as `kind--number.jpg`; the photos' names."""
    photos = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = random.Random(0).sample(photos, min(count, len(photos)))
    for number, path in enumerate(chosen):
        image, draw = Image.open(path).convert("RGB"), random.Random(number)
        image = image.resize(size, Image.Resampling.BICUBIC) if size else image
        first = encoded(image, 92)
        for kind in KINDS:
            quality = 60 if kind == "re-encoded" else 90
            plain = kind in ("original", "exact")
            data_out = first if plain else encoded(edit(kind, Image.open(io.BytesIO(first)), draw), quality)
            (folder / f"{KINDS.index(kind)}--{number:05d}.jpg").write_bytes(data_out)
    return [path.name for path in chosen]


def encoded(image: Image.Image, quality: int) -> bytes:
    """JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def parsed(name: str) -> tuple[int, int]:
    """Kind and number of the photo of a file."""
    kind, number = Path(name).stem.split("--")
    return int(kind), int(number)


def report(name: str, pairs: Iterable[tuple[str, str]], count: int, known: Found) -> str:
    """A row of the table: recall of each kind, false pairs of files, and of different originals."""
    hits: Counter[int] = Counter()
    false, originals = 0, set()
    for left, right in pairs:
        (a, i), (b, j) = sorted((parsed(left), parsed(right)))
        if i != j:
            if (min(i, j), max(i, j)) not in known:
                false += 1
                originals.add((min(i, j), max(i, j)))
        elif a == 0:
            hits[b] += 1
    recalls = [hits[KINDS.index(kind)] / count for kind in KINDS[1:]]
    easy = np.mean([hits[KINDS.index(kind)] / count for kind in EASY])
    cells = [f"{value:.3f}" for value in (*recalls, float(easy))]
    return f"| {name} | {' | '.join(cells)} | {false} | {len(originals)} |"


def fitting(pairs: np.ndarray, smalls: Small, smallest: int, least: float = 0.82) -> np.ndarray:
    """Those of pairs (p, 2) whose pictures overlap."""
    return pairs[overlap(smalls[pairs[:, 0]], smalls[pairs[:, 1]], smallest=smallest) >= least]


def by_hash(hashes: np.ndarray, smalls: Small, distance: int = 16, sure: int = 7) -> np.ndarray:
    """(p, 2) what `filter duplicates` takes for near by hash."""
    pairs, bits = near_pairs(hashes, distance, flips=True)
    return np.concatenate([pairs[bits <= sure], fitting(pairs[bits > sure], smalls, SLIGHTLY)])


def by_embedding(files: list[Path], smalls: Small, neighbours: int, similarity: float) -> np.ndarray:
    """(p, 2) what an embedding adds."""
    from augforge.algorithms.selection.neighbours import nearest
    from augforge.algorithms.selection.points import Likeness
    from augforge.models import find_model
    from augforge.models.loading import load_embedder

    model = load_embedder(find_model("builtin-clip", "image-text"), "cpu")
    vectors = np.concatenate(
        [
            model.embed_images([Image.open(f).convert("RGB") for f in files[s : s + 256]])
            for s in range(0, len(files), 256)
        ]
    )
    near = nearest(vectors, Likeness("cosine"), neighbours + 1)
    left, right = np.repeat(np.arange(len(files)), neighbours + 1), near.near.reshape(-1)
    pairs = np.sort(np.stack([left, right], axis=1)[near.values.reshape(-1) >= similarity], axis=1)
    return fitting(np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0), smalls, SMALLEST)


def measure(folder: Path, count: int, known: Found, given: argparse.Namespace) -> None:
    """Print the tables."""
    oracle, workers, repeats = given.oracle, given.workers, given.repeats
    files = sorted(folder.glob("*.jpg"))
    names = [path.name for path in files]
    hashing, finding, theirs, seeking = [], [], [], []
    rows = []
    for _ in range(repeats):
        began = time.perf_counter()
        hashes = hash_many(files, workers)
        hashing.append(time.perf_counter() - began)
        if oracle:
            answer = subprocess.run(
                [oracle, "-c", ORACLE, str(folder), str(workers)], capture_output=True, text=True, check=True
            )
            found = json.loads(answer.stdout.splitlines()[-1])
            theirs.append(found["hash"])
            seeking.append(found["find"])
    smalls = shrunk([reduced(path.read_bytes()) for path in files])
    assert (hashes_of(smalls) == hashes).all()
    for _ in range(repeats):
        began = time.perf_counter()
        near = by_hash(hashes, smalls)
        finding.append(time.perf_counter() - began)
    if oracle:
        rows.append(
            report("imagededup", {tuple(sorted((a, b))) for a, bs in found["found"].items() for b in bs}, count, known)
        )
    for distance in (7, 10, 14, 16):
        plain, _ = near_pairs(hashes, distance, flips=True)
        rows.append(report(f"hash <= {distance}, unchecked", named(plain, names), count, known))
        checked = by_hash(hashes, smalls, distance)
        rows.append(report(f"hash <= {distance}, checked", named(checked, names), count, known))
    embedding = math.nan
    if not given.hash_only:
        began = time.perf_counter()
        more = by_embedding(files, smalls, 20, 0.9)
        embedding = time.perf_counter() - began
        both = np.unique(np.concatenate([near, more]), axis=0)
        rows.append(report("hash and embedding", named(both, names), count, known))
    print(f"{len(files)} JPEGs; {workers} workers; the median of {repeats} runs, one after the other in turn")
    print(
        f"ours:       hash {np.median(hashing):.2f} s, find and check {np.median(finding):.2f} s, "
        f"embed and check {embedding:.1f} s"
    )
    if oracle:
        print(f"imagededup: hash {np.median(theirs):.2f} s, find {np.median(seeking):.2f} s")
        print(
            f"hash stage: {np.median(theirs) / np.median(hashing):.1f} times as fast; "
            f"runs {np.round(np.divide(theirs, hashing), 1)}"
        )
    print("| | " + " | ".join(KINDS[1:]) + " | easy six | false pairs | of originals |")
    print("|---" * (len(KINDS) + 3) + "|")
    print("\n".join(rows))


def named(pairs: np.ndarray, names: list[str]) -> set[tuple[str, str]]:
    """Pairs (p, 2) of rows as pairs of file names."""
    return {(names[i], names[j]) for i, j in pairs.tolist()}


def main() -> None:
    """Build the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of photos")
    parser.add_argument("--hashes", type=int, help="settle so many random hashes instead")
    parser.add_argument("--oracle", help="a Python that can import imagededup")
    parser.add_argument("--photos", type=int, default=556, help="how many photos; nine files each")
    parser.add_argument("--size", type=int, nargs=2, help="make the photos so wide and high first, in px")
    parser.add_argument("--hash-only", action="store_true", help="no embedding")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--known-copies", type=Path, help="lines of two names of photos that are copies")
    given = parser.parse_args()
    if given.hashes:
        settle_many(given.hashes)
        return
    if given.data is None:
        parser.error("give --data or --hashes")
    with tempfile.TemporaryDirectory() as folder:
        photos = build(given.data, Path(folder), given.photos, given.size)
        known = copies(given.known_copies, photos) if given.known_copies else set()
        measure(Path(folder), len(photos), known, given)


def settle_many(count: int) -> None:
    """Decide over random hashes with planted copies, at the distance that `filter duplicates` takes for so many."""
    from augforge.algorithms.duplicates.evidence import NOBODY, settle
    from augforge.algorithms.duplicates.pairs import pair_blocks
    from augforge.stages.filters.duplicates import Duplicates

    draw, planted = np.random.default_rng(0), count // 100
    hashes = draw.integers(1, 2**64, count, dtype=np.uint64)
    bits = np.stack([draw.choice(63, 6, replace=False) for _ in range(planted)]).astype(np.uint64)
    hashes[-planted:] = hashes[:planted] ^ np.bitwise_or.reduce(np.uint64(1) << bits, axis=1)
    distance, began = Duplicates().reach(count), time.perf_counter()

    def search(rows: np.ndarray) -> Iterable[np.ndarray]:
        for pairs, _ in pair_blocks(hashes[rows], distance, flips=True):
            yield rows[pairs]

    nobody = np.zeros((0, 2), dtype=np.int64)
    verdict = settle(np.arange(count), np.zeros(count, dtype=bool), nobody, search)
    gone = verdict.by[-planted:] != NOBODY
    seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    strangers = (verdict.by != NOBODY).sum() - gone.sum()
    print(f"{count:,} hashes within {distance} bits, mirrored too: {seconds:.1f} s, peak {peak:.0f} MB")
    print(
        f"{gone.mean():.4f} of {planted:,} planted copies went; {strangers} strangers, which only looked at would stay"
    )


def copies(file: Path, photos: list[str]) -> Found:
    """The pairs of photo numbers that a file names."""
    places = {name: number for number, name in enumerate(photos)}
    lines = [line.split() for line in file.read_text().splitlines() if line.strip()]
    pairs = [sorted((places[a], places[b])) for a, b in lines if a in places and b in places]
    return {(a, b) for a, b in pairs}


if __name__ == "__main__":
    main()
